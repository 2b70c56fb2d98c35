//! Errors that a provider reports within a stream.

use std::time::UNIX_EPOCH;

use busbar_protocols::prelude::Checked;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

use crate::Protocol;
use crate::stream::StreamFault;
use crate::translate::upstream_error;

/// The error that an event of the backend's tells.
pub(crate) fn told(backend: Protocol, data: Checked<'_>) -> StreamFault {
    let Ok(event) = serde_json::from_str::<Value>(data.as_str()) else { return StreamFault::NotJson };
    let error = event.get("error").unwrap_or(&event);
    let word = |name: &str| error.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let number = error.get("code").or(error.get("status"));
    let number = number.and_then(|number| number.as_u64().or_else(|| number.as_str()?.parse().ok()));
    let status = number
        .and_then(|number| u16::try_from(number).ok())
        .filter(|status| (400..600).contains(status))
        .or_else(|| word("code").and_then(status_of))
        .or_else(|| word("type").and_then(status_of))
        .unwrap_or(500);
    let told = upstream_error(backend, status, &HeaderMap::new(), data.as_str().as_bytes(), UNIX_EPOCH);
    StreamFault::Upstream(Box::new(told.into_fault()))
}

/// The error that the framing of the backend's stream tells: its name, and what is said about it.
pub(crate) fn exception(backend: Protocol, kind: &str, data: &[u8]) -> StreamFault {
    // The name as it is in an answer's head, where its first letter is a capital.
    let mut letters = kind.chars();
    let name: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    let status = match name.as_str() {
        "ValidationException" => 400,
        "ModelTimeoutException" => 408,
        "ModelStreamErrorException" | "ModelErrorException" => 424,
        "ThrottlingException" | "ModelNotReadyException" => 429,
        "ServiceUnavailableException" => 503,
        _ => 500,
    };
    let mut headers = HeaderMap::new();
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert("x-amzn-errortype", name);
    }
    let told = upstream_error(backend, status, &headers, data, UNIX_EPOCH);
    StreamFault::Upstream(Box::new(told.into_fault()))
}

/// The status that a provider answers with when it tells the same error before a stream begins.
fn status_of(word: &str) -> Option<u16> {
    Some(match word {
        "invalid_request_error"
        | "context_length_exceeded"
        | "content_policy_violation"
        | "invalid_prompt" => 400,
        "authentication_error" | "invalid_api_key" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" | "model_not_found" => 404,
        "request_too_large" => 413,
        "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" | "requests" | "tokens" => 429,
        "api_error" | "server_error" | "internal_error" => 500,
        "overloaded" | "server_overloaded" | "service_unavailable" => 503,
        "timeout_error" | "timeout" => 504,
        "overloaded_error" => 529,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Class, Fault};

    fn fault(data: &str) -> Fault {
        told(Protocol::OpenaiChat, Checked::new(data.as_bytes()).unwrap()).fault()
    }

    #[test]
    fn the_words_of_both_dialects_have_a_class() {
        let overloaded =
            fault(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#);
        assert_eq!((overloaded.class, overloaded.status), (Class::Overloaded, 529));
        assert!(overloaded.retry_safe);
        assert_eq!(overloaded.message, "Overloaded");
        let limited = fault(
            r#"{"error":{"message":"slow","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
        );
        assert_eq!((limited.class, limited.status), (Class::RateLimited, 429));
        assert_eq!(limited.code.as_deref(), Some("rate_limit_exceeded"));
        let long = fault(
            r#"{"error":{"message":"m","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        );
        assert_eq!((long.class, long.status, long.retry_safe), (Class::ContextLength, 400, true));
        assert_eq!(long.param.as_deref(), Some("messages"));
    }

    #[test]
    fn other_shapes_are_errors_too() {
        assert_eq!(fault(r#"{"error":"boom"}"#).message, "boom");
        assert_eq!(fault(r#"{"error":{"message":"x","code":503}}"#).class, Class::Overloaded);
        assert_eq!(fault(r#"{"error":{"message":"x","code":"429"}}"#).class, Class::RateLimited);
        assert_eq!(fault(r#"{"error":{"message":"x","code":"1305"}}"#).class, Class::ServerError);
        assert_eq!(fault(r#"{"message":"x"}"#).status, 500);
        assert_eq!(fault("{}").class, Class::ServerError);
    }
}
