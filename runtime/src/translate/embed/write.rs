//! What is asked for, in each API's words.

use busbar_protocols::{EffectKind, Ledger};
use serde_json::{Map, Value, json};

use super::{Asked, Form, Input, Part, Refused, Truncate, dropped, lost};

/// What stands between the texts of one input where they must be one text.
const JOINT: &str = "\n";
/// The purpose that is named to Cohere where the caller names none: it asks for one.
const USUAL_PURPOSE: &str = "search_document";

/// Writes a request.
pub(super) fn body(form: Form, asked: Asked, model: &str, ledger: &mut Ledger) -> Result<Value, Refused> {
    let mut body = Map::new();
    match form {
        Form::Openai => openai(&mut body, asked, model, ledger)?,
        Form::Gemini | Form::GeminiBatch => gemini(&mut body, asked, model, ledger),
        Form::Cohere => cohere(&mut body, asked, model, ledger),
    }
    Ok(Value::Object(body))
}

fn openai(
    body: &mut Map<String, Value>,
    asked: Asked,
    model: &str,
    ledger: &mut Ledger,
) -> Result<(), Refused> {
    body.insert("model".into(), model.into());
    let mut texts = Vec::with_capacity(asked.inputs.len());
    for input in asked.inputs {
        texts.push(Value::String(one_text(input, ledger)?));
    }
    body.insert("input".into(), texts.into());
    body.insert("encoding_format".into(), "float".into());
    if let Some(dimensions) = asked.dimensions {
        body.insert("dimensions".into(), dimensions);
    }
    if let Some(purpose) = asked.purpose {
        dropped(ledger, purpose.path, "the provider makes one vector for all purposes");
    }
    // It refuses what is too long.
    if let Some((Truncate::Start | Truncate::End, path)) = asked.truncate {
        dropped(ledger, path, "the provider refuses what is too long");
    }
    Ok(())
}

fn one_text(input: Input, ledger: &mut Ledger) -> Result<String, Refused> {
    let several = input.parts.len() > 1;
    let mut whole = String::new();
    for (at, part) in input.parts.into_iter().enumerate() {
        let Part::Text(text) = part else {
            return Err(lost(input.path, "the provider embeds texts alone"));
        };
        if at > 0 {
            whole.push_str(JOINT);
        }
        whole.push_str(&text);
    }
    if several {
        ledger.note(EffectKind::Adapted, input.path, "the provider embeds one text: the parts are its lines");
    }
    Ok(whole)
}

fn gemini(body: &mut Map<String, Value>, asked: Asked, model: &str, ledger: &mut Ledger) {
    let Asked { inputs, purpose, dimensions, truncate, .. } = asked;
    let request = |input: Input| {
        let parts = input.parts.into_iter().map(|part| match part {
            Part::Text(text) => json!({ "text": text }),
            Part::Media(kind, data) => json!({ "inlineData": { "mimeType": kind, "data": data } }),
        });
        let parts: Vec<Value> = parts.collect();
        let mut one = json!({ "model": format!("models/{model}"), "content": { "parts": parts } });
        if let Some(purpose) = &purpose {
            one["taskType"] = purpose.word.as_str().into();
        }
        if let Some(dimensions) = &dimensions {
            one["outputDimensionality"] = dimensions.clone();
        }
        one
    };
    let requests: Vec<Value> = inputs.into_iter().map(request).collect();
    body.insert("requests".into(), requests.into());
    if let Some((Truncate::Never | Truncate::Start, path)) = truncate {
        dropped(ledger, path, "the provider cuts what is too long at its end");
    }
}

fn cohere(body: &mut Map<String, Value>, asked: Asked, model: &str, ledger: &mut Ledger) {
    body.insert("model".into(), model.into());
    let is_text = |input: &Input| matches!(&input.parts[..], [Part::Text(_)]);
    if asked.inputs.iter().all(is_text) {
        let texts = asked.inputs.into_iter().flat_map(|input| input.parts).filter_map(|part| match part {
            Part::Text(text) => Some(Value::String(text)),
            Part::Media(..) => None,
        });
        body.insert("texts".into(), texts.collect::<Vec<_>>().into());
    } else {
        let inputs = asked.inputs.into_iter().map(|input| {
            let content = input.parts.into_iter().map(|part| match part {
                Part::Text(text) => json!({ "type": "text", "text": text }),
                Part::Media(kind, data) => {
                    json!({ "type": "image_url", "image_url": { "url": format!("data:{kind};base64,{data}") } })
                }
            });
            json!({ "content": content.collect::<Vec<_>>() })
        });
        body.insert("inputs".into(), inputs.collect::<Vec<_>>().into());
    }
    let word = asked.purpose.and_then(|purpose| {
        let (word, is_same) = match purpose.word.as_str() {
            "RETRIEVAL_QUERY" => ("search_query", true),
            "RETRIEVAL_DOCUMENT" => ("search_document", true),
            "CLASSIFICATION" => ("classification", true),
            "CLUSTERING" => ("clustering", true),
            // They are questions to documents all the same.
            "QUESTION_ANSWERING" | "FACT_VERIFICATION" | "CODE_RETRIEVAL_QUERY" => ("search_query", false),
            _ => {
                dropped(ledger, purpose.path, "the provider knows no such purpose");
                return None;
            }
        };
        if !is_same {
            ledger.note(EffectKind::Adapted, purpose.path, "the provider knows it as a search");
        }
        Some(word)
    });
    if word.is_none() {
        ledger.note(EffectKind::Injected, "input_type", "the provider must be told a purpose");
    }
    body.insert("input_type".into(), word.unwrap_or(USUAL_PURPOSE).into());
    body.insert("embedding_types".into(), json!(["float"]));
    if let Some(dimensions) = asked.dimensions {
        body.insert("output_dimension".into(), dimensions);
    }
    // Of the other APIs none lets a caller say where to cut.
    if let Some((truncate, _)) = asked.truncate {
        let word = match truncate {
            Truncate::Never => "NONE",
            Truncate::Start => "START",
            Truncate::End => "END",
        };
        body.insert("truncate".into(), word.into());
    }
}
