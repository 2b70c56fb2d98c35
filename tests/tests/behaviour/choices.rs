//! Several answers to one request, where the provider gives one: it is asked as often, at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use busbar_tests::dialect::Dialect::{Anthropic, Bedrock, Cohere, OpenaiResponses};
use busbar_tests::dialect::{self, Dialect};
use busbar_tests::http::{self, Message};
use busbar_tests::upstream::{self, Upstream};
use serde_json::{Value, json};

use super::failover::{is_stream, pool, start, whole};

/// Those that give one answer.
const ALONE: [Dialect; 4] = [Anthropic, OpenaiResponses, Bedrock, Cohere];

/// A provider whose n-th answer is `w<n>`; the answers of `broken` are failures.
fn counting(dialect: Dialect, broken: &'static [usize]) -> (Upstream, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let upstream = Upstream::start(move |request, connection| {
        let number = seen.fetch_add(1, Ordering::SeqCst);
        let words = format!("w{number}");
        if broken.contains(&number) {
            return Ok(connection.write(&upstream::response(500, &[], r#"{"message":"no"}"#))?);
        }
        if !is_stream(dialect, request) {
            return Ok(connection.write(&upstream::response(200, &[], &whole(dialect, &words)))?);
        }
        connection.write(&dialect.stream_head())?;
        connection.write(&upstream::chunk(&stream(dialect, &words)))?;
        Ok(connection.write(b"0\r\n\r\n")?)
    });
    (upstream, count)
}

/// A whole stream that says these words.
fn stream(dialect: Dialect, words: &str) -> Vec<u8> {
    let event = |data: &str| format!("data: {data}\n\n").into_bytes();
    let (opens, closes) = match dialect {
        Anthropic => (
            event(r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#),
            [
                event(r#"{"type":"content_block_stop","index":0}"#),
                event(
                    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#,
                ),
            ]
            .concat(),
        ),
        OpenaiResponses => (
            [
                event(
                    r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"message","id":"i","status":"in_progress","role":"assistant","content":[]}}"#,
                ),
                event(
                    r#"{"type":"response.content_part.added","sequence_number":2,"item_id":"i","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}"#,
                ),
            ]
            .concat(),
            Vec::new(),
        ),
        Bedrock => (Vec::new(), dialect::frame("contentBlockStop", br#"{"contentBlockIndex":0}"#)),
        Cohere => (
            event(
                r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}"#,
            ),
            event(r#"{"type":"content-end","index":0}"#),
        ),
        Dialect::OpenaiChat | Dialect::Gemini => (Vec::new(), Vec::new()),
    };
    [start(dialect), opens, dialect.words(words), closes, dialect.end()].concat()
}

fn ask(address: std::net::SocketAddr, client: Dialect, streamed: bool) -> Message {
    let mut body: Value = serde_json::from_str(&client.request("p", streamed)).unwrap();
    match client {
        Dialect::Gemini => body["generationConfig"]["candidateCount"] = json!(3),
        _ => body["n"] = json!(3),
    }
    http::post(address, &client.path("p", streamed), &[], &body.to_string()).unwrap()
}

/// What each choice says, in order of their numbers.
fn said(client: Dialect, answer: &Message, streamed: bool) -> Vec<String> {
    let text = answer.text();
    let documents: Vec<Value> = match streamed {
        true => text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .filter(|data| data.trim() != "[DONE]")
            .map(|data| serde_json::from_str(data).unwrap())
            .collect(),
        false => vec![answer.json().unwrap()],
    };
    let mut said = vec![String::new(); 3];
    for document in &documents {
        let list = if client == Dialect::Gemini { "candidates" } else { "choices" };
        for choice in document[list].as_array().into_iter().flatten() {
            let words = match (client, streamed) {
                (Dialect::Gemini, _) => &choice["content"]["parts"][0]["text"],
                (_, true) => &choice["delta"]["content"],
                (_, false) => &choice["message"]["content"],
            };
            let index = choice["index"].as_u64().unwrap_or(0) as usize;
            said[index].push_str(words.as_str().unwrap_or_default());
        }
    }
    said
}

#[test]
fn each_answer_is_a_call_of_its_own() {
    for backend in ALONE {
        let (first, count) = counting(backend, &[]);
        let (second, _) = counting(backend, &[]);
        let gateway = pool(backend, &first, &second, "");
        for client in [Dialect::OpenaiChat, Dialect::Gemini] {
            for streamed in [false, true] {
                let before = count.load(Ordering::SeqCst);
                let answer = ask(gateway.address, client, streamed);
                assert_eq!(answer.status(), 200, "{client:?} {backend:?} {streamed}: {}", answer.text());
                let mut words = said(client, &answer, streamed);
                words.sort_by_key(|word| word.trim_start_matches('w').parse::<usize>().unwrap_or(usize::MAX));
                let told: Vec<String> = (before..before + 3).map(|number| format!("w{number}")).collect();
                assert_eq!(words, told, "{client:?} {backend:?} {streamed}");
                let fidelity = answer.header("busbar-fidelity").expect("busbar-fidelity");
                let field = if client == Dialect::Gemini { "candidateCount" } else { "n" };
                assert!(fidelity.contains("emulated=") && fidelity.contains(field), "{fidelity}");
                if streamed && client == Dialect::OpenaiChat {
                    assert_eq!(answer.text().matches("[DONE]").count(), 1);
                }
            }
        }
    }
}

#[test]
fn where_one_of_the_calls_fails_another_lane_answers_them_all() {
    for streamed in [false, true] {
        let (first, _) = counting(Anthropic, &[0, 1, 2]);
        let (second, count) = counting(Anthropic, &[]);
        let gateway = pool(Anthropic, &first, &second, "");
        let answer = ask(gateway.address, Dialect::OpenaiChat, streamed);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(count.load(Ordering::SeqCst), 3);
        assert_eq!(answer.header("x-busbar-lane"), Some("b"));
    }
    let (first, _) = counting(Anthropic, &[1]);
    let (second, count) = counting(Anthropic, &[]);
    let gateway = pool(Anthropic, &first, &second, "");
    let answer = ask(gateway.address, Dialect::OpenaiChat, false);
    assert_eq!((answer.status(), count.load(Ordering::SeqCst)), (200, 3), "{}", answer.text());
}
