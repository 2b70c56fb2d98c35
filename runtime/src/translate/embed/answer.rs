//! An answer's vectors, from one API's form to another's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use busbar_protocols::Ledger;
use serde_json::{Value, json};

use super::{Encoding, Form, Reply, dropped};

/// Makes a provider's answer into the caller's, with the count of tokens if the provider says one.
///
/// # Errors
/// What is wrong with the answer.
pub fn response(reply: &Reply, body: &[u8]) -> Result<(Vec<u8>, Option<u64>, Ledger), &'static str> {
    let mut body: Value = serde_json::from_slice(body).map_err(|_| "the answer is no JSON document")?;
    let (vectors, tokens) = match reply.backend {
        Form::Openai => openai(&mut body),
        Form::Gemini | Form::GeminiBatch => gemini(&mut body),
        Form::Cohere => cohere(&mut body),
    }?;
    if vectors.len() != reply.count {
        return Err("the answer has another number of vectors than were asked for");
    }
    let mut ledger = Ledger::default();
    let made = match reply.caller {
        Form::Openai => {
            if tokens.is_none() {
                dropped(&mut ledger, "usage", "the provider counts nothing");
            }
            let encoding = reply.encodings.first().copied().unwrap_or(Encoding::Floats);
            let data = vectors.iter().enumerate().map(|(index, vector)| {
                let embedding = encoded(vector, encoding)?;
                Ok(json!({ "object": "embedding", "index": index, "embedding": embedding }))
            });
            json!({
                "object": "list",
                "data": data.collect::<Result<Vec<_>, &'static str>>()?,
                "model": reply.model,
                "usage": { "prompt_tokens": tokens.unwrap_or(0), "total_tokens": tokens.unwrap_or(0) },
            })
        }
        Form::Gemini | Form::GeminiBatch => {
            let mut vectors = vectors.into_iter().map(|values| json!({ "values": values }));
            let mut made = match reply.caller {
                Form::Gemini => json!({ "embedding": vectors.next() }),
                _ => json!({ "embeddings": vectors.collect::<Vec<_>>() }),
            };
            if let Some(tokens) = tokens {
                made["usageMetadata"] = json!({ "promptTokenCount": tokens, "totalTokenCount": tokens });
            }
            made
        }
        Form::Cohere => {
            let mut embeddings = json!({});
            for encoding in &reply.encodings {
                let name = if *encoding == Encoding::Floats { "float" } else { "base64" };
                let vectors = vectors.iter().map(|vector| encoded(vector, *encoding));
                embeddings[name] = vectors.collect::<Result<Vec<_>, _>>()?.into();
            }
            let mut meta = json!({ "api_version": { "version": "2" } });
            if let Some(tokens) = tokens {
                meta["billed_units"] = json!({ "input_tokens": tokens });
            }
            let mut made = json!({ "id": id(), "embeddings": embeddings, "meta": meta });
            if let Some(texts) = &reply.texts {
                made["texts"] = texts.as_slice().into();
            }
            made["response_type"] = "embeddings_by_type".into();
            made
        }
    };
    let made = serde_json::to_vec(&made).map_err(|_| "the answer cannot be written")?;
    Ok((made, tokens, ledger))
}

type Read = Result<(Vec<Vec<Value>>, Option<u64>), &'static str>;

fn openai(body: &mut Value) -> Read {
    let Some(Value::Array(data)) = body.get_mut("data").map(Value::take) else {
        return Err("the answer has no vectors");
    };
    let one = |(at, mut one): (usize, Value)| {
        let index = one.get("index").and_then(Value::as_u64).unwrap_or(at as u64);
        match one.get_mut("embedding").map(Value::take) {
            Some(Value::Array(vector)) => Ok((index, vector)),
            Some(Value::String(text)) => Ok((index, decoded(&text)?)),
            _ => Err("the answer has no vector where one should be"),
        }
    };
    let mut vectors = data.into_iter().enumerate().map(one).collect::<Result<Vec<_>, _>>()?;
    vectors.sort_by_key(|(index, _)| *index);
    let tokens = body.pointer("/usage/prompt_tokens").and_then(Value::as_u64);
    Ok((vectors.into_iter().map(|(_, vector)| vector).collect(), tokens))
}

fn gemini(body: &mut Value) -> Read {
    let list = match body.get_mut("embeddings").map(Value::take) {
        Some(Value::Array(list)) => list,
        _ => body.get_mut("embedding").map(Value::take).into_iter().collect(),
    };
    let tokens = body.pointer("/usageMetadata/promptTokenCount").and_then(Value::as_u64);
    Ok((list.into_iter().map(|mut one| vector(one.get_mut("values"))).collect::<Result<_, _>>()?, tokens))
}

fn cohere(body: &mut Value) -> Read {
    let tokens = body.pointer("/meta/billed_units/input_tokens").and_then(Value::as_u64);
    let Some(Value::Array(list)) = body.pointer_mut("/embeddings/float").map(Value::take) else {
        return Err("the answer has no vectors of floats");
    };
    Ok((list.into_iter().map(|mut one| vector(Some(&mut one))).collect::<Result<_, _>>()?, tokens))
}

fn vector(value: Option<&mut Value>) -> Result<Vec<Value>, &'static str> {
    match value.map(Value::take) {
        Some(Value::Array(vector)) => Ok(vector),
        _ => Err("the answer has no vector where one should be"),
    }
}

fn encoded(vector: &[Value], encoding: Encoding) -> Result<Value, &'static str> {
    if encoding == Encoding::Floats {
        return Ok(vector.into());
    }
    let mut bytes = Vec::with_capacity(vector.len() * size_of::<f32>());
    for number in vector {
        let number = number.as_f64().ok_or("the answer has a vector that is not of numbers")?;
        #[expect(clippy::cast_possible_truncation, reason = "the format is of four bytes")]
        bytes.extend_from_slice(&(number as f32).to_le_bytes());
    }
    Ok(STANDARD.encode(bytes).into())
}

fn decoded(text: &str) -> Result<Vec<Value>, &'static str> {
    let bytes = STANDARD.decode(text).map_err(|_| "the answer has a vector that cannot be decoded")?;
    let numbers = bytes.as_chunks::<4>().0.iter().map(|four| f64::from(f32::from_le_bytes(*four)).into());
    Ok(numbers.collect())
}

/// An id of the form that Cohere's have.
fn id() -> String {
    let (high, low) = (fastrand::u64(..), fastrand::u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        0x8000 | low >> 48 & 0x3fff,
        low & 0xffff_ffff_ffff
    )
}
