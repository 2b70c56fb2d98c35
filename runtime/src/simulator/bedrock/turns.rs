//! The rules for turns and their blocks.

use serde_json::{Map, Value, json};

use super::fields::Thinking;
use super::request::{list, model_says, not_an_object};
use crate::simulator::answer::Seen;
use crate::simulator::refusal::Refusal;
use crate::simulator::sign;

/// Pictures and documents of one message.
const MAX_IMAGES: usize = 20;
const MAX_DOCUMENTS: usize = 5;

/// Checks `messages`.
pub(super) fn check(body: &Map<String, Value>, thinking: Thinking, seen: &mut Seen) -> Result<(), Refusal> {
    let messages = list(body, "messages");
    seen.messages = messages.len();
    roles(messages)?;
    let content =
        |n: usize| messages.get(n).and_then(Value::as_object).map_or(&[][..], |map| list(map, "content"));
    let has_tools = (0..messages.len())
        .flat_map(content)
        .any(|block| block.get("toolUse").is_some() || block.get("toolResult").is_some());
    if has_tools && !body.contains_key("toolConfig") {
        return Err(Refusal::invalid(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        ));
    }
    let mut names = Vec::new();
    let mut waiting: Vec<String> = Vec::new();
    let final_turn = messages.iter().rposition(|message| role(message) == "assistant");
    for (n, message) in messages.iter().enumerate() {
        let user = role(message) == "user";
        let blocks = content(n);
        let last = n + 1 == messages.len();
        let path = format!("messages.{n}.content");
        if blocks.is_empty() {
            return Err(Refusal::invalid(format!(
                "The content field in the Message object at messages.{n} is empty. Add a ContentBlock object to the content field and try again."
            )));
        }
        let mut turn = Turn { path: &path, n, user, names: &mut names, seen: &mut *seen };
        turn.blocks(blocks)?;
        if user {
            turn.answers(blocks, &waiting)?;
            waiting.clear();
            seen.results = blocks.iter().filter_map(|block| block.get("toolResult")).map(result).collect();
        } else {
            seen.results.clear();
            waiting = calls(blocks, &path)?;
            let thinks = blocks.first().is_some_and(|block| block.get("reasoningContent").is_some());
            let budget = thinking == Thinking::Budget && final_turn == Some(n);
            if budget && !waiting.is_empty() && !thinks {
                return Err(model_says(&format!(
                    "messages.{n}.content.0.type: Expected `thinking` or `redacted_thinking`, but found another type. When `thinking` is enabled, a final `assistant` message must start with a thinking block."
                )));
            }
            ending(blocks, n, last)?;
        }
    }
    if !waiting.is_empty() {
        return Err(unanswered(messages.len() - 1, &waiting));
    }
    Ok(())
}

fn role(message: &Value) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or_default()
}

fn roles(messages: &[Value]) -> Result<(), Refusal> {
    if let Some(n) = messages.iter().position(|message| role(message) == "system") {
        return Err(model_says(&format!(
            "messages.{n}: Unexpected role \"system\". The model takes system text in the top-level system field alone."
        )));
    }
    if messages.first().is_none_or(|first| role(first) != "user") {
        return Err(Refusal::invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
        ));
    }
    if messages.windows(2).any(|pair| role(&pair[0]) == role(&pair[1])) {
        return Err(Refusal::invalid(
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.",
        ));
    }
    Ok(())
}

fn unanswered(n: usize, ids: &[String]) -> Refusal {
    model_says(&format!(
        "messages.{n}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
        ids.join(", ")
    ))
}

/// The ids of the calls of a turn.
fn calls(blocks: &[Value], path: &str) -> Result<Vec<String>, Refusal> {
    let ids: Vec<&str> =
        blocks.iter().filter_map(|block| block.pointer("/toolUse/toolUseId")?.as_str()).collect();
    unique(&ids, "toolUse", path)?;
    Ok(ids.into_iter().map(str::to_owned).collect())
}

fn unique(ids: &[&str], kind: &str, path: &str) -> Result<(), Refusal> {
    match ids.iter().enumerate().find(|(n, id)| ids[..*n].contains(id)) {
        Some((_, id)) => {
            Err(Refusal::invalid(format!("The {kind} blocks at {path} contain duplicate Ids: {id}")))
        }
        None => Ok(()),
    }
}

/// Rules about how a turn of the assistant ends.
fn ending(blocks: &[Value], n: usize, last: bool) -> Result<(), Refusal> {
    let Some(block) = blocks.last() else { return Ok(()) };
    if block.get("reasoningContent").is_some() {
        return Err(model_says(&format!(
            "messages.{n}: The final block in an assistant message cannot be `thinking`."
        )));
    }
    let said = block.get("text").and_then(Value::as_str).unwrap_or_default();
    if last && said.trim_end() != said {
        return Err(model_says("messages: final assistant content cannot end with trailing whitespace"));
    }
    Ok(())
}

/// One turn while it is read.
struct Turn<'a> {
    path: &'a str,
    n: usize,
    user: bool,
    /// Names of documents so far.
    names: &'a mut Vec<String>,
    seen: &'a mut Seen,
}

impl Turn<'_> {
    fn blocks(&mut self, blocks: &[Value]) -> Result<(), Refusal> {
        for (at, block) in blocks.iter().enumerate() {
            let path = format!("{}.{at}", self.path);
            // A union has exactly one member: the shape saw to that.
            let Some((kind, inner)) = block.as_object().and_then(|map| map.iter().next()) else { continue };
            self.block(kind, inner, &path)?;
        }
        let count = |kind: &str| blocks.iter().filter(|block| block.get(kind).is_some()).count();
        if count("image") > MAX_IMAGES {
            return Err(Refusal::invalid(format!(
                "The content field at messages.{} has too many images. The maximum is {MAX_IMAGES}.",
                self.n
            )));
        }
        if count("document") > MAX_DOCUMENTS {
            return Err(Refusal::invalid(format!(
                "The content field at messages.{} has too many documents. The maximum is {MAX_DOCUMENTS}.",
                self.n
            )));
        }
        if count("document") > 0 && count("text") == 0 {
            return Err(Refusal::invalid(
                "A text block must be included in the message that has a document block.",
            ));
        }
        Ok(())
    }

    fn block(&mut self, kind: &str, inner: &Value, path: &str) -> Result<(), Refusal> {
        match (kind, self.user) {
            ("text", _) => self.text(inner, path),
            ("image", true) => {
                self.seen.images += 1;
                Ok(())
            }
            ("document", true) => self.document(inner),
            ("searchResult", true) => {
                self.search_result(inner);
                Ok(())
            }
            ("video" | "audio", true) => {
                self.seen.documents += 1;
                Ok(())
            }
            ("guardContent", true) => match inner.pointer("/text/text") {
                Some(said) => self.text(said, path),
                None => {
                    self.seen.images += 1;
                    Ok(())
                }
            },
            ("toolResult", true) => self.tool_result(inner, path),
            ("toolUse", false) => call(inner, path),
            ("reasoningContent", false) => reasoning(inner, path),
            ("cachePoint", _) | ("citationsContent", false) => Ok(()),
            ("toolAddition" | "toolRemoval", _) => {
                Err(model_says(&format!("{path}: {kind} is not supported by this model")))
            }
            (kind, user) => Err(Refusal::invalid(format!(
                "The {kind} field in the ContentBlock object at {path} is not permitted when the role is {}.",
                if user { "user" } else { "assistant" }
            ))),
        }
    }

    fn text(&mut self, said: &Value, path: &str) -> Result<(), Refusal> {
        let said = said.as_str().unwrap_or_default();
        if said.trim().is_empty() {
            return Err(Refusal::invalid(format!(
                "The text field in the ContentBlock object at {path} is blank. Add text to the text field, and try again."
            )));
        }
        if self.user {
            said.clone_into(&mut self.seen.user);
        }
        Ok(())
    }

    fn document(&mut self, document: &Value) -> Result<(), Refusal> {
        let name = document.get("name").and_then(Value::as_str).unwrap_or_default();
        let plain = |letter: char| letter.is_ascii_alphanumeric() || " -()[]".contains(letter);
        if !name.chars().all(plain) || name.contains("  ") {
            return Err(Refusal::invalid(
                "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and square brackets. The name can't contain more than one consecutive whitespace character. Check that the file name conforms to these restrictions and retry your request.",
            ));
        }
        if self.names.iter().any(|other| other == name) {
            return Err(Refusal::invalid(format!(
                "The document name {name} is used more than once. Each document must have a unique name."
            )));
        }
        self.names.push(name.to_owned());
        if document.pointer("/citations/enabled") == Some(&Value::Bool(true)) {
            let index = self.seen.documents;
            let range =
                |start: usize, end: usize| json!({"documentIndex": index, "start": start, "end": end});
            let pdf = document.get("format").is_some_and(|format| format == "pdf");
            let location = match document.get("source") {
                Some(source) if source.get("content").is_some() => json!({"documentChunk": range(0, 1)}),
                _ if pdf => json!({"documentPage": range(1, 2)}),
                _ => json!({"documentChar": range(0, 1)}),
            };
            self.seen.sources.push(json!({"title": name, "location": location}));
        }
        self.seen.documents += 1;
        Ok(())
    }

    fn search_result(&mut self, result: &Value) {
        if result.pointer("/citations/enabled") == Some(&Value::Bool(true)) {
            let index = self.seen.documents;
            self.seen.sources.push(json!({
                "title": result["title"], "source": result["source"],
                "location": {"searchResultLocation": {"searchResultIndex": index, "start": 0, "end": 1}},
            }));
        }
        self.seen.documents += 1;
    }

    fn tool_result(&mut self, result: &Value, path: &str) -> Result<(), Refusal> {
        plain_id(result, path, "tool_result.tool_use_id")?;
        let parts = result.as_object().map_or(&[][..], |map| list(map, "content"));
        if parts.is_empty() && result.get("status").is_some_and(|status| status == "error") {
            return Err(Refusal::invalid(format!(
                "The content field at {path}.toolResult cannot be empty when status value is error."
            )));
        }
        for (n, part) in parts.iter().enumerate() {
            if part.get("json").is_some_and(|json| !json.is_object()) {
                return Err(not_an_object(&format!("{path}.toolResult.content.{n}.json")));
            }
            if part.get("image").is_some() {
                self.seen.images += 1;
            }
            if let Some(document) = part.get("document") {
                self.document(document)?;
            }
            if let Some(found) = part.get("searchResult") {
                self.search_result(found);
            }
        }
        Ok(())
    }

    /// The results of a turn: of the calls just before, all of them, before anything else.
    fn answers(&self, blocks: &[Value], waiting: &[String]) -> Result<(), Refusal> {
        let id =
            |block: &Value| block.pointer("/toolResult/toolUseId").and_then(Value::as_str).map(str::to_owned);
        let ids: Vec<String> = blocks.iter().filter_map(id).collect();
        unique(&ids.iter().map(String::as_str).collect::<Vec<_>>(), "toolResult", self.path)?;
        if ids.iter().any(|id| !waiting.contains(id)) {
            return Err(Refusal::invalid(format!(
                "The number of toolResult blocks at {} exceeds the number of toolUse blocks of previous turn.",
                self.path
            )));
        }
        let open: Vec<&str> = waiting.iter().filter(|id| !ids.contains(id)).map(String::as_str).collect();
        if !open.is_empty() {
            return Err(Refusal::invalid(format!(
                "Expected toolResult blocks at {} for the following Ids: {}",
                self.path,
                open.join(", ")
            )));
        }
        let place =
            |block: &Value| block.get("cachePoint").is_none().then(|| block.get("toolResult").is_some());
        let order: Vec<bool> = blocks.iter().filter_map(place).collect();
        if order.windows(2).any(|pair| !pair[0] && pair[1]) {
            return Err(unanswered(self.n.saturating_sub(1), waiting));
        }
        Ok(())
    }
}

/// Anthropic's models take fewer letters in an id than the service.
fn plain_id(block: &Value, path: &str, name: &str) -> Result<(), Refusal> {
    let id = block.get("toolUseId").and_then(Value::as_str).unwrap_or_default();
    if id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        return Ok(());
    }
    Err(model_says(&format!("{path}.{name}: String should match pattern '^[a-zA-Z0-9_-]+$'")))
}

fn call(call: &Value, path: &str) -> Result<(), Refusal> {
    plain_id(call, path, "tool_use.id")?;
    if !call.get("input").is_some_and(Value::is_object) {
        return Err(not_an_object(&format!("{path}.toolUse.input")));
    }
    Ok(())
}

fn reasoning(inner: &Value, path: &str) -> Result<(), Refusal> {
    if let Some(thought) = inner.get("reasoningText") {
        let text = thought.get("text").and_then(Value::as_str).unwrap_or_default();
        let Some(signature) = thought.get("signature").and_then(Value::as_str) else {
            return Err(model_says(&format!("{path}.thinking.signature: Field required")));
        };
        if !sign::genuine("bedrock", text, signature) {
            return Err(model_says(&format!("{path}: Invalid `signature` in `thinking` block")));
        }
        return Ok(());
    }
    let hidden = inner.get("redactedContent").and_then(Value::as_str).unwrap_or_default();
    if !sign::sealed_bytes("bedrock", hidden) {
        return Err(model_says(&format!("{path}: Invalid `data` in `redacted_thinking` block")));
    }
    Ok(())
}

/// What a result says, in one text.
fn result(result: &Value) -> String {
    let parts = result.as_object().map_or(&[][..], |map| list(map, "content")).iter();
    let said = parts.map(|part| match (part.get("text").and_then(Value::as_str), part.get("json")) {
        (Some(text), _) => text.to_owned(),
        (None, Some(json)) => json.to_string(),
        (None, None) => "[content]".to_owned(),
    });
    said.collect::<Vec<_>>().join(" ")
}
