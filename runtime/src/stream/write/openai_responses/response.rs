//! The object that the first and the last events of a stream carry.

use busbar_protocols::ir::Response;
use busbar_protocols::prelude::{Native, Paths, WriteCx};
use busbar_protocols::{Num, Text, Wire, openai_responses as wire};

use super::super::{WriteState, write_str, write_u64};
use crate::translate::{CallState, Echo, complete_usage, item_word};

/// What is the same in every event that carries the answer.
#[derive(Debug)]
pub(super) struct Envelope {
    head: Vec<u8>,
    tail: Vec<u8>,
    /// What the ids of the items are made of.
    pub(super) word: String,
}

impl Envelope {
    pub(super) fn new(response: &Response<'_>, call: &CallState) -> Self {
        let mut head = b",\"response\":{\"id\":".to_vec();
        write_text(response.id.as_ref(), &mut head);
        head.extend_from_slice(br#","object":"response","created_at":"#);
        write_u64(response.created.as_ref().and_then(Num::as_u64).unwrap_or(call.now), &mut head);
        let mut tail = b",\"model\":".to_vec();
        write_text(response.model.as_ref(), &mut tail);
        tail.extend_from_slice(b",\"service_tier\":");
        match response.service_tier.as_ref().and_then(wire::write_service_tier) {
            Some(tier) => tier.write(&mut tail),
            None => tail.extend_from_slice(b"null"),
        }
        match &call.echo {
            Some(echo) => tail.extend_from_slice(echo.members().as_bytes()),
            None => tail.extend_from_slice(Echo::of("{}").members().as_bytes()),
        }
        let id = response.id.as_ref().map(Text::decode).unwrap_or_default();
        Self { head, tail, word: item_word(&id) }
    }

    /// Appends the member `response`.
    pub(super) fn write(
        &self,
        status: &str,
        error: Option<(&str, &str)>,
        reason: Option<&str>,
        output: &[u8],
        usage: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(br#","status":""#);
        out.extend_from_slice(status.as_bytes());
        out.extend_from_slice(br#"","error":"#);
        match error {
            Some((code, message)) => {
                out.extend_from_slice(b"{\"code\":");
                write_str(code, out);
                out.extend_from_slice(b",\"message\":");
                write_str(message, out);
                out.push(b'}');
            }
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#","incomplete_details":"#);
        match reason {
            Some(reason) => {
                out.extend_from_slice(b"{\"reason\":");
                write_str(reason, out);
                out.push(b'}');
            }
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(&self.tail);
        out.extend_from_slice(b",\"output\":[");
        out.extend_from_slice(output);
        out.extend_from_slice(b"],\"usage\":");
        out.extend_from_slice(usage.unwrap_or(b"null"));
        out.push(b'}');
    }
}

/// The counts as this protocol has them; what is not known is 0, as clients read it without asking.
pub(super) fn usage(cx: &mut WriteState<'_>) -> Vec<u8> {
    let paths = Paths::default();
    let mut write = WriteCx::new(cx.call.backend, cx.call.client, &paths);
    let (counts, native) = (cx.counts.usage(), Native::default());
    let mut usage = wire::write_response_usage(&counts, &native, &mut write, Paths::ROOT);
    complete_usage(&mut usage);
    let json = usage.to_json();
    for mut effect in write.ledger.effects().iter().cloned() {
        effect.path.insert_str(0, "usage.");
        cx.ledger.push(effect);
    }
    json
}

fn write_text(text: Option<&Text<'_>>, out: &mut Vec<u8>) {
    match text {
        Some(text) => text.write(out),
        None => write_str("", out),
    }
}
