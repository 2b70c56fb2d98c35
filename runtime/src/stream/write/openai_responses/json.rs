//! The JSON of events and items, piece by piece; each member has a comma in front of it.

use busbar_protocols::openai_responses::ResponseErrorCode;
use busbar_protocols::{Json, Text};

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

/// A call as JSON: its id, its name, and the group of the tool, empty where there is none.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) id: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) group: Vec<u8>,
}

impl Called {
    fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in [("call_id", &self.id), ("name", &self.name), ("namespace", &self.group)] {
            if !value.is_empty() {
                out.extend_from_slice(b",\"");
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\":");
                out.extend_from_slice(value);
            }
        }
    }
}

/// What a call of a function has beside its id.
pub(super) fn function_call(status: &str, called: &Called, arguments: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#","type":"function_call","status":""#);
    out.extend_from_slice(status.as_bytes());
    out.push(b'"');
    quoted(out, "arguments", arguments);
    called.write(out);
}

/// What a call with free text has beside its id.
pub(super) fn custom_call(called: &Called, input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#","type":"custom_tool_call""#);
    quoted(out, "input", input);
    called.write(out);
}

/// What a call of the caller's search for tools has beside its id; the arguments are an object here.
pub(super) fn search_call(status: &str, called: &Called, arguments: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#","type":"tool_search_call","execution":"client","status":""#);
    out.extend_from_slice(status.as_bytes());
    out.extend_from_slice(b"\",\"call_id\":");
    out.extend_from_slice(&called.id);
    out.extend_from_slice(b",\"arguments\":");
    let quoted = [b"\"", arguments, b"\""].concat();
    let object = serde_json::from_slice::<String>(&quoted).ok();
    match object.filter(|object| Json::parse(object.as_str()).is_ok()) {
        Some(object) => out.extend_from_slice(object.as_bytes()),
        None => out.extend_from_slice(&quoted),
    }
}
