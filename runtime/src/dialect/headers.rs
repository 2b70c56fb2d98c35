//! Which headers pass the gateway, both ways: by allow-list, never a key, never what belongs to one hop.

use http::{HeaderMap, HeaderName};

/// Headers of a request that go up under their own name.
const UP: [&str; 21] = [
    "accept",
    "conversation_id",
    "idempotency-key",
    "originator",
    "session-id",
    "session_id",
    "thread-id",
    "traceparent",
    "tracestate",
    "user-agent",
    "version",
    "x-app",
    "x-client-name",
    "x-client-request-id",
    "x-claude-code-session-id",
    "x-openai-subagent",
    "x-request-id",
    "x-session-affinity",
    "x-session-id",
    "x-title",
    "http-referer",
];

/// Beginnings of the names of headers that go up.
const UP_PREFIXES: [&str; 6] =
    ["anthropic-", "openai-", "x-goog-", "x-stainless-", "x-amzn-bedrock-", "x-codex-"];

/// What begins so and is a key all the same.
const UP_NEVER: [&str; 2] = ["x-goog-api-key", "x-goog-iam-authorization-token"];

/// Headers of an answer that come back under their own name.
const BACK: [&str; 13] = [
    "content-type",
    "openai-model",
    "openai-organization",
    "openai-processing-ms",
    "openai-version",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "server-timing",
    "x-amzn-errortype",
    "x-amzn-requestid",
    "x-request-id",
    "x-should-retry",
];

/// Beginnings of the names of headers that come back.
const BACK_PREFIXES: [&str; 7] = [
    "anthropic-",
    "ratelimit-",
    "x-amzn-bedrock-",
    "x-endpoint-",
    "x-goog-",
    "x-ratelimit-",
    "x-trial-endpoint-",
];

/// Whether a request's header goes up on the forward lane.
pub fn goes_up(name: &HeaderName) -> bool {
    let name = name.as_str();
    UP.contains(&name)
        || (UP_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !UP_NEVER.contains(&name))
}

/// Whether a request's header goes up whatever the provider speaks.
pub fn goes_up_anywhere(name: &HeaderName) -> bool {
    const ANYWHERE: [&str; 4] = ["traceparent", "tracestate", "user-agent", "x-request-id"];
    ANYWHERE.contains(&name.as_str())
}

/// Whether an answer's header comes back; `name` is in lower case.
pub fn comes_back(name: &str) -> bool {
    BACK.contains(&name) || BACK_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The id a caller gave its request, if it is one that can stand in a log.
pub fn caller_request_id(headers: &HeaderMap) -> Option<&str> {
    const MAX: usize = 128;
    let id = headers.get("x-request-id")?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    (!id.is_empty() && id.len() <= MAX && id.bytes().all(plain)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendor_headers_go_up_and_keys_do_not() {
        for name in
            ["anthropic-beta", "openai-organization", "x-goog-api-client", "idempotency-key", "traceparent"]
        {
            assert!(goes_up(&HeaderName::from_static(name)), "{name}");
        }
        for name in [
            "authorization",
            "x-api-key",
            "x-goog-api-key",
            "api-key",
            "cookie",
            "host",
            "x-amz-date",
            "x-amz-security-token",
            "x-forwarded-for",
            "connection",
            "accept-encoding",
            "content-length",
        ] {
            assert!(!goes_up(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn ids_and_limits_come_back_and_cookies_do_not() {
        for name in [
            "retry-after",
            "x-ratelimit-remaining-tokens",
            "anthropic-ratelimit-requests-limit",
            "request-id",
        ] {
            assert!(comes_back(name), "{name}");
        }
        for name in [
            "set-cookie",
            "access-control-allow-origin",
            "transfer-encoding",
            "connection",
            "server",
            "alt-svc",
        ] {
            assert!(!comes_back(name), "{name}");
        }
    }

    #[test]
    fn an_id_that_could_break_a_log_line_is_not_taken() {
        let id = |value: &str| {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static("x-request-id"), value.parse().unwrap())]);
            caller_request_id(&headers).map(str::to_owned)
        };
        assert_eq!(id("req_1-a.b:c").as_deref(), Some("req_1-a.b:c"));
        assert_eq!(id("a b"), None);
        assert_eq!(id("\"x"), None);
        assert_eq!(id(&"x".repeat(129)), None);
    }
}
