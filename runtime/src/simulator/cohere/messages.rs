//! The rules for messages, their parts, and calls with their results.

use serde_json::{Map, Value, json};

use super::request::{closed, document, invalid, list, member, missing, needed, object, text, word};
use crate::simulator::answer::Seen;
use crate::simulator::refusal::Refusal;
use crate::simulator::sign;

/// Images in one request.
const MAX_IMAGES: usize = 20;

const IMAGE_TYPES: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Checks `messages`.
pub(super) fn check(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let list = list(body, "", "messages")?;
    if list.is_empty() {
        return Err(invalid("at least one message is required in 'messages'."));
    }
    seen.messages = list.len();
    let given = seen.sources.len();
    let mut waiting: Vec<String> = Vec::new();
    for (n, message) in list.iter().enumerate() {
        let path = format!("messages[{n}].");
        let message = object(message, &format!("messages[{n}]"))?;
        let role = needed(message, &path, "role")?;
        if role != "tool" {
            answered(&waiting)?;
            seen.results.clear();
            seen.sources.truncate(given);
        }
        match role {
            "system" => {
                closed(message, &["role", "content"])?;
                content(message, &path, &["text"], seen)?.ok_or_else(|| empty(n))?;
                seen.system += 1;
            }
            "user" => {
                closed(message, &["role", "content"])?;
                let said = content(message, &path, &["text", "image_url"], seen)?;
                let said = said.ok_or_else(|| empty(n))?;
                if !said.is_empty() {
                    seen.user = said;
                }
            }
            "assistant" => waiting = assistant(message, &path, n, seen)?,
            "tool" => {
                closed(message, &["role", "content", "tool_call_id"])?;
                let id = text(message, &path, "tool_call_id")?.filter(|id| !id.is_empty());
                let id =
                    id.ok_or_else(|| Refusal::invalid("tool call id must be provided with tool message"))?;
                let at = waiting.iter().position(|call| call == id);
                let at =
                    at.ok_or_else(|| Refusal::invalid("tool call id not found in previous tool calls"))?;
                waiting.remove(at);
                let result = result(message, &path, id, seen)?;
                seen.results.push(result);
            }
            other => {
                return Err(invalid(format!(
                    "Invalid role in messages at index {n}: '{other}'. Role must be one of the following: user, assistant, system, tool"
                )));
            }
        }
    }
    answered(&waiting)
}

fn answered(waiting: &[String]) -> Result<(), Refusal> {
    match waiting.is_empty() {
        true => Ok(()),
        false => Err(invalid(format!(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
            waiting.join(", ")
        ))),
    }
}

fn empty(n: usize) -> Refusal {
    invalid(format!("message at index {n} must have non-empty content."))
}

/// Checks an assistant's message; the ids of its calls are returned.
fn assistant(
    message: &Map<String, Value>,
    path: &str,
    n: usize,
    seen: &mut Seen,
) -> Result<Vec<String>, Refusal> {
    closed(message, &["role", "content", "tool_calls", "tool_plan", "citations"])?;
    text(message, path, "tool_plan")?;
    for (n, citation) in list(message, path, "citations")?.iter().enumerate() {
        let citation = object(citation, &format!("{path}citations[{n}]"))?;
        closed(citation, &["start", "end", "text", "sources", "content_index", "type"])?;
    }
    let said = content(message, path, &["text", "thinking"], seen)?;
    let calls = list(message, path, "tool_calls")?;
    if said.is_none() && calls.is_empty() {
        return Err(invalid(format!("message at index {n} must have content or tool_calls.")));
    }
    let mut ids: Vec<String> = Vec::new();
    for (n, call) in calls.iter().enumerate() {
        let path = format!("{path}tool_calls[{n}]");
        let call = object(call, &path)?;
        closed(call, &["id", "type", "function"])?;
        let path = format!("{path}.");
        let id = needed(call, &path, "id")?;
        if ids.iter().any(|other| other == id) {
            return Err(Refusal::invalid("cannot have duplicate tool ids"));
        }
        if needed(call, &path, "type")? != "function" {
            return Err(Refusal::invalid("tool call must be of type function"));
        }
        let path = format!("{path}function");
        let function = object(member(call, "function").ok_or_else(|| missing(&path))?, &path)?;
        closed(function, &["name", "arguments"])?;
        let path = format!("{path}.");
        needed(function, &path, "name")?;
        // A streamed call without arguments has an empty text, and comes back with it.
        let arguments = needed(function, &path, "arguments")?;
        if !arguments.is_empty() && serde_json::from_str::<Value>(arguments).is_err() {
            return Err(invalid(format!("{path}arguments must be valid JSON.")));
        }
        ids.push(id.to_owned());
    }
    Ok(ids)
}

/// Checks `content` and gives its text; none where there is nothing.
fn content(
    message: &Map<String, Value>,
    path: &str,
    allowed: &[&str],
    seen: &mut Seen,
) -> Result<Option<String>, Refusal> {
    let parts = match member(message, "content") {
        None => return Ok(None),
        Some(Value::String(said)) => return Ok(Some(said.clone()).filter(|said| !said.is_empty())),
        Some(_) => list(message, path, "content")?,
    };
    let mut said = String::new();
    for (n, part) in parts.iter().enumerate() {
        let (path, name, part) = typed(part, &format!("{path}content[{n}]"), allowed)?;
        match name {
            "image_url" => {
                image(part, &path)?;
                seen.images += 1;
                if seen.images > MAX_IMAGES {
                    return Err(invalid(format!("at most {MAX_IMAGES} images are allowed.")));
                }
            }
            "thinking" => {
                needed(part, &path, "thinking")?;
            }
            name => said.push_str(needed(part, &path, name)?),
        }
    }
    Ok((!parts.is_empty()).then_some(said))
}

/// One part of a content: its path, its type, and its members.
fn typed<'a>(
    part: &'a Value,
    path: &str,
    allowed: &[&str],
) -> Result<(String, &'a str, &'a Map<String, Value>), Refusal> {
    let part = object(part, path)?;
    let path = format!("{path}.");
    let name = word(needed(part, &path, "type")?, "content type", allowed)?;
    closed(part, &["type", name])?;
    Ok((path, name, part))
}

/// Checks the content of a tool's message and gives its text.
fn result(message: &Map<String, Value>, path: &str, id: &str, seen: &mut Seen) -> Result<String, Refusal> {
    let mut said = String::new();
    let mut outputs: Vec<Value> = Vec::new();
    match member(message, "content") {
        None => return Err(missing(&format!("{path}content"))),
        Some(Value::String(text)) => {
            said.push_str(text);
            outputs.push(output(text));
        }
        Some(_) => {
            for (n, part) in list(message, path, "content")?.iter().enumerate() {
                let (path, name, part) = typed(part, &format!("{path}content[{n}]"), &["text", "document"])?;
                if name == "text" {
                    let text = needed(part, &path, "text")?;
                    said.push_str(text);
                    outputs.push(output(text));
                    continue;
                }
                let path = format!("{path}document");
                let given = member(part, "document").ok_or_else(|| missing(&path))?;
                object(given, &path)?;
                let (_, shown) = document(given, &path, n)?;
                match given.get("data") {
                    Some(Value::String(text)) => {
                        said.push_str(text);
                        outputs.push(output(text));
                    }
                    _ => {
                        let shown = Value::Object(shown);
                        said.push_str(&shown.to_string());
                        outputs.push(shown);
                    }
                }
            }
        }
    }
    for (n, output) in outputs.into_iter().enumerate() {
        seen.sources.push(json!({"type": "tool", "id": format!("{id}:{n}"), "tool_output": output}));
    }
    Ok(said)
}

/// What a citation shows of a result: an object as it is, any other text inside of one.
fn output(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Value::Object(map),
        _ => json!({"content": text}),
    }
}

fn image(part: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
    let path = format!("{path}image_url");
    let image = object(member(part, "image_url").ok_or_else(|| missing(&path))?, &path)?;
    closed(image, &["url", "detail"])?;
    let path = format!("{path}.");
    if let Some(detail) = text(image, &path, "detail")? {
        word(detail, "image detail", &["auto", "low", "high"])?;
    }
    let url = needed(image, &path, "url")?;
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(());
    }
    let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match data {
        Some((media, data)) if IMAGE_TYPES.contains(&media) && sign::is_base64(data) => Ok(()),
        Some((media, _)) if !IMAGE_TYPES.contains(&media) => {
            Err(invalid(format!("unsupported image format '{media}'.")))
        }
        Some(_) => Err(invalid("image data must be valid base64.")),
        None => Err(invalid(format!("{path}url must be a web URL or a base64 data URL."))),
    }
}
