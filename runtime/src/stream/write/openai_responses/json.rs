//! The JSON of events and items, piece by piece; each member has a comma in front of it.

use busbar_protocols::Text;
use busbar_protocols::openai_responses::ResponseErrorCode;

use super::super::{write_str, write_u64};
use crate::stream::sse::write_event;

/// The word for a failed answer: one of the schema's own, or one on which clients act all the same.
pub(super) fn failed_code(code: &str) -> &str {
    let is_known = !matches!(ResponseErrorCode::from_text(Text::plain(code)), ResponseErrorCode::Other(_));
    let is_acted_on = matches!(code, "context_length_exceeded" | "insufficient_quota");
    if is_known || is_acted_on { code } else { "server_error" }
}

/// Appends one event with its number.
pub(super) fn event(sequence: &mut u64, name: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    write_event(out, Some(name), |out| {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\",\"sequence_number\":");
        write_u64(*sequence, out);
        write(out);
        out.push(b'}');
    });
    *sequence += 1;
}

/// A member that is a whole number.
pub(super) fn member(out: &mut Vec<u8>, name: &str, value: usize) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    write_u64(value as u64, out);
}

/// The members that say which item it is.
pub(super) fn member_id(out: &mut Vec<u8>, id: &str, item: usize) {
    out.extend_from_slice(b",\"item_id\":");
    write_str(id, out);
    member(out, "output_index", item);
}

/// A member whose text is escaped already.
pub(super) fn quoted(out: &mut Vec<u8>, name: &str, inner: &[u8]) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    out.extend_from_slice(inner);
    out.push(b'"');
}

/// What a message has beside its id.
pub(super) fn message(status: &str, parts: &[Vec<u8>], out: &mut Vec<u8>) {
    out.extend_from_slice(br#","type":"message","status":""#);
    out.extend_from_slice(status.as_bytes());
    out.extend_from_slice(br#"","content":["#);
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        out.extend_from_slice(part);
    }
    out.extend_from_slice(br#"],"role":"assistant""#);
}

/// What a call of a function has beside its id.
pub(super) fn function_call(status: &str, id: &[u8], name: &[u8], arguments: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#","type":"function_call","status":""#);
    out.extend_from_slice(status.as_bytes());
    out.push(b'"');
    quoted(out, "arguments", arguments);
    out.extend_from_slice(b",\"call_id\":");
    out.extend_from_slice(id);
    out.extend_from_slice(b",\"name\":");
    out.extend_from_slice(name);
}

/// What a call with free text has beside its id.
pub(super) fn custom_call(id: &[u8], name: &[u8], input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#","type":"custom_tool_call""#);
    quoted(out, "input", input);
    out.extend_from_slice(b",\"call_id\":");
    out.extend_from_slice(id);
    out.extend_from_slice(b",\"name\":");
    out.extend_from_slice(name);
}
