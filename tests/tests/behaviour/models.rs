//! What the gateway knows of models and of callers, and what a backend gets because of it.

use busbar_tests::dialect::Dialect::{Anthropic, OpenaiChat};
use busbar_tests::gateway::{Gateway, UPSTREAM_MODEL, config, model};
use busbar_tests::http::{self, Message};
use busbar_tests::upstream::{self, Upstream};
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

#[test]
fn a_history_that_changes_provider_goes_up_readable() {
    let thinking = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
        "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1},
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
        ],
    });
    let upstream = Upstream::start(move |request, connection| {
        let is_anthropic = request.line.contains("/messages");
        let body = if is_anthropic { thinking.to_string() } else { buffered(OpenaiChat) };
        Ok(connection.write(&upstream::response(200, &[], &body))?)
    });
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    let ask = |model: String, messages: &Value| -> (Message, Message) {
        let body =
            json!({"model": model, "messages": messages, "seed": 7, "vendor_extra": {"a": 1.0}}).to_string();
        let target = format!("{}?key=sk-mine&trace=1", OpenaiChat.path("", false));
        let headers = [("openai-organization", "org")];
        let answer = http::post(gateway.address, &target, &headers, &body).unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        (answer, upstream.next_request().unwrap())
    };
    let hi = json!({"role": "user", "content": "Hi"});
    let (answer, _) = ask(model(Anthropic), &json!([hi]));
    let call = answer.json().unwrap()["choices"][0]["message"].clone();
    let id = call["tool_calls"][0]["id"].clone();
    assert!(id.as_str().unwrap().starts_with("bb1-"), "{id}");
    let history = json!([hi, call, {"role": "tool", "tool_call_id": id, "content": "seen"}]);
    let (answer, sent) = ask(model(OpenaiChat), &history);
    assert_eq!(answer.text(), buffered(OpenaiChat), "the answer is forwarded as it is");
    assert!(!sent.text().contains("bb1-"), "{}", sent.text());
    let body = sent.json().unwrap();
    assert_eq!(body["messages"][1]["tool_calls"][0]["id"], "toolu_1");
    assert_eq!(body["messages"][2]["tool_call_id"], "toolu_1");
    assert_eq!(body["messages"][1]["reasoning_content"], "hm", "the text can be read: {body}");
    assert_eq!((&body["seed"], &body["vendor_extra"]), (&json!(7), &json!({"a": 1.0})));
    assert_eq!(body["model"], UPSTREAM_MODEL);
    assert!(sent.line.ends_with("/chat/completions?trace=1 HTTP/1.1"), "{}", sent.line);
    assert_eq!(sent.header("openai-organization"), Some("org"));
}
