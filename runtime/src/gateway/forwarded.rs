//! The begin of an answer that is handed on as it is: read until it is sure to be one.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use super::balance::Balance;
use super::context::is_of_type;
use super::passthrough;
use crate::Protocol;
use crate::config::Limits;
use crate::dialect::{self, Call, Operation};
use crate::fault::{Class, Fault};
use crate::stream::{self, Opening};
use crate::upstream;

/// Most bytes of a whole answer that are held until all of it is there; a larger one is handed on as it comes.
const MAX_WHOLE: usize = 8 << 20;
/// Most bytes of the begin of a stream that are held until it says something.
const MAX_OPENING: usize = 1 << 20;
/// Longest whole answer that is looked into for an error in an answer's place; errors are short.
const MAX_ERROR: usize = 64 << 10;

/// Bytes that were read before the answer was sure, in order.
pub(super) type Pieces = VecDeque<Bytes>;

/// What was read before an answer is committed.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) pieces: Pieces,
    /// Whether it is a stream that says so itself when it is complete.
    pub(super) ends_itself: bool,
}

impl Held {
    /// What was read of something else than an answer.
    pub(super) fn of(words: Option<Bytes>) -> Self {
        Self { pieces: words.into_iter().collect(), ends_itself: false }
    }
}

/// Reads an answer until it is sure that it is one: of a stream its first content, otherwise all of it.
///
/// # Errors
/// When it is none: it breaks off, tells of an error under a status that says the contrary, or is something else.
pub(super) async fn begin(
    answer: &mut upstream::Answer,
    call: &Call<'_>,
    streamed: bool,
    limits: &Limits,
) -> Result<Held, Fault> {
    if is_of_type(answer, "text/html") {
        return Err(Fault::upstream(Class::Malformed, "the provider sent a web page in place of an answer"));
    }
    if passthrough::is_passed(call) {
        return passthrough::begin(answer, streamed).await;
    }
    if !streamed {
        if is_of_type(answer, dialect::stream_type(call.protocol)) {
            let message = "the provider sent a stream where a whole answer was asked for";
            return Err(Fault::upstream(Class::Malformed, message));
        }
        let pieces = whole_answer(answer, call).await?;
        return Ok(Held { pieces, ends_itself: false });
    }
    let mut pieces = Pieces::with_capacity(2);
    let Some(first) = next(answer).await? else {
        return Err(Fault::upstream(Class::Cut, "the provider's stream is empty"));
    };
    let is_json = matches!(first.trim_ascii_start().first(), Some(b'{' | b'['));
    if is_json {
        return array(answer, call, first).await;
    }
    let bounds = stream::Limits {
        line: limits.stream_line,
        event: limits.stream_event,
        body: limits.response,
        ..stream::Limits::default()
    };
    let mut opening = Opening::new(call.protocol, bounds);
    let mut held = 0;
    let mut piece = first;
    loop {
        held += piece.len();
        let said = opening.push(&piece).map_err(|fault| fault.fault())?;
        pieces.push_back(piece);
        if said || held > MAX_OPENING {
            break;
        }
        match next(answer).await? {
            Some(more) => piece = more,
            None => {
                opening.finish().map_err(|fault| fault.fault())?;
                break;
            }
        }
    }
    answer.body.settle_down();
    Ok(Held { pieces, ends_itself: true })
}

/// A stream that comes as one JSON document, which is Gemini's way unless it is asked for events.
async fn array(answer: &mut upstream::Answer, call: &Call<'_>, first: Bytes) -> Result<Held, Fault> {
    let begin = first.trim_ascii_start();
    if call.protocol == Protocol::Gemini && begin.starts_with(b"[") {
        let inner = begin[1..].trim_ascii_start();
        let is_error =
            inner.strip_prefix(b"{").is_some_and(|inner| inner.trim_ascii_start().starts_with(b"\"error\""));
        if !is_error {
            answer.body.settle_down();
            return Ok(Held { pieces: Pieces::from([first]), ends_itself: false });
        }
    }
    let mut all = BytesMut::from(&first[..]);
    while all.len() <= MAX_ERROR
        && let Some(piece) = next(answer).await?
    {
        all.extend_from_slice(&piece);
    }
    let all = all.trim_ascii();
    let all = all.strip_prefix(b"[").and_then(|all| all.strip_suffix(b"]")).unwrap_or(all);
    Err(stream::error_within(call.protocol, all).unwrap_or_else(|| {
        let message = "the provider sent a whole answer where a stream was asked for";
        Fault::upstream(Class::Malformed, message)
    }))
}

/// A document up to its end, and its length; of a very long one the beginning.
pub(super) async fn whole(answer: &mut upstream::Answer) -> Result<(Pieces, usize), Fault> {
    let mut pieces = Pieces::new();
    let mut held = 0;
    let mut balance = Balance::default();
    while let Some(piece) = next(answer).await? {
        held += piece.len();
        balance.push(&piece);
        pieces.push_back(piece);
        if held > MAX_WHOLE {
            answer.body.settle_down();
            return Ok((pieces, held));
        }
    }
    if !balance.is_whole() {
        return Err(Fault::upstream(Class::Cut, "the provider's answer is no whole JSON document"));
    }
    Ok((pieces, held))
}

async fn whole_answer(answer: &mut upstream::Answer, call: &Call<'_>) -> Result<Pieces, Fault> {
    let (pieces, held) = whole(answer).await?;
    if held <= MAX_ERROR && call.operation != Operation::CountTokens {
        let joined;
        let body = match &pieces {
            pieces if pieces.len() == 1 => &pieces[0][..],
            pieces => {
                joined = pieces.iter().flatten().copied().collect::<Vec<u8>>();
                &joined[..]
            }
        };
        if mentions_error(call.protocol, body)
            && let Some(fault) = stream::error_within(call.protocol, body)
        {
            return Err(fault);
        }
    }
    Ok(pieces)
}

/// Whether a body may tell of an error, at the first look.
fn mentions_error(protocol: Protocol, body: &[u8]) -> bool {
    let word: &[u8] = match protocol {
        // Its errors have no envelope: a message or a type, and nothing that an answer has.
        Protocol::Bedrock => {
            let has = |word: &[u8]| memmem::find(body, word).is_some();
            return !has(b"\"output\"") && (has(b"\"message\"") || has(b"\"__type\""));
        }
        // Its errors are a message alone, where an answer's message is an object.
        Protocol::Cohere => b"\"message\"",
        _ => b"\"error\"",
    };
    memmem::find(body, word).is_some_and(|at| {
        let value = body[at + word.len()..].trim_ascii_start();
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii_start();
        let is_none: &[u8] = if protocol == Protocol::Cohere { b"{" } else { b"null" };
        !value.starts_with(is_none)
    })
}

pub(super) async fn next(answer: &mut upstream::Answer) -> Result<Option<Bytes>, Fault> {
    answer.body.next().await.transpose().map_err(upstream::fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_looked_for_where_there_may_be_one() {
        for (protocol, body, may) in [
            (Protocol::OpenaiResponses, r#"{"id":"r","error": null,"output":[]}"#, false),
            (Protocol::OpenaiResponses, r#"{"id":"r","error":{"code":"server_error"}}"#, true),
            (Protocol::OpenaiChat, r#"{"choices":[]}"#, false),
            (Protocol::Cohere, r#"{"id":"c","message":{"role":"assistant"}}"#, false),
            (Protocol::Cohere, r#"{"message": "too many tokens"}"#, true),
            (Protocol::Bedrock, r#"{"Output":{"__type":"x"}}"#, true),
            (Protocol::Bedrock, r#"{"message":"busy"}"#, true),
            (Protocol::Bedrock, "{}", false),
            (Protocol::Bedrock, r#"{"output":{"message":{}}}"#, false),
        ] {
            assert_eq!(mentions_error(protocol, body.as_bytes()), may, "{body}");
        }
    }
}
