//! The `bedrock` protocol: Converse and ConverseStream, the basics checked.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Wire;
use super::answer::{Answer, Finish, Piece, Seen, Tool, Usage, tokens};
use super::frames::Frames;
use super::refusal::Refusal;
use super::sign;

const FIELDS: &[&str] = &[
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "inferenceConfig",
    "messages",
    "outputConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "serviceTier",
    "system",
    "toolConfig",
];

const MAX_TOOL_ID: usize = 64;

/// Checks a request for one model.
pub(super) fn validate(model: &str, body: &Value) -> Result<Seen, Refusal> {
    let body = body.as_object().ok_or_else(|| Refusal::invalid("The request body is not a JSON object."))?;
    if let Some(name) = body.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(malformed(&format!("extraneous key [{name}] is not permitted")));
    }
    let mut seen = Seen { model: model.to_owned(), ..Seen::default() };
    seen.system = body.get("system").and_then(Value::as_array).map_or(0, Vec::len);
    inference(body, &mut seen)?;
    tools(body, &mut seen)?;
    if let Some(schema) = body
        .get("outputConfig")
        .and_then(|config| config.pointer("/textFormat/structure/jsonSchema/schema")?.as_str())
    {
        let schema = serde_json::from_str(schema).map_err(|_| malformed("the output schema is not JSON"))?;
        seen.schema = Some(schema);
    }
    messages(body.get("messages").unwrap_or(&Value::Null), &mut seen)?;
    Ok(seen)
}

fn malformed(said: &str) -> Refusal {
    Refusal::invalid(format!("Malformed input request: {said}, please reformat your input and try again."))
}

fn inference(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let Some(config) = body.get("inferenceConfig") else { return Ok(()) };
    let config = config.as_object().ok_or_else(|| malformed("inferenceConfig is not an object"))?;
    for (name, value) in config {
        match name.as_str() {
            "maxTokens" => match value.as_u64() {
                Some(limit @ 1..) => seen.limit = Some(limit),
                _ => return Err(malformed("maxTokens must be greater than or equal to 1")),
            },
            "temperature" | "topP" => match value.as_f64() {
                Some(number) if (0.0..=1.0).contains(&number) => {}
                _ => return Err(malformed(&format!("{name} must be between 0 and 1"))),
            },
            "stopSequences" => {
                let list = value.as_array().ok_or_else(|| malformed("stopSequences is not a list"))?;
                seen.stop = list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            }
            other => return Err(malformed(&format!("extraneous key [{other}] is not permitted"))),
        }
    }
    Ok(())
}

fn tools(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let Some(config) = body.get("toolConfig") else { return Ok(()) };
    let list = config.get("tools").and_then(Value::as_array).filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| malformed("toolConfig.tools must have at least one member"))?;
    for tool in list {
        if tool.get("cachePoint").is_some() || tool.get("systemTool").is_some() {
            continue;
        }
        let spec = tool.get("toolSpec").ok_or_else(|| malformed("a tool needs a toolSpec"))?;
        let name = spec.get("name").and_then(Value::as_str).unwrap_or_default();
        if !named(name) {
            return Err(malformed("toolSpec.name must match [a-zA-Z0-9_-]+ with at most 64 characters"));
        }
        let schema = spec.pointer("/inputSchema/json").filter(|schema| schema.is_object());
        let schema = schema.ok_or_else(|| malformed("toolSpec.inputSchema.json is required"))?;
        seen.tools.push(Tool { name: name.to_owned(), schema: schema.clone() });
    }
    seen.forced = config.pointer("/toolChoice/tool/name").and_then(Value::as_str).map(str::to_owned);
    match config.get("toolChoice") {
        Some(choice) if !["auto", "any", "tool"].iter().any(|kind| choice.get(*kind).is_some()) => {
            Err(malformed("toolChoice is none of auto, any and tool"))
        }
        _ => Ok(()),
    }
}

fn named(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    plain && (1..=MAX_TOOL_ID).contains(&name.len())
}

fn messages(value: &Value, seen: &mut Seen) -> Result<(), Refusal> {
    let list = value.as_array().filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| {
        Refusal::invalid("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
    })?;
    seen.messages = list.len();
    let mut waiting: Vec<String> = Vec::new();
    let mut before = "assistant";
    for (n, message) in list.iter().enumerate() {
        let role = match message.get("role").and_then(Value::as_str) {
            Some(role @ ("user" | "assistant")) => role,
            _ => return Err(malformed("a role must be user or assistant")),
        };
        if n == 0 && role != "user" {
            return Err(Refusal::invalid(
                "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
            ));
        }
        if role == before {
            return Err(Refusal::invalid(format!(
                "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again. (messages.{n})"
            )));
        }
        before = role;
        let blocks = message.get("content").and_then(Value::as_array).filter(|blocks| !blocks.is_empty());
        let blocks = blocks.ok_or_else(|| {
            Refusal::invalid(format!("The content field in the Message object at messages.{n} is empty. Add a ContentBlock object to the content field and try again."))
        })?;
        seen.results.clear();
        let mut calls = Vec::new();
        for (at, block) in blocks.iter().enumerate() {
            self::block(block, &format!("messages.{n}.content.{at}"), role, &mut waiting, &mut calls, seen)?;
        }
        if role == "user" && !waiting.is_empty() {
            return Err(Refusal::invalid(format!(
                "Expected toolResult blocks at messages.{n}.content for the following Ids: {}",
                waiting.join(", ")
            )));
        }
        if role == "assistant" {
            waiting = calls;
        }
        let text = blocks.iter().any(|block| block.get("text").is_some());
        if blocks.iter().any(|block| block.get("document").is_some()) && !text {
            return Err(Refusal::invalid(
                "A text block must be included in the message that has a document block.",
            ));
        }
    }
    let history = list.iter().filter_map(|message| message.get("content")?.as_array()).flatten();
    if seen.tools.is_empty() && history.clone().any(|block| block.get("toolUse").is_some()) {
        return Err(Refusal::invalid(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        ));
    }
    Ok(())
}

fn block(
    block: &Value,
    path: &str,
    role: &str,
    waiting: &mut Vec<String>,
    calls: &mut Vec<String>,
    seen: &mut Seen,
) -> Result<(), Refusal> {
    let (name, inner) = match block.as_object() {
        Some(map) if map.len() == 1 => map.iter().next(),
        _ => None,
    }
    .ok_or_else(|| malformed(&format!("{path} has to hold exactly one member")))?;
    match (name.as_str(), role) {
        ("text", _) => {
            let said = inner.as_str().ok_or_else(|| malformed(&format!("{path}.text is not a string")))?;
            if said.trim().is_empty() {
                return Err(Refusal::invalid(format!(
                    "The text field in the ContentBlock object at {path} is blank. Add text to the text field, and try again."
                )));
            }
            if role == "user" {
                said.clone_into(&mut seen.user);
            }
        }
        ("image" | "video" | "document" | "audio", "user") => {
            if !inner.get("format").is_some_and(Value::is_string) || inner.get("source").is_none() {
                return Err(malformed(&format!("{path}.{name} needs format and source")));
            }
            if let Some(bytes) = inner.pointer("/source/bytes")
                && !bytes.as_str().is_some_and(sign::is_base64)
            {
                return Err(malformed(&format!("{path}.{name}.source.bytes is not base64")));
            }
            if name == "image" {
                seen.images += 1;
            } else {
                seen.documents += 1;
            }
        }
        ("toolUse", "assistant") => {
            let id = inner.get("toolUseId").and_then(Value::as_str).unwrap_or_default();
            if !named(id) || !inner.get("name").is_some_and(Value::is_string) || inner.get("input").is_none()
            {
                return Err(malformed(&format!("{path}.toolUse needs toolUseId, name and input")));
            }
            calls.push(id.to_owned());
        }
        ("toolResult", "user") => {
            let id = inner.get("toolUseId").and_then(Value::as_str).unwrap_or_default();
            let Some(at) = waiting.iter().position(|call| call == id) else {
                return Err(Refusal::invalid(format!(
                    "The number of toolResult blocks at {path} exceeds the number of toolUse blocks of previous turn."
                )));
            };
            waiting.remove(at);
            let parts = inner.get("content").and_then(Value::as_array);
            let parts = parts.ok_or_else(|| malformed(&format!("{path}.toolResult.content is required")))?;
            seen.results.push(parts.iter().map(result).collect::<Vec<_>>().join(" "));
        }
        ("reasoningContent", "assistant") => {
            let text = inner.pointer("/reasoningText/text").and_then(Value::as_str);
            let signature = inner.pointer("/reasoningText/signature").and_then(Value::as_str);
            let hidden = inner.get("redactedContent").and_then(Value::as_str);
            let genuine = match (text, signature, hidden) {
                (Some(text), Some(signature), _) => sign::genuine("bedrock", text, signature),
                (_, _, Some(hidden)) => sign::is_base64(hidden),
                _ => false,
            };
            if !genuine {
                return Err(Refusal::invalid(format!(
                    "The model returned the following errors: {path}: Invalid `signature` in `thinking` block"
                )));
            }
        }
        ("cachePoint" | "guardContent" | "citationsContent" | "searchResult", _) => {}
        (other, role) => return Err(malformed(&format!("{path}: {other} is not permitted for role {role}"))),
    }
    Ok(())
}

fn result(part: &Value) -> String {
    match (part.get("text").and_then(Value::as_str), part.get("json")) {
        (Some(text), _) => text.to_owned(),
        (None, Some(json)) => json.to_string(),
        (None, None) => "[content]".to_owned(),
    }
}

/// The whole answer.
pub(super) fn buffered(answer: &Answer) -> Value {
    let content: Vec<Value> = answer
        .pieces
        .iter()
        .enumerate()
        .map(|(n, piece)| match piece {
            Piece::Text(text) | Piece::Refusal(text) => json!({"text": text}),
            Piece::Cited(text) => json!({"citationsContent": {
                "content": [{"text": text}], "citations": [citation(text)],
            }}),
            Piece::Thinking(text) => json!({"reasoningContent": {"reasoningText": {
                "text": text, "signature": sign::sign("bedrock", text),
            }}}),
            Piece::Redacted(text) => json!({"reasoningContent": {"redactedContent": hidden(text)}}),
            Piece::Call { name, arguments } => json!({"toolUse": {
                "toolUseId": answer.id("tooluse_", n), "name": name,
                "input": serde_json::from_str(arguments).unwrap_or_else(|_| json!({})),
            }}),
        })
        .collect();
    json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason(&answer.finish),
        "usage": usage(&answer.usage),
        "metrics": {"latencyMs": 12},
    })
}

/// The frames of a streamed answer.
pub(super) fn frames(answer: &Answer) -> Frames {
    let mut all = vec![event("messageStart", &json!({"role": "assistant"}))];
    for (n, piece) in answer.pieces.iter().enumerate() {
        let delta =
            |delta: Value| event("contentBlockDelta", &json!({"contentBlockIndex": n, "delta": delta}));
        match piece {
            Piece::Text(text) | Piece::Refusal(text) => {
                all.extend(tokens(text).map(|token| delta(json!({"text": token}))));
            }
            Piece::Cited(text) => {
                all.extend(tokens(text).map(|token| delta(json!({"text": token}))));
                all.push(delta(json!({"citation": citation(text)})));
            }
            Piece::Thinking(text) => {
                all.extend(tokens(text).map(|token| delta(json!({"reasoningContent": {"text": token}}))));
                all.push(delta(json!({"reasoningContent": {"signature": sign::sign("bedrock", text)}})));
            }
            Piece::Redacted(text) => {
                all.push(delta(json!({"reasoningContent": {"redactedContent": hidden(text)}})));
            }
            Piece::Call { name, arguments } => {
                let start = json!({"toolUse": {"toolUseId": answer.id("tooluse_", n), "name": name}});
                all.push(event("contentBlockStart", &json!({"contentBlockIndex": n, "start": start})));
                let middle =
                    arguments.char_indices().nth(arguments.chars().count() / 2).map_or(0, |(at, _)| at);
                let (first, second) = arguments.split_at(middle);
                all.extend([first, second].iter().map(|part| delta(json!({"toolUse": {"input": part}}))));
            }
        }
        all.push(event("contentBlockStop", &json!({"contentBlockIndex": n})));
    }
    all.push(event("messageStop", &json!({"stopReason": reason(&answer.finish)})));
    all.push(event("metadata", &json!({"usage": usage(&answer.usage), "metrics": {"latencyMs": 12}})));
    Frames { start: 1, all }
}

/// An exception inside a stream.
pub(super) fn error_frame() -> Bytes {
    let refusal = Refusal::status(Wire::Bedrock, 429, "Too many requests");
    encode(
        &[
            (":exception-type", "throttlingException"),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        ],
        refusal.body(Wire::Bedrock, "").to_string().as_bytes(),
    )
}

fn event(name: &str, payload: &Value) -> Bytes {
    let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    encode(&headers, payload.to_string().as_bytes())
}

/// One binary frame: lengths and their checksum, headers, payload, checksum of it all.
fn encode(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    /// The type byte of a string header.
    const STRING: u8 = 7;
    /// Two lengths and two checksums.
    const AROUND: usize = 16;
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        head.extend_from_slice(name.as_bytes());
        head.push(STRING);
        head.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = Vec::with_capacity(head.len() + payload.len() + AROUND);
    frame.extend_from_slice(&number(head.len() + payload.len() + AROUND));
    frame.extend_from_slice(&number(head.len()));
    let checksum = crc32fast::hash(&frame);
    frame.extend_from_slice(&checksum.to_be_bytes());
    frame.extend_from_slice(&head);
    frame.extend_from_slice(payload);
    let checksum = crc32fast::hash(&frame);
    frame.extend_from_slice(&checksum.to_be_bytes());
    Bytes::from(frame)
}

fn hidden(text: &str) -> String {
    sign::sign("bedrock redacted", text)
}

fn citation(text: &str) -> Value {
    json!({
        "title": "A document", "sourceContent": [{"text": text}],
        "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": text.chars().count()}},
    })
}

fn reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::End => "end_turn",
        Finish::Calls => "tool_use",
        Finish::Limit => "max_tokens",
        Finish::Sequence(_) => "stop_sequence",
        Finish::Refusal => "content_filtered",
    }
}

fn usage(usage: &Usage) -> Value {
    json!({
        "inputTokens": usage.input, "outputTokens": usage.output, "totalTokens": usage.prompt() + usage.output,
        "cacheReadInputTokens": usage.cache_read, "cacheWriteInputTokens": usage.cache_write(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_the_published_layout_and_checksums() {
        let frame = encode(&[("a", "b")], b"{}");
        assert_eq!(frame.len(), 16 + 6 - 1 + 1 + 2);
        assert_eq!(frame[..8], [0, 0, 0, 24, 0, 0, 0, 6]);
        assert_eq!(frame[8..12], crc32fast::hash(&frame[..8]).to_be_bytes());
        assert_eq!(frame[12..18], [1, b'a', 7, 0, 1, b'b']);
        assert_eq!(frame[20..], crc32fast::hash(&frame[..20]).to_be_bytes());
    }

    #[test]
    fn turns_alternate_and_results_answer_calls() {
        let user = json!({"role": "user", "content": [{"text": "hi"}]});
        assert!(validate("m", &json!({"messages": [user]})).is_ok());
        let cases = [
            (json!({}), "A conversation must start with a user message."),
            (json!({"messages": [user, user]}), "A conversation must alternate"),
            (json!({"messages": [user], "x": 1}), "Malformed input request: extraneous key [x]"),
            (json!({"messages": [{"role": "user", "content": [{"text": " "}]}]}), "The text field"),
            (json!({"messages": [{"role": "user", "content": []}]}), "The content field"),
        ];
        for (body, said) in cases {
            let refusal = validate("m", &body).expect_err("is refused");
            assert!(refusal.message.starts_with(said), "{body}: {}", refusal.message);
        }
    }
}
