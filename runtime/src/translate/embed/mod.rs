//! Embeddings, between the APIs that have them: OpenAI's, Gemini's and Cohere's.
//!
//! A request is read into `Asked`, which knows no API, and written from it; an answer is vectors and a count.
//! What a target has no word for is reported, and what would give other vectors than were asked for is refused.

mod answer;
mod read;
mod write;

use busbar_protocols::{Effect, EffectKind, Ledger};
use serde_json::{Map, Value};

use crate::Protocol;

pub use answer::response;

/// The form of a request that can be translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// OpenAI's.
    Openai,
    /// Gemini's for one content.
    Gemini,
    /// Gemini's for several.
    GeminiBatch,
    /// Cohere's, second version.
    Cohere,
}

impl Form {
    /// The form of a call, by what stands in its path.
    pub fn of(protocol: Protocol, rest: &str) -> Option<Self> {
        match (protocol, rest) {
            (Protocol::OpenaiChat, "/embeddings") => Some(Self::Openai),
            (Protocol::Gemini, "embedContent") => Some(Self::Gemini),
            (Protocol::Gemini, "batchEmbedContents") => Some(Self::GeminiBatch),
            (Protocol::Cohere, "/v2/embed") => Some(Self::Cohere),
            _ => None,
        }
    }

    /// The form in which a provider is asked, and what stands in the path then.
    pub const fn towards(backend: Protocol) -> Option<(Self, &'static str)> {
        match backend {
            Protocol::OpenaiChat | Protocol::OpenaiResponses => Some((Self::Openai, "/embeddings")),
            Protocol::Gemini => Some((Self::GeminiBatch, "batchEmbedContents")),
            Protocol::Cohere => Some((Self::Cohere, "/v2/embed")),
            Protocol::Anthropic | Protocol::Bedrock => None,
        }
    }
}

/// Why a request is not translated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: {reason}")]
pub struct Refused {
    /// The member that is at fault.
    pub path: String,
    /// Why.
    pub reason: &'static str,
    /// Whether another target could keep it.
    pub elsewhere: bool,
}

fn wrong(path: impl Into<String>, reason: &'static str) -> Refused {
    Refused { path: path.into(), reason, elsewhere: false }
}

fn lost(path: impl Into<String>, reason: &'static str) -> Refused {
    Refused { path: path.into(), reason, elsewhere: true }
}

/// A request for a provider.
#[derive(Debug)]
pub struct Outbound {
    /// Its body.
    pub body: Vec<u8>,
    /// What its answer's translation must know.
    pub reply: Reply,
    /// What became of what has no word there.
    pub ledger: Ledger,
}

/// What the translation of an answer must know.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Whose form the caller expects.
    caller: Form,
    /// Whose form the provider answers in.
    backend: Form,
    model: String,
    encodings: Vec<Encoding>,
    texts: Option<Vec<String>>,
    count: usize,
}

/// How the caller wants a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Floats,
    /// Little-endian floats of four bytes.
    Base64,
}

/// What is asked for, in no API's words.
#[derive(Debug, Default)]
struct Asked {
    inputs: Vec<Input>,
    purpose: Option<Purpose>,
    dimensions: Option<Value>,
    encodings: Vec<Encoding>,
    /// Whether what is too long is cut, and where that is said.
    truncate: Option<(Truncate, &'static str)>,
    /// Members that have no word elsewhere, by path.
    others: Vec<String>,
}

/// One thing to embed, and where it stands.
#[derive(Debug)]
struct Input {
    path: String,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    /// Media type and base64.
    Media(String, String),
}

/// What the vectors are for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Purpose {
    /// In Gemini's words, of which there are most.
    word: String,
    path: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truncate {
    Never,
    Start,
    End,
}

/// Makes a request into one of another form.
///
/// # Errors
/// [`Refused`] when it is not understood, or the target would answer another question.
pub fn request(caller: Form, backend: Form, body: &[u8], model: &str) -> Result<Outbound, Refused> {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return Err(wrong("", "the body must be a JSON object"));
    };
    let asked = read::asked(caller, body)?;
    let mut ledger = Ledger::default();
    for path in &asked.others {
        ledger.note(EffectKind::Dropped, path.clone(), "the provider's API has no such member");
    }
    let texts = (caller == Form::Cohere).then(|| asked.inputs.iter().map(text_of).collect::<Option<_>>());
    let reply = Reply {
        caller,
        backend,
        model: model.to_owned(),
        encodings: if asked.encodings.is_empty() { vec![Encoding::Floats] } else { asked.encodings.clone() },
        texts: texts.flatten(),
        count: asked.inputs.len(),
    };
    let body = write::body(backend, asked, model, &mut ledger)?;
    let body = serde_json::to_vec(&body).map_err(|_| wrong("", "the request cannot be written"))?;
    Ok(Outbound { body, reply, ledger })
}

fn text_of(input: &Input) -> Option<String> {
    match &input.parts[..] {
        [Part::Text(text)] => Some(text.clone()),
        _ => None,
    }
}

fn dropped(ledger: &mut Ledger, path: &str, reason: &'static str) {
    let (path, reason) = (path.to_owned(), reason.into());
    ledger.push(Effect { path, kind: EffectKind::Dropped, reason, semantic: false });
}

/// Takes a member under either of the names that it may have; null is none.
fn take(body: &mut Map<String, Value>, names: &[&str]) -> Option<Value> {
    names.iter().find_map(|name| body.shift_remove(*name)).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests;
