use http::HeaderMap;
use serde_json::{Value, json};

use super::{frames, validate};
use crate::simulator::answer::{Answer, Finish, Piece, Usage};
use crate::simulator::sign;

fn check(body: &Value) -> Result<(), String> {
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-version", http::HeaderValue::from_static("2023-06-01"));
    validate(&headers, body, false).map(|_| ()).map_err(|refusal| refusal.message)
}

/// A good request with some members replaced; `null` takes one away.
fn request(changes: Value) -> Value {
    let mut body = json!({"model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            body.as_object_mut().expect("an object").remove(name);
        } else {
            body[name] = value.clone();
        }
    }
    body
}

fn history(turns: Value) -> Value {
    let mut messages = vec![json!({"role": "user", "content": "hi"})];
    messages.extend(turns.as_array().expect("a list").iter().cloned());
    Value::Array(messages)
}

#[test]
fn each_rule_is_told_in_the_providers_words() {
    let call =
        json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]});
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "ok"});
    let cases = [
        (json!({"max_tokens": null}), "max_tokens: Field required"),
        (json!({"model": null}), "model: Field required"),
        (json!({"messages": null}), "messages: Field required"),
        (json!({"messages": []}), "messages: at least one message is required"),
        (json!({"foo": 1}), "foo: Extra inputs are not permitted"),
        (json!({"thread": {"type": "create"}}), "thread: this request cannot be part of a thread"),
        (json!({"thread": {"type": "x"}}), "thread.type: Input should be 'create' or 'continue'"),
        (json!({"context_management": {}}), "context_management: Extra inputs are not permitted"),
        (json!({"temperature": 1.5}), "temperature: Input should be less than or equal to 1"),
        (json!({"max_tokens": 0}), "max_tokens: Input should be greater than or equal to 1"),
        (json!({"stop_sequences": [" "]}), "stop_sequences: each stop sequence must contain non-whitespace"),
        (
            json!({"messages": [{"role": "user", "content": ""}]}),
            "messages.0: all messages must have non-empty content except for the optional final assistant message",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}),
            "messages: text content blocks must be non-empty",
        ),
        (
            json!({"messages": history(json!([{"role": "assistant", "content": "so "}]))}),
            "messages: final assistant content cannot end with trailing whitespace",
        ),
        (
            json!({"messages": history(json!([call, {"role": "user", "content": "x"}]))}),
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
        ),
        (
            json!({"messages": history(json!([call, {"role": "user", "content": [{"type": "text", "text": "x"}, result("t1")]}]))}),
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
        ),
        (
            json!({"messages": [{"role": "user", "content": [result("t9")]}]}),
            "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: t9. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
        ),
        (
            json!({"messages": history(json!([{"role": "assistant", "content": [{"type": "tool_use", "id": "a:0", "name": "f", "input": {}}]}]))}),
            "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 1000}}),
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}),
            "`max_tokens` must be greater than `thinking.budget_tokens`.",
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "temperature": 0.5}),
            "`temperature` may only be set to 1 when thinking is enabled.",
        ),
        (
            json!({"thinking": {"type": "adaptive"}, "tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any"}}),
            "Thinking may not be enabled when tool_choice forces tool use.",
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": history(json!([call, {"role": "user", "content": [result("t1")]}]))}),
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final `assistant` message must start with a thinking block.",
        ),
        (
            json!({"messages": history(json!([{"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "foreign"}, {"type": "text", "text": "a"}]}]))}),
            "messages.1.content.0: Invalid `signature` in `thinking` block",
        ),
        (
            json!({"messages": history(json!([{"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]}]))}),
            "messages.1.content.0: Invalid `data` in `redacted_thinking` block",
        ),
        (
            json!({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}),
            "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
        ),
        (
            json!({"tools": [{"name": "f", "input_schema": {}}]}),
            "tools.0.custom.input_schema.type: Field required",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "AA=="}}]}]}),
            "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "%"}}]}]}),
            "messages.0.content.0.image.source.base64.data: Invalid base64 data",
        ),
    ];
    for (changes, said) in cases {
        assert_eq!(check(&request(changes.clone())), Err(said.to_owned()), "{changes}");
    }
}

#[test]
fn five_cache_marks_are_too_many() {
    let block = json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}});
    let body = |count: usize| {
        request(json!({"messages": [{"role": "user", "content": vec![block.clone(); count]}]}))
    };
    assert_eq!(check(&body(4)), Ok(()));
    assert_eq!(
        check(&body(5)),
        Err("A maximum of 4 blocks with cache_control may be provided. Found 5.".to_owned())
    );
}

#[test]
fn its_own_thinking_comes_back_and_flags_open_fields() {
    let thought = json!({"type": "thinking", "thinking": "hm", "signature": sign::sign("anthropic", "hm")});
    let call = json!({"type": "tool_use", "id": "t1", "name": "f", "input": {}});
    let body = request(json!({
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": history(json!([
            {"role": "assistant", "content": [thought, call]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "is_error": true}]},
        ])),
    }));
    assert_eq!(check(&body), Ok(()));

    let mut headers = HeaderMap::new();
    let body = request(json!({"context_management": {}}));
    assert_eq!(
        validate(&headers, &body, false).expect_err("no version").message,
        "anthropic-version: header is required"
    );
    headers.insert("anthropic-version", http::HeaderValue::from_static("2023-06-01"));
    headers.insert("anthropic-beta", http::HeaderValue::from_static("a, context-management-2025-06-27"));
    assert!(validate(&headers, &body, false).is_ok());
}

#[test]
fn a_stream_has_the_native_order() {
    let answer = Answer {
        pieces: vec![
            Piece::Thinking("hm".to_owned()),
            Piece::Text("a b".to_owned()),
            Piece::Call { name: "f".to_owned(), arguments: "{}".to_owned() },
        ],
        finish: Finish::Calls,
        usage: Usage::default(),
        pace: None,
        seed: 1,
        omit_thinking: false,
    };
    let names: Vec<String> = frames("m", &answer)
        .all
        .iter()
        .map(|frame| {
            let text = String::from_utf8_lossy(frame);
            let (name, data) = text.split_once('\n').expect("two lines");
            let data: Value = serde_json::from_str(data.trim_start_matches("data: ")).expect("JSON");
            let delta = data.pointer("/delta/type").and_then(Value::as_str).unwrap_or_default();
            format!("{} {delta}", name.trim_start_matches("event: ")).trim().to_owned()
        })
        .collect();
    assert_eq!(
        names,
        [
            "message_start",
            "ping",
            "content_block_start",
            "content_block_delta thinking_delta",
            "content_block_delta signature_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta text_delta",
            "content_block_delta text_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta input_json_delta",
            "content_block_delta input_json_delta",
            "content_block_delta input_json_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
}

#[test]
fn only_the_last_assistant_turn_has_to_begin_with_thinking() {
    let call =
        json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]});
    let result =
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "ok"}]});
    let later =
        json!([call, result, {"role": "assistant", "content": "done"}, {"role": "user", "content": "on"}]);
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    assert_eq!(check(&request(json!({"thinking": thinking, "messages": history(later)}))), Ok(()));
}
