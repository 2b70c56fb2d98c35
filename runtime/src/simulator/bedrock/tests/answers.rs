//! What is answered, whole and in frames.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{buffered, error_frame, failed_frame, frames};
use super::{PIXEL, document, said, taken, tool, turns, user};
use crate::simulator::answer::{Answer, Finish, Piece, Seen, Usage, answer};
use crate::simulator::scenario::Scenario;
use crate::simulator::sign;

/// What a scenario answers to a request, and what was seen of that.
fn played(scenario: Scenario, changes: &Value) -> (Seen, Answer) {
    let seen = taken(changes);
    let answer = answer(scenario, &seen, b"{}", Duration::ZERO);
    (seen, answer)
}

/// The headers and the payload of a frame, its checksums checked.
fn open(frame: &[u8]) -> (Vec<String>, Value) {
    let number = |at: usize| {
        let bytes: [u8; 4] = frame[at..at + 4].try_into().expect("four bytes");
        usize::try_from(u32::from_be_bytes(bytes)).expect("fits")
    };
    let (total, head) = (number(0), number(4));
    assert_eq!(total, frame.len());
    assert_eq!(frame[8..12], crc32fast::hash(&frame[..8]).to_be_bytes());
    assert_eq!(frame[total - 4..], crc32fast::hash(&frame[..total - 4]).to_be_bytes());
    let mut headers = Vec::new();
    let mut rest = &frame[12..12 + head];
    while let Some((length, after)) = rest.split_first() {
        let (name, after) = after.split_at(usize::from(*length));
        assert_eq!(after[0], 7, "a string");
        let length = usize::from(u16::from_be_bytes([after[1], after[2]]));
        let (value, after) = after[3..].split_at(length);
        headers.push(format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        rest = after;
    }
    (headers, serde_json::from_slice(&frame[12 + head..total - 4]).expect("JSON"))
}

/// The names and payloads of a stream's events.
fn events(seen: &Seen, answer: &Answer) -> Vec<(String, Value)> {
    let stream = frames(seen, answer);
    assert_eq!(stream.start, 1);
    let event = |frame: &bytes::Bytes| {
        let (headers, payload) = open(frame);
        assert_eq!(headers[1..], [":content-type=application/json", ":message-type=event"]);
        (headers[0].trim_start_matches(":event-type=").to_owned(), payload)
    };
    stream.all.iter().map(event).collect()
}

#[test]
fn streams_have_the_order_and_the_forms_of_the_service() {
    let (seen, answer) = played(Scenario::ThinkTools, &json!({"toolConfig": {"tools": [tool("f")]}}));
    let events = events(&seen, &answer);
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[0], "messageStart");
    assert_eq!(names[1..6], ["contentBlockDelta"; 5], "words of the thought, and its signature");
    assert_eq!(
        names[6..10],
        ["contentBlockStop", "contentBlockStart", "contentBlockDelta", "contentBlockDelta"]
    );
    assert_eq!(names[10..], ["contentBlockStop", "messageStop", "metadata"]);
    let signature = sign::sign("bedrock", "A tool will tell.");
    assert_eq!(events[5].1["delta"], json!({"reasoningContent": {"signature": signature}}));
    let start = json!({"toolUse": {"toolUseId": answer.id("tooluse_", 1), "name": "f"}});
    assert_eq!(events[7].1, json!({"contentBlockIndex": 1, "start": start}));
    let input = |at: usize| events[at].1["delta"]["toolUse"]["input"].as_str().expect("text").to_owned();
    assert_eq!(input(8) + &input(9), "{}");
    assert_eq!(events[11].1, json!({"stopReason": "tool_use"}));
    assert!(events[12].1["usage"]["totalTokens"].is_u64());
}

#[test]
fn every_reason_to_stop_has_its_word() {
    let stop = json!({
        "inferenceConfig": {"stopSequences": ["END"]},
        "additionalModelResponseFieldPaths": ["/stop_sequence", "/none"],
    });
    let tools = json!({"toolConfig": {"tools": [tool("f"), tool("g")]}});
    for (scenario, changes, reason) in [
        (Scenario::Text, json!({}), "end_turn"),
        (Scenario::Tools, tools.clone(), "tool_use"),
        (Scenario::Length, json!({}), "max_tokens"),
        (Scenario::LengthTools, tools, "max_tokens"),
        (Scenario::Text, json!({"inferenceConfig": {"maxTokens": 2}}), "max_tokens"),
        (Scenario::Window, json!({}), "model_context_window_exceeded"),
        (Scenario::Stop, stop.clone(), "stop_sequence"),
        (Scenario::Refusal, json!({}), "content_filtered"),
        (Scenario::Filter, json!({}), "content_filtered"),
        (Scenario::Blocked, json!({}), "guardrail_intervened"),
    ] {
        let (seen, answer) = played(scenario, &changes);
        assert_eq!(buffered(&seen, &answer)["stopReason"], reason);
        let events = events(&seen, &answer);
        assert_eq!(events[events.len() - 2].1["stopReason"], reason);
    }
    let (seen, answer) = played(Scenario::Stop, &stop);
    let wanted = json!({"stop_sequence": "END"});
    assert_eq!(buffered(&seen, &answer)["additionalModelResponseFields"], wanted);
    let events = events(&seen, &answer);
    assert_eq!(events[events.len() - 2].1["additionalModelResponseFields"], wanted);
    let (seen, answer) = played(Scenario::Text, &stop);
    assert_eq!(buffered(&seen, &answer).get("additionalModelResponseFields"), None);
}

#[test]
fn a_guardrail_speaks_and_leaves_a_trace_where_one_is_wanted() {
    let guardrail = |trace: &str| {
        json!({
            "guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1", "trace": trace},
            "serviceTier": {"type": "flex"}, "performanceConfig": {"latency": "optimized"},
        })
    };
    let (seen, answer) = played(Scenario::Blocked, &guardrail("enabled"));
    let whole = buffered(&seen, &answer);
    let words = json!([{"text": "Sorry, the model cannot answer this question."}]);
    assert_eq!(whole["output"]["message"]["content"], words);
    let topics = &whole["trace"]["guardrail"]["inputAssessment"]["abc"]["topicPolicy"]["topics"];
    assert_eq!(topics[0]["action"], "BLOCKED");
    assert_eq!(whole["serviceTier"]["type"], "flex");
    assert_eq!(whole["performanceConfig"]["latency"], "optimized");
    let (_, metadata) = events(&seen, &answer).pop().expect("an event");
    assert_eq!((&metadata["trace"], &metadata["serviceTier"]), (&whole["trace"], &whole["serviceTier"]));
    let (seen, answer) = played(Scenario::Blocked, &guardrail("disabled"));
    assert_eq!(buffered(&seen, &answer).get("trace"), None);
}

#[test]
fn citations_are_of_the_sources_that_allow_them() {
    let cited = |source: Value, format: &str, name: &str| {
        let citations = json!({"enabled": true});
        json!({"document": {"format": format, "name": name, "source": source, "citations": citations}})
    };
    let found = json!({
        "source": "https://example.com", "title": "found", "content": [{"text": "a"}], "citations": {"enabled": true},
    });
    let changes = said(&json!([
        {"text": "t"}, cited(json!({"bytes": PIXEL}), "pdf", "paper"), document("other"),
        cited(json!({"text": "The sky is blue."}), "txt", "text"),
        cited(json!({"content": [{"text": "a"}]}), "txt", "chunks"), {"searchResult": found},
    ]));
    let (seen, answer) = played(Scenario::Citations, &changes);
    let whole = buffered(&seen, &answer);
    let block = &whole["output"]["message"]["content"][0]["citationsContent"];
    let citations = block["citations"].as_array().expect("a list");
    let locations: Vec<Value> = citations.iter().map(|citation| citation["location"].clone()).collect();
    assert_eq!(
        locations,
        [
            json!({"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}),
            json!({"documentChar": {"documentIndex": 2, "start": 0, "end": 1}}),
            json!({"documentChunk": {"documentIndex": 3, "start": 0, "end": 1}}),
            json!({"searchResultLocation": {"searchResultIndex": 4, "start": 0, "end": 1}}),
        ]
    );
    let streamed: Vec<Value> = events(&seen, &answer)
        .iter()
        .filter_map(|(_, event)| event.pointer("/delta/citation").cloned())
        .collect();
    assert_eq!(&streamed, citations);
    let hi = user(&json!([{"text": "hi"}]));
    taken(&turns(&[hi.clone(), whole["output"]["message"].clone(), hi]));
}

#[test]
fn usage_tells_reads_writes_and_how_long_they_live() {
    let (seen, answer) = played(Scenario::Usage, &json!({}));
    let usage = &buffered(&seen, &answer)["usage"];
    assert_eq!(
        usage["cacheDetails"],
        json!([{"ttl": "5m", "inputTokens": 300}, {"ttl": "1h", "inputTokens": 50}])
    );
    let count = |name: &str| usage[name].as_u64().expect("a count");
    assert_eq!(
        (count("inputTokens"), count("cacheReadInputTokens"), count("cacheWriteInputTokens")),
        (11, 700, 350)
    );
    assert_eq!(count("totalTokens"), 1061 + count("outputTokens"));
    let hidden = Answer {
        pieces: vec![Piece::Redacted("hm".to_owned())],
        finish: Finish::End,
        usage: Usage::default(),
        pace: None,
        seed: 1,
        omit_thinking: false,
    };
    let whole = buffered(&Seen::default(), &hidden);
    assert_eq!(whole["usage"].get("cacheDetails"), None);
    let data = &whole["output"]["message"]["content"][0]["reasoningContent"]["redactedContent"];
    assert!(sign::sealed_bytes("bedrock", data.as_str().expect("text")));
}

#[test]
fn exceptions_end_streams_in_frames_of_their_own() {
    let (headers, said) = open(&error_frame());
    assert_eq!(headers[0], ":exception-type=throttlingException");
    assert_eq!(headers[2], ":message-type=exception");
    assert_eq!(said, json!({"message": "Too many requests"}));
    let (headers, said) = open(&failed_frame());
    assert_eq!(headers[0], ":exception-type=modelStreamErrorException");
    assert_eq!(said["originalStatusCode"], 500);
}
