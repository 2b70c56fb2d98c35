//! What is counted and recorded about a request.

use std::time::Duration;

use busbar_tests::dialect::Dialect::{self, Anthropic, OpenaiChat};
use busbar_tests::gateway::{Gateway, config, model};
use busbar_tests::http;
use busbar_tests::upstream::Upstream;
use serde_json::{Value, json};

use crate::translate::{buffered, events};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn tokens_are_recorded_forwarded_or_translated_whole_or_streamed() {
    for backend in [OpenaiChat, Anthropic] {
        for client in [OpenaiChat, Anthropic] {
            for stream in [false, true] {
                let events = events(backend);
                let events: Vec<&str> = events.iter().map(String::as_str).collect();
                let upstream = match stream {
                    true => Upstream::streaming(&events),
                    false => Upstream::fixed(200, &[], &buffered(backend)),
                };
                let record = record(&upstream, client, &client.request(&model(backend), stream));
                let case = format!("{client:?} {backend:?} {stream}: {record}");
                let input = if backend == Anthropic { 123 } else { 100 };
                assert_eq!(record["input_tokens"], input, "{case}");
                assert_eq!(record["output_tokens"], 7, "{case}");
                let read = (backend == Anthropic || !stream).then_some(20);
                assert_eq!(record["cache_read_tokens"].as_u64(), read, "{case}");
                assert_eq!(
                    record["cache_write_tokens"].as_u64(),
                    (backend == Anthropic).then_some(3),
                    "{case}"
                );
                assert_eq!(record["outcome"], "complete", "{case}");
            }
        }
    }
}

#[test]
fn what_a_stream_lost_is_recorded_beside_what_the_request_lost() {
    let mut events = events(Anthropic);
    let delta =
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "sparkle_delta", "n": 1}});
    events.insert(3, format!("event: content_block_delta\ndata: {delta}\n\n"));
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let upstream = Upstream::streaming(&events);
    let mut body: Value = serde_json::from_str(&OpenaiChat.request(&model(Anthropic), true)).unwrap();
    body["logit_bias"] = json!({"50256": -100});
    let record = record(&upstream, OpenaiChat, &body.to_string());
    let fidelity = record["fidelity"].as_str().expect("fidelity");
    assert!(fidelity.contains("logit_bias") && fidelity.contains("sparkle_delta"), "{fidelity}");
    assert_eq!(record["outcome"], "complete");
}

#[test]
fn an_error_within_a_forwarded_stream_is_recorded() {
    let mut events = events(Anthropic)[..3].to_vec();
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    events.push(format!("event: error\ndata: {error}\n\n"));
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let upstream = Upstream::streaming(&events);
    let record = record(&upstream, Anthropic, &Anthropic.request(&model(Anthropic), true));
    assert_eq!((&record["status"], &record["blame"]), (&json!(200), &json!("upstream")), "{record}");
}

/// The access record of one request.
fn record(upstream: &Upstream, client: Dialect, body: &str) -> Value {
    let mut gateway = Gateway::start(&config(upstream.address, "log: { format: json }")).unwrap();
    let answer = http::post(gateway.address, &client.path("", false), &[], body).unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    gateway.process.terminate().unwrap();
    gateway.process.wait_exit(PATIENCE).unwrap();
    let output = gateway.process.output();
    let records = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut records = records.filter(|record| record.get("request_id").is_some());
    let record = records.next().unwrap_or_else(|| panic!("no record:\n{output}"));
    assert!(records.next().is_none(), "settled once:\n{output}");
    record
}
