//! Converse: blocks by their numbers, in frames of AWS's event stream, up to the metadata.

use serde_json::{Map, Value, json};

use super::{append, list};

/// Bytes of a frame before its headers: total length, length of the headers, and a checksum of the two.
const PRELUDE: usize = 12;
/// Bytes of the checksum at the end of a frame.
const CHECKSUM: usize = 4;
/// Type of a header whose value is a string.
const STRING: u8 = 7;

pub(super) fn read(stream: &[u8]) -> Result<Value, String> {
    let mut message = Value::Null;
    let mut answer = Map::new();
    let mut closed = 0;
    for (kind, data) in frames(stream)? {
        let event: Value = serde_json::from_str(&data).map_err(|error| format!("{error}: {data}"))?;
        if message.is_null() != (kind == "messageStart") {
            return Err(format!("{kind} at the wrong place"));
        }
        let index = event["contentBlockIndex"].as_u64().unwrap_or_default() as usize;
        match kind.as_str() {
            "messageStart" => message = json!({"role": event["role"], "content": []}),
            "contentBlockStart" | "contentBlockDelta" => {
                let content = list(&mut message, "content");
                if index < closed || index > content.len() {
                    return Err(format!("a block out of turn: {data}"));
                }
                if index == content.len() {
                    content.push(json!({}));
                } else if kind == "contentBlockStart" {
                    return Err(format!("a block begins twice: {data}"));
                }
                match kind.as_str() {
                    "contentBlockStart" => content[index] = event["start"].clone(),
                    _ => delta_of(&mut content[index], &event["delta"])?,
                }
            }
            "contentBlockStop" => {
                if index != closed || index >= list(&mut message, "content").len() {
                    return Err(format!("the end of a block that is not open: {data}"));
                }
                closed += 1;
            }
            "messageStop" => {
                for name in ["stopReason", "additionalModelResponseFields"] {
                    answer.insert(name.to_owned(), event[name].clone());
                }
            }
            "metadata" => {
                if !answer.contains_key("stopReason") {
                    return Err("the metadata comes before the stop".to_owned());
                }
                for (name, value) in event.as_object().into_iter().flatten() {
                    answer.insert(name.clone(), value.clone());
                }
                for block in list(&mut message, "content") {
                    finish(block);
                }
                answer.insert("output".to_owned(), json!({"message": message}));
                return Ok(Value::Object(answer));
            }
            other => return Err(format!("an event `{other}`: {data}")),
        }
    }
    Err("the stream has no end".to_owned())
}

fn delta_of(block: &mut Value, delta: &Value) -> Result<(), String> {
    for (name, value) in delta.as_object().ok_or("a delta is an object")? {
        match name.as_str() {
            "text" => append(&mut block["text"], value),
            "toolUse" => append(&mut block["toolUse"]["input"], &value["input"]),
            "citation" => list(block, "citations").push(value.clone()),
            "reasoningContent" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    match name.as_str() {
                        "redactedContent" => append(&mut block["reasoningContent"][name], value),
                        _ => append(&mut block["reasoningContent"]["reasoningText"][name], value),
                    }
                }
            }
            other => return Err(format!("a delta of `{other}`")),
        }
    }
    Ok(())
}

/// The block as a buffered answer has it.
fn finish(block: &mut Value) {
    if let Some(input) = block["toolUse"]["input"].as_str() {
        let parsed =
            if input.is_empty() { json!({}) } else { serde_json::from_str(input).unwrap_or(json!(input)) };
        block["toolUse"]["input"] = parsed;
    }
    if block["citations"].is_array() {
        let said = json!([{"text": block["text"]}]);
        *block = json!({"citationsContent": {"content": said, "citations": block["citations"]}});
    }
}

/// The stream with a line for the name and one for the data of each event.
pub(super) fn readable(stream: &[u8]) -> Result<String, String> {
    let frames = frames(stream)?.into_iter();
    Ok(frames.map(|(kind, data)| format!("event: {kind}\ndata: {data}\n\n")).collect())
}

/// Name and data of each frame, both checksums checked.
fn frames(mut stream: &[u8]) -> Result<Vec<(String, String)>, String> {
    let mut frames = Vec::new();
    while !stream.is_empty() {
        let total = number(stream, 0)?;
        let (frame, rest) = stream.split_at_checked(total).ok_or("a frame is cut")?;
        let (headers, sum) = (number(frame, 4)?, number(frame, 8)?);
        if sum != checksum(&frame[..8]) {
            return Err("the checksum of a frame's lengths is wrong".to_owned());
        }
        let end = total.checked_sub(CHECKSUM).ok_or("a frame without a checksum")?;
        if number(frame, end)? != checksum(&frame[..end]) {
            return Err("the checksum of a frame is wrong".to_owned());
        }
        let said = frame.get(PRELUDE..PRELUDE + headers).ok_or("headers are cut")?;
        let data = frame.get(PRELUDE + headers..end).ok_or("a frame is shorter than its headers")?;
        let data = String::from_utf8(data.to_vec()).map_err(|error| error.to_string())?;
        frames.push((named(said)?, data));
        stream = rest;
    }
    Ok(frames)
}

/// The event's name among the headers, or the exception's.
fn named(mut headers: &[u8]) -> Result<String, String> {
    let mut found = String::new();
    while let Some((&length, rest)) = headers.split_first() {
        let (name, rest) = rest.split_at_checked(length.into()).ok_or("a header is cut")?;
        let [kind, high, low, rest @ ..] = rest else { return Err("a header is cut".to_owned()) };
        if *kind != STRING {
            return Err(format!("a header of type {kind}"));
        }
        let (value, rest) =
            rest.split_at_checked(u16::from_be_bytes([*high, *low]).into()).ok_or("a header is cut")?;
        if matches!(name, b":event-type" | b":exception-type") {
            found = String::from_utf8_lossy(value).into_owned();
        }
        headers = rest;
    }
    if found.is_empty() { Err("a frame without a name".to_owned()) } else { Ok(found) }
}

fn number(bytes: &[u8], at: usize) -> Result<usize, String> {
    let four = bytes.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok());
    let number = four.map(u32::from_be_bytes).ok_or("a frame is cut")?;
    usize::try_from(number).map_err(|error| error.to_string())
}

fn checksum(bytes: &[u8]) -> usize {
    usize::try_from(crc32fast::hash(bytes)).unwrap_or(usize::MAX)
}

/// Frames of the events of a stream that is written as lines, the way it is read in a case.
pub fn framed(stream: &str) -> Vec<u8> {
    super::frames(stream).into_iter().flat_map(|(name, data)| frame(&name, &data)).collect()
}

fn frame(name: &str, data: &str) -> Vec<u8> {
    let mut headers = Vec::new();
    for (header, value) in
        [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")]
    {
        headers.push(header.len() as u8);
        headers.extend_from_slice(header.as_bytes());
        headers.push(STRING);
        headers.extend_from_slice(&(value.len() as u16).to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let total = PRELUDE + headers.len() + data.len() + CHECKSUM;
    let mut frame = Vec::with_capacity(total);
    frame.extend_from_slice(&(total as u32).to_be_bytes());
    frame.extend_from_slice(&(headers.len() as u32).to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(data.as_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = r#"event: messageStart
data: {"role":"assistant"}

event: contentBlockDelta
data: {"delta":{"text":"a"},"contentBlockIndex":0}

event: contentBlockDelta
data: {"delta":{"text":"b"},"contentBlockIndex":0}

event: contentBlockStop
data: {"contentBlockIndex":0}

event: contentBlockStart
data: {"start":{"toolUse":{"toolUseId":"x","name":"f"}},"contentBlockIndex":1}

event: contentBlockDelta
data: {"delta":{"toolUse":{"input":"{\"a\":1}"}},"contentBlockIndex":1}

event: contentBlockStop
data: {"contentBlockIndex":1}

event: messageStop
data: {"stopReason":"tool_use"}

event: metadata
data: {"usage":{"inputTokens":1}}

"#;

    #[test]
    fn frames_add_up() {
        let answer = read(&framed(STREAM)).unwrap();
        let content =
            json!([{"text": "ab"}, {"toolUse": {"toolUseId": "x", "name": "f", "input": {"a": 1}}}]);
        assert_eq!(answer["output"]["message"]["content"], content);
        assert_eq!((&answer["stopReason"], &answer["usage"]["inputTokens"]), (&json!("tool_use"), &json!(1)));
        assert_eq!(readable(&framed(STREAM)).unwrap(), STREAM);
    }

    #[test]
    fn what_is_out_of_turn_damaged_or_cut_is_an_error() {
        let second = STREAM.replace(
            "\"contentBlockIndex\":0}\n\nevent: contentBlockStart",
            "\"contentBlockIndex\":1}\n\nevent: contentBlockStart",
        );
        assert!(read(&framed(&second)).unwrap_err().contains("not open"));
        let mut frames = framed(STREAM);
        assert!(read(&frames[..frames.len() - 1]).is_err());
        let last = frames.len() - 6;
        frames[last] ^= 1;
        assert!(read(&frames).unwrap_err().contains("checksum"));
        let (without_end, _) = STREAM.split_once("event: metadata").unwrap();
        assert!(read(&framed(without_end)).unwrap_err().contains("no end"));
    }
}
