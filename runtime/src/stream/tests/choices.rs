//! Several streams of the backend as the one that the client asked for.

use serde_json::{Value, json};

use super::{chunks, events, frames};
use crate::Protocol;
use crate::stream::{Limits, StreamFault, Transcoder};
use crate::translate::{CallState, Carriage, TargetFacts};

fn call(client: Protocol, backend: Protocol, choices: u8) -> CallState {
    let facts = TargetFacts { now: 1_700_000_000, ..TargetFacts::default() };
    CallState { choices, include_usage: true, stream: true, ..CallState::new(client, backend, &facts) }
}

fn transcoder(client: Protocol, backend: Protocol, choices: u8) -> Transcoder {
    Transcoder::new(call(client, backend, choices), Limits::default(), Carriage::default()).unwrap()
}

fn message(text: &str, tool: &str) -> Vec<u8> {
    events(&[
        json!({"type": "message_start", "message": {"id": format!("msg_{text}"), "type": "message", "role": "assistant",
            "model": "m", "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 10, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": format!("toolu_{text}"),
            "name": tool, "input": {}}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
            "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ])
}

/// Texts, names of tools and reasons by choice, and all usage of a stream of chunks.
fn told(out: &[u8]) -> (Vec<(String, String, String)>, Vec<Value>, usize) {
    let mut choices = vec![(String::new(), String::new(), String::new()); 2];
    let (mut usage, mut ends) = (Vec::new(), 0);
    for (_, chunk) in frames(std::str::from_utf8(out).unwrap()) {
        if chunk == "[DONE]" {
            ends += 1;
            continue;
        }
        assert_eq!(chunk["id"], "msg_a", "one answer has one id");
        usage.extend(chunk.get("usage").filter(|usage| !usage.is_null()).cloned());
        for choice in chunk["choices"].as_array().unwrap() {
            let one = &mut choices[choice["index"].as_u64().unwrap() as usize];
            one.0.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
            one.1.push_str(choice["delta"]["tool_calls"][0]["function"]["name"].as_str().unwrap_or_default());
            one.2.push_str(choice["finish_reason"].as_str().unwrap_or_default());
        }
    }
    (choices, usage, ends)
}

#[test]
fn streams_that_come_by_turns_are_one_with_their_own_numbers() {
    let (one, other) = (message("a", "f"), message("b", "g"));
    for size in [1, 7, 64, 4096] {
        let mut transcoder = transcoder(Protocol::OpenaiChat, Protocol::Anthropic, 2);
        let mut out = Vec::new();
        let (mut first, mut second) = (one.chunks(size), other.chunks(size));
        loop {
            let (a, b) = (first.next(), second.next());
            for (source, piece) in [(0, a), (1, b)] {
                if let Some(piece) = piece {
                    transcoder.push_of(source, piece, &mut out).unwrap();
                }
            }
            if a.is_none() && b.is_none() {
                break;
            }
        }
        assert!(transcoder.is_over(0) && transcoder.is_over(1) && transcoder.progress().done);
        let (choices, usage, ends) = told(&out);
        let each = |text: &str, tool: &str| (text.to_owned(), tool.to_owned(), "tool_calls".to_owned());
        assert_eq!(choices, [each("a", "f"), each("b", "g")]);
        assert_eq!((ends, usage.len()), (1, 1));
        assert_eq!((&usage[0]["prompt_tokens"], &usage[0]["completion_tokens"]), (&json!(20), &json!(10)));
        assert_eq!(transcoder.usage().total, Some(30));
    }
}

#[test]
fn the_end_waits_for_all_and_a_cut_of_one_is_a_cut_of_all() {
    let mut transcoder = transcoder(Protocol::OpenaiChat, Protocol::Anthropic, 2);
    let mut out = Vec::new();
    transcoder.push_of(0, &message("a", "f"), &mut out).unwrap();
    assert!(transcoder.is_over(0) && !transcoder.is_over(1) && !transcoder.progress().done);
    assert!(!String::from_utf8_lossy(&out).contains("[DONE]"));
    let other = message("b", "g");
    transcoder.push_of(1, &other[..other.len() / 2], &mut out).unwrap();
    assert_eq!(transcoder.finish_of(1, &mut out), Err(StreamFault::Cut));
}

#[test]
fn candidates_of_gemini_have_their_numbers() {
    let mut transcoder = transcoder(Protocol::Gemini, Protocol::OpenaiResponses, 2);
    assert_eq!(transcoder.sources(), 2);
    let whole = |text: &str| {
        json!({"id": format!("resp_{text}"), "object": "response", "created_at": 1, "model": "m", "status": "completed",
            "output": [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}]}],
            "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}})
    };
    let stream = |text: &str| {
        events(&[
            json!({"type": "response.created", "sequence_number": 0, "response": whole(text)}),
            json!({"type": "response.completed", "sequence_number": 1, "response": whole(text)}),
        ])
    };
    let mut out = Vec::new();
    transcoder.push_of(1, &stream("b"), &mut out).unwrap();
    transcoder.push_of(0, &stream("a"), &mut out).unwrap();
    assert!(transcoder.progress().done);
    let mut said = vec![String::new(); 2];
    let mut last = Value::Null;
    for line in String::from_utf8(out).unwrap().split("\r\n\r\n").filter(|line| !line.is_empty()) {
        let chunk: Value = serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
        for candidate in chunk["candidates"].as_array().into_iter().flatten() {
            let index = candidate["index"].as_u64().unwrap_or(0) as usize;
            said[index].push_str(candidate["content"]["parts"][0]["text"].as_str().unwrap_or_default());
        }
        last = chunk;
    }
    assert_eq!(said, ["a", "b"]);
    assert_eq!(last["usageMetadata"]["promptTokenCount"], 6);
}

#[test]
fn one_stream_is_what_it_was() {
    let mut transcoder = transcoder(Protocol::Anthropic, Protocol::OpenaiChat, 1);
    let input = chunks(&[super::chunk(json!({"role": "assistant", "content": "hi"}), Some("stop"))]);
    let mut out = Vec::new();
    transcoder.push(&input, &mut out).unwrap();
    transcoder.finish(&mut out).unwrap();
    assert!(String::from_utf8_lossy(&out).contains("message_stop"));
}
