//! From a path to a protocol, and the credential each one wants.

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::Wire;
use super::refusal::Refusal;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Answer, streamed if the body asks for it.
    Answer,
    /// Answer as a stream of server-sent events or binary frames, since the path asks for it.
    Stream,
    /// Answer as a streamed JSON array, since the path asks for it.
    Array,
    /// Count the tokens of the prompt.
    Count,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) wire: Wire,
    pub(super) task: Task,
    /// The model, where the path names it.
    pub(super) model: Option<String>,
}

/// Finds the route of a path.
pub(super) fn route(path: &str, query: &str) -> Option<Route> {
    let plain = |wire, task| Some(Route { wire, task, model: None });
    match path {
        "/v1/chat/completions" | "/chat/completions" => return plain(Wire::OpenaiChat, Task::Answer),
        "/v1/responses" | "/responses" => return plain(Wire::OpenaiResponses, Task::Answer),
        "/v1/responses/input_tokens" | "/responses/input_tokens" => {
            return plain(Wire::OpenaiResponses, Task::Count);
        }
        "/v1/messages" => return plain(Wire::Anthropic, Task::Answer),
        "/v1/messages/count_tokens" => return plain(Wire::Anthropic, Task::Count),
        "/v2/chat" => return plain(Wire::Cohere, Task::Answer),
        _ => {}
    }
    let named = |wire, task, model: &str| {
        let model = percent_decode_str(model).decode_utf8().ok()?.into_owned();
        (!model.is_empty()).then_some(Route { wire, task, model: Some(model) })
    };
    if let Some(rest) = path.strip_prefix("/model/") {
        let (model, verb) = rest.rsplit_once('/')?;
        return match verb {
            "converse" => named(Wire::Bedrock, Task::Answer, model),
            "converse-stream" => named(Wire::Bedrock, Task::Stream, model),
            "count-tokens" => named(Wire::Bedrock, Task::Count, model),
            _ => None,
        };
    }
    let rest = path.strip_prefix("/v1beta/models/").or_else(|| path.strip_prefix("/v1/models/"))?;
    let (model, verb) = rest.rsplit_once(':')?;
    let sse = query.split('&').any(|pair| pair == "alt=sse");
    match verb {
        "generateContent" => named(Wire::Gemini, Task::Answer, model),
        "streamGenerateContent" if sse => named(Wire::Gemini, Task::Stream, model),
        "streamGenerateContent" => named(Wire::Gemini, Task::Array, model),
        "countTokens" => named(Wire::Gemini, Task::Count, model),
        _ => None,
    }
}

/// Refuses a request without a credential, or with one that names itself bad or invalid.
pub(super) fn authorise(wire: Wire, headers: &HeaderMap, query: &str) -> Result<(), Refusal> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer =
        || header("authorization").and_then(|value| value.split_once(' ')).map(|(_, key)| key.trim());
    let key = match wire {
        Wire::OpenaiChat | Wire::OpenaiResponses | Wire::Cohere | Wire::Bedrock => bearer(),
        Wire::Anthropic => header("x-api-key").or_else(bearer),
        Wire::Gemini => header("x-goog-api-key")
            .or_else(bearer)
            .or_else(|| query.split('&').find_map(|pair| pair.strip_prefix("key="))),
    };
    let refused = |said: &str| Err(Refusal::status(wire, 401, said));
    let key = key.filter(|key| !key.is_empty());
    if wire == Wire::Gemini {
        return gemini_key(key);
    }
    match key {
        None => refused(match wire {
            Wire::OpenaiChat | Wire::OpenaiResponses => "You didn't provide an API key.",
            Wire::Anthropic => "x-api-key header is required",
            Wire::Bedrock => "Missing Authentication Token",
            Wire::Cohere | Wire::Gemini => "no api key supplied",
        }),
        Some(key) if key.contains("bad-key") || key.contains("invalid") => refused(match wire {
            Wire::OpenaiChat | Wire::OpenaiResponses => "Incorrect API key provided.",
            Wire::Anthropic => "invalid x-api-key",
            Wire::Bedrock => "The security token included in the request is invalid.",
            Wire::Cohere | Wire::Gemini => "invalid api token",
        }),
        Some(_) => Ok(()),
    }
}

/// Google calls a missing key a lack of permission, and a wrong one a bad argument.
fn gemini_key(key: Option<&str>) -> Result<(), Refusal> {
    match key {
        None => Err(Refusal::status(
            Wire::Gemini,
            403,
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.",
        )),
        Some(key) if key.contains("bad-key") || key.contains("invalid") => {
            let mut refusal = Refusal::invalid("API key not valid. Please pass a valid API key.");
            refusal.details = vec![json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
                "domain": "googleapis.com", "metadata": {"service": "generativelanguage.googleapis.com"},
            })];
            Err(refusal)
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_protocol_task_and_model() {
        let gemini = |task| Some(Route { wire: Wire::Gemini, task, model: Some("m".to_owned()) });
        assert_eq!(route("/v1beta/models/m:streamGenerateContent", "a=b&alt=sse"), gemini(Task::Stream));
        assert_eq!(route("/v1/models/m:streamGenerateContent", ""), gemini(Task::Array));
        assert_eq!(route("/v1/models/m:countTokens", ""), gemini(Task::Count));
        assert_eq!(route("/model/m/count-tokens", "").map(|route| route.task), Some(Task::Count));
        assert_eq!(route("/v1/responses/input_tokens", "").map(|route| route.task), Some(Task::Count));
        assert_eq!(
            route("/model/a%3Ab/converse-stream", ""),
            Some(Route { wire: Wire::Bedrock, task: Task::Stream, model: Some("a:b".to_owned()) })
        );
        for unknown in ["/", "/v1/models/m", "/model/m/invoke", "/v1/models/:countTokens", "/model//converse"]
        {
            assert_eq!(route(unknown, ""), None, "{unknown}");
        }
    }
}
