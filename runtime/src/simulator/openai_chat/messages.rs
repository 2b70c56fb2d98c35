//! The rules for messages, their parts, and calls with their results.

use serde_json::{Map, Value};

use super::request::{check_name, closed, kind, missing, text, too_long, value};
use crate::simulator::answer::Seen;
use crate::simulator::refusal::Refusal;
use crate::simulator::sign;

const MAX_CALL_ID: usize = 40;

const IMAGE_TYPES: &[&str] = &["image/jpeg", "image/jpg", "image/png", "image/gif", "image/webp"];

/// Checks `messages`.
pub(super) fn check(list: &Value, seen: &mut Seen) -> Result<(), Refusal> {
    let list = list.as_array().ok_or_else(|| kind("messages", "an array of objects", list))?;
    if list.is_empty() {
        return Err(Refusal::field(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "messages",
            Some("empty_array"),
        ));
    }
    seen.messages = list.len();
    let mut waiting: Vec<String> = Vec::new();
    let mut calling = 0;
    for (n, message) in list.iter().enumerate() {
        let path = format!("messages[{n}]");
        let message = message.as_object().ok_or_else(|| kind(&path, "an object", message))?;
        let role = text(message, &path, "role")?;
        if role != "tool" && !waiting.is_empty() {
            return Err(unanswered(calling, &waiting));
        }
        if role != "tool" {
            seen.results.clear();
        }
        match role {
            "system" | "developer" => {
                closed(message, &path, &["role", "content", "name"])?;
                content(message, &path, &["text"], seen)?;
                seen.system += 1;
            }
            "user" => {
                closed(message, &path, &["role", "content", "name"])?;
                let said = content(message, &path, &["text", "image_url", "input_audio", "file"], seen)?;
                if !said.is_empty() {
                    seen.user = said;
                }
            }
            "assistant" => {
                waiting = assistant(message, &path, seen)?;
                calling = n;
            }
            "tool" => {
                closed(message, &path, &["role", "content", "tool_call_id", "name"])?;
                let id = text(message, &path, "tool_call_id")?;
                let Some(at) = waiting.iter().position(|call| call == id) else {
                    return Err(Refusal::field(
                        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
                        format!("messages.[{n}].role"),
                        None,
                    ));
                };
                waiting.remove(at);
                let said = content(message, &path, &["text"], seen)?;
                seen.results.push(said);
            }
            "function" => {
                closed(message, &path, &["role", "content", "name"])?;
                text(message, &path, "name")?;
            }
            other => {
                return Err(value(
                    &format!("{path}.role"),
                    &format!(
                        "'{other}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'."
                    ),
                ));
            }
        }
        if let Some(name) = message.get("name")
            && !name.is_string()
        {
            return Err(kind(&format!("{path}.name"), "a string", name));
        }
    }
    if waiting.is_empty() { Ok(()) } else { Err(unanswered(calling, &waiting)) }
}

fn unanswered(n: usize, ids: &[String]) -> Refusal {
    Refusal::field(
        format!(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
            ids.join(", ")
        ),
        format!("messages.[{n}].role"),
        None,
    )
}

/// Checks an assistant's message; the ids of its calls are returned.
fn assistant(message: &Map<String, Value>, path: &str, seen: &mut Seen) -> Result<Vec<String>, Refusal> {
    // `reasoning_content` is what compatible servers that reason give and take back; `annotations`
    // comes from clients that send an answer back as they got it.
    closed(
        message,
        path,
        &[
            "role",
            "content",
            "name",
            "refusal",
            "audio",
            "function_call",
            "tool_calls",
            "reasoning_content",
            "annotations",
        ],
    )?;
    let calls = match message.get("tool_calls") {
        None | Some(Value::Null) => None,
        Some(Value::Array(calls)) if calls.is_empty() => {
            return Err(Refusal::field(
                format!(
                    "Invalid '{path}.tool_calls': empty array. Expected an array with minimum length 1, but got an empty array instead."
                ),
                format!("{path}.tool_calls"),
                Some("empty_array"),
            ));
        }
        Some(Value::Array(calls)) => Some(calls),
        Some(other) => return Err(kind(&format!("{path}.tool_calls"), "an array of objects", other)),
    };
    let optional = calls.is_some()
        || ["function_call", "refusal", "audio"]
            .iter()
            .any(|name| message.get(*name).is_some_and(|v| !v.is_null()));
    match message.get("content") {
        None | Some(Value::Null) if optional => {}
        _ => {
            content(message, path, &["text", "refusal"], seen)?;
        }
    }
    let mut ids: Vec<String> = Vec::new();
    for (n, call) in calls.into_iter().flatten().enumerate() {
        let path = format!("{path}.tool_calls[{n}]");
        let call = call.as_object().ok_or_else(|| kind(&path, "an object", call))?;
        let id = text(call, &path, "id")?;
        too_long(id, &format!("{path}.id"), MAX_CALL_ID)?;
        if ids.iter().any(|other| other == id) {
            return Err(value(&format!("{path}.id"), "duplicate tool call id."));
        }
        match text(call, &path, "type")? {
            "function" => {
                closed(call, &path, &["id", "type", "function"])?;
                let inner = format!("{path}.function");
                let function = call.get("function").ok_or_else(|| missing(&inner))?;
                let function = function.as_object().ok_or_else(|| kind(&inner, "an object", function))?;
                closed(function, &inner, &["name", "arguments"])?;
                check_name(text(function, &inner, "name")?, &format!("{inner}.name"))?;
                text(function, &inner, "arguments")?;
            }
            "custom" => closed(call, &path, &["id", "type", "custom"])?,
            other => return Err(value(&format!("{path}.type"), &format!("'{other}'."))),
        }
        ids.push(id.to_owned());
    }
    Ok(ids)
}

/// Checks `content` and gives its text.
fn content(
    message: &Map<String, Value>,
    path: &str,
    allowed: &[&str],
    seen: &mut Seen,
) -> Result<String, Refusal> {
    let path = format!("{path}.content");
    let parts = match message.get("content") {
        None => return Err(missing(&path)),
        Some(Value::Null) => {
            return Err(Refusal::field(
                "Invalid value for 'content': expected a string, got null.",
                path,
                Some("invalid_type"),
            ));
        }
        Some(Value::String(said)) => return Ok(said.clone()),
        Some(Value::Array(parts)) if parts.is_empty() => {
            return Err(Refusal::field(
                format!(
                    "Invalid '{path}': empty array. Expected an array with minimum length 1, but got an empty array instead."
                ),
                path,
                Some("empty_array"),
            ));
        }
        Some(Value::Array(parts)) => parts,
        Some(other) => return Err(kind(&path, "a string or array of objects", other)),
    };
    let mut said = String::new();
    for (n, part) in parts.iter().enumerate() {
        let path = format!("{path}[{n}]");
        let part = part.as_object().ok_or_else(|| kind(&path, "an object", part))?;
        let name = text(part, &path, "type")?;
        if !allowed.contains(&name) {
            return Err(value(
                &format!("{path}.type"),
                &format!("'{name}'. Supported values are: '{}'.", allowed.join("', '")),
            ));
        }
        if !matches!(part.get("prompt_cache_breakpoint"), None | Some(Value::Object(_))) {
            return Err(value(&format!("{path}.prompt_cache_breakpoint"), "an object is expected."));
        }
        closed(part, &path, &["type", name, "prompt_cache_breakpoint"])?;
        match name {
            "image_url" => {
                image(part, &path)?;
                seen.images += 1;
            }
            "file" => {
                file(part, &path)?;
                seen.documents += 1;
            }
            "input_audio" => audio(part, &path)?,
            name => said.push_str(text(part, &path, name)?),
        }
    }
    Ok(said)
}

fn image(part: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
    let path = format!("{path}.image_url");
    let image = part.get("image_url").ok_or_else(|| missing(&path))?;
    let image = image.as_object().ok_or_else(|| kind(&path, "an object", image))?;
    closed(image, &path, &["url", "detail"])?;
    let url = text(image, &path, "url")?;
    if let Some(detail) = image.get("detail").filter(|detail| !detail.is_null())
        && !matches!(detail.as_str(), Some("auto" | "low" | "high" | "original"))
    {
        return Err(value(
            &format!("{path}.detail"),
            "Supported values are: 'low', 'high', 'auto' and 'original'.",
        ));
    }
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(());
    }
    match data_url(url) {
        Some((media, data)) if IMAGE_TYPES.contains(&media) && sign::is_base64(data) => Ok(()),
        Some((media, _)) if !IMAGE_TYPES.contains(&media) => Err(Refusal::field(
            "You uploaded an unsupported image. Please make sure your image has of one the following formats: ['png', 'jpeg', 'gif', 'webp'].",
            path,
            Some("invalid_image_format"),
        )),
        _ => Err(Refusal::field(
            "Invalid image data: a base64 data URL or an HTTP URL is expected.",
            format!("{path}.url"),
            Some("invalid_base64"),
        )),
    }
}

fn file(part: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
    let path = format!("{path}.file");
    let file = part.get("file").ok_or_else(|| missing(&path))?;
    let file = file.as_object().ok_or_else(|| kind(&path, "an object", file))?;
    closed(file, &path, &["file_data", "file_id", "filename"])?;
    if file.contains_key("file_id") {
        return text(file, &path, "file_id").map(|_| ());
    }
    text(file, &path, "filename")?;
    match data_url(text(file, &path, "file_data")?) {
        Some((_, data)) if sign::is_base64(data) => Ok(()),
        _ => Err(value(&format!("{path}.file_data"), "a base64-encoded data URL is expected.")),
    }
}

fn audio(part: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
    let path = format!("{path}.input_audio");
    let audio = part.get("input_audio").and_then(Value::as_object).ok_or_else(|| missing(&path))?;
    closed(audio, &path, &["data", "format"])?;
    if !matches!(text(audio, &path, "format")?, "wav" | "mp3") {
        return Err(value(&format!("{path}.format"), "Supported values are: 'wav' and 'mp3'."));
    }
    match sign::is_base64(text(audio, &path, "data")?) {
        true => Ok(()),
        false => Err(value(&format!("{path}.data"), "base64 data is expected.")),
    }
}

fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}
