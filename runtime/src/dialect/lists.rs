//! Where each protocol's clients look for the models that they may name.

use std::borrow::Cow;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::{Call, Operation, plausible};
use crate::Protocol;

/// What Cohere's SDKs call themselves; their list is at OpenAI's path, and nothing else tells them apart.
const COHERE_MARKS: [(&str, &str); 2] = [("x-fern-sdk-name", "cohere"), ("user-agent", "cohere")];

/// The call for a list of models, or for one of them, that a path is.
pub(super) fn by_path<'a>(path: &'a str, headers: &HeaderMap) -> Option<Call<'a>> {
    let call = |protocol, operation, rest: &'a str, version| {
        let model = match rest {
            "" => None,
            // Decoded once, as in other paths; what it names is looked up and goes nowhere.
            rest => {
                let id = percent_decode_str(rest.strip_prefix('/')?).decode_utf8().ok()?;
                Some(Some(id).filter(|id| plausible(id))?)
            }
        };
        Some(Call { protocol, operation, model, version, rest: "" })
    };
    if let Some(rest) = path.strip_prefix("/v1beta/models") {
        return call(Protocol::Gemini, Operation::Models, rest, "v1beta");
    }
    if let Some(rest) = path.strip_prefix("/foundation-models") {
        return call(Protocol::Bedrock, Operation::Models, rest, "");
    }
    if let Some(rest) = path.strip_prefix("/inference-profiles") {
        return call(Protocol::Bedrock, Operation::Profiles, rest, "");
    }
    let rest = path.strip_prefix("/v1/models").or_else(|| path.strip_prefix("/models"))?;
    let protocol = if headers.contains_key("anthropic-version") || headers.contains_key("x-api-key") {
        Protocol::Anthropic
    } else if headers.contains_key("x-goog-api-key") {
        Protocol::Gemini
    } else if COHERE_MARKS.iter().any(|(name, begin)| is_marked(headers, name, begin)) {
        Protocol::Cohere
    } else {
        Protocol::OpenaiChat
    };
    let version = if protocol == Protocol::Gemini { "v1" } else { "" };
    call(protocol, Operation::Models, rest, version)
}

fn is_marked(headers: &HeaderMap, name: &str, begin: &str) -> bool {
    headers.get(name).is_some_and(|value| value.as_bytes().starts_with(begin.as_bytes()))
}

/// Where a provider lists its models.
pub(super) fn path(protocol: Protocol, version: &str) -> Cow<'static, str> {
    match protocol {
        Protocol::OpenaiChat | Protocol::OpenaiResponses => "/models".into(),
        Protocol::Anthropic | Protocol::Cohere => "/v1/models".into(),
        Protocol::Gemini if version.is_empty() => "/v1beta/models".into(),
        Protocol::Gemini => format!("/{version}/models").into(),
        Protocol::Bedrock => "/foundation-models".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Recognised, recognise};
    use super::*;
    use http::Method;

    fn called(method: Method, path: &str, headers: &[(&'static str, &'static str)]) -> String {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        match recognise(&method, path, &headers) {
            Recognised::Call(call) => {
                let model = call.model.as_deref().unwrap_or("*");
                format!("{} {} {model}", call.protocol.name(), call.operation.name())
            }
            Recognised::WrongMethod(protocol, allowed) => format!("{} only {allowed}", protocol.name()),
            Recognised::Unknown(_) => "unknown".to_owned(),
        }
    }

    #[test]
    fn a_list_is_told_by_its_path_and_by_who_asks() {
        let get = |path: &str, headers: &[(&'static str, &'static str)]| called(Method::GET, path, headers);
        assert_eq!(get("/v1/models", &[]), "openai_chat models *");
        assert_eq!(get("/models", &[("authorization", "Bearer k")]), "openai_chat models *");
        assert_eq!(get("/v1/models", &[("anthropic-version", "2023-06-01")]), "anthropic models *");
        assert_eq!(get("/v1/models/a%2Fb", &[("x-api-key", "k")]), "anthropic models a/b");
        assert_eq!(get("/v1/models", &[("user-agent", "cohere/7.3.1")]), "cohere models *");
        assert_eq!(get("/v1/models", &[("x-fern-sdk-name", "cohere-ai")]), "cohere models *");
        assert_eq!(get("/v1/models/m", &[("x-goog-api-key", "k")]), "gemini models m");
        assert_eq!(get("/v1beta/models", &[]), "gemini models *");
        assert_eq!(get("/v1beta/models/a/b", &[]), "gemini models a/b");
        assert_eq!(get("/foundation-models/a.b%3A0", &[]), "bedrock models a.b:0");
        assert_eq!(get("/inference-profiles", &[]), "bedrock models *");
        for none in ["/v1/modelsx", "/v1/models/", "/v1/models/..", "/v1/models/a%0ab", "/v1/models//a"] {
            assert_eq!(get(none, &[]), "unknown", "{none}");
        }
    }

    #[test]
    fn a_model_with_a_colon_is_a_model_to_who_gets_it_and_a_call_to_who_posts() {
        assert_eq!(called(Method::GET, "/v1/models/a:8b", &[]), "openai_chat models a:8b");
        assert_eq!(called(Method::POST, "/v1/models/a:8b", &[]), "unknown");
        assert_eq!(called(Method::POST, "/v1/models/a:countTokens", &[]), "gemini count_tokens a");
        assert_eq!(called(Method::POST, "/v1/models", &[]), "openai_chat only GET");
        assert_eq!(called(Method::DELETE, "/v1beta/models/a", &[]), "gemini only GET");
        assert_eq!(called(Method::PUT, "/v1beta/models/a:countTokens", &[]), "gemini only POST");
    }
}
