//! How each protocol says what: paths, keys, headers, the model's place.
//!
//! Recognition looks at the raw path alone: nothing is decoded or normalised but a Bedrock model id, once,
//! and `Host` takes no part.

pub mod carriers;
pub mod headers;
mod lists;
pub mod passthrough;
pub mod sniff;

use std::borrow::Cow;

use crate::Protocol;
use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The longest model name that is looked at, in bytes.
pub const MAX_MODEL: usize = 2048;

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A completion, streamed if the body says so, in the protocols where the body does.
    Generate,
    /// A completion, streamed because the path says so.
    GenerateStream,
    /// The size of a prompt in tokens.
    CountTokens,
    /// The models that may be named, or one of them.
    Models,
    /// The same as what Bedrock calls inference profiles.
    Profiles,
    /// Whatever else, handed on as it is.
    Passed(passthrough::Way),
}

impl Operation {
    /// The method by which it is called.
    pub const fn method(self) -> &'static str {
        match self {
            Operation::Generate
            | Operation::GenerateStream
            | Operation::CountTokens
            | Operation::Passed(_) => "POST",
            Operation::Models | Operation::Profiles => "GET",
        }
    }

    /// The name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Generate => "generate",
            Operation::GenerateStream => "generate_stream",
            Operation::CountTokens => "count_tokens",
            Operation::Models | Operation::Profiles => "models",
            Operation::Passed(way) => way.name,
        }
    }
}

/// A recognised call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// The protocol the caller speaks.
    pub protocol: Protocol,
    /// What is asked for.
    pub operation: Operation,
    /// The model, where the path names it.
    pub model: Option<Cow<'a, str>>,
    /// The version in a Gemini path.
    pub version: &'a str,
    /// What else stands in the path of a call that is handed on: the verb, or all below the base URL.
    pub rest: &'a str,
}

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognised<'a> {
    /// A call of one of the six protocols.
    Call(Call<'a>),
    /// Such a path, with another method; holds what is allowed.
    WrongMethod(Protocol, &'static str),
    /// No such path; the protocol is the best guess for the answer.
    Unknown(Protocol),
}

/// Recognises protocol and operation by method and raw path.
pub fn recognise<'a>(method: &Method, path: &'a str, headers: &HeaderMap) -> Recognised<'a> {
    let call = by_path(path)
        .or_else(|| passthrough::by_path(path, headers))
        .or_else(|| lists::by_path(path, headers));
    // What is posted to a model is a verb that nobody knows, not a look at the model.
    let is_verb =
        *method == Method::POST && call.as_ref().is_some_and(|call| call.operation == Operation::Models);
    let Some(call) =
        call.filter(|call| !(is_verb && call.model.as_deref().is_some_and(|id| id.contains(':'))))
    else {
        return Recognised::Unknown(guess(path, headers));
    };
    let allowed = call.operation.method();
    let is_allowed = match call.operation {
        Operation::Passed(way) => passthrough::allows(way, method),
        _ => method.as_str() == allowed,
    };
    if is_allowed { Recognised::Call(call) } else { Recognised::WrongMethod(call.protocol, allowed) }
}

fn by_path(path: &str) -> Option<Call<'_>> {
    let call = |protocol, operation| Some(Call { protocol, operation, model: None, version: "", rest: "" });
    match path {
        "/v1/chat/completions" | "/chat/completions" => {
            return call(Protocol::OpenaiChat, Operation::Generate);
        }
        "/v1/responses" | "/responses" => return call(Protocol::OpenaiResponses, Operation::Generate),
        "/v1/responses/input_tokens" | "/responses/input_tokens" => {
            return call(Protocol::OpenaiResponses, Operation::CountTokens);
        }
        "/v1/messages" => return call(Protocol::Anthropic, Operation::Generate),
        "/v1/messages/count_tokens" => return call(Protocol::Anthropic, Operation::CountTokens),
        "/v2/chat" => return call(Protocol::Cohere, Operation::Generate),
        _ => {}
    }
    if let Some(rest) = path.strip_prefix("/model/") {
        let (id, verb) = rest.split_once('/')?;
        let operation = match verb {
            "converse" => Operation::Generate,
            "converse-stream" => Operation::GenerateStream,
            "count-tokens" => Operation::CountTokens,
            _ => return None,
        };
        let model = percent_decode_str(id).decode_utf8().ok().filter(|model| plausible(model))?;
        return Some(Call {
            protocol: Protocol::Bedrock,
            operation,
            model: Some(model),
            version: "",
            rest: "",
        });
    }
    for version in ["v1beta", "v1"] {
        let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(version));
        let Some((model, verb)) =
            rest.and_then(|r| r.strip_prefix("/models/")).and_then(|r| r.rsplit_once(':'))
        else {
            continue;
        };
        let operation = match verb {
            "generateContent" => Operation::Generate,
            "streamGenerateContent" => Operation::GenerateStream,
            "countTokens" => Operation::CountTokens,
            _ => return None,
        };
        if !plausible(model) || model.contains('%') {
            return None;
        }
        return Some(Call {
            protocol: Protocol::Gemini,
            operation,
            model: Some(model.into()),
            version,
            rest: "",
        });
    }
    None
}

/// Whether a model name in a path cannot be mistaken for a way through the path.
fn plausible(model: &str) -> bool {
    !model.is_empty()
        && model.len() <= MAX_MODEL
        && model.split('/').all(|segment| !segment.is_empty() && segment != "." && segment != "..")
        && !model.bytes().any(|byte| byte.is_ascii_control() || byte == b'\\')
}

/// The protocol whose clients most likely sent this.
fn guess(path: &str, headers: &HeaderMap) -> Protocol {
    if headers.contains_key("anthropic-version") || path.starts_with("/v1/messages") {
        Protocol::Anthropic
    } else if headers.contains_key("x-goog-api-key")
        || path.starts_with("/v1beta/")
        || path.starts_with("/v1/models/") && path.contains(':')
    {
        Protocol::Gemini
    } else if headers.contains_key("x-amz-date") || path.starts_with("/model/") {
        Protocol::Bedrock
    } else if path.starts_with("/v2/") {
        Protocol::Cohere
    } else if path.ends_with("/responses") || path.ends_with("/responses/input_tokens") {
        Protocol::OpenaiResponses
    } else {
        Protocol::OpenaiChat
    }
}

/// What an SDK leaves as it is in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const GEMINI_MODEL: &AsciiSet = &SEGMENT.remove(b'/').remove(b'@');

/// The path of a call at a provider, below its base URL.
///
/// `version` is the one the caller used, where the caller speaks Gemini itself.
pub fn upstream_path(
    protocol: Protocol,
    operation: Operation,
    model: &str,
    version: &str,
) -> Cow<'static, str> {
    match (protocol, operation) {
        (_, Operation::Models | Operation::Profiles) => lists::path(protocol, version),
        (Protocol::OpenaiChat, _) => "/chat/completions".into(),
        (Protocol::OpenaiResponses, Operation::CountTokens) => "/responses/input_tokens".into(),
        (Protocol::OpenaiResponses, _) => "/responses".into(),
        (Protocol::Anthropic, Operation::CountTokens) => "/v1/messages/count_tokens".into(),
        (Protocol::Anthropic, _) => "/v1/messages".into(),
        (Protocol::Cohere, _) => "/v2/chat".into(),
        (Protocol::Gemini, operation) => {
            let version = if version.is_empty() { "v1beta" } else { version };
            let verb = match operation {
                Operation::GenerateStream => "streamGenerateContent",
                Operation::CountTokens => "countTokens",
                _ => "generateContent",
            };
            format!("/{version}/models/{}:{verb}", utf8_percent_encode(model, GEMINI_MODEL)).into()
        }
        (Protocol::Bedrock, operation) => {
            let verb = match operation {
                Operation::GenerateStream => "converse-stream",
                Operation::CountTokens => "count-tokens",
                _ => "converse",
            };
            format!("/model/{}/{verb}", utf8_percent_encode(model, SEGMENT)).into()
        }
    }
}

/// Whether a caller of a stream wants it as one JSON array, which is what Gemini sends unless asked for events.
pub fn wants_array(call: &Call<'_>, query: Option<&str>) -> bool {
    let asks_for_events = || query.unwrap_or_default().split('&').any(|pair| pair == "alt=sse");
    call.protocol == Protocol::Gemini && call.operation == Operation::GenerateStream && !asks_for_events()
}

/// Whether the protocol names model and streaming in the body rather than in the path.
pub const fn model_in_body(protocol: Protocol) -> bool {
    !matches!(protocol, Protocol::Gemini | Protocol::Bedrock)
}

/// The type of the body that a stream of the protocol is.
pub const fn stream_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Bedrock => "application/vnd.amazon.eventstream",
        _ => "text/event-stream",
    }
}

/// The header in which the protocol's clients look for the id of a request.
pub const fn request_id_header(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Anthropic => "request-id",
        Protocol::Bedrock => "x-amzn-requestid",
        _ => "x-request-id",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(path: &str) -> Option<(Protocol, Operation, Option<String>)> {
        match recognise(&Method::POST, path, &HeaderMap::new()) {
            Recognised::Call(call) => Some((call.protocol, call.operation, call.model.map(Cow::into_owned))),
            _ => None,
        }
    }

    #[test]
    fn six_protocols_by_path() {
        use Operation::{CountTokens, Generate, GenerateStream};
        let model = |name: &str| Some(name.to_owned());
        for (path, expected) in [
            ("/v1/chat/completions", (Protocol::OpenaiChat, Generate, None)),
            ("/chat/completions", (Protocol::OpenaiChat, Generate, None)),
            ("/responses", (Protocol::OpenaiResponses, Generate, None)),
            ("/v1/messages", (Protocol::Anthropic, Generate, None)),
            ("/v1/messages/count_tokens", (Protocol::Anthropic, CountTokens, None)),
            ("/v1/responses/input_tokens", (Protocol::OpenaiResponses, CountTokens, None)),
            ("/model/a%3A0/count-tokens", (Protocol::Bedrock, CountTokens, model("a:0"))),
            ("/v1/models/gemini-2.5:generateContent", (Protocol::Gemini, Generate, model("gemini-2.5"))),
            ("/v1beta/models/a/b:streamGenerateContent", (Protocol::Gemini, GenerateStream, model("a/b"))),
            ("/model/a%3A0/converse", (Protocol::Bedrock, Generate, model("a:0"))),
            ("/model/arn%3Aaws%2Fx/converse-stream", (Protocol::Bedrock, GenerateStream, model("arn:aws/x"))),
            ("/v2/chat", (Protocol::Cohere, Generate, None)),
        ] {
            assert_eq!(call(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn nothing_is_normalised() {
        for path in [
            "//v1/chat/completions",
            "/v1/chat/completions/",
            "/v1/../v1/messages",
            "/v1%2fmessages",
            "/V1/messages",
            "/v1beta/models/a%2fb:generateContent",
            "/v1beta/models/../x:generateContent",
            "/v1beta/models/:generateContent",
            "/model/..%2f..%2fadmin/converse",
            "/model/a%0d/converse",
            "/model/%ff/converse",
            "/model/a/b/converse",
        ] {
            assert_eq!(call(path), None, "{path}");
        }
    }

    #[test]
    fn a_decoded_id_is_not_decoded_again() {
        assert_eq!(call("/model/a%252fb/converse").unwrap().2.unwrap(), "a%2fb");
    }

    #[test]
    fn wrong_method_and_unknown_path_know_their_dialect() {
        let headers = HeaderMap::new();
        assert_eq!(
            recognise(&Method::GET, "/v2/chat", &headers),
            Recognised::WrongMethod(Protocol::Cohere, "POST")
        );
        let mut anthropic = HeaderMap::new();
        anthropic.insert("anthropic-version", "2023-06-01".parse().unwrap());
        assert_eq!(recognise(&Method::GET, "/x", &anthropic), Recognised::Unknown(Protocol::Anthropic));
        assert_eq!(recognise(&Method::GET, "/x", &headers), Recognised::Unknown(Protocol::OpenaiChat));
    }

    #[test]
    fn upstream_paths_are_escaped_as_the_sdk_does() {
        let path = upstream_path(Protocol::Bedrock, Operation::GenerateStream, "us.claude:0/x", "");
        assert_eq!(path, "/model/us.claude%3A0%2Fx/converse-stream");
        let path = upstream_path(Protocol::Gemini, Operation::Generate, "gemini-2.5 flash?", "v1");
        assert_eq!(path, "/v1/models/gemini-2.5%20flash%3F:generateContent");
    }

    #[test]
    fn a_gemini_stream_is_an_array_unless_events_are_asked_for() {
        use Operation::{Generate, GenerateStream};
        let call = |operation, protocol| Call { protocol, operation, model: None, version: "", rest: "" };
        let stream = call(GenerateStream, Protocol::Gemini);
        for (query, array) in [(None, true), (Some("key=k"), true), (Some("key=k&alt=sse"), false)] {
            assert_eq!(wants_array(&stream, query), array, "{query:?}");
        }
        assert!(!wants_array(&call(Generate, Protocol::Gemini), None));
        assert!(!wants_array(&call(GenerateStream, Protocol::Bedrock), None));
    }
}
