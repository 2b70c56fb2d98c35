use serde_json::{Value, json};

use super::{frames, validate};
use crate::simulator::answer::{Answer, Finish, Piece, Seen, Usage};

/// A good request with some members replaced.
fn request(changes: &Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

#[test]
fn each_rule_is_told_in_the_providers_words() {
    let user = json!({"role": "user", "content": "hi"});
    let call = |id: &str| {
        json!({"role": "assistant", "content": null, "tool_calls": [
            {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]})
    };
    let tool = |parameters: Value| json!([{"type": "function", "function": {"name": "f", "strict": true, "parameters": parameters}}]);
    let long = "x".repeat(41);
    let cases = [
        (json!({"foo": 1}), "Unrecognized request argument supplied: foo", Some("unknown_parameter")),
        (
            json!({"model": 1}),
            "Invalid type for 'model': expected a string, but got an integer instead.",
            Some("invalid_type"),
        ),
        (
            json!({"messages": []}),
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            Some("empty_array"),
        ),
        (
            json!({"temperature": 2.5}),
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
            Some("decimal_above_max_value"),
        ),
        (
            json!({"stop": ["a", "b", "c", "d", "e"]}),
            "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length 5 instead.",
            Some("array_above_max_length"),
        ),
        (
            json!({"max_tokens": 1, "max_completion_tokens": 1}),
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            None,
        ),
        (
            json!({"stream_options": {"include_usage": true}}),
            "Invalid value for 'stream_options': The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            Some("invalid_value"),
        ),
        (
            json!({"tool_choice": "auto"}),
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
            Some("invalid_value"),
        ),
        (json!({"tools": []}), "Invalid 'tools': array too short.", Some("empty_array")),
        (
            json!({"tools": tool(json!({"type": "object", "properties": {}}))}),
            "Invalid schema for function 'f': In context=(), 'additionalProperties' is required to be supplied and to be false.",
            Some("invalid_function_parameters"),
        ),
        (
            json!({"tools": tool(json!({"type": "object", "additionalProperties": false, "properties": {"a": {"type": "string"}}}))}),
            "Invalid schema for function 'f': In context=(), 'required' is required to be supplied and to be an array including every key in properties. Missing 'a'.",
            Some("invalid_function_parameters"),
        ),
        (
            json!({"messages": [{"role": "assistant", "content": null}]}),
            "Invalid value for 'content': expected a string, got null.",
            Some("invalid_type"),
        ),
        (
            json!({"messages": [user, call("c1"), user]}),
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: c1",
            None,
        ),
        (
            json!({"messages": [user, {"role": "tool", "tool_call_id": "c1", "content": "x"}]}),
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
            None,
        ),
        (
            json!({"messages": [user, call(&long)]}),
            "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40, but got a string with length 41 instead.",
            Some("string_above_max_length"),
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,%"}}]}]}),
            "Invalid image data: a base64 data URL or an HTTP URL is expected.",
            Some("invalid_base64"),
        ),
        (
            json!({"response_format": {"type": "json_object"}}),
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            None,
        ),
    ];
    for (changes, said, code) in cases {
        let refusal = validate(&request(&changes)).expect_err("is refused");
        assert_eq!((refusal.message.as_str(), refusal.code), (said, code), "{changes}");
    }
    let refusal = validate(&json!({"messages": [user]})).expect_err("is refused");
    assert_eq!(refusal.message, "you must provide a model parameter");
}

#[test]
fn a_tool_turn_is_read() {
    let seen = validate(&request(&json!({"messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "b", "content": "two"},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "one"}]},
    ]})))
    .expect("is taken");
    assert_eq!(seen.results, ["two", "one"]);
    assert_eq!(seen.user, "go");
}

#[test]
fn usage_comes_last_and_only_when_asked_for() {
    let answer = Answer {
        pieces: vec![Piece::Text("a b".to_owned())],
        finish: Finish::End,
        usage: Usage { input: 3, output: 2, ..Usage::default() },
        pace: None,
        seed: 1,
        omit_thinking: false,
    };
    let mut seen = Seen { model: "m".to_owned(), ..Seen::default() };
    let read = |seen: &Seen| -> Vec<Value> {
        let all = frames(seen, &answer).all;
        assert_eq!(all.last().map(|last| &last[..]), Some(&b"data: [DONE]\n\n"[..]));
        all[..all.len() - 1]
            .iter()
            .map(|frame| serde_json::from_slice(&frame[b"data: ".len()..]).expect("JSON"))
            .collect()
    };
    let plain = read(&seen);
    assert_eq!(plain.len(), 4);
    assert_eq!(plain[0]["choices"][0]["delta"], json!({"role": "assistant", "content": "", "refusal": null}));
    assert_eq!(plain[1]["choices"][0]["delta"], json!({"content": "a "}));
    assert_eq!(plain[3]["choices"][0]["finish_reason"], "stop");
    assert!(plain.iter().all(|chunk| chunk.get("usage").is_none()));
    seen.include_usage = true;
    let counted = read(&seen);
    assert_eq!(counted.len(), 5);
    assert_eq!(counted[4]["choices"], json!([]));
    assert_eq!(counted[4]["usage"]["total_tokens"], 5);
    assert!(counted[..4].iter().all(|chunk| chunk["usage"].is_null()));
}

#[test]
fn each_alternative_has_its_index() {
    let answer = Answer {
        pieces: vec![Piece::Text("a".to_owned())],
        finish: Finish::End,
        usage: Usage::default(),
        pace: None,
        seed: 1,
        omit_thinking: false,
    };
    let seen = validate(&request(&json!({"n": 2}))).expect("is taken");
    let whole = super::buffered(&seen, &answer);
    assert_eq!(whole["choices"][1]["index"], 1);
    assert_eq!(whole["choices"].as_array().map(Vec::len), Some(2));
    let first = String::from_utf8_lossy(&frames(&seen, &answer).all[1]).into_owned();
    assert_eq!((first.matches("\"index\":0").count(), first.matches("\"index\":1").count()), (1, 1));
}
