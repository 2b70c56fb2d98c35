//! What a client's library makes of a stream: the buffered answer that it adds up to.
//!
//! This reads the wire on its own and shares no code with the gateway, so that the two can be compared.

mod anthropic;
mod bedrock;
mod cohere;
mod gemini;
mod openai_chat;
mod openai_responses;

pub use bedrock::framed;

use busbar::Protocol;
use serde_json::{Value, json};

/// The buffered answer that the bytes of a stream add up to.
///
/// # Errors
/// When an event is not what the protocol allows at its place, or the stream has no end.
pub fn accumulate(protocol: Protocol, stream: &[u8]) -> Result<Value, String> {
    if protocol == Protocol::Bedrock {
        return bedrock::read(stream);
    }
    let stream = std::str::from_utf8(stream).map_err(|error| error.to_string())?;
    match protocol {
        Protocol::OpenaiChat => openai_chat::read(stream),
        Protocol::OpenaiResponses => openai_responses::read(stream),
        Protocol::Anthropic => anthropic::read(stream),
        Protocol::Gemini => gemini::read(stream),
        Protocol::Bedrock | Protocol::Cohere => cohere::read(stream),
    }
}

/// The stream as a reader of a snapshot sees it.
pub fn readable(protocol: Protocol, stream: &[u8]) -> Result<String, String> {
    match protocol {
        Protocol::Bedrock => bedrock::readable(stream),
        _ => String::from_utf8(stream.to_vec()).map_err(|error| error.to_string()),
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
