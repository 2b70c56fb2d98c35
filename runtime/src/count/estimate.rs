//! Tokens of a request that no backend counts.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{media, text};

/// How far an estimate may be off, in per cent: what was measured for texts, and some room.
pub const ERROR_PERCENT: u64 = 15;

/// Members of a request that the model reads.
const READ: [&str; 16] = [
    "contents",
    "documents",
    "generationConfig",
    "generation_config",
    "input",
    "instructions",
    "messages",
    "outputConfig",
    "output_config",
    "response_format",
    "system",
    "systemInstruction",
    "system_instruction",
    "text",
    "toolConfig",
    "tools",
];
/// Members of those whose every element is a message.
const MESSAGES: [&str; 3] = ["contents", "input", "messages"];
/// Of these, schemas alone are read.
const SETTINGS: [&str; 6] =
    ["generationConfig", "generation_config", "outputConfig", "output_config", "response_format", "text"];
/// Members that hold JSON of any form, which the model reads as such.
const FREE: [&str; 14] = [
    "args",
    "arguments",
    "input",
    "inputSchema",
    "input_schema",
    "json",
    "json_schema",
    "parameters",
    "parametersJsonSchema",
    "response",
    "responseJsonSchema",
    "responseSchema",
    "response_schema",
    "schema",
];
/// Members that are not read: what kind a part is, whose it is, what only its provider understands.
const UNREAD: [&str; 26] = [
    "cachePoint",
    "cache_control",
    "callId",
    "call_id",
    "detail",
    "encrypted_content",
    "encrypted_index",
    "format",
    "id",
    "media_type",
    "mimeType",
    "mime_type",
    "phase",
    "redactedContent",
    "role",
    "signature",
    "status",
    "strict",
    "thoughtSignature",
    "thought_signature",
    "toolUseId",
    "tool_call_id",
    "tool_use_id",
    "ttl",
    "type",
    "videoMetadata",
];
/// Members that hold a file, or its address.
const FILES: [&str; 11] = [
    "bytes",
    "data",
    "fileUri",
    "file_data",
    "file_id",
    "file_uri",
    "file_url",
    "image_url",
    "s3Location",
    "uri",
    "url",
];

/// Tokens around all, around a message, and around a tool, in hundredths.
const AROUND_ALL: u64 = 300;
const AROUND_MESSAGE: u64 = 400;
const AROUND_TOOL: u64 = 800;
/// A text shorter than this is no file.
const MIN_FILE: usize = 64;

/// Estimates the tokens of a request in any protocol; none when it is no JSON object.
pub fn estimate(body: &[u8]) -> Option<u64> {
    let request: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let mut total = AROUND_ALL;
    for (name, value) in request.iter().filter(|(name, _)| READ.contains(&name.as_str())) {
        let name = name.as_str();
        let elements = value.as_array().map_or(0, Vec::len) as u64;
        if MESSAGES.contains(&name) {
            total += AROUND_MESSAGE * elements.max(1);
        }
        if name == "tools" {
            total += AROUND_TOOL * elements;
        }
        total += if SETTINGS.contains(&name) { schemas(value) } else { part(value, About::Text) };
    }
    Some(total.div_ceil(100).max(1))
}

/// The most tokens that a request lets its answer have; none when it does not say.
pub fn ceiling(body: &[u8]) -> Option<u64> {
    const AT_TOP: [&str; 3] = ["max_completion_tokens", "max_output_tokens", "max_tokens"];
    const BELOW: [&str; 3] = ["maxOutputTokens", "maxTokens", "max_output_tokens"];
    let request: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(body).ok()?;
    let at_top = AT_TOP.iter().find_map(|name| request.get(*name)?.get().parse().ok());
    at_top.or_else(|| {
        let settings = ["generationConfig", "generation_config", "inferenceConfig"];
        let settings = settings.iter().find_map(|name| request.get(*name))?;
        let settings: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(settings.get()).ok()?;
        BELOW.iter().find_map(|name| settings.get(*name)?.get().parse().ok())
    })
}

/// What a part is about, as far as its surroundings tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Text,
    Picture { small: bool },
    Document,
}

/// Tokens of the schemas in some settings.
fn schemas(value: &Value) -> u64 {
    let Value::Object(members) = value else { return 0 };
    let of_member = |(name, value): (&String, &Value)| match value {
        Value::Object(_) if FREE.contains(&name.as_str()) => text::hundredths(&value.to_string()),
        value => schemas(value),
    };
    members.iter().map(of_member).sum()
}

fn part(value: &Value, about: About) -> u64 {
    match value {
        Value::String(said) => text::hundredths(said),
        Value::Array(parts) => parts.iter().map(|one| part(one, about)).sum(),
        Value::Object(members) => object(members, about),
        // A number or the like.
        Value::Number(_) | Value::Bool(_) => 100,
        Value::Null => 0,
    }
}

fn object(members: &Map<String, Value>, about: About) -> u64 {
    let word = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
    let kind = word("type");
    if kind == "redacted_thinking" {
        return 0;
    }
    let media_type = [word("mimeType"), word("mime_type"), word("media_type")].concat();
    let small = word("detail") == "low";
    let about = match about {
        _ if media_type.starts_with("image/") => About::Picture { small },
        _ if media_type.starts_with("application/") => About::Document,
        About::Text if kind.contains("image") => About::Picture { small },
        About::Text if matches!(kind, "document" | "file" | "input_file") => About::Document,
        About::Picture { small: before } => About::Picture { small: before || small },
        about => about,
    };
    members.iter().map(|(name, value)| member(name, value, about)).sum()
}

fn member(name: &str, value: &Value, about: About) -> u64 {
    if UNREAD.contains(&name) {
        return 0;
    }
    match (name, value) {
        (_, Value::String(said)) if FILES.contains(&name) => file(name, said, about),
        ("s3Location", _) => of_usual_size(about),
        ("image" | "image_url", value) => part(value, About::Picture { small: false }),
        ("document" | "file" | "fileData" | "file_data" | "input_audio" | "audio", value) => {
            part(value, About::Document)
        }
        (_, Value::Object(_) | Value::Array(_)) if FREE.contains(&name) => {
            text::hundredths(&value.to_string())
        }
        (_, value) => part(value, about),
    }
}

/// Tokens of what is a file, an address of one, or a text after all.
fn file(name: &str, said: &str, about: About) -> u64 {
    let about =
        if name == "image_url" && about == About::Text { About::Picture { small: false } } else { about };
    if about == (About::Picture { small: true }) {
        return media::SMALL_PICTURE * 100;
    }
    if let Some((_, base64)) = said.strip_prefix("data:").and_then(|rest| rest.split_once(',')) {
        return media::tokens(base64).saturating_mul(100);
    }
    if matches!(name, "data" | "bytes" | "file_data") {
        let letter =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
        let encoded = said.len() >= MIN_FILE && said.bytes().take(MIN_FILE * 8).all(letter);
        return if encoded { media::tokens(said).saturating_mul(100) } else { text::hundredths(said) };
    }
    // An address in a text is a text.
    if about == About::Text && name != "file_id" { text::hundredths(said) } else { of_usual_size(about) }
}

fn of_usual_size(about: About) -> u64 {
    100 * match about {
        About::Picture { small: true } => media::SMALL_PICTURE,
        About::Picture { small: false } => media::USUAL_PICTURE,
        About::Text | About::Document => media::USUAL_DOCUMENT,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tokens(body: Value) -> u64 {
        estimate(body.to_string().as_bytes()).unwrap()
    }

    const TEXT: &str = "The quick brown fox jumps over the lazy dog, and then it goes home to sleep.";

    #[test]
    fn the_same_question_is_about_as_long_in_every_protocol() {
        let all = [
            json!({ "model": "m", "messages": [{ "role": "user", "content": TEXT }] }),
            json!({ "model": "m", "messages": [{ "role": "user", "content": [{ "type": "text", "text": TEXT }] }], "max_tokens": 9 }),
            json!({ "model": "m", "input": TEXT }),
            json!({ "model": "m", "input": [{ "role": "user", "content": [{ "type": "input_text", "text": TEXT }] }] }),
            json!({ "contents": [{ "role": "user", "parts": [{ "text": TEXT }] }] }),
            json!({ "messages": [{ "role": "user", "content": [{ "text": TEXT }] }] }),
        ];
        let counted: Vec<_> = all.into_iter().map(tokens).collect();
        assert!(counted.iter().all(|count| *count == counted[0]), "{counted:?}");
        assert!((20..30).contains(&counted[0]), "{counted:?}");
    }

    #[test]
    fn system_tools_and_schemas_count_and_settings_do_not() {
        let plain = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
        let least = tokens(plain.clone());
        let with = |name: &str, value: Value| {
            let mut body = plain.clone();
            body[name] = value;
            tokens(body) - least
        };
        assert!(with("system", json!(TEXT)) >= 17);
        let parameters =
            json!({ "type": "object", "properties": { "city": { "type": "string", "description": TEXT } } });
        assert!(
            with(
                "tools",
                json!([{ "type": "function", "function": { "name": "f", "parameters": parameters } }])
            ) > 40
        );
        assert!(with("tools", json!([{ "name": "f", "input_schema": parameters }])) > 40);
        assert!(
            with(
                "response_format",
                json!({ "type": "json_schema", "json_schema": { "schema": parameters } })
            ) > 30
        );
        assert_eq!(with("metadata", json!({ "user_id": TEXT })), 0);
        assert_eq!(with("max_tokens", json!(5)), 0);
        assert_eq!(with("response_format", json!({ "type": "json_object" })), 0);
    }

    #[test]
    fn files_count_by_their_size_and_not_by_their_letters() {
        let picture = "A".repeat(400_000);
        for part in [
            json!({ "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{picture}") } }),
            json!({ "type": "input_image", "image_url": format!("data:image/png;base64,{picture}") }),
            json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": picture } }),
            json!({ "image": { "format": "png", "source": { "bytes": picture } } }),
            json!({ "inlineData": { "mimeType": "image/png", "data": picture } }),
            json!({ "type": "file", "file": { "file_data": format!("data:application/pdf;base64,{picture}") } }),
            json!({ "type": "input_audio", "input_audio": { "data": picture, "format": "mp3" } }),
        ] {
            let counted = tokens(json!({ "messages": [{ "role": "user", "content": [part] }] }));
            assert!((80..20_000).contains(&counted), "{counted} of {}", &part.to_string()[..60]);
        }
        let address = "https://example.com/picture.png";
        for part in [
            json!({ "type": "image_url", "image_url": { "url": address } }),
            json!({ "type": "input_image", "image_url": address }),
            json!({ "type": "image", "source": { "type": "url", "url": address } }),
            json!({ "fileData": { "mimeType": "image/png", "fileUri": address } }),
        ] {
            let counted = tokens(json!({ "messages": [{ "role": "user", "content": [part] }] }));
            assert_eq!(counted, 7 + media::USUAL_PICTURE, "{part}");
        }
        let small = json!({ "type": "image_url", "image_url": { "url": address, "detail": "low" } });
        assert_eq!(
            tokens(json!({ "messages": [{ "role": "user", "content": [small] }] })),
            7 + media::SMALL_PICTURE
        );
        // A text that came as a document is a text.
        let text = json!({ "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": TEXT } });
        assert!(tokens(json!({ "messages": [{ "role": "user", "content": [text] }] })) < 40);
    }

    #[test]
    fn what_only_its_provider_reads_does_not_count() {
        let sealed = "E".repeat(5000);
        let plain = tokens(json!({ "messages": [{ "role": "assistant", "content": [] }] }));
        for part in [
            json!({ "type": "thinking", "thinking": "", "signature": sealed }),
            json!({ "type": "redacted_thinking", "data": sealed }),
            json!({ "type": "reasoning", "encrypted_content": sealed }),
        ] {
            assert_eq!(
                tokens(json!({ "messages": [{ "role": "assistant", "content": [part] }] })),
                plain,
                "{part}"
            );
        }
    }

    #[test]
    fn the_bound_of_an_answer_is_found_where_each_protocol_has_it() {
        for body in [
            r#"{"max_tokens": 7}"#,
            r#"{"max_completion_tokens":7,"max_tokens":null}"#,
            r#"{"max_output_tokens":7}"#,
            r#"{"inferenceConfig":{"maxTokens":7}}"#,
            r#"{"generationConfig":{"maxOutputTokens":7}}"#,
        ] {
            assert_eq!(ceiling(body.as_bytes()), Some(7), "{body}");
        }
        assert_eq!(ceiling(br#"{"messages":[{"max_tokens":7}]}"#), None);
        assert_eq!(ceiling(b"[]"), None);
    }

    #[test]
    fn what_is_no_request_has_no_size() {
        assert_eq!(estimate(b"[]"), None);
        assert_eq!(estimate(b"{"), None);
        assert_eq!(estimate(b"{}"), Some(3));
    }
}
