//! Errors of providers, read in whatever form they come.

use std::time::{Duration, SystemTime};

use busbar_protocols::Rules;
use busbar_protocols::prelude::rules::ErrorRule;
use http::HeaderMap;
use serde_json::Value;

use super::{repair_of, wait};
use crate::Protocol;
use crate::fault::{Blame, Class, Fault};

/// Longest excerpt of a body that is no error document, in characters.
const MAX_EXCERPT: usize = 300;
/// Longest body that is read as a document.
const MAX_BODY: usize = 1 << 20;

/// What a provider says about a request that it did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamError {
    /// The HTTP status.
    pub status: u16,
    /// What kind of failure it is.
    pub class: Class,
    /// The provider's name for the kind.
    pub kind: Option<String>,
    /// The provider's code.
    pub code: Option<String>,
    /// The provider's reason, which is narrower than its kind; a word for machines that clients of others do not know.
    pub reason: Option<String>,
    /// What the provider says.
    pub message: String,
    /// The field at fault.
    pub param: Option<String>,
    /// How long to wait before the next attempt.
    pub retry_after: Option<Duration>,
}

impl UpstreamError {
    /// The failure as the gateway passes it on.
    pub fn into_fault(self) -> Fault {
        let message = match own_fault(self.class) {
            Some(note) => format!("{note}: {}", veiled(&self.message)),
            None => self.message,
        };
        let mut fault = Fault::upstream(self.class, message);
        fault = fault.with_status(status_told(self.class, self.status));
        fault.param = self.param;
        fault.code = self.code.map(Into::into);
        fault.kind = self.kind.map(Into::into);
        fault.retry_after = self.retry_after;
        fault
    }
}

/// What the caller is told before the provider's words, where those are about something that is the gateway's own.
///
/// The status stays the provider's: callers' SDKs have a class for it, and none of them is asked again for nothing.
fn own_fault(class: Class) -> Option<&'static str> {
    match class {
        Class::Authentication | Class::Permission => {
            Some("the provider refuses the gateway's own credential, not the caller's")
        }
        Class::MethodNotAllowed => {
            Some("the provider does not take requests at the address that the gateway has of it")
        }
        Class::NotFound => Some("the provider has nothing at the address that the gateway has of it"),
        _ => None,
    }
}

/// The provider's words without what they have of a key or of an account, which are the gateway's own.
fn veiled(message: &str) -> String {
    let veil = |word: &str| -> String {
        // Providers repeat a key's first and last letters, and have stars for the rest.
        let of_key = word.contains("**");
        let of_account = word.contains("arn:aws");
        if of_key || of_account { "****".to_owned() } else { word.to_owned() }
    };
    message.split(' ').map(veil).collect::<Vec<_>>().join(" ")
}

/// The status by which a caller's SDK tells whose fault it is and whether to try again.
fn status_told(class: Class, status: u16) -> u16 {
    match (class, class.verdict().blame) {
        // Providers say it with 400, 402, 403 or 429, and the caller can but wait; a missing model with 400 or 403.
        (Class::Quota | Class::ModelNotFound, _) => class.status(),
        // A throttled request is 400 to some.
        (_, blame) if blame != Blame::Client && status == Class::InvalidRequest.status() => class.status(),
        // What is wrong with a request stays wrong when it is sent again.
        (Class::InvalidRequest | Class::ContextLength | Class::ContentFilter, _) if status >= 500 => {
            class.status()
        }
        _ => status,
    }
}

/// Reads the body and the headers of an error; garbage becomes a bounded excerpt.
pub fn upstream_error(
    backend: Protocol,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> UpstreamError {
    let document = body.get(..MAX_BODY.min(body.len())).and_then(|body| serde_json::from_slice(body).ok());
    let mut error = match &document {
        Some(document) => read(document, status),
        None => UpstreamError { message: excerpt(body, status), ..blank(status) },
    };
    if backend == Protocol::Bedrock {
        // Its kind is in a header; a colon parts it from an address.
        let kind = headers.get("x-amzn-errortype").and_then(|kind| kind.to_str().ok());
        if let Some(kind) = kind {
            error.kind = Some(kind.split(':').next().unwrap_or(kind).to_owned());
        }
    }
    error.reason = document.as_ref().and_then(reason).map(str::to_owned);
    error.class = class(backend, &error);
    error.retry_after = wait::asked(headers, document.as_ref(), now).or_else(|| {
        let passes = matches!(error.class, Class::RateLimited | Class::Quota | Class::Overloaded);
        passes.then(|| wait::exhausted(headers, now).or_else(|| wait::in_words(&error.message)))?
    });
    error
}

fn blank(status: u16) -> UpstreamError {
    UpstreamError {
        status,
        class: Class::of_status(status),
        kind: None,
        code: None,
        reason: None,
        message: String::new(),
        param: None,
        retry_after: None,
    }
}

/// Reads any of the known forms: an `error` object or text, in a list or not, or members of the document.
fn read(document: &Value, status: u16) -> UpstreamError {
    let document = document.as_array().and_then(|items| items.first()).unwrap_or(document);
    let inner = match document.get("error") {
        Some(inner @ Value::Object(_)) => inner,
        _ => document,
    };
    let word = |name: &str| -> Option<String> {
        match inner.get(name)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    };
    let is_status = |code: &String| code.parse::<u16>().is_ok();
    let message = word("message")
        .or_else(|| word("Message"))
        .or_else(|| document.get("error").and_then(Value::as_str).map(str::to_owned))
        .or_else(|| word("detail"))
        .unwrap_or_else(|| excerpt(document.to_string().as_bytes(), status));
    if let Some((what, kind, field)) = complaint(document) {
        return UpstreamError {
            code: Some(kind.to_owned()),
            message: what.to_owned(),
            param: Some(field),
            ..blank(status)
        };
    }
    let own_kind = word("type").filter(|kind| !(kind == "error" && std::ptr::eq(inner, document)));
    UpstreamError {
        kind: own_kind.or_else(|| word("__type")).or_else(|| word("status").filter(|s| !is_status(s))),
        code: word("code").filter(|code| !is_status(code)),
        message,
        param: word("param"),
        ..blank(status)
    }
}

/// The first complaint of a server that checks requests by a model of theirs: what, of which kind, about which field.
fn complaint(document: &Value) -> Option<(&str, &str, String)> {
    let lists = ["/detail", "/message/detail", "/error/message/detail"];
    let complaint = lists.iter().find_map(|path| document.pointer(path)?.as_array()?.first())?;
    let place =
        complaint.get("loc")?.as_array()?.iter().filter_map(Value::as_str).filter(|part| *part != "body");
    let field = place.collect::<Vec<_>>().join(".");
    Some((complaint.get("msg")?.as_str()?, complaint.get("type")?.as_str()?, field))
}

/// What a document that is none looks like to a reader.
fn excerpt(body: &[u8], status: u16) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_EXCERPT)]);
    let text = text.trim();
    if text.is_empty() || text.starts_with('<') {
        return format!("the provider answered with status {status} and no error document");
    }
    let plain: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_EXCERPT).collect();
    format!("the provider answered with status {status}: {plain}")
}

fn class(backend: Protocol, error: &UpstreamError) -> Class {
    let by_status = Class::of_status(error.status);
    let Some(rules) = busbar_protocols::rules(backend) else { return by_status };
    // Some words about too many tokens in an answer are like those about a prompt.
    if repair_of(backend, error).is_some() {
        return Class::InvalidRequest;
    }
    if is_overflow(rules, error) {
        return Class::ContextLength;
    }
    let words = [error.kind.as_deref(), error.code.as_deref(), error.reason.as_deref()];
    let said = error.message.to_lowercase();
    let fits = |rule: &&ErrorRule| {
        (rule.status == 0 || rule.status == error.status)
            && (rule.word.is_empty() || words.contains(&Some(rule.word)))
            && said.contains(rule.message)
    };
    rules.errors.iter().find(fits).and_then(|rule| Class::of_name(rule.class)).unwrap_or(by_status)
}

/// Whether the provider says that the prompt does not fit the model.
fn is_overflow(rules: &Rules, error: &UpstreamError) -> bool {
    if !matches!(error.status, 400 | 413 | 422 | 500) && error.status >= 400 {
        return false;
    }
    let said = error.message.to_lowercase();
    rules.overflow.iter().any(|pattern| said.contains(pattern))
}

/// The reason in an error's details, which is narrower than its kind.
fn reason(document: &Value) -> Option<&str> {
    let code = || document.pointer("/error/details/error_code")?.as_str();
    wait::details(document).find_map(|detail| detail.get("reason")?.as_str()).or_else(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Blame;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn parse(backend: Protocol, status: u16, body: &str) -> UpstreamError {
        upstream_error(backend, status, &HeaderMap::new(), body.as_bytes(), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn each_form_is_read() {
        let error = parse(
            Protocol::OpenaiChat,
            400,
            r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        );
        assert_eq!(error.class, Class::ContextLength);
        assert_eq!((error.param.as_deref(), error.message.as_str()), (Some("messages"), "too long"));
        let error = parse(
            Protocol::Anthropic,
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#,
        );
        assert_eq!((error.class, error.kind.as_deref()), (Class::Overloaded, Some("overloaded_error")));
        let error = parse(
            Protocol::Gemini,
            429,
            r#"[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"1.5s"}]}}]"#,
        );
        assert_eq!((error.class, error.kind.as_deref()), (Class::RateLimited, Some("RESOURCE_EXHAUSTED")));
        assert_eq!((error.code, error.retry_after), (None, Some(Duration::from_millis(1500))));
        let headers = headers(&[("x-amzn-errortype", "ThrottlingException:http://x/")]);
        let error = upstream_error(
            Protocol::Bedrock,
            400,
            &headers,
            br#"{"message":"slow down"}"#,
            SystemTime::UNIX_EPOCH,
        );
        assert_eq!((error.class, error.kind.as_deref()), (Class::RateLimited, Some("ThrottlingException")));
        let error = parse(Protocol::Cohere, 422, r#"{"id":"x","message":"bad"}"#);
        assert_eq!((error.class, error.message.as_str()), (Class::InvalidRequest, "bad"));
        let error =
            parse(Protocol::OpenaiResponses, 401, r#"{"error":{"message":"no","code":"invalid_api_key"}}"#);
        assert_eq!(error.class, Class::Authentication);
        let error = parse(Protocol::OpenaiChat, 500, r#"{"error":"boom"}"#);
        assert_eq!((error.class, error.message.as_str()), (Class::ServerError, "boom"));
    }

    #[test]
    fn an_overflow_is_known_by_its_words() {
        for (backend, status, message) in [
            (Protocol::Anthropic, 400, "prompt is too long: 210000 tokens > 200000 maximum"),
            (Protocol::Anthropic, 413, "Prompt is too long"),
            (Protocol::Bedrock, 400, "Input is too long for requested model."),
            (
                Protocol::Bedrock,
                400,
                "The model returned the following errors: prompt is too long: 1 tokens > 0 maximum",
            ),
            (
                Protocol::Gemini,
                400,
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            ),
            (Protocol::OpenaiChat, 400, "This model's maximum context length is 8192 tokens."),
            (Protocol::OpenaiChat, 400, "the request exceeds the available context size"),
        ] {
            let body = serde_json::json!({ "error": { "message": message } }).to_string();
            assert_eq!(parse(backend, status, &body).class, Class::ContextLength, "{message}");
        }
        let body = r#"{"error":{"message":"prompt is too long to wait for"}}"#;
        assert_eq!(parse(Protocol::Anthropic, 429, body).class, Class::RateLimited);
    }

    #[test]
    fn a_wrong_key_at_google_is_no_fault_of_the_request() {
        let refused = |reason: &str| {
            let body = serde_json::json!({"error": {
                "code": 400, "message": "refused", "status": "INVALID_ARGUMENT",
                "details": [{"fieldViolations": []}, {"reason": reason, "domain": "googleapis.com"}],
            }});
            let bare = parse(Protocol::Gemini, 400, &body.to_string());
            assert_eq!(parse(Protocol::Gemini, 400, &serde_json::json!([body]).to_string()), bare);
            (bare.class, bare.code.clone(), bare.into_fault())
        };
        let (class, code, fault) = refused("API_KEY_INVALID");
        assert_eq!((class, code), (Class::Authentication, None), "the word of another protocol is no code");
        assert_eq!((fault.status, fault.blame, fault.retry_safe), (401, Blame::Gateway, true));
        assert_eq!(
            fault.message,
            "the provider refuses the gateway's own credential, not the caller's: refused"
        );
        assert_eq!(fault.code, None);
        let (class, _, fault) = refused("SOMETHING_ELSE");
        assert_eq!((class, fault.status, fault.blame), (Class::InvalidRequest, 400, Blame::Client));
    }

    #[test]
    fn what_is_left_of_a_key_and_the_name_of_an_account_are_not_told() {
        let key = r#"{"error":{"message":"Incorrect API key provided: sk-abcde****wxyz. You can find it."}}"#;
        let told = parse(Protocol::OpenaiChat, 401, key).into_fault().message;
        assert!(
            told.ends_with("not the caller's: Incorrect API key provided: **** You can find it."),
            "{told}"
        );
        let user = r#"{"Message":"User: arn:aws:iam::111122223333:user/u is not authorized"}"#;
        let told = parse(Protocol::Bedrock, 403, user).into_fault().message;
        assert!(told.ends_with("User: **** is not authorized"), "{told}");
        let caller = r#"{"error":{"message":"use **bold**"}}"#;
        assert_eq!(parse(Protocol::OpenaiChat, 400, caller).into_fault().message, "use **bold**");
    }

    #[test]
    fn every_rule_names_a_class_and_is_reached() {
        for protocol in Protocol::ALL {
            let rules = busbar_protocols::rules(protocol).unwrap();
            for (at, rule) in rules.errors.iter().enumerate() {
                assert!(Class::of_name(rule.class).is_some(), "{protocol}: {rule:?}");
                let hides = |earlier: &&ErrorRule| {
                    (earlier.status == 0 || earlier.status == rule.status)
                        && (earlier.word.is_empty() || earlier.word == rule.word)
                        && rule.message.contains(earlier.message)
                };
                let hidden = rules.errors[..at].iter().find(hides);
                assert_eq!(hidden, None, "{protocol}: {rule:?} is never reached");
            }
        }
    }

    #[test]
    fn garbage_becomes_a_bounded_excerpt() {
        let error = parse(Protocol::OpenaiChat, 502, "<html>secret</html>");
        assert_eq!(error.message, "the provider answered with status 502 and no error document");
        assert_eq!(error.class, Class::ServerError);
        let error = parse(Protocol::OpenaiChat, 503, &"x\n".repeat(10_000));
        assert!(error.message.len() < 400 && !error.message.contains('\n'));
        let error =
            upstream_error(Protocol::Cohere, 500, &HeaderMap::new(), b"\xff\xfe", SystemTime::UNIX_EPOCH);
        assert_eq!(error.class, Class::ServerError);
        assert_eq!(parse(Protocol::Gemini, 500, "[]").class, Class::ServerError);
    }

    #[test]
    fn a_wait_that_is_asked_for_comes_before_one_that_is_counted() {
        let wait = |status, pairs: &[(&'static str, &str)], body: &str| {
            let now = SystemTime::UNIX_EPOCH;
            upstream_error(Protocol::OpenaiChat, status, &headers(pairs), body.as_bytes(), now).retry_after
        };
        let used_up = [("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "9s")];
        let words = r#"{"error":{"message":"Please try again in 3s."}}"#;
        assert_eq!(wait(429, &used_up, words), Some(Duration::from_secs(9)));
        assert_eq!(wait(429, &[], words), Some(Duration::from_secs(3)));
        let both = [used_up[0], used_up[1], ("retry-after", "2")];
        assert_eq!(wait(429, &both, words), Some(Duration::from_secs(2)));
        assert_eq!(wait(400, &used_up, words), None, "a bad request is bad later too");
        assert_eq!(wait(500, &[("retry-after", "4")], "{}"), Some(Duration::from_secs(4)));
    }
}
