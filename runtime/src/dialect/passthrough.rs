//! What else each API offers: calls that are handed to a provider of the same API as they are.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method};
use percent_encoding::{percent_decode_str, utf8_percent_encode};

use super::{Call, GEMINI_MODEL, Operation, SEGMENT, plausible};
use crate::Protocol;

/// A call that is handed on as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// What logs and metrics call it.
    pub name: &'static str,
    /// Where its model is named.
    pub model: Place,
}

/// Where a call names its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the path.
    Path,
    /// At the top of a JSON body, or not at all where the provider has a model of its own for it.
    Body,
}

/// The calls of OpenAI's API, below its version.
const OPENAI: [(&str, &str); 6] = [
    ("/embeddings", "embeddings"),
    ("/moderations", "moderations"),
    ("/completions", "completions"),
    ("/images/generations", "images"),
    ("/audio/speech", "speech"),
    ("/rerank", "rerank"),
];

/// The calls of Cohere's API, which names its version in every path.
const COHERE: [(&str, &str); 9] = [
    ("/v1/chat", "chat_v1"),
    ("/v1/classify", "classify"),
    ("/v1/detokenize", "detokenize"),
    ("/v1/embed", "embeddings"),
    ("/v1/rerank", "rerank"),
    ("/v1/summarize", "summarize"),
    ("/v1/tokenize", "tokenize"),
    ("/v2/embed", "embeddings"),
    ("/v2/rerank", "rerank"),
];

/// The verbs of a Gemini model that are handed on.
const GEMINI: [(&str, &str); 8] = [
    ("asyncBatchEmbedContent", "batch"),
    ("batchEmbedContents", "embeddings"),
    ("batchGenerateContent", "batch"),
    ("embedContent", "embeddings"),
    ("embedText", "embeddings"),
    ("generateAnswer", "answer"),
    ("predict", "predict"),
    ("predictLongRunning", "predict"),
];

/// The verbs of a Bedrock model that are handed on.
const BEDROCK: [(&str, &str); 2] = [("invoke", "invoke"), ("invoke-with-response-stream", "invoke_stream")];

/// The call that a path is.
pub(super) fn by_path<'a>(path: &'a str, headers: &HeaderMap) -> Option<Call<'a>> {
    let call = |protocol, name, place, model, version, rest| {
        let operation = Operation::Passed(Way { name, model: place });
        Some(Call { protocol, operation, model, version, rest })
    };
    let of = |table: &[(&'static str, &'static str)], said: &str| {
        table.iter().find(|(path, _)| *path == said).map(|(_, name)| *name)
    };
    if let Some(rest) = path.strip_prefix("/model/") {
        let (id, verb) = rest.split_once('/')?;
        let name = of(&BEDROCK, verb)?;
        let model = percent_decode_str(id).decode_utf8().ok().filter(|model| plausible(model))?;
        return call(Protocol::Bedrock, name, Place::Path, Some(model), "", verb);
    }
    for version in ["v1beta", "v1"] {
        let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(version));
        let Some((model, verb)) =
            rest.and_then(|rest| rest.strip_prefix("/models/")).and_then(|rest| rest.rsplit_once(':'))
        else {
            continue;
        };
        let name = of(&GEMINI, verb)?;
        if !plausible(model) || model.contains('%') {
            return None;
        }
        return call(Protocol::Gemini, name, Place::Path, Some(model.into()), version, verb);
    }
    if let Some(name) = of(&COHERE, path).filter(|_| !speaks_openai(path, headers)) {
        return call(Protocol::Cohere, name, Place::Body, None, "", path);
    }
    let below = path.strip_prefix("/v1").unwrap_or(path);
    let name = of(&OPENAI, below)?;
    call(Protocol::OpenaiChat, name, Place::Body, None, "", below)
}

/// Whether a path that two APIs have is meant as OpenAI's, as servers that add a `rerank` to it do.
fn speaks_openai(path: &str, headers: &HeaderMap) -> bool {
    const FIELD: &str = "user-agent";
    path == "/v1/rerank"
        && headers
            .get(FIELD)
            .is_some_and(|agent| agent.as_bytes().to_ascii_lowercase().starts_with(b"openai"))
}

/// Whether a method is one that such a call is made by.
pub(super) fn allows(way: Way, method: &Method) -> bool {
    match way.model {
        Place::Path | Place::Body => *method == Method::POST,
    }
}

/// Whether a provider that speaks `backend` has the API that a caller of `protocol` calls.
///
/// OpenAI's two protocols are two calls of one API.
pub fn same_api(protocol: Protocol, backend: Protocol) -> bool {
    let of = |protocol| match protocol {
        Protocol::OpenaiResponses => Protocol::OpenaiChat,
        other => other,
    };
    of(protocol) == of(backend)
}

/// The path of a call at a provider, below its base URL, with the model that it goes to.
pub fn upstream_path<'a>(call: &Call<'a>, model: &str) -> Cow<'a, str> {
    match (call.protocol, way(call).map(|way| way.model)) {
        (Protocol::Gemini, Some(Place::Path)) => {
            format!("/{}/models/{}:{}", call.version, utf8_percent_encode(model, GEMINI_MODEL), call.rest)
                .into()
        }
        (_, Some(Place::Path)) => {
            format!("/model/{}/{}", utf8_percent_encode(model, SEGMENT), call.rest).into()
        }
        _ => call.rest.into(),
    }
}

/// How a call is handed on, if it is.
pub const fn way(call: &Call<'_>) -> Option<Way> {
    match call.operation {
        Operation::Passed(way) => Some(way),
        _ => None,
    }
}

/// A Gemini body with another model's name where the path's model is named once more; none where it is not.
///
/// The provider refuses a request in which the two differ.
pub fn renamed(body: &[u8], asked: &str, model: &str) -> Option<Bytes> {
    const KEY: &[u8] = b"\"model\"";
    let mut made: Option<Vec<u8>> = None;
    let mut copied = 0;
    for at in memchr::memmem::find_iter(body, KEY) {
        // A quote in a text is escaped, so that this is a member's name, unless it ends a longer one.
        if at > 0 && body[at - 1] == b'\\' {
            continue;
        }
        let after = &body[at + KEY.len()..];
        let Some(value) = after.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start) else {
            continue;
        };
        let from = body.len() - value.len();
        let name = value.strip_prefix(b"\"").unwrap_or_default();
        let prefix: &[u8] = if name.starts_with(b"models/") { b"models/" } else { b"" };
        let Some(rest) = name[prefix.len()..].strip_prefix(asked.as_bytes()) else { continue };
        if rest.first() != Some(&b'"') {
            continue;
        }
        let Ok(quoted) = serde_json::to_vec(model) else { continue };
        let made = made.get_or_insert_with(|| Vec::with_capacity(body.len() + model.len()));
        made.extend_from_slice(&body[copied..from + 1]);
        made.extend_from_slice(prefix);
        made.extend_from_slice(&quoted[1..]);
        copied = body.len() - rest.len() + 1;
    }
    let mut made = made?;
    made.extend_from_slice(&body[copied..]);
    Some(made.into())
}

#[cfg(test)]
mod tests {
    use super::super::{Recognised, recognise};
    use super::*;

    fn passed(path: &str) -> Option<(Protocol, &'static str, Option<String>, String)> {
        match recognise(&Method::POST, path, &HeaderMap::new()) {
            Recognised::Call(call) => {
                let way = way(&call)?;
                let at = upstream_path(&call, "up:1/x").into_owned();
                Some((call.protocol, way.name, call.model.map(Cow::into_owned), at))
            }
            _ => None,
        }
    }

    #[test]
    fn each_call_keeps_its_path_but_for_the_model() {
        let model = |name: &str| Some(name.to_owned());
        for (path, protocol, name, asked, at) in [
            ("/v1/embeddings", Protocol::OpenaiChat, "embeddings", None, "/embeddings"),
            ("/embeddings", Protocol::OpenaiChat, "embeddings", None, "/embeddings"),
            ("/v1/completions", Protocol::OpenaiChat, "completions", None, "/completions"),
            ("/v1/audio/speech", Protocol::OpenaiChat, "speech", None, "/audio/speech"),
            ("/v2/rerank", Protocol::Cohere, "rerank", None, "/v2/rerank"),
            ("/v1/rerank", Protocol::Cohere, "rerank", None, "/v1/rerank"),
            (
                "/v1beta/models/a:batchEmbedContents",
                Protocol::Gemini,
                "embeddings",
                model("a"),
                "/v1beta/models/up%3A1/x:batchEmbedContents",
            ),
            ("/model/a%3A0/invoke", Protocol::Bedrock, "invoke", model("a:0"), "/model/up%3A1%2Fx/invoke"),
        ] {
            assert_eq!(passed(path), Some((protocol, name, asked, at.to_owned())), "{path}");
        }
    }

    #[test]
    fn nothing_is_normalised_and_other_methods_are_told() {
        for path in [
            "/v1/embeddings/",
            "//v1/embeddings",
            "/model/..%2f..%2fadmin/invoke",
            "/model/a/b/invoke",
            "/v1beta/models/../x:embedContent",
            "/v1beta/models/a%2fb:embedContent",
            "/v1beta/models/a:destroy",
        ] {
            assert_eq!(passed(path), None, "{path}");
        }
        let got = recognise(&Method::GET, "/v2/embed", &HeaderMap::new());
        assert_eq!(got, Recognised::WrongMethod(Protocol::Cohere, "POST"));
    }

    #[test]
    fn a_model_that_stands_in_the_body_too_is_renamed() {
        let body = br#"{"requests":[{"model": "models/mine","content":{"parts":[{"text":"\"model\": \"models/mine\""}]}},
            {"model":"mine"},{"model":"models/mine-2"}]}"#;
        let made = renamed(body, "mine", "up\"x").unwrap();
        let made = String::from_utf8(made.to_vec()).unwrap();
        assert!(made.contains(r#"{"model": "models/up\"x","content""#), "{made}");
        assert!(made.contains(r#""text":"\"model\": \"models/mine\"""#), "{made}");
        assert!(made.contains(r#"{"model":"up\"x"},{"model":"models/mine-2"}]}"#), "{made}");
        assert_eq!(renamed(br#"{"content":{"parts":[{"text":"model"}]}}"#, "mine", "m"), None);
    }

    #[test]
    fn openai_is_one_api_of_two_protocols() {
        assert!(same_api(Protocol::OpenaiChat, Protocol::OpenaiResponses));
        assert!(!same_api(Protocol::OpenaiChat, Protocol::Cohere));
    }
}
