//! `streamGenerateContent`: answers one after the other, of which the last with a candidate says why it ends.

use serde_json::{Value, json};

use super::{append, frames, list};

pub(super) fn read(stream: &str) -> Result<Value, String> {
    let mut answer = json!({});
    let mut ended = false;
    for (_, data) in frames(stream) {
        let chunk: Value = serde_json::from_str(&data).map_err(|error| format!("{error}: {data}"))?;
        for (member, value) in chunk.as_object().ok_or("a chunk is an object")? {
            match member.as_str() {
                "error" => return Err(format!("an error: {value}")),
                "candidates" => {
                    for candidate in value.as_array().into_iter().flatten() {
                        if ended && !list(&mut json!({"c": candidate["content"]["parts"]}), "c").is_empty() {
                            return Err(format!("content after the end: {data}"));
                        }
                        ended |= candidate["finishReason"].is_string();
                        add(&mut answer, candidate)?;
                    }
                }
                _ => answer[member] = value.clone(),
            }
        }
    }
    let blocked = answer["promptFeedback"]["blockReason"].is_string();
    if ended || blocked { Ok(answer) } else { Err("the stream has no end".to_owned()) }
}

fn add(answer: &mut Value, more: &Value) -> Result<(), String> {
    let index = more["index"].as_u64().unwrap_or_default() as usize;
    let candidates = list(answer, "candidates");
    if index > candidates.len() {
        return Err("candidates are numbered with a gap".to_owned());
    }
    if index == candidates.len() {
        candidates.push(json!({}));
    }
    let candidate = &mut candidates[index];
    for (member, value) in more.as_object().into_iter().flatten() {
        match member.as_str() {
            "content" => {
                candidate["content"]["role"] = value["role"].clone();
                for part in value["parts"].as_array().into_iter().flatten() {
                    add_part(list(&mut candidate["content"], "parts"), part);
                }
            }
            "citationMetadata" => {
                let sources = value["citationSources"].as_array().cloned().unwrap_or_default();
                list(&mut candidate["citationMetadata"], "citationSources").extend(sources);
            }
            _ => candidate[member] = value.clone(),
        }
    }
    Ok(())
}

/// Text goes on with the text before it, as long as both are of one kind and the first is not signed.
fn add_part(parts: &mut Vec<Value>, part: &Value) {
    if part["text"] == "" && part["thoughtSignature"].is_null() {
        return;
    }
    match parts.last_mut() {
        Some(last)
            if last["text"].is_string()
                && part["text"].is_string()
                && last["thought"] == part["thought"]
                && last["thoughtSignature"].is_null() =>
        {
            append(&mut last["text"], &part["text"]);
            if !part["thoughtSignature"].is_null() {
                last["thoughtSignature"] = part["thoughtSignature"].clone();
            }
        }
        _ => parts.push(part.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_add_up() {
        let chunk = |parts: &str, more: &str| {
            format!(
                "data: {{\"candidates\":[{{\"content\":{{\"role\":\"model\",\"parts\":[{parts}]}}{more}}}]}}\n\n"
            )
        };
        let thought = chunk(r#"{"text":"t","thought":true}"#, "");
        let stream = thought.clone()
            + &chunk(r#"{"text":"a"}"#, "")
            + &chunk(r#"{"text":"b","thoughtSignature":"x"}"#, "")
            + &chunk(r#"{"text":"c"}"#, r#","finishReason":"STOP""#);
        let parts = json!([
            {"text": "t", "thought": true}, {"text": "ab", "thoughtSignature": "x"}, {"text": "c"},
        ]);
        assert_eq!(read(&stream).unwrap()["candidates"][0]["content"]["parts"], parts);
        assert!(read(&thought).unwrap_err().contains("no end"));
        assert!(read(&(stream + &thought)).unwrap_err().contains("after the end"));
    }
}
