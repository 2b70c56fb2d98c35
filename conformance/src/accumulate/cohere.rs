//! Cohere v2: typed events by index, up to `message-end`.

use serde_json::{Value, json};

use super::{append, frames, list};

pub(super) fn read(stream: &str) -> Result<Value, String> {
    let mut answer = Value::Null;
    let mut open: Option<(&'static str, u64)> = None;
    for (_, data) in frames(stream) {
        if data.trim() == "[DONE]" {
            continue;
        }
        let event: Value = serde_json::from_str(&data).map_err(|error| format!("{error}: {data}"))?;
        let kind = event["type"].as_str().ok_or("an event without a type")?;
        if answer.is_null() != (kind == "message-start") {
            return Err(format!("{kind} at the wrong place"));
        }
        let (index, said) = (event["index"].as_u64(), &event["delta"]["message"]);
        let message = &mut answer["message"];
        match kind {
            "message-start" => {
                answer = json!({"id": event["id"], "message": {"role": said["role"]}});
            }
            "content-start" => {
                begin(&mut open, "content", index, list(message, "content"), &said["content"], &data)?;
            }
            "tool-call-start" => {
                begin(&mut open, "call", index, list(message, "tool_calls"), &said["tool_calls"], &data)?;
            }
            "content-delta" => {
                let block = last(open, "content", index, list(message, "content"), &data)?;
                for (name, value) in said["content"].as_object().into_iter().flatten() {
                    append(&mut block[name], value);
                }
            }
            "tool-call-delta" => {
                let call = last(open, "call", index, list(message, "tool_calls"), &data)?;
                append(&mut call["function"]["arguments"], &said["tool_calls"]["function"]["arguments"]);
            }
            "content-end" | "tool-call-end" => {
                let which = if kind == "content-end" { "content" } else { "call" };
                if open.take() != index.map(|index| (which, index)) {
                    return Err(format!("an end of what is not open: {data}"));
                }
            }
            "tool-plan-delta" => append(&mut message["tool_plan"], &said["tool_plan"]),
            "citation-start" => list(message, "citations").push(said["citations"].clone()),
            "citation-end" => {}
            "message-end" => {
                if open.is_some() {
                    return Err("the message ends before its content".to_owned());
                }
                for name in ["finish_reason", "usage"] {
                    answer[name] = event["delta"][name].clone();
                }
                return Ok(answer);
            }
            other => return Err(format!("an event `{other}`: {data}")),
        }
    }
    Err("the stream has no end".to_owned())
}

fn begin(
    open: &mut Option<(&'static str, u64)>,
    which: &'static str,
    index: Option<u64>,
    items: &mut Vec<Value>,
    item: &Value,
    data: &str,
) -> Result<(), String> {
    let index = index.ok_or("a beginning without an index")?;
    if open.is_some() || index != items.len() as u64 {
        return Err(format!("out of turn: {data}"));
    }
    items.push(item.clone());
    *open = Some((which, index));
    Ok(())
}

fn last<'v>(
    open: Option<(&'static str, u64)>,
    which: &'static str,
    index: Option<u64>,
    items: &'v mut [Value],
    data: &str,
) -> Result<&'v mut Value, String> {
    if open.is_none() || open != index.map(|index| (which, index)) {
        return Err(format!("a delta of what is not open: {data}"));
    }
    items.last_mut().ok_or_else(|| "nothing is open".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, index: Option<u64>, message: &str) -> String {
        let index = index.map(|index| format!(r#""index":{index},"#)).unwrap_or_default();
        format!(
            "event: {kind}\ndata: {{\"type\":\"{kind}\",{index}\"delta\":{{\"message\":{message},\"finish_reason\":\"COMPLETE\"}}}}\n\n"
        )
    }

    #[test]
    fn events_add_up() {
        let start = event("message-start", None, r#"{"role":"assistant"}"#);
        let open = event("content-start", Some(0), r#"{"content":{"type":"text","text":""}}"#);
        let delta = event("content-delta", Some(0), r#"{"content":{"text":"a"}}"#);
        let close = event("content-end", Some(0), "{}");
        let end = event("message-end", None, "{}");
        let answer = read(&[&*start, &open, &delta, &delta, &close, &end].concat()).unwrap();
        assert_eq!(answer["message"]["content"], json!([{"type": "text", "text": "aa"}]));
        assert_eq!(answer["finish_reason"], "COMPLETE");
        for bad in [
            [&*start, &open, &delta, &end].concat(),
            [&*start, &delta, &end].concat(),
            [&*start, &open, &open].concat(),
            [&*start, &open, &close].concat(),
            [&*open, &close, &end].concat(),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
