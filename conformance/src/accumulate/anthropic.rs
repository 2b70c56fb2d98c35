//! Messages: blocks one after the other, up to `message_stop`.

use serde_json::{Value, json};

use super::{append, frames, list};

pub(super) fn read(stream: &str) -> Result<Value, String> {
    let mut message = Value::Null;
    let mut open: Option<u64> = None;
    let mut input = String::new();
    for (name, data) in frames(stream) {
        let event: Value = serde_json::from_str(&data).map_err(|error| format!("{error}: {data}"))?;
        let kind = event["type"].as_str().ok_or("an event without a type")?;
        if name != kind {
            return Err(format!("the event `{name}` says it is `{kind}`"));
        }
        if message.is_null() != (kind == "message_start") && kind != "ping" && kind != "error" {
            return Err(format!("{kind} at the wrong place"));
        }
        let index = event["index"].as_u64();
        match kind {
            "ping" => {}
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                let content = list(&mut message, "content");
                if open.is_some() || index != Some(content.len() as u64) {
                    return Err(format!("a block begins out of turn: {data}"));
                }
                content.push(event["content_block"].clone());
                open = index;
                input.clear();
            }
            "content_block_delta" | "content_block_stop" => {
                if open.is_none() || open != index {
                    return Err(format!("{kind} of a block that is not open"));
                }
                let block = list(&mut message, "content").last_mut().ok_or("no block")?;
                if kind == "content_block_delta" {
                    delta_of(block, &event["delta"], &mut input)?;
                } else {
                    open = None;
                    if block["type"] == "tool_use" && !input.is_empty() {
                        block["input"] = serde_json::from_str(&input).unwrap_or(json!(input));
                    }
                }
            }
            "message_delta" => {
                for (name, value) in event["delta"].as_object().into_iter().flatten() {
                    message[name] = value.clone();
                }
                for (name, value) in event["usage"].as_object().into_iter().flatten() {
                    message["usage"][name] = value.clone();
                }
            }
            "message_stop" if open.is_none() => return Ok(message),
            other => return Err(format!("an event `{other}`: {data}")),
        }
    }
    Err("the stream has no end".to_owned())
}

fn delta_of(block: &mut Value, delta: &Value, input: &mut String) -> Result<(), String> {
    match delta["type"].as_str() {
        Some("text_delta") => append(&mut block["text"], &delta["text"]),
        Some("thinking_delta") => append(&mut block["thinking"], &delta["thinking"]),
        Some("signature_delta") => append(&mut block["signature"], &delta["signature"]),
        Some("citations_delta") => list(block, "citations").push(delta["citation"].clone()),
        Some("input_json_delta") => input.push_str(delta["partial_json"].as_str().unwrap_or_default()),
        _ => return Err(format!("a delta {delta}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_out_of_turn_are_errors() {
        let event =
            |kind: &str, rest: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n");
        let start = event("message_start", r#","message":{"content":[]}"#);
        let open = event("content_block_start", r#","index":0,"content_block":{"type":"text","text":""}"#);
        let close = event("content_block_stop", r#","index":0"#);
        let end = event("message_stop", "");
        let good = [&*start, &open, &close, &end].concat();
        assert_eq!(read(&good).unwrap()["content"][0]["type"], "text");
        for bad in [
            [&*start, &open, &end].concat(),
            [&*open, &close, &end].concat(),
            [&*start, &open, &open].concat(),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
