//! What the gateway knows of models and of callers, and what a backend gets because of it.

use busbar_tests::dialect::Dialect::{Anthropic, OpenaiChat};
use busbar_tests::gateway::{Gateway, config, model};
use busbar_tests::http::{self, Message};
use busbar_tests::upstream::Upstream;
use serde_json::{Value, json};

use crate::translate::buffered;

#[test]
fn facts_of_a_model_shape_what_it_gets() {
    let plain = format!("{}: {{ provider: openai_chat,", model(OpenaiChat));
    let cases = [
        ("", "max_tokens", json!(50)),
        ("max_tokens_field: max_completion_tokens,", "max_completion_tokens", json!(50)),
        ("max_output_tokens: 20,", "max_tokens", json!(20)),
        ("sampling: false,", "temperature", Value::Null),
        ("sampling: true,", "temperature", json!(0.5)),
    ];
    for (fact, field, expected) in cases {
        let upstream = Upstream::fixed(200, &[], &buffered(OpenaiChat));
        let config = config(upstream.address, "").replace(&plain, &format!("{plain} {fact}"));
        let gateway = Gateway::start(&config).unwrap();
        let body = json!({
            "model": model(OpenaiChat), "max_tokens": 50, "temperature": 0.5,
            "messages": [{"role": "user", "content": "Hi"}],
        });
        let answer = http::post(gateway.address, "/v1/messages", &[], &body.to_string()).unwrap();
        assert_eq!(answer.status(), 200, "{fact}: {}", answer.text());
        let sent = upstream.next_request().unwrap().json().unwrap();
        assert_eq!(sent[field], expected, "{fact}: {sent}");
    }
}

#[test]
fn reasoning_that_waits_in_the_gateway_is_its_callers_alone() {
    // Too long for the id of a call.
    let signature = "c2ln".repeat(1000);
    let thinking = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
        "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1},
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": signature},
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
        ],
    });
    let upstream = Upstream::fixed(200, &[], &thinking.to_string());
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    let tools = json!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]);
    let ask = |key: &str, messages: Value| -> (Message, Value) {
        let body = json!({
            "model": model(Anthropic), "messages": messages, "tools": tools, "reasoning_effort": "low",
            "max_tokens": 9000,
        });
        let headers = [("authorization", key)];
        let answer =
            http::post(gateway.address, &OpenaiChat.path("", false), &headers, &body.to_string()).unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        (answer, upstream.next_request().unwrap().json().unwrap())
    };
    let hi = json!({"role": "user", "content": "Hi"});
    let (answer, _) = ask("Bearer sk-alice", json!([hi]));
    let mut call = answer.json().unwrap()["choices"][0]["message"].clone();
    // What a client keeps that knows no more than the protocol.
    call.as_object_mut()
        .unwrap()
        .retain(|name, _| matches!(name.as_str(), "role" | "content" | "tool_calls"));
    let id = call["tool_calls"][0]["id"].clone();
    let history = json!([hi, call, {"role": "tool", "tool_call_id": id, "content": "seen"}]);
    let (_, alice) = ask("Bearer sk-alice", history.clone());
    assert!(alice.to_string().contains(&signature), "{alice}");
    let (_, bob) = ask("Bearer sk-bob", history);
    assert!(!bob.to_string().contains(&signature), "{bob}");
    assert!(bob.to_string().contains("toolu_1"), "the call itself is still one: {bob}");
}
