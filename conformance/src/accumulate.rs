//! What a client's library makes of a stream: the buffered answer that it adds up to.
//!
//! This reads the wire on its own and shares no code with the gateway, so that the two can be compared.

use busbar::Protocol;
use serde_json::{Map, Value, json};

/// The buffered answer that the bytes of a stream add up to.
///
/// # Errors
/// When an event is not what the protocol allows at its place, or the stream has no end.
pub fn accumulate(protocol: Protocol, stream: &str) -> Result<Value, String> {
    match protocol {
        Protocol::OpenaiChat => chat(stream),
        Protocol::Anthropic => anthropic(stream),
        other => Err(format!("streams of {other} are not read")),
    }
}

/// The answer in a form in which a streamed and a buffered one are equal.
///
/// Nulls, zeros, empty texts and empty containers say the same as nothing; JSON in text counts by its value; what
/// was cut short stands for itself, where a buffered answer has to wrap it.
pub fn comparable(value: &Value) -> Value {
    match value {
        Value::Object(members) if members.len() == 1 && members.contains_key("raw_arguments") => {
            members["raw_arguments"].clone()
        }
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| {
                    let parsed = (name == "arguments").then(|| value.as_str()).flatten();
                    let parsed = parsed.and_then(|text| serde_json::from_str(text).ok());
                    (name.clone(), comparable(parsed.as_ref().unwrap_or(value)))
                })
                .filter(|(name, value)| {
                    let nothing = [json!(null), json!(0), json!(""), json!([]), json!({})];
                    name == "index" || !nothing.contains(value)
                })
                .collect(),
        ),
        Value::Array(items) => items.iter().map(comparable).collect(),
        other => other.clone(),
    }
}

/// The data of each event, with its name if it has one.
fn frames(stream: &str) -> Vec<(String, String)> {
    let mut frames = Vec::new();
    let (mut name, mut data) = (String::new(), Vec::new());
    for line in stream.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
        if let Some(value) = line.strip_prefix("event:") {
            name = value.trim().to_owned();
        } else if let Some(value) = line.strip_prefix("data:") {
            data.push(value.strip_prefix(' ').unwrap_or(value).to_owned());
        } else if line.is_empty() && !data.is_empty() {
            frames.push((std::mem::take(&mut name), std::mem::take(&mut data).join("\n")));
        }
    }
    frames
}

fn chat(stream: &str) -> Result<Value, String> {
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

fn anthropic(stream: &str) -> Result<Value, String> {
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
                    anthropic_delta(block, &event["delta"], &mut input)?;
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

fn anthropic_delta(block: &mut Value, delta: &Value, input: &mut String) -> Result<(), String> {
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

fn list<'v>(value: &'v mut Value, member: &str) -> &'v mut Vec<Value> {
    if !value[member].is_array() {
        value[member] = json!([]);
    }
    match &mut value[member] {
        Value::Array(items) => items,
        _ => unreachable!("made a list above"),
    }
}

/// Text is added to text; anything else takes the place.
fn append(to: &mut Value, more: &Value) {
    match (to, more) {
        (Value::String(text), Value::String(more)) => text.push_str(more),
        (_, Value::Null) => {}
        (to, more) => *to = more.clone(),
    }
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
        let answer = accumulate(Protocol::OpenaiChat, &stream).unwrap();
        let calls = json!([{"id": "c", "function": {"name": "f", "arguments": "{}"}}]);
        assert_eq!(answer["choices"][0]["message"]["tool_calls"], calls);
        assert!(accumulate(Protocol::OpenaiChat, &first).unwrap_err().contains("no end"));
        assert!(accumulate(Protocol::OpenaiChat, &stream.replace("\"id\":\"c\",", "")).is_err());
    }

    #[test]
    fn blocks_out_of_turn_are_errors() {
        let event =
            |kind: &str, rest: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n");
        let start = event("message_start", r#","message":{"content":[]}"#);
        let open = event("content_block_start", r#","index":0,"content_block":{"type":"text","text":""}"#);
        let close = event("content_block_stop", r#","index":0"#);
        let end = event("message_stop", "");
        let good = [&*start, &open, &close, &end].concat();
        assert_eq!(accumulate(Protocol::Anthropic, &good).unwrap()["content"][0]["type"], "text");
        for bad in [
            [&*start, &open, &end].concat(),
            [&*open, &close, &end].concat(),
            [&*start, &open, &open].concat(),
        ] {
            assert!(accumulate(Protocol::Anthropic, &bad).is_err(), "{bad}");
        }
    }
}
