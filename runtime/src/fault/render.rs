//! Faults in each protocol's own form.

use std::borrow::Cow;

use crate::Protocol;
use serde_json::json;

use super::{Class, Fault, overflow};

/// A fault as a protocol's clients expect it over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The HTTP status.
    pub status: u16,
    /// The body; JSON in every protocol.
    pub body: Vec<u8>,
    /// The value of `x-amzn-errortype`, where the protocol has it.
    pub error_type: Option<String>,
    /// The value of `retry-after` in seconds, rounded up.
    pub retry_after: Option<u64>,
}

/// Renders a fault as the whole answer to a request.
pub fn render(protocol: Protocol, fault: &Fault, request_id: &str) -> Rendered {
    let status = match (protocol, fault.class, fault.status) {
        (Protocol::Anthropic, Class::Overloaded, 503) => 529,
        // Their SDKs have no class for it.
        (Protocol::Gemini | Protocol::Bedrock | Protocol::Cohere, Class::Overloaded, 529) => 503,
        (Protocol::Bedrock, Class::Authentication, 401) => 403,
        (_, _, status) => status,
    };
    let body = match protocol {
        Protocol::OpenaiChat | Protocol::OpenaiResponses => openai(fault),
        Protocol::Anthropic => anthropic(fault, request_id),
        Protocol::Gemini => gemini(fault),
        Protocol::Bedrock => json!({ "message": message(protocol, fault) }),
        Protocol::Cohere => json!({ "id": request_id, "message": message(protocol, fault) }),
    };
    Rendered {
        status,
        body: body.to_string().into_bytes(),
        error_type: (protocol == Protocol::Bedrock).then(|| bedrock_type(fault)),
        retry_after: fault
            .retry_after
            .map(|wait| wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)),
    }
}

/// A fault as the last event of a stream, before it is framed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// The event's name; for Bedrock the name of the exception.
    pub name: Option<&'static str>,
    /// Its data; JSON in every protocol.
    pub data: Vec<u8>,
}

/// Renders a fault as the last event of a stream.
pub fn stream_error(protocol: Protocol, fault: &Fault, request_id: &str) -> StreamError {
    let (name, data) = match protocol {
        Protocol::OpenaiChat => (None, openai(fault)),
        Protocol::OpenaiResponses => {
            let code = openai_code_of(fault).unwrap_or("server_error");
            let data = json!({
                "type": "error", "code": code, "message": fault.message, "param": fault.param, "sequence_number": 0,
            });
            (Some("error"), data)
        }
        Protocol::Anthropic => (Some("error"), anthropic(fault, request_id)),
        Protocol::Gemini => (None, gemini(fault)),
        Protocol::Cohere => {
            let data = json!({
                "type": "message-end",
                "delta": { "finish_reason": "ERROR", "error": message(protocol, fault) },
            });
            (Some("message-end"), data)
        }
        Protocol::Bedrock => {
            let name = bedrock_exception(fault.class);
            let mut data = json!({ "message": message(protocol, fault) });
            if name == MODEL_STREAM_ERROR {
                data["originalStatusCode"] = fault.status.into();
                data["originalMessage"] = fault.message.as_ref().into();
            }
            (Some(name), data)
        }
    };
    StreamError { name, data: data.to_string().into_bytes() }
}

/// What Bedrock calls a stream that fails at the model's end.
const MODEL_STREAM_ERROR: &str = "modelStreamErrorException";

/// The exceptions that a stream of Bedrock's can end with; its SDKs know these five and no other.
const fn bedrock_exception(class: Class) -> &'static str {
    match class {
        Class::RateLimited | Class::Quota => "throttlingException",
        Class::Overloaded => "serviceUnavailableException",
        Class::Connection
        | Class::Malformed
        | Class::Cut
        | Class::Timeout
        | Class::ConnectTimeout
        | Class::FirstByteTimeout
        | Class::IdleTimeout
        | Class::TotalTimeout => MODEL_STREAM_ERROR,
        Class::InvalidRequest
        | Class::ContextLength
        | Class::ContentFilter
        | Class::TooLarge
        | Class::ModelNotFound
        | Class::NotFound
        | Class::Conflict => "validationException",
        Class::Authentication
        | Class::Permission
        | Class::MethodNotAllowed
        | Class::Unsupported
        | Class::ServerError
        | Class::Internal => "internalServerException",
    }
}

/// Types of error that an upstream may name and that OpenAI's clients know; another protocol's word is not passed on.
const OPENAI_KINDS: [&str; 5] =
    ["insufficient_quota", "invalid_request_error", "requests", "server_error", "tokens"];

fn openai(fault: &Fault) -> serde_json::Value {
    let own = fault.kind.as_deref().filter(|kind| OPENAI_KINDS.contains(kind));
    let class = fault.class;
    let kind = own.unwrap_or(match class {
        Class::Authentication => "authentication_error",
        Class::Permission => "permission_error",
        Class::RateLimited => "rate_limit_error",
        Class::Quota => "insufficient_quota",
        _ if class.status() >= 500 => "server_error",
        _ => "invalid_request_error",
    });
    let code = openai_code_of(fault);
    json!({ "error": { "message": fault.message, "type": kind, "param": fault.param, "code": code } })
}

const fn openai_code(class: Class) -> Option<&'static str> {
    match class {
        Class::ContextLength => Some("context_length_exceeded"),
        Class::ContentFilter => Some("content_filter"),
        Class::Authentication => Some("invalid_api_key"),
        Class::ModelNotFound => Some("model_not_found"),
        Class::RateLimited => Some("rate_limit_exceeded"),
        Class::Quota => Some("insufficient_quota"),
        Class::Overloaded => Some("server_overloaded"),
        Class::Timeout
        | Class::ConnectTimeout
        | Class::FirstByteTimeout
        | Class::IdleTimeout
        | Class::TotalTimeout => Some("timeout"),
        _ => None,
    }
}

/// The message, with the words that the protocol's clients look for.
fn message(protocol: Protocol, fault: &Fault) -> Cow<'_, str> {
    match fault.class {
        Class::ContextLength => overflow::worded(protocol, &fault.message),
        _ => Cow::Borrowed(fault.message.as_ref()),
    }
}

/// The code that OpenAI's clients act on, or else the provider's own.
fn openai_code_of(fault: &Fault) -> Option<&str> {
    match (fault.class, fault.code.as_deref()) {
        // Other servers have other words for it, or none at all.
        (Class::ContextLength | Class::Quota, _) | (_, None) => openai_code(fault.class),
        (_, code) => code,
    }
}

fn anthropic(fault: &Fault, request_id: &str) -> serde_json::Value {
    let class = fault.class;
    let kind = match class {
        Class::Authentication => "authentication_error",
        Class::Permission => "permission_error",
        Class::NotFound | Class::ModelNotFound => "not_found_error",
        Class::TooLarge => "request_too_large",
        Class::RateLimited | Class::Quota => "rate_limit_error",
        Class::Overloaded => "overloaded_error",
        _ if class.status() == Class::Timeout.status() => "timeout_error",
        _ if class.status() >= 500 => "api_error",
        _ => "invalid_request_error",
    };
    let mut error = json!({ "type": kind, "message": message(Protocol::Anthropic, fault) });
    if class == Class::InvalidRequest && fault.param.as_deref() == Some("thread") {
        // Told this, a client that had the provider hold the conversation goes on and sends all of it.
        error["details"] = json!({ "error_code": "thread_unsupported_request" });
    }
    json!({ "type": "error", "error": error, "request_id": request_id })
}

fn gemini(fault: &Fault) -> serde_json::Value {
    let status = match fault.class {
        Class::Authentication => "UNAUTHENTICATED",
        Class::Permission => "PERMISSION_DENIED",
        Class::NotFound | Class::ModelNotFound => "NOT_FOUND",
        Class::RateLimited | Class::Quota => "RESOURCE_EXHAUSTED",
        Class::Conflict => "ABORTED",
        Class::MethodNotAllowed | Class::Unsupported => "UNIMPLEMENTED",
        Class::Overloaded | Class::Connection | Class::Malformed | Class::Cut => "UNAVAILABLE",
        Class::Timeout
        | Class::ConnectTimeout
        | Class::FirstByteTimeout
        | Class::IdleTimeout
        | Class::TotalTimeout => "DEADLINE_EXCEEDED",
        Class::ServerError | Class::Internal => "INTERNAL",
        Class::InvalidRequest | Class::ContextLength | Class::ContentFilter | Class::TooLarge => {
            "INVALID_ARGUMENT"
        }
    };
    let code = match (fault.class, fault.status) {
        (Class::Overloaded, 529) => 503,
        (_, status) => status,
    };
    json!({ "error": { "code": code, "message": message(Protocol::Gemini, fault), "status": status } })
}

fn bedrock_type(fault: &Fault) -> String {
    match fault.class {
        Class::Authentication => "UnrecognizedClientException",
        Class::Permission => "AccessDeniedException",
        Class::NotFound | Class::ModelNotFound => "ResourceNotFoundException",
        Class::MethodNotAllowed | Class::Unsupported => "UnknownOperationException",
        Class::RateLimited => "ThrottlingException",
        // Its SDKs send a throttled request again, which is of no use here.
        Class::Quota => "ServiceQuotaExceededException",
        Class::Conflict => "ConflictException",
        Class::Overloaded => "ServiceUnavailableException",
        Class::Timeout
        | Class::ConnectTimeout
        | Class::FirstByteTimeout
        | Class::IdleTimeout
        | Class::TotalTimeout => "ModelTimeoutException",
        Class::Connection | Class::Malformed | Class::Cut | Class::ServerError | Class::Internal => {
            "InternalServerException"
        }
        Class::InvalidRequest | Class::ContextLength | Class::ContentFilter | Class::TooLarge => {
            "ValidationException"
        }
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn text(rendered: &Rendered) -> String {
        String::from_utf8(rendered.body.clone()).unwrap()
    }

    #[test]
    fn a_rate_limit_in_six_dialects() {
        let fault =
            Fault::gateway(Class::RateLimited, "slow down").with_retry_after(Duration::from_millis(1500));
        let expected = [
            r#"{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#,
            r#"{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"},"request_id":"r1"}"#,
            r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}"#,
            r#"{"message":"slow down"}"#,
            r#"{"id":"r1","message":"slow down"}"#,
        ];
        for (protocol, expected) in Protocol::ALL.into_iter().zip(expected) {
            let rendered = render(protocol, &fault, "r1");
            assert_eq!(text(&rendered), expected, "{protocol}");
            assert_eq!((rendered.status, rendered.retry_after), (429, Some(2)));
        }
        assert_eq!(
            render(Protocol::Bedrock, &fault, "r1").error_type.as_deref(),
            Some("ThrottlingException")
        );
    }

    #[test]
    fn capacity_is_529_for_anthropic_alone() {
        let fault = Fault::upstream(Class::Overloaded, "full");
        assert_eq!(render(Protocol::Anthropic, &fault, "r").status, 529);
        assert_eq!(render(Protocol::OpenaiChat, &fault, "r").status, 503);
        let told = fault.with_status(529);
        for protocol in [Protocol::Anthropic, Protocol::OpenaiChat] {
            assert_eq!(render(protocol, &told, "r").status, 529, "an upstream's own");
        }
        for protocol in [Protocol::Gemini, Protocol::Bedrock, Protocol::Cohere] {
            assert_eq!(render(protocol, &told, "r").status, 503, "{protocol}");
        }
        assert!(text(&render(Protocol::Gemini, &told, "r")).contains("\"code\":503"));
    }

    #[test]
    fn an_overflow_is_told_in_the_words_that_clients_look_for() {
        let fault = Fault::client(Class::ContextLength, "9 tokens are more than 8");
        let anthropic = text(&render(Protocol::Anthropic, &fault, "r"));
        assert!(
            anthropic.contains(r#""message":"prompt is too long: 9 tokens are more than 8""#),
            "{anthropic}"
        );
        for (protocol, words) in [
            (Protocol::Bedrock, "Input is too long for requested model: 9"),
            (Protocol::Gemini, "exceeds the maximum number of tokens allowed: 9"),
            (Protocol::Cohere, "too many tokens: 9"),
        ] {
            assert!(text(&render(protocol, &fault, "r")).contains(words), "{protocol}");
        }
        // The words of another server are no code that these clients act on.
        let fault = fault.with_code("validation_error");
        let within = stream_error(Protocol::OpenaiResponses, &fault, "r").data;
        assert!(String::from_utf8(within).unwrap().contains(r#""code":"context_length_exceeded""#));
        let openai = text(&render(Protocol::OpenaiChat, &fault, "r"));
        assert!(openai.contains(r#""code":"context_length_exceeded""#), "{openai}");
    }

    #[test]
    fn a_thread_that_nobody_holds_is_told_so_that_clients_do_without() {
        let fault = Fault::client(Class::InvalidRequest, "kept elsewhere");
        let told = |fault: &Fault| text(&render(Protocol::Anthropic, fault, "r"));
        let within = r#""details":{"error_code":"thread_unsupported_request"}"#;
        assert!(!told(&fault).contains("details"), "{}", told(&fault));
        let fault = fault.with_param("thread");
        assert!(told(&fault).contains(within), "{}", told(&fault));
    }

    #[test]
    fn a_cut_stream_ends_with_a_native_event() {
        let fault = Fault::upstream(Class::Cut, "cut");
        let told = |protocol| {
            let error = stream_error(protocol, &fault, "r");
            (error.name.unwrap_or_default(), String::from_utf8(error.data).unwrap())
        };
        assert_eq!(
            told(Protocol::Anthropic),
            (
                "error",
                r#"{"type":"error","error":{"type":"api_error","message":"cut"},"request_id":"r"}"#
                    .to_owned()
            )
        );
        assert_eq!(
            told(Protocol::Bedrock),
            (
                "modelStreamErrorException",
                r#"{"message":"cut","originalStatusCode":502,"originalMessage":"cut"}"#.to_owned()
            )
        );
        let slow = Fault::upstream(Class::RateLimited, "slow");
        assert_eq!(stream_error(Protocol::Bedrock, &slow, "r").name, Some("throttlingException"));
    }
}
