//! Questions for a size, and their answers, in the four protocols that have them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Protocol;

/// A question that is not in its protocol's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The member that is missing or wrong.
    pub path: &'static str,
    /// What is wrong with it.
    pub message: &'static str,
}

/// Members of a request of Anthropic's that its question for the size takes, the flagged ones included.
const ANTHROPIC: [&str; 12] = [
    "cache_control",
    "compaction",
    "context_management",
    "mcp_servers",
    "messages",
    "model",
    "output_config",
    "speed",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];
/// The same of OpenAI's Responses.
const RESPONSES: [&str; 12] = [
    "conversation",
    "input",
    "instructions",
    "model",
    "parallel_tool_calls",
    "personality",
    "previous_response_id",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
    "truncation",
];
/// The same of Bedrock's Converse.
const CONVERSE: [&str; 4] = ["additionalModelRequestFields", "messages", "system", "toolConfig"];

/// Whether a provider that speaks the protocol can be asked.
pub const fn counts(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Anthropic | Protocol::Gemini | Protocol::Bedrock | Protocol::OpenaiResponses)
}

/// The request that a question is about, as if it were to be answered.
///
/// # Errors
/// [`Malformed`] when there is none in it.
pub fn unwrap(client: Protocol, body: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    let members: BTreeMap<Cow<'_, str>, &RawValue> = match client {
        Protocol::Gemini | Protocol::Bedrock => serde_json::from_slice(body)
            .map_err(|_| Malformed { path: "", message: "the body must be a JSON object" })?,
        _ => return Ok(body.into()),
    };
    if client == Protocol::Gemini {
        let wrapped =
            members.get("generateContentRequest").or_else(|| members.get("generate_content_request"));
        return Ok(wrapped.map_or(body, |wrapped| wrapped.get().as_bytes()).into());
    }
    let input = members.get("input").ok_or(Malformed { path: "input", message: "is missing" })?;
    let kinds: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(input.get())
        .map_err(|_| Malformed { path: "input", message: "must be an object" })?;
    match kinds.get("converse") {
        Some(converse) => Ok(converse.get().as_bytes().into()),
        None => Err(Malformed {
            path: "input",
            message: "must hold `converse`, the one form that can be translated",
        }),
    }
}

/// The question for the size of a request in the backend's own form; none when the request is no object.
pub fn wrap(backend: Protocol, request: &[u8], model: &str) -> Option<Vec<u8>> {
    let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(request).ok()?;
    let kept = |names: &[&str]| {
        let kept = members.iter().filter(|(name, _)| names.contains(&name.as_ref()));
        serde_json::to_string(&kept.collect::<BTreeMap<_, _>>())
    };
    let question = match backend {
        Protocol::Anthropic => kept(&ANTHROPIC).ok()?,
        Protocol::OpenaiResponses => kept(&RESPONSES).ok()?,
        Protocol::Bedrock => format!(r#"{{"input":{{"converse":{}}}}}"#, kept(&CONVERSE).ok()?),
        Protocol::Gemini => {
            let model = serde_json::value::to_raw_value(&format!("models/{model}")).ok()?;
            let mut whole = members.clone();
            whole.insert("model".into(), &model);
            format!(r#"{{"generateContentRequest":{}}}"#, serde_json::to_string(&whole).ok()?)
        }
        Protocol::OpenaiChat | Protocol::Cohere => return None,
    };
    Some(question.into_bytes())
}

/// The size in a backend's answer.
pub fn read(backend: Protocol, answer: &[u8]) -> Option<u64> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let member = match backend {
        Protocol::Gemini => "totalTokens",
        Protocol::Bedrock => "inputTokens",
        _ => "input_tokens",
    };
    match (backend, answer.get(member)) {
        // A count of nothing is the default, which Google never writes.
        (Protocol::Gemini, None) if answer.is_object() => Some(0),
        (_, count) => count?.as_u64(),
    }
}

/// The answer with a size in a client's form; none for a protocol that does not ask.
pub fn render(client: Protocol, tokens: u64) -> Option<Vec<u8>> {
    let answer = match client {
        Protocol::Anthropic => json!({ "input_tokens": tokens }),
        Protocol::OpenaiResponses => json!({ "object": "response.input_tokens", "input_tokens": tokens }),
        Protocol::Gemini => json!({ "totalTokens": tokens }),
        Protocol::Bedrock => json!({ "inputTokens": tokens }),
        Protocol::OpenaiChat | Protocol::Cohere => return None,
    };
    Some(answer.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_request_is_wrapped_in_what_each_backend_takes() {
        let wrapped =
            |backend, request: Value| value(&wrap(backend, request.to_string().as_bytes(), "m").unwrap());
        assert_eq!(
            wrapped(
                Protocol::Anthropic,
                json!({ "model": "m", "max_tokens": 5, "stream": true, "messages": [], "system": "s" })
            ),
            json!({ "model": "m", "messages": [], "system": "s" })
        );
        assert_eq!(
            wrapped(
                Protocol::OpenaiResponses,
                json!({ "model": "m", "input": "a", "store": false, "max_output_tokens": 5 })
            ),
            json!({ "model": "m", "input": "a" })
        );
        assert_eq!(
            wrapped(
                Protocol::Bedrock,
                json!({ "messages": [], "inferenceConfig": { "maxTokens": 5 }, "toolConfig": {} })
            ),
            json!({ "input": { "converse": { "messages": [], "toolConfig": {} } } })
        );
        assert_eq!(
            wrapped(Protocol::Gemini, json!({ "contents": [], "tools": [] })),
            json!({ "generateContentRequest": { "model": "models/m", "contents": [], "tools": [] } })
        );
        assert_eq!(wrap(Protocol::Cohere, b"{}", "m"), None);
        assert_eq!(wrap(Protocol::Anthropic, b"[]", "m"), None);
    }

    #[test]
    fn the_request_is_found_in_the_question() {
        let found = |client, question: &str| unwrap(client, question.as_bytes()).map(|found| value(&found));
        let contents = json!({ "contents": [1] });
        assert_eq!(found(Protocol::Gemini, r#"{"contents":[1]}"#), Ok(contents.clone()));
        assert_eq!(
            found(Protocol::Gemini, r#"{"generateContentRequest":{"contents":[1]}}"#),
            Ok(contents.clone())
        );
        assert_eq!(found(Protocol::Gemini, r#"{"generate_content_request":{"contents":[1]}}"#), Ok(contents));
        assert_eq!(
            found(Protocol::Bedrock, r#"{"input":{"converse":{"messages":[]}}}"#),
            Ok(json!({ "messages": [] }))
        );
        assert_eq!(found(Protocol::Bedrock, "{}").unwrap_err().path, "input");
        assert_eq!(
            found(Protocol::Bedrock, r#"{"input":{"invokeModel":{"body":""}}}"#).unwrap_err().path,
            "input"
        );
        assert_eq!(found(Protocol::Bedrock, r#"{"input":3}"#).unwrap_err().message, "must be an object");
        assert_eq!(found(Protocol::Anthropic, r#"{"a":1}"#), Ok(json!({ "a": 1 })));
    }

    #[test]
    fn sizes_are_read_and_told() {
        for (protocol, answer) in [
            (Protocol::Anthropic, r#"{"input_tokens":7}"#),
            (Protocol::OpenaiResponses, r#"{"object":"response.input_tokens","input_tokens":7}"#),
            (Protocol::Gemini, r#"{"totalTokens":7}"#),
            (Protocol::Bedrock, r#"{"inputTokens":7}"#),
        ] {
            assert!(counts(protocol));
            assert_eq!(read(protocol, answer.as_bytes()), Some(7), "{protocol}");
            assert_eq!(value(&render(protocol, 7).unwrap()), value(answer.as_bytes()), "{protocol}");
            assert_eq!(read(protocol, b"[]"), None, "{protocol}");
        }
        assert_eq!(read(Protocol::Gemini, b"{}"), Some(0));
        assert_eq!(read(Protocol::Anthropic, b"{}"), None);
        assert_eq!(render(Protocol::OpenaiChat, 7), None);
    }
}
