//! Whole streams, from one protocol's bytes to the other's.

mod anthropic_to_chat;
mod bedrock;
mod buffered;
mod carriage;
mod chat_to_anthropic;
mod choices;
mod cohere;
mod errors;
mod field;
pub(super) mod fixtures;
mod from_responses;
mod gemini;
mod pieces;
mod places;
mod to_responses;

use busbar_protocols::Ledger;
use serde_json::{Map, Value, json};

use super::{Counts, Limits, Progress, StreamFault, Transcoder};
use crate::Protocol;
use crate::translate::{CallState, Carriage, TargetFacts};

/// What became of a stream.
#[derive(Debug)]
struct Run {
    /// The output, where it is text.
    text: String,
    bytes: Vec<u8>,
    result: Result<Progress, StreamFault>,
    counts: Counts,
    ledger: Ledger,
    /// How much input had been pushed when content first appeared.
    meaningful_after: Option<usize>,
}

fn call(client: Protocol, backend: Protocol) -> CallState {
    let facts = TargetFacts { now: 1_700_000_000, ..TargetFacts::default() };
    CallState {
        stream: true,
        include_usage: true,
        model: "fast".into(),
        ..CallState::new(client, backend, &facts)
    }
}

/// Chat client, messages backend.
fn to_chat() -> CallState {
    call(Protocol::OpenaiChat, Protocol::Anthropic)
}

/// Messages client, chat backend.
fn to_anthropic() -> CallState {
    call(Protocol::Anthropic, Protocol::OpenaiChat)
}

fn run(call: &CallState, input: &[u8]) -> Run {
    run_pieces(call, &[input], Limits::default())
}

fn run_pieces(call: &CallState, pieces: &[&[u8]], limits: Limits) -> Run {
    let mut transcoder = Transcoder::new(call.clone(), limits, Carriage::default()).unwrap();
    let (mut out, mut pushed, mut meaningful_after) = (Vec::new(), 0, None);
    let mut result = Ok(Progress::default());
    for piece in pieces {
        result = transcoder.push(piece, &mut out);
        pushed += piece.len();
        if transcoder.progress().meaningful {
            meaningful_after.get_or_insert(pushed);
        }
        if result.is_err() {
            break;
        }
    }
    if result.is_ok() {
        result = transcoder.finish(&mut out);
    }
    Run {
        text: String::from_utf8(out.clone()).unwrap_or_default(),
        bytes: out,
        result,
        counts: *transcoder.usage(),
        ledger: transcoder.ledger().clone(),
        meaningful_after,
    }
}

/// Frames of data without names, then `[DONE]`.
fn chunks(chunks: &[Value]) -> Vec<u8> {
    let mut all: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    all.push_str("data: [DONE]\n\n");
    all.into_bytes()
}

/// A chunk with one choice.
fn chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_699_999_999, "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
    })
}

/// Frames named by their type.
fn events(events: &[Value]) -> Vec<u8> {
    let frame = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    events.iter().map(frame).collect::<String>().into_bytes()
}

/// The frames of some output: name and data; `[DONE]` as a string.
fn frames(text: &str) -> Vec<(String, Value)> {
    let mut frames = Vec::new();
    for frame in text.split("\n\n").filter(|frame| !frame.is_empty()) {
        let (name, data) = match frame.split_once('\n') {
            Some((name, data)) => (name.strip_prefix("event: ").unwrap(), data),
            None => ("", frame),
        };
        let data = data.strip_prefix("data: ").unwrap();
        let value = if data == "[DONE]" { json!("[DONE]") } else { serde_json::from_str(data).unwrap() };
        assert!(name.is_empty() || value["type"] == name, "{frame}");
        frames.push((name.to_owned(), value));
    }
    frames
}

/// What the official SDK makes of a stream of messages events: the message it ends with.
fn accumulate_anthropic(text: &str) -> Value {
    let mut message = Value::Null;
    let mut arguments = String::new();
    let mut open: Option<usize> = None;
    for (_, event) in frames(text) {
        let index = event["index"].as_u64().map(|index| usize::try_from(index).unwrap());
        match event["type"].as_str().unwrap() {
            "message_start" => {
                assert_eq!(message, Value::Null, "two starts");
                message = event["message"].clone();
            }
            "content_block_start" => {
                assert_eq!(open, None, "a block is open: {text}");
                open = index;
                arguments.clear();
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(index, Some(content.len()), "numbers without gaps");
                content.push(event["content_block"].clone());
            }
            "content_block_delta" => {
                assert_eq!(open, index, "a delta of a block that is not open: {text}");
                let block = &mut message["content"][index.unwrap()];
                let delta = &event["delta"];
                match delta["type"].as_str().unwrap() {
                    "text_delta" => append(&mut block["text"], &delta["text"]),
                    "thinking_delta" => append(&mut block["thinking"], &delta["thinking"]),
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "input_json_delta" => arguments.push_str(delta["partial_json"].as_str().unwrap()),
                    "citations_delta" => {
                        let block = block.as_object_mut().unwrap();
                        let list = block.entry("citations").or_insert(json!([]));
                        list.as_array_mut().unwrap().push(delta["citation"].clone());
                    }
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" => {
                assert_eq!(open.take(), index, "{text}");
                let block = &mut message["content"][index.unwrap()];
                if block["type"] == "tool_use" && !arguments.is_empty() {
                    block["input"] = serde_json::from_str(&arguments).unwrap_or(json!(arguments));
                }
            }
            "message_delta" => {
                assert_eq!(open, None);
                for (name, value) in event["delta"].as_object().unwrap() {
                    message[name] = value.clone();
                }
                for (name, value) in event["usage"].as_object().unwrap() {
                    message["usage"][name] = value.clone();
                }
            }
            "message_stop" => return message,
            "ping" => {}
            other => panic!("{other}"),
        }
    }
    panic!("no end: {text}");
}

/// What the official SDK makes of a stream of responses events: the answer it ends with.
///
/// What it takes for granted is checked: the numbers and the order of the events, and that what came in pieces
/// is the same as the wholes.
fn accumulate_responses(text: &str) -> Value {
    let place = |event: &Value, name: &str| usize::try_from(event[name].as_u64().unwrap()).unwrap();
    let (mut begun, mut items, mut done): (Value, Vec<Value>, Vec<Value>) = (Value::Null, vec![], vec![]);
    for (number, (name, event)) in frames(text).into_iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
        if let Some(kind) = name.strip_prefix("response.")
            && let Some(response) = event.get("response")
        {
            for member in ["id", "created_at", "model", "tools", "instructions"] {
                assert_eq!(
                    (member, response.get(member)),
                    (member, Some(begun.get(member).unwrap_or(&response[member])))
                );
            }
            match kind {
                "created" | "in_progress" => {
                    assert_eq!(kind == "created", number == 0);
                    assert_eq!(
                        (&response["status"], &response["usage"]),
                        (&json!("in_progress"), &Value::Null)
                    );
                    begun = response.clone();
                    continue;
                }
                _ => assert_eq!(response["status"], kind),
            }
            assert_eq!(response["output"], json!(done), "{text}");
            assert!(kind == "failed" || done.len() == items.len(), "an item is not complete: {text}");
            return response.clone();
        }
        assert!(number > 1, "{event}");
        let index = place(&event, "output_index");
        if name == "response.output_item.added" {
            assert_eq!(index, items.len());
            items.push(event["item"].clone());
            done.push(Value::Null);
            continue;
        }
        let item = &mut items[index];
        if name == "response.output_item.done" {
            assert_eq!(done[index], Value::Null);
            done[index] = event["item"].clone();
            let mut pieces = item.clone();
            for member in ["status", "encrypted_content"] {
                pieces[member] = event["item"][member].clone();
            }
            let mut whole = event["item"].clone();
            whole["status"] = pieces["status"].clone();
            whole["encrypted_content"] = pieces["encrypted_content"].clone();
            assert_eq!(pieces, whole, "{text}");
            continue;
        }
        assert_eq!((&done[index], &event["item_id"]), (&Value::Null, &item["id"]), "{event}");
        let kind = name.strip_prefix("response.").unwrap();
        let (list, number) = match kind.starts_with("reasoning") {
            true => ("summary", "summary_index"),
            false => ("content", "content_index"),
        };
        match kind {
            "content_part.added" | "reasoning_summary_part.added" => {
                let parts = item[list].as_array_mut().unwrap();
                assert_eq!(place(&event, number), parts.len());
                parts.push(event["part"].clone());
            }
            "content_part.done" | "reasoning_summary_part.done" => {
                assert_eq!(item[list][place(&event, number)], event["part"]);
            }
            "output_text.delta"
            | "output_text.done"
            | "refusal.delta"
            | "refusal.done"
            | "reasoning_summary_text.delta"
            | "reasoning_summary_text.done" => {
                let member = if kind.starts_with("refusal") { "refusal" } else { "text" };
                let said = &mut item[list][place(&event, number)][member];
                match event.get("delta") {
                    Some(delta) => append(said, delta),
                    None => assert_eq!(event[member], *said),
                }
                assert!(!kind.starts_with("output_text") || event["logprobs"] == json!([]));
            }
            "output_text.annotation.added" => {
                let cited = item[list][place(&event, number)]["annotations"].as_array_mut().unwrap();
                assert_eq!(place(&event, "annotation_index"), cited.len());
                cited.push(event["annotation"].clone());
            }
            "function_call_arguments.delta" => append(&mut item["arguments"], &event["delta"]),
            "function_call_arguments.done" => {
                assert_eq!((&event["arguments"], &event["name"]), (&item["arguments"], &item["name"]));
            }
            "custom_tool_call_input.delta" => append(&mut item["input"], &event["delta"]),
            "custom_tool_call_input.done" => assert_eq!(event["input"], item["input"]),
            other => panic!("{other}"),
        }
    }
    panic!("no end: {text}");
}

/// What the official SDK makes of a stream of chunks: the message, the reason, and the usage.
fn accumulate_chat(text: &str) -> Value {
    let frames = frames(text);
    assert_eq!(frames.last().unwrap().1, "[DONE]");
    let mut message = Map::new();
    let (mut finish, mut usage, mut role) = (Value::Null, Value::Null, Value::Null);
    for (_, chunk) in &frames[..frames.len() - 1] {
        for member in ["id", "created", "model", "object"] {
            assert_eq!(chunk[member], frames[0].1[member]);
        }
        let choices = chunk["choices"].as_array().unwrap();
        if choices.is_empty() {
            usage = chunk["usage"].clone();
            continue;
        }
        assert_eq!(usage, Value::Null, "usage comes last");
        assert_eq!(finish, Value::Null, "a chunk after the last one");
        let delta = choices[0]["delta"].as_object().unwrap();
        for (name, value) in delta {
            match name.as_str() {
                "role" => role = value.clone(),
                "tool_calls" | "reasoning_details" | "annotations" => {
                    let list = message.entry(name.clone()).or_insert(json!([])).as_array_mut().unwrap();
                    for item in value.as_array().unwrap() {
                        let index = usize::try_from(item["index"].as_u64().unwrap()).unwrap();
                        if list.len() <= index {
                            list.push(json!({}));
                        }
                        merge(&mut list[index], item);
                    }
                }
                _ => append(message.entry(name.clone()).or_insert(Value::Null), value),
            }
        }
        finish = choices[0]["finish_reason"].clone();
    }
    assert_eq!(role, "assistant");
    json!({ "message": message, "finish_reason": finish, "usage": usage })
}

fn append(text: &mut Value, more: &Value) {
    *text = json!(text.as_str().unwrap_or_default().to_owned() + more.as_str().unwrap());
}

fn merge(item: &mut Value, more: &Value) {
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Object(_) => {
                if item[name].is_null() {
                    item[name] = json!({});
                }
                merge(&mut item[name], value);
            }
            Value::String(_) if name != "id" && name != "type" => append(&mut item[name], value),
            _ => item[name] = value.clone(),
        }
    }
}
