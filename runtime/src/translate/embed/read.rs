//! What a caller asks for, from each API's words.

use serde_json::{Map, Value};

use super::{Asked, Encoding, Form, Input, Part, Purpose, Refused, Truncate, lost, take, wrong};

type Body = Map<String, Value>;

/// Reads a request.
pub(super) fn asked(form: Form, body: Body) -> Result<Asked, Refused> {
    let asked = match form {
        Form::Openai => openai(body),
        Form::Gemini => gemini(body, ""),
        Form::GeminiBatch => batch(body),
        Form::Cohere => cohere(body),
    }?;
    if asked.inputs.is_empty() {
        return Err(wrong("", "there is nothing to embed"));
    }
    Ok(asked)
}

fn openai(mut body: Body) -> Result<Asked, Refused> {
    let mut asked = Asked::default();
    body.shift_remove("model");
    let tokens = || lost("input", "tokens are those of one model and mean nothing to another");
    match take(&mut body, &["input"]) {
        Some(Value::String(text)) => asked.inputs.push(of_text("input".into(), text)),
        Some(Value::Array(list)) => {
            for (at, one) in list.into_iter().enumerate() {
                match one {
                    Value::String(text) => asked.inputs.push(of_text(format!("input[{at}]"), text)),
                    Value::Number(_) | Value::Array(_) => return Err(tokens()),
                    _ => return Err(wrong(format!("input[{at}]"), "must be a text or tokens")),
                }
            }
        }
        _ => return Err(wrong("input", "must be a text, or a list of texts or tokens")),
    }
    asked.dimensions = take(&mut body, &["dimensions"]);
    match take(&mut body, &["encoding_format"]).as_ref().map(Value::as_str) {
        None | Some(Some("float")) => {}
        Some(Some("base64")) => asked.encodings.push(Encoding::Base64),
        Some(_) => return Err(wrong("encoding_format", "must be `float` or `base64`")),
    }
    others(&mut asked, body, "");
    Ok(asked)
}

/// One content; `at` is the path to it in a batch.
fn gemini(mut body: Body, at: &str) -> Result<Asked, Refused> {
    let mut asked = Asked::default();
    body.shift_remove("model");
    let path = format!("{at}content");
    let Some(Value::Object(mut content)) = take(&mut body, &["content"]) else {
        return Err(wrong(path, "must be a content"));
    };
    let Some(Value::Array(list)) = take(&mut content, &["parts"]) else {
        return Err(wrong(format!("{path}.parts"), "must be a list"));
    };
    let mut parts = Vec::with_capacity(list.len());
    for (number, part) in list.into_iter().enumerate() {
        let path = format!("{path}.parts[{number}]");
        let Value::Object(mut part) = part else { return Err(wrong(path, "must be a part")) };
        if let Some(Value::String(text)) = take(&mut part, &["text"]) {
            parts.push(Part::Text(text));
        } else if let Some(Value::Object(mut data)) = take(&mut part, &["inlineData", "inline_data"])
            && let Some(Value::String(kind)) = take(&mut data, &["mimeType", "mime_type"])
            && let Some(Value::String(data)) = take(&mut data, &["data"])
        {
            parts.push(Part::Media(kind, data));
        } else {
            return Err(lost(path, "no other API embeds such a part"));
        }
    }
    asked.inputs.push(Input { path, parts });
    if let Some(Value::String(word)) = take(&mut body, &["taskType", "task_type"])
        && word != "TASK_TYPE_UNSPECIFIED"
    {
        asked.purpose = Some(Purpose { word, path: "taskType" });
    }
    asked.dimensions = take(&mut body, &["outputDimensionality", "output_dimensionality"]);
    others(&mut asked, body, at);
    Ok(asked)
}

fn batch(mut body: Body) -> Result<Asked, Refused> {
    let Some(Value::Array(list)) = take(&mut body, &["requests"]) else {
        return Err(wrong("requests", "must be a list"));
    };
    let mut asked: Option<Asked> = None;
    for (at, one) in list.into_iter().enumerate() {
        let path = format!("requests[{at}].");
        let Value::Object(one) = one else { return Err(wrong(path, "must be a request")) };
        let mut one = gemini(one, &path)?;
        match &mut asked {
            None => asked = Some(one),
            Some(asked) => {
                if (&asked.purpose, &asked.dimensions) != (&one.purpose, &one.dimensions) {
                    return Err(lost(path, "elsewhere the whole batch is for one purpose and of one length"));
                }
                asked.inputs.append(&mut one.inputs);
                asked.others.append(&mut one.others);
            }
        }
    }
    let mut asked = asked.unwrap_or_default();
    others(&mut asked, body, "");
    Ok(asked)
}

fn cohere(mut body: Body) -> Result<Asked, Refused> {
    let mut asked = Asked::default();
    body.shift_remove("model");
    let mut list = |name: &str| match take(&mut body, &[name]) {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(wrong(name, "must be a list")),
    };
    let (texts, images, inputs) = (list("texts")?, list("images")?, list("inputs")?);
    for (at, text) in texts.into_iter().enumerate() {
        let path = format!("texts[{at}]");
        let Value::String(text) = text else { return Err(wrong(path, "must be a text")) };
        asked.inputs.push(of_text(path, text));
    }
    for (at, image) in images.into_iter().enumerate() {
        let path = format!("images[{at}]");
        let parts = vec![picture(&path, image.as_str())?];
        asked.inputs.push(Input { path, parts });
    }
    for (at, mut input) in inputs.into_iter().enumerate() {
        let path = format!("inputs[{at}].content");
        let Some(Value::Array(content)) = input.get_mut("content").map(Value::take) else {
            return Err(wrong(path, "must be a list"));
        };
        let parts = content.iter().enumerate().map(|(number, part)| {
            let path = format!("{path}[{number}]");
            match part.get("type").and_then(Value::as_str) {
                Some("text") => match part.get("text").and_then(Value::as_str) {
                    Some(text) => Ok(Part::Text(text.to_owned())),
                    None => Err(wrong(path, "must have a text")),
                },
                Some("image_url") => picture(&path, part.pointer("/image_url/url").and_then(Value::as_str)),
                _ => Err(lost(path, "no other API embeds such a part")),
            }
        });
        let parts = parts.collect::<Result<_, _>>()?;
        asked.inputs.push(Input { path, parts });
    }
    let word = match take(&mut body, &["input_type"]).as_ref().map(|word| word.as_str().unwrap_or_default()) {
        None | Some("image") => None,
        Some("search_document") => Some("RETRIEVAL_DOCUMENT"),
        Some("search_query") => Some("RETRIEVAL_QUERY"),
        Some("classification") => Some("CLASSIFICATION"),
        Some("clustering") => Some("CLUSTERING"),
        Some(_) => return Err(lost("input_type", "no other API knows this purpose")),
    };
    asked.purpose = word.map(|word| Purpose { word: word.to_owned(), path: "input_type" });
    asked.dimensions = take(&mut body, &["output_dimension"]);
    if let Some(types) = take(&mut body, &["embedding_types"]) {
        let types = types.as_array().ok_or_else(|| wrong("embedding_types", "must be a list"))?;
        for one in types {
            asked.encodings.push(match one.as_str() {
                Some("float") => Encoding::Floats,
                Some("base64") => Encoding::Base64,
                _ => {
                    return Err(lost(
                        "embedding_types",
                        "the provider has no such numbers, but floats alone",
                    ));
                }
            });
        }
    }
    asked.truncate = match take(&mut body, &["truncate"]).as_ref().map(Value::as_str) {
        None => None,
        Some(Some("NONE")) => Some((Truncate::Never, "truncate")),
        Some(Some("START")) => Some((Truncate::Start, "truncate")),
        Some(Some("END")) => Some((Truncate::End, "truncate")),
        Some(_) => return Err(wrong("truncate", "must be `NONE`, `START` or `END`")),
    };
    others(&mut asked, body, "");
    Ok(asked)
}

fn picture(path: &str, address: Option<&str>) -> Result<Part, Refused> {
    let data =
        address.and_then(|address| address.strip_prefix("data:")).and_then(|data| data.split_once(','));
    match data.and_then(|(kind, data)| Some((kind.strip_suffix(";base64")?, data))) {
        Some((kind, data)) => Ok(Part::Media(kind.to_owned(), data.to_owned())),
        None => Err(lost(path, "elsewhere a picture must be a data address in base64")),
    }
}

fn of_text(path: String, text: String) -> Input {
    Input { path, parts: vec![Part::Text(text)] }
}

fn others(asked: &mut Asked, body: Body, at: &str) {
    let said = body.into_iter().filter(|(_, value)| !value.is_null());
    asked.others.extend(said.map(|(name, _)| format!("{at}{name}")));
}
