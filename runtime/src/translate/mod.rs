//! Requests and answers of one protocol made into those of another, with a report of what changed.
//!
//! The way is always the same: bytes, wire types, the intermediate form, shape passes, wire types, bytes.
//! The wire types and the maps are generated; what a target demands of the shape is done by the passes of
//! `passes` and `answer`, which know rules ([`busbar_protocols::Rules`]) and no protocol. What is left to say in a
//! protocol's own words is in `wire`.

mod answer;
pub mod carriage;
mod choices;
mod echo;
pub mod embed;
mod error;
mod facts;
pub(crate) mod given;
mod passes;
mod repair;
mod report;
mod shape;
mod state;
mod text;
pub(crate) mod wait;
mod wire;

pub use carriage::Carriage;
pub use choices::merge_answers;
pub use echo::Echo;
pub use error::{UpstreamError, upstream_error};
pub use facts::{Fetched, ReasoningForm, TargetFacts, Wanted};
pub use given::{Given, Place};
pub use repair::{Repair, Spelling, repair_of};
pub use state::{CallState, Grouped};

pub(crate) use answer::{ONE_CALL, made_id};
pub(crate) use state::{FREE_TEXT, RAW_ARGUMENTS};
pub(crate) use wire::openai_responses::{End, complete_usage, item_word};
pub(crate) use wire::{DETAILS_FORMAT, cohere, count_found, wire_category};

use std::fmt;

use busbar_protocols::prelude::Checked;
use busbar_protocols::{EffectKind, Ledger, Text};

use self::shape::Shape;
use crate::Protocol;

/// A request as the backend wants it.
#[derive(Debug)]
pub struct Outbound {
    /// The body to send.
    pub body: Vec<u8>,
    /// What changed on the way.
    pub ledger: Ledger,
    /// What the way back must know.
    pub state: CallState,
}

/// A request that cannot go to this backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Path of the field at fault, as the caller wrote it; empty for the whole document.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
    /// The document is right, but this backend would lose what it means; another might not.
    pub semantic: bool,
    /// Addresses whose content would make it possible; with that in [`TargetFacts::fetched`] it may be tried again.
    pub wanted: Vec<Wanted>,
}

impl Refusal {
    /// A document that is not right.
    fn of(path: String, message: String) -> Self {
        Self { path, message, semantic: false, wanted: Vec::new() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

impl std::error::Error for Refusal {}

/// An answer of a backend that is not what its protocol says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong and where, without the content.
    pub message: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Malformed {}

/// Makes a client's request into one for the backend.
///
/// # Errors
/// [`Refusal`] when the body is not of the client's protocol, when no map leads from one protocol to the
/// other, or when the backend has no form for something that the request is about and
/// [`TargetFacts::allow_semantic_loss`] does not say otherwise.
pub fn request(
    client: Protocol,
    backend: Protocol,
    body: Checked<'_>,
    facts: &TargetFacts<'_>,
    carriage: &Carriage,
) -> Result<Outbound, Refusal> {
    let mut state = CallState::new(client, backend, facts);
    let mut read = wire::read_request(client, backend, body)?;
    if client != backend
        && let Some(turn) = read.ir.turns.iter().flatten().find(|turn| turn.role.is_none())
    {
        let message = "a message of a role that is not known".to_owned();
        return Err(Refusal::of(read.cx.paths.render(turn.at), message));
    }
    if let Some(model) = facts.asked_model {
        read.ir.model = Some(Text::plain(model.to_owned()));
    }
    if facts.asked_stream {
        read.ir.stream = Some(true);
    }
    state.note_request(&read.ir);
    state.legacy_calls = read.legacy_calls;
    if client == Protocol::OpenaiResponses {
        state.echo = Some(Echo::of(body.as_str()));
    }
    read.ir.model = Some(Text::plain(facts.upstream_model.to_owned()));
    if read.ir.stream == Some(true) && client != backend {
        // The gateway counts every stream; the client sees usage only if it asked.
        read.ir.stream_usage = Some(true);
    }
    let mut shape = Shape::new(client, backend, facts, carriage, &mut state, &read.cx.paths)
        .ok_or_else(|| unsupported(client, backend))?;
    shape.expected = expected(body.as_str().len());
    if let Some((name, at)) = read.finder {
        shape.report.node(EffectKind::Emulated, at, "the search for tools is offered as a function");
        shape.state.finder = Some(name);
    }
    passes::run(&mut read.ir, &mut shape);
    if let Some(first) = shape.wanted.first() {
        let message = "this protocol takes no content from an address".to_owned();
        return Err(Refusal { path: first.path.clone(), message, semantic: true, wanted: shape.wanted });
    }
    let (body, ledger) = wire::write_request(&mut read.ir, &mut shape)?;
    if !facts.allow_semantic_loss
        && let Some(effect) = ledger.semantic_loss()
    {
        return Err(Refusal {
            path: effect.path.clone(),
            message: effect.reason.to_string(),
            semantic: true,
            wanted: Vec::new(),
        });
    }
    Ok(Outbound { body, ledger, state })
}

/// What a translation of so many bytes is about as long as: the text in it stays, the words around change.
fn expected(bytes: usize) -> usize {
    bytes + bytes / 16 + 512
}

/// Makes a backend's buffered answer into one for the client.
///
/// # Errors
/// [`Malformed`] when the body is not of the backend's protocol.
pub fn response(body: &[u8], state: &CallState, carriage: &Carriage) -> Result<(Vec<u8>, Ledger), Malformed> {
    let mended;
    let mut read = match wire::read_response(state.backend, state.client, body) {
        Ok(read) if !read.is_odd() => read,
        read => match wire::mend_response(state.backend, body) {
            Some(body) => {
                mended = body;
                wire::read_response(state.backend, state.client, &mended)?
            }
            None => read?,
        },
    };
    let facts = TargetFacts { now: state.now, scope: &state.scope, ..TargetFacts::default() };
    let mut state = state.clone();
    let (backend, client) = (state.backend, state.client);
    let mut shape = Shape::new(backend, client, &facts, carriage, &mut state, &read.cx.paths)
        .ok_or_else(|| Malformed { message: unsupported(client, backend).message })?;
    shape.expected = expected(body.len());
    answer::run(&mut read.ir, &mut shape);
    wire::write_response(&mut read.ir, &mut shape)
}

/// Whether requests of `client` can be made into ones for `backend`, and the answers back.
pub fn translates(client: Protocol, backend: Protocol) -> bool {
    [client, backend].into_iter().all(|protocol| busbar_protocols::rules(protocol).is_some())
}

fn unsupported(client: Protocol, backend: Protocol) -> Refusal {
    let message = format!("{client} requests cannot be translated for a {backend} backend");
    Refusal { semantic: true, ..Refusal::of(String::new(), message) }
}

#[cfg(test)]
pub(crate) mod tests;
