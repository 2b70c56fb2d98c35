//! Streams in the Responses form: typed events under sequence numbers.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::emit::{Standing, ending, item, logprobs, response};
use crate::simulator::answer::{Answer, Piece, Seen, tokens};
use crate::simulator::frames::{Frames, sse_named};

/// The events of a streamed answer.
pub(in crate::simulator) fn frames(seen: &Seen, answer: &Answer) -> Frames {
    let mut events = Events { all: Vec::new(), seen };
    let begun = response(seen, answer, Vec::new(), Standing::InProgress);
    events.push("response.created", json!({"response": begun}));
    events.push("response.in_progress", json!({"response": begun}));
    let start = events.all.len();
    let mut output = Vec::with_capacity(answer.pieces.len());
    for (n, piece) in answer.pieces.iter().enumerate() {
        let whole = item(seen, answer, n);
        events.push("response.output_item.added", json!({"output_index": n, "item": opening(&whole)}));
        events.piece(n, &whole, piece);
        events.push("response.output_item.done", json!({"output_index": n, "item": whole}));
        output.push(whole);
    }
    let standing = ending(answer);
    let name = if standing == Standing::Completed { "response.completed" } else { "response.incomplete" };
    events.push(name, json!({"response": response(seen, answer, output, standing)}));
    Frames { start, all: events.all }
}

/// An error inside a stream, after so many events.
pub(in crate::simulator) fn error_frame(before: usize) -> Bytes {
    let event = json!({
        "type": "error", "sequence_number": before, "code": "server_error", "param": null,
        "message": "The server had an error while processing your request.",
    });
    sse_named("error", &event)
}

/// The end of a response that failed, after so many events.
pub(in crate::simulator) fn failed_frame(seen: &Seen, answer: &Answer, before: usize) -> Bytes {
    let response = super::failed(seen, answer);
    let event = json!({"type": "response.failed", "sequence_number": before, "response": response});
    sse_named("response.failed", &event)
}

/// How an item is before anything of it is said.
fn opening(whole: &Value) -> Value {
    let mut item = whole.clone();
    for (name, empty) in
        [("content", json!([])), ("summary", json!([])), ("arguments", json!("")), ("input", json!(""))]
    {
        if item.get(name).is_some() {
            item[name] = empty;
        }
    }
    if item.get("status").is_some() {
        item["status"] = json!("in_progress");
    }
    // What is not whole yet can not be sent back: the item's end has what can.
    if let Some(token) = item.get("encrypted_content").and_then(Value::as_str) {
        let half: String = token.chars().take(token.len() / 2).collect();
        item["encrypted_content"] = Value::from(half);
    }
    item
}

/// Events under their sequence numbers.
struct Events<'a> {
    all: Vec<Bytes>,
    seen: &'a Seen,
}

impl Events<'_> {
    fn push(&mut self, name: &str, fields: Value) {
        let event = with(&json!({"type": name, "sequence_number": self.all.len()}), fields);
        self.all.push(sse_named(name, &event));
    }

    fn piece(&mut self, n: usize, whole: &Value, piece: &Piece) {
        let place = json!({"item_id": whole["id"], "output_index": n});
        match piece {
            Piece::Text(text) | Piece::Cited(text) => self.text(&place, text, &whole["content"][0]),
            Piece::Refusal(text) => self.refusal(&place, text),
            Piece::Thinking(_) | Piece::Redacted(_) => {
                for (n, part) in whole["summary"].as_array().into_iter().flatten().enumerate() {
                    let place = with(&place, json!({"summary_index": n}));
                    self.summary(&place, part["text"].as_str().unwrap_or_default());
                }
            }
            Piece::Call { name, .. } => match whole["input"].as_str() {
                Some(input) => {
                    self.halves("response.custom_tool_call_input.delta", &place, input);
                    let event = with(&place, json!({"input": input}));
                    self.push("response.custom_tool_call_input.done", event);
                }
                None => {
                    let arguments = whole["arguments"].as_str().unwrap_or_default();
                    self.halves("response.function_call_arguments.delta", &place, arguments);
                    let event = with(&place, json!({"name": name, "arguments": arguments}));
                    self.push("response.function_call_arguments.done", event);
                }
            },
        }
    }

    fn text(&mut self, place: &Value, text: &str, whole: &Value) {
        let place = with(place, json!({"content_index": 0}));
        let opening = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
        self.push("response.content_part.added", with(&place, json!({"part": opening})));
        for token in tokens(text) {
            let delta = json!({"delta": token, "logprobs": logprobs(self.seen, token)});
            self.push("response.output_text.delta", with(&place, delta));
        }
        for (n, annotation) in whole["annotations"].as_array().into_iter().flatten().enumerate() {
            let event = with(&place, json!({"annotation_index": n, "annotation": annotation}));
            self.push("response.output_text.annotation.added", event);
        }
        let done = json!({"text": text, "logprobs": whole["logprobs"]});
        self.push("response.output_text.done", with(&place, done));
        self.push("response.content_part.done", with(&place, json!({"part": whole})));
    }

    fn refusal(&mut self, place: &Value, text: &str) {
        let place = with(place, json!({"content_index": 0}));
        let part = |text: &str| json!({"part": {"type": "refusal", "refusal": text}});
        self.push("response.content_part.added", with(&place, part("")));
        for token in tokens(text) {
            self.push("response.refusal.delta", with(&place, json!({"delta": token})));
        }
        self.push("response.refusal.done", with(&place, json!({"refusal": text})));
        self.push("response.content_part.done", with(&place, part(text)));
    }

    fn summary(&mut self, place: &Value, text: &str) {
        let part = |text: &str| json!({"part": {"type": "summary_text", "text": text}});
        self.push("response.reasoning_summary_part.added", with(place, part("")));
        for token in tokens(text) {
            self.push("response.reasoning_summary_text.delta", with(place, json!({"delta": token})));
        }
        self.push("response.reasoning_summary_text.done", with(place, json!({"text": text})));
        self.push("response.reasoning_summary_part.done", with(place, part(text)));
    }

    /// A text in two deltas, cut at a character.
    fn halves(&mut self, name: &str, place: &Value, text: &str) {
        let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
        let (first, second) = text.split_at(middle);
        for part in [first, second] {
            self.push(name, with(place, json!({"delta": part})));
        }
    }
}

fn with(first: &Value, second: Value) -> Value {
    let mut all: Map<String, Value> = first.as_object().cloned().unwrap_or_default();
    if let Value::Object(more) = second {
        all.extend(more);
    }
    Value::Object(all)
}
