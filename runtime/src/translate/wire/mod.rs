//! The two ends of a translation: bytes and wire types, and what only a protocol's own words can say.

mod anthropic;
mod bedrock;
pub(crate) mod cohere;
mod gemini;
mod openai_chat;
pub(crate) mod openai_responses;

pub(crate) use gemini::{count_found, wire_category};
pub(crate) use openai_chat::DETAILS_FORMAT;

use busbar_protocols::prelude::{At, Checked, ReadCx};
use busbar_protocols::{Ledger, WireError, ir};

use super::{Malformed, Refusal, Shape};
use crate::Protocol;

/// A request that has been read.
pub(super) struct Request<'b> {
    pub(super) ir: ir::Request<'b>,
    pub(super) cx: ReadCx,
    /// Calls are told in an older form, which the answer must have, too.
    pub(super) legacy_calls: bool,
    /// The name of the function that stands for the caller's search for tools, and where it is declared.
    pub(super) finder: Option<(String, At)>,
}

/// An answer that has been read.
pub(super) struct Response<'b> {
    pub(super) ir: ir::Response<'b>,
    pub(super) cx: ReadCx,
}

impl Response<'_> {
    /// Whether something in the content is in a form that the schema does not know.
    pub(super) fn is_odd(&self) -> bool {
        let candidates = self.ir.candidates.iter().flatten();
        let mut blocks = candidates.flat_map(|candidate| candidate.content.iter().flatten());
        blocks.any(|block| matches!(block, ir::Block::Native(_)))
    }
}

pub(super) fn read_request(
    client: Protocol,
    backend: Protocol,
    body: Checked<'_>,
) -> Result<Request<'_>, Refusal> {
    let read = match client {
        Protocol::OpenaiChat => openai_chat::read_request(body, client == backend),
        Protocol::Anthropic => anthropic::read_request(body, client == backend),
        Protocol::Bedrock => bedrock::read_request(body, client == backend),
        Protocol::OpenaiResponses => openai_responses::read_request(body, client == backend),
        Protocol::Cohere => cohere::read_request(body, client == backend),
        Protocol::Gemini => gemini::read_request(body, client == backend),
    };
    read.map_err(|error| Refusal::of(error.path().to_owned(), error.message().to_owned()))
}

pub(super) fn write_request(
    request: &mut ir::Request<'_>,
    shape: &mut Shape<'_>,
) -> Result<(Vec<u8>, Ledger), Refusal> {
    let body = match shape.target {
        Protocol::OpenaiChat => openai_chat::write_request(request, shape),
        Protocol::Anthropic => anthropic::write_request(request, shape),
        Protocol::Bedrock => bedrock::write_request(request, shape),
        Protocol::OpenaiResponses => openai_responses::write_request(request, shape),
        Protocol::Cohere => cohere::write_request(request, shape),
        Protocol::Gemini => gemini::write_request(request, shape),
    };
    Ok((body, std::mem::take(&mut shape.report.cx.ledger)))
}

/// The body in a form that its protocol allows, when it is in one that some servers answer with.
pub(super) fn mend_response(backend: Protocol, body: &[u8]) -> Option<Vec<u8>> {
    match backend {
        Protocol::OpenaiChat => openai_chat::mend_response(body),
        _ => None,
    }
}

pub(super) fn read_response(
    backend: Protocol,
    client: Protocol,
    body: &[u8],
) -> Result<Response<'_>, Malformed> {
    match backend {
        Protocol::OpenaiChat => openai_chat::read_response(body),
        Protocol::Anthropic => anthropic::read_response(body),
        Protocol::Bedrock => bedrock::read_response(body),
        Protocol::OpenaiResponses => openai_responses::read_response(body, client),
        Protocol::Cohere => cohere::read_response(body, client == backend),
        Protocol::Gemini => gemini::read_response(body),
    }
}

/// What is wrong with a body that does not parse.
fn malformed(error: &WireError) -> Malformed {
    Malformed { message: error.to_string() }
}

/// A body that parses and has none of an answer's content, such as an error with status 200.
fn no_answer(member: &str) -> Malformed {
    Malformed { message: format!("the body has no `{member}` and is no answer") }
}

pub(super) fn write_response(
    response: &mut ir::Response<'_>,
    shape: &mut Shape<'_>,
) -> Result<(Vec<u8>, Ledger), Malformed> {
    let body = match shape.target {
        Protocol::OpenaiChat => openai_chat::write_response(response, shape),
        Protocol::Anthropic => anthropic::write_response(response, shape),
        Protocol::Bedrock => bedrock::write_response(response, shape),
        Protocol::OpenaiResponses => openai_responses::write_response(response, shape),
        Protocol::Cohere => cohere::write_response(response, shape),
        Protocol::Gemini => gemini::write_response(response, shape),
    };
    Ok((body, std::mem::take(&mut shape.report.cx.ledger)))
}
