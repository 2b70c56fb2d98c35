//! Chat Completions: chunks by choice, up to `[DONE]`.

use serde_json::{Map, Value, json};

use super::{append, frames, list};

pub(super) fn read(stream: &str) -> Result<Value, String> {
    let mut answer = Map::new();
    let mut choices: Vec<Value> = Vec::new();
    for (_, data) in frames(stream) {
        if data.trim() == "[DONE]" {
            if answer.is_empty() {
                return Err("the end comes first".to_owned());
            }
            answer.insert("object".to_owned(), json!("chat.completion"));
            answer.insert("choices".to_owned(), Value::Array(choices));
            return Ok(Value::Object(answer));
        }
        let chunk: Value = serde_json::from_str(&data).map_err(|error| format!("{error}: {data}"))?;
        for (member, value) in chunk.as_object().ok_or("a chunk is an object")? {
            if member != "choices" && !(member == "usage" && value.is_null()) {
                answer.insert(member.clone(), value.clone());
            }
        }
        for choice in chunk["choices"].as_array().ok_or("a chunk without choices")? {
            let index = choice["index"].as_u64().ok_or("a choice without an index")? as usize;
            while choices.len() <= index && choices.len() < 128 {
                choices.push(json!({"index": choices.len(), "message": {}, "finish_reason": null}));
            }
            let whole = choices.get_mut(index).ok_or("an index without bound")?;
            if !whole["finish_reason"].is_null() {
                return Err(format!("a choice goes on after its end: {data}"));
            }
            whole["finish_reason"] = choice["finish_reason"].clone();
            for (member, value) in choice["delta"].as_object().into_iter().flatten() {
                chat_delta(&mut whole["message"], member, value)?;
            }
        }
    }
    Err("the stream has no end".to_owned())
}

fn chat_delta(message: &mut Value, member: &str, value: &Value) -> Result<(), String> {
    match (member, value) {
        (_, Value::Null) => {}
        ("role", role) => message["role"] = role.clone(),
        ("tool_calls", Value::Array(parts)) => {
            for part in parts {
                let index = part["index"].as_u64().ok_or("a part of a call without an index")? as usize;
                let calls = list(message, "tool_calls");
                if index > calls.len() {
                    return Err("calls are numbered with a gap".to_owned());
                }
                if index == calls.len() {
                    if !part["id"].is_string() || !part["function"]["name"].is_string() {
                        return Err(format!("a call begins without id and name: {part}"));
                    }
                    calls.push(json!({}));
                }
                for (name, value) in part.as_object().into_iter().flatten() {
                    match (name.as_str(), value) {
                        ("index", _) => {}
                        ("function", Value::Object(function)) => {
                            for (name, value) in function {
                                append(&mut calls[index]["function"][name], value);
                            }
                        }
                        _ => calls[index][name] = value.clone(),
                    }
                }
            }
        }
        (_, Value::Array(parts)) => {
            // Libraries put these together by their index, and fail without one.
            for part in parts {
                let parts = list(message, member);
                if member == "reasoning_details" && part["index"].as_u64() != Some(parts.len() as u64) {
                    return Err(format!("an item without its index: {part}"));
                }
                parts.push(part.clone());
            }
        }
        (_, value) => append(&mut message[member], value),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_add_up() {
        let chunk = |delta: &str, finish: &str| {
            format!(
                "data: {{\"id\":\"1\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\r\n\r\n"
            )
        };
        let call = |part: &str| format!("{{\"tool_calls\":[{{\"index\":0,{part}}}]}}");
        let first = chunk(&call(r#""id":"c","function":{"name":"f","arguments":"{"}"#), "null");
        let stream = first.clone()
            + &chunk(&call(r#""function":{"arguments":"}"}"#), "\"tool_calls\"")
            + "data: [DONE]\n\n";
        let answer = read(&stream).unwrap();
        let calls = json!([{"id": "c", "function": {"name": "f", "arguments": "{}"}}]);
        assert_eq!(answer["choices"][0]["message"]["tool_calls"], calls);
        assert!(read(&first).unwrap_err().contains("no end"));
        assert!(read(&stream.replace("\"id\":\"c\",", "")).is_err());
    }
}
