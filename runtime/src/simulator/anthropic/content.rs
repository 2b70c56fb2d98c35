//! The rules for system text, turns and blocks.

use serde_json::{Map, Value};

use super::request::{at, closed, plain, required, text};
use crate::simulator::answer::Seen;
use crate::simulator::refusal::Refusal;
use crate::simulator::sign;

/// Blocks that the provider's own tools leave in a history; carried without a look inside.
const HOSTED: &[&str] = &[
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "container_upload",
    "tool_reference",
    "compaction",
];

const IMAGE_TYPES: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Checks `system`.
pub(super) fn system(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    match body.get("system") {
        None => Ok(()),
        Some(Value::String(_)) => {
            seen.system += 1;
            Ok(())
        }
        Some(Value::Array(blocks)) => {
            for (n, block) in blocks.iter().enumerate() {
                let path = format!("system.{n}");
                let block =
                    block.as_object().ok_or_else(|| at(&path, "Input should be a valid dictionary"))?;
                if block.get("type").and_then(Value::as_str) != Some("text") {
                    return Err(at(&format!("{path}.type"), "Input should be 'text'"));
                }
                closed(block, &path, &["type", "text", "cache_control", "citations"])?;
                if text(block, &path, "text")?.is_empty() {
                    return Err(at("system", "text content blocks must be non-empty"));
                }
                cache_control(block, &path)?;
                seen.system += 1;
            }
            Ok(())
        }
        Some(_) => Err(at("system", "Input should be a valid list or string")),
    }
}

/// Checks `messages`; with `budget` the last assistant turn that calls tools has to begin with thinking.
pub(super) fn messages(value: &Value, budget: bool, seen: &mut Seen) -> Result<(), Refusal> {
    let list = value.as_array().ok_or_else(|| at("messages", "Input should be a valid list"))?;
    if list.is_empty() {
        return Err(at("messages", "at least one message is required"));
    }
    seen.messages = list.len();
    let final_turn =
        list.iter().rposition(|message| message.get("role").is_some_and(|role| role == "assistant"));
    let mut waiting: Vec<String> = Vec::new();
    for (n, message) in list.iter().enumerate() {
        let path = format!("messages.{n}");
        let message = message.as_object().ok_or_else(|| at(&path, "Input should be a valid dictionary"))?;
        closed(message, &path, &["role", "content"])?;
        let role = match text(message, &path, "role")? {
            role @ ("user" | "assistant" | "system") => role,
            role => {
                return Err(Refusal::invalid(format!(
                    "messages: Unexpected role \"{role}\". Allowed roles are \"user\", \"assistant\" or \"system\"."
                )));
            }
        };
        if n == 0 && role != "user" {
            return Err(at("messages", "first message must use the \"user\" role"));
        }
        let last = n + 1 == list.len();
        let content = required(message, &path, "content")?;
        let budget = budget && final_turn == Some(n);
        let mut turn = Turn { path, n, role, last, budget, seen: &mut *seen, calls: Vec::new() };
        turn.check(content, &waiting)?;
        let calls = turn.calls;
        if role != "system" {
            waiting = calls;
        }
    }
    if !waiting.is_empty() {
        return Err(unanswered(list.len() - 1, &waiting));
    }
    Ok(())
}

fn unanswered(n: usize, ids: &[String]) -> Refusal {
    at(
        &format!("messages.{n}"),
        &format!(
            "`tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
            ids.join(", ")
        ),
    )
}

/// One message while it is read.
struct Turn<'a> {
    path: String,
    n: usize,
    role: &'a str,
    last: bool,
    budget: bool,
    seen: &'a mut Seen,
    calls: Vec<String>,
}

impl Turn<'_> {
    fn check(&mut self, content: &Value, waiting: &[String]) -> Result<(), Refusal> {
        let optional = self.last && self.role == "assistant";
        let blocks = match content {
            Value::String(said) if said.is_empty() && !optional => return Err(self.empty()),
            Value::String(said) => {
                self.trailing(said)?;
                if !waiting.is_empty() && self.role != "system" {
                    return Err(unanswered(self.n - 1, waiting));
                }
                self.said(said);
                return Ok(());
            }
            Value::Array(blocks) if blocks.is_empty() && !optional => return Err(self.empty()),
            Value::Array(blocks) => blocks,
            _ => return Err(at(&format!("{}.content", self.path), "Input should be a valid list or string")),
        };
        let mut answered: Vec<&str> = Vec::new();
        let mut results = Vec::new();
        let mut other = false;
        for (n, block) in blocks.iter().enumerate() {
            let path = format!("{}.content.{n}", self.path);
            let block = block.as_object().ok_or_else(|| at(&path, "Input should be a valid dictionary"))?;
            let kind = text(block, &path, "type")?;
            self.block(kind, block, &path)?;
            if kind == "tool_result" {
                let id = text(block, &path, "tool_use_id")?;
                if !waiting.iter().any(|call| call == id) {
                    return Err(at(
                        &path,
                        &format!(
                            "unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                        ),
                    ));
                }
                if answered.contains(&id) {
                    return Err(at(
                        &path,
                        "each tool_use must have a single result. Found multiple `tool_result` blocks with id",
                    ));
                }
                // A result that follows other content does not count as "immediately after".
                if !other {
                    answered.push(id);
                }
                results.push(result_text(block));
            } else {
                other = true;
            }
        }
        let open: Vec<String> =
            waiting.iter().filter(|id| !answered.contains(&id.as_str())).cloned().collect();
        if !open.is_empty() && self.role != "system" {
            return Err(unanswered(self.n - 1, &open));
        }
        self.ending(blocks)?;
        if self.last && self.role == "user" {
            self.seen.results = results;
        }
        Ok(())
    }

    /// Rules about how an assistant's turn begins and ends.
    fn ending(&self, blocks: &[Value]) -> Result<(), Refusal> {
        if self.role != "assistant" {
            return Ok(());
        }
        let kind = |block: &Value| block.get("type").and_then(Value::as_str).map(str::to_owned);
        let first = blocks.first().and_then(kind);
        let thinks = matches!(first.as_deref(), Some("thinking" | "redacted_thinking"));
        if self.budget && !self.calls.is_empty() && !thinks {
            return Err(at(
                &format!("{}.content.0.type", self.path),
                &format!(
                    "Expected `thinking` or `redacted_thinking`, but found `{}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block.",
                    first.unwrap_or_default()
                ),
            ));
        }
        let last = blocks.last();
        if matches!(last.and_then(kind).as_deref(), Some("thinking" | "redacted_thinking")) {
            return Err(at(&self.path, "The final block in an assistant message cannot be `thinking`."));
        }
        match last.and_then(|block| block.get("text")).and_then(Value::as_str) {
            Some(said) => self.trailing(said),
            None => Ok(()),
        }
    }

    fn block(&mut self, kind: &str, block: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
        let inner = format!("{path}.{kind}");
        cache_control(block, &inner)?;
        match (kind, self.role) {
            ("text", _) => {
                closed(block, &inner, &["type", "text", "cache_control", "citations"])?;
                let said = text(block, &inner, "text")?;
                if said.is_empty() {
                    return Err(at("messages", "text content blocks must be non-empty"));
                }
                self.said(said);
            }
            ("image", "user") => {
                image(block, &inner)?;
                self.seen.images += 1;
            }
            ("document", "user") => {
                document(block, &inner)?;
                self.seen.documents += 1;
            }
            ("search_result", "user") => {
                closed(block, &inner, &["type", "source", "title", "content", "citations", "cache_control"])?;
                text(block, &inner, "source")?;
                text(block, &inner, "title")?;
                required(block, &inner, "content")?;
                self.seen.documents += 1;
            }
            ("thinking", "assistant") => {
                closed(block, &inner, &["type", "thinking", "signature"])?;
                let thought = text(block, &inner, "thinking")?;
                let signature = text(block, &inner, "signature")?;
                // An omitted text comes back empty under the signature of the empty text.
                if !sign::genuine("anthropic", thought, signature) {
                    return Err(at(path, "Invalid `signature` in `thinking` block"));
                }
            }
            ("redacted_thinking", "assistant") => {
                closed(block, &inner, &["type", "data"])?;
                if !sign::sealed("anthropic", text(block, &inner, "data")?) {
                    return Err(at(path, "Invalid `data` in `redacted_thinking` block"));
                }
            }
            ("tool_use", "assistant") => self.call(block, &inner)?,
            ("tool_result", "user") => tool_result(block, &inner, self.seen)?,
            (kind, "user" | "assistant") if HOSTED.contains(&kind) => {}
            (
                kind @ ("image" | "document" | "thinking" | "redacted_thinking" | "tool_use" | "tool_result"),
                role,
            ) => {
                return Err(at(path, &format!("`{kind}` blocks are not permitted in `{role}` messages")));
            }
            (kind, _) => {
                return Err(at(
                    path,
                    &format!("Input tag '{kind}' found using 'type' does not match any of the expected tags"),
                ));
            }
        }
        Ok(())
    }

    fn call(&mut self, block: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
        closed(block, path, &["type", "id", "name", "input", "cache_control", "caller", "toolset_name"])?;
        let id = text(block, path, "id")?;
        if id.is_empty() || !plain(id) {
            return Err(at(&format!("{path}.id"), "String should match pattern '^[a-zA-Z0-9_-]+$'"));
        }
        let name = text(block, path, "name")?;
        if name.is_empty() || name.len() > 200 {
            return Err(at(&format!("{path}.name"), "String should have between 1 and 200 characters"));
        }
        if !required(block, path, "input")?.is_object() {
            return Err(at(&format!("{path}.input"), "Input should be a valid dictionary"));
        }
        if self.calls.iter().any(|other| other == id) {
            return Err(at("messages", "`tool_use` ids must be unique"));
        }
        self.calls.push(id.to_owned());
        Ok(())
    }

    fn said(&mut self, said: &str) {
        if self.role == "user" {
            said.clone_into(&mut self.seen.user);
        }
    }

    fn trailing(&self, said: &str) -> Result<(), Refusal> {
        if self.last && self.role == "assistant" && said.trim_end() != said {
            return Err(at("messages", "final assistant content cannot end with trailing whitespace"));
        }
        Ok(())
    }

    fn empty(&self) -> Refusal {
        at(
            &self.path,
            "all messages must have non-empty content except for the optional final assistant message",
        )
    }
}

fn tool_result(block: &Map<String, Value>, path: &str, seen: &mut Seen) -> Result<(), Refusal> {
    closed(block, path, &["type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name"])?;
    let id = text(block, path, "tool_use_id")?;
    if id.is_empty() || !plain(id) {
        return Err(at(&format!("{path}.tool_use_id"), "String should match pattern '^[a-zA-Z0-9_-]+$'"));
    }
    if block.get("is_error").is_some_and(|flag| !flag.is_boolean()) {
        return Err(at(&format!("{path}.is_error"), "Input should be a valid boolean"));
    }
    let blocks = match block.get("content") {
        None | Some(Value::String(_)) => return Ok(()),
        Some(Value::Array(blocks)) => blocks,
        Some(_) => return Err(at(&format!("{path}.content"), "Input should be a valid list or string")),
    };
    for (n, block) in blocks.iter().enumerate() {
        let path = format!("{path}.content.{n}");
        let block = block.as_object().ok_or_else(|| at(&path, "Input should be a valid dictionary"))?;
        cache_control(block, &path)?;
        match text(block, &path, "type")? {
            "text" => {
                closed(block, &path, &["type", "text", "cache_control", "citations"])?;
                if text(block, &path, "text")?.is_empty() {
                    return Err(at("messages", "text content blocks must be non-empty"));
                }
            }
            "image" => {
                image(block, &format!("{path}.image"))?;
                seen.images += 1;
            }
            "document" => {
                document(block, &format!("{path}.document"))?;
                seen.documents += 1;
            }
            "search_result" | "tool_reference" => {}
            kind => {
                return Err(at(
                    &path,
                    &format!("Input tag '{kind}' found using 'type' does not match any of the expected tags"),
                ));
            }
        }
    }
    Ok(())
}

/// The text of a result, with a mark where it tells an error.
fn result_text(block: &Map<String, Value>) -> String {
    let said = match block.get("content") {
        Some(Value::String(said)) => said.clone(),
        Some(Value::Array(blocks)) => blocks
            .iter()
            .map(|block| match block.get("text").and_then(Value::as_str) {
                Some(said) => said.to_owned(),
                None => format!("[{}]", block.get("type").and_then(Value::as_str).unwrap_or_default()),
            })
            .collect::<Vec<_>>()
            .join(" "),
        _ => String::new(),
    };
    let error = block.get("is_error").and_then(Value::as_bool).unwrap_or(false);
    if error { format!("error: {said}") } else { said }
}

fn image(block: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
    closed(block, path, &["type", "source", "cache_control"])?;
    let path = format!("{path}.source");
    let source = required(block, path.trim_end_matches(".source"), "source")?;
    let source = source.as_object().ok_or_else(|| at(&path, "Input should be a valid dictionary"))?;
    match text(source, &path, "type")? {
        "base64" => {
            closed(source, &path, &["type", "media_type", "data"])?;
            let media = text(source, &path, "media_type")?;
            if !IMAGE_TYPES.contains(&media) {
                return Err(at(
                    &format!("{path}.base64.media_type"),
                    "Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
                ));
            }
            base64(source, &path)
        }
        "url" => url(source, &path),
        "file" => text(source, &path, "file_id").map(|_| ()),
        kind => Err(at(
            &path,
            &format!("Input tag '{kind}' does not match any of the expected tags: 'base64', 'file', 'url'"),
        )),
    }
}

fn document(block: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
    closed(block, path, &["type", "source", "title", "context", "citations", "cache_control"])?;
    let source = required(block, path, "source")?;
    let path = format!("{path}.source");
    let source = source.as_object().ok_or_else(|| at(&path, "Input should be a valid dictionary"))?;
    match text(source, &path, "type")? {
        "base64" => {
            closed(source, &path, &["type", "media_type", "data"])?;
            if text(source, &path, "media_type")? != "application/pdf" {
                return Err(at(&format!("{path}.base64.media_type"), "Input should be 'application/pdf'"));
            }
            base64(source, &path)
        }
        "text" => {
            closed(source, &path, &["type", "media_type", "data"])?;
            if text(source, &path, "media_type")? != "text/plain" {
                return Err(at(&format!("{path}.text.media_type"), "Input should be 'text/plain'"));
            }
            text(source, &path, "data").map(|_| ())
        }
        "content" => required(source, &path, "content").map(|_| ()),
        "url" => url(source, &path),
        "file" => text(source, &path, "file_id").map(|_| ()),
        kind => Err(at(
            &path,
            &format!(
                "Input tag '{kind}' does not match any of the expected tags: 'base64', 'content', 'file', 'text', 'url'"
            ),
        )),
    }
}

fn base64(source: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
    if sign::is_base64(text(source, path, "data")?) {
        return Ok(());
    }
    Err(at(&format!("{path}.base64.data"), "Invalid base64 data"))
}

fn url(source: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
    closed(source, path, &["type", "url"])?;
    let url = text(source, path, "url")?;
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(());
    }
    Err(at(&format!("{path}.url"), "Only HTTP and HTTPS URLs are supported."))
}

fn cache_control(block: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
    let Some(mark) = block.get("cache_control").filter(|mark| !mark.is_null()) else { return Ok(()) };
    let path = format!("{path}.cache_control");
    let mark = mark.as_object().ok_or_else(|| at(&path, "Input should be a valid dictionary"))?;
    closed(mark, &path, &["type", "ttl"])?;
    if text(mark, &path, "type")? != "ephemeral" {
        return Err(at(&format!("{path}.type"), "Input should be 'ephemeral'"));
    }
    match mark.get("ttl").map(Value::as_str) {
        None | Some(Some("5m" | "1h")) => Ok(()),
        Some(_) => Err(at(&format!("{path}.ttl"), "Input should be '5m' or '1h'")),
    }
}
