//! Whole agent histories, from one protocol to another and back, as exact JSON.

use busbar::Protocol::{self, Anthropic, OpenaiChat};
use busbar::translate::{self, CallState, Carriage, TargetFacts};
use busbar_protocols::prelude::Checked;
use serde_json::{Value, json};

fn up(from: Protocol, to: Protocol, body: &Value, carriage: &Carriage) -> (Value, Vec<String>, CallState) {
    let facts =
        TargetFacts { upstream_model: "upstream-model", now: 1_700_000_000, ..TargetFacts::default() };
    let out = translate::request(
        from,
        to,
        Checked::new(body.to_string().as_bytes()).expect("JSON"),
        &facts,
        carriage,
    )
    .unwrap_or_else(|refusal| panic!("{refusal}"));
    (serde_json::from_slice(&out.body).expect("JSON"), effects(&out.ledger), out.state)
}

fn back(state: &CallState, body: &Value, carriage: &Carriage) -> (Value, Vec<String>) {
    let (body, ledger) =
        translate::response(body.to_string().as_bytes(), state, carriage).expect("an answer");
    (serde_json::from_slice(&body).expect("JSON"), effects(&ledger))
}

fn effects(ledger: &busbar_protocols::Ledger) -> Vec<String> {
    ledger.effects().iter().map(|effect| format!("{} {}", effect.kind.name(), effect.path)).collect()
}

/// What a coding agent of the messages protocol sends in the middle of its work.
fn messages_history() -> Value {
    let mark = json!({ "type": "ephemeral" });
    json!({
        "model": "fast", "max_tokens": 32000, "stream": true,
        "metadata": { "user_id": "user_1_session_2" },
        "thinking": { "type": "enabled", "budget_tokens": 10000 },
        "system": [
            { "type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=4f2;" },
            { "type": "text", "text": "You are an agent.", "cache_control": mark },
            { "type": "text", "text": "Working directory: /src\nToday is Monday.", "cache_control": mark },
        ],
        "tools": [
            { "name": "Bash", "description": "Runs a command", "input_schema": {
                "type": "object", "properties": { "command": { "type": "string" }, "timeout": { "type": "number", "maximum": 600000.0 } },
                "required": ["command"], "additionalProperties": false, "$schema": "http://json-schema.org/draft-07/schema#" } },
            { "name": "Read", "input_schema": { "type": "object", "properties": {} }, "cache_control": mark },
        ],
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "<system-reminder>\nbe careful\n</system-reminder>" },
                { "type": "text", "text": "Fix the \"bug\" in λ.rs" },
            ] },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "Look first.", "signature": "EqQBCkYI==" },
                { "type": "text", "text": "I'll look." },
                { "type": "tool_use", "id": "toolu_01A", "name": "Bash", "input": { "command": "cat λ.rs", "timeout": 1.50 } },
                { "type": "tool_use", "id": "toolu_01B", "name": "Read", "input": {} },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_01B", "is_error": true, "content": "no such file" },
                { "type": "tool_result", "tool_use_id": "toolu_01A", "content": [
                    { "type": "text", "text": "fn main() {}" },
                    { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBORw0=" } },
                ] },
                { "type": "text", "text": "hurry", "cache_control": mark },
            ] },
        ],
    })
}

#[test]
fn a_messages_agent_over_a_chat_backend() {
    let carriage = Carriage::default();
    let (body, effects, state) = up(Anthropic, OpenaiChat, &messages_history(), &carriage);
    assert_eq!(
        body,
        json!({
            "model": "upstream-model", "max_completion_tokens": 32000, "stream": true,
            "stream_options": { "include_usage": true }, "user": "user_1_session_2", "reasoning_effort": "high",
            "tools": [
                { "type": "function", "function": { "name": "Bash", "description": "Runs a command", "parameters": {
                    "type": "object", "properties": { "command": { "type": "string" }, "timeout": { "type": "number", "maximum": 600000.0 } },
                    "required": ["command"], "additionalProperties": false, "$schema": "http://json-schema.org/draft-07/schema#" } } },
                { "type": "function", "function": { "name": "Read", "parameters": { "type": "object", "properties": {} } } },
            ],
            "messages": [
                { "role": "system", "content": [
                    { "type": "text", "text": "You are an agent." },
                    { "type": "text", "text": "Working directory: /src\nToday is Monday." },
                ] },
                { "role": "user", "content": [
                    { "type": "text", "text": "<system-reminder>\nbe careful\n</system-reminder>" },
                    { "type": "text", "text": "Fix the \"bug\" in λ.rs" },
                ] },
                { "role": "assistant", "content": [{ "type": "text", "text": "I'll look." }], "reasoning_content": "Look first.", "tool_calls": [
                    { "id": "toolu_01A", "type": "function", "function": { "name": "Bash", "arguments": "{\"command\":\"cat λ.rs\",\"timeout\":1.5}" } },
                    { "id": "toolu_01B", "type": "function", "function": { "name": "Read", "arguments": "{}" } },
                ] },
                { "role": "tool", "tool_call_id": "toolu_01A", "content": [{ "type": "text", "text": "fn main() {}" }] },
                { "role": "tool", "tool_call_id": "toolu_01B", "content": [{ "type": "text", "text": "[tool error] no such file" }] },
                { "role": "user", "content": [
                    { "type": "text", "text": "Result of `Bash`:" },
                    { "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw0=" } },
                    { "type": "text", "text": "hurry" },
                ] },
            ],
        })
    );
    assert_eq!(
        effects,
        [
            "dropped system[0]",
            "emulated messages[2].content[0].is_error",
            "adapted messages[2].content[1].content[1]",
            "dropped tools[1].cache_control",
            "dropped system[1].cache_control",
            "dropped system[2].cache_control",
            "dropped messages[2].content[2].cache_control",
            "dropped messages[1].content[0].signature",
            "adapted thinking.budget_tokens",
        ]
    );
    let answer = json!({
        "id": "chatcmpl-9", "object": "chat.completion", "created": 5, "model": "gpt",
        "choices": [{ "index": 0, "finish_reason": "stop", "logprobs": null, "message": {
            "role": "assistant", "content": "Running.", "refusal": null, "annotations": [], "tool_calls": [
                { "id": "call_7", "type": "function", "function": { "name": "Bash", "arguments": "{\"command\":\"ls\",\"timeout\":2.0}" } },
            ] } }],
        "usage": { "prompt_tokens": 1200, "completion_tokens": 40, "total_tokens": 1240,
            "prompt_tokens_details": { "cached_tokens": 1000, "audio_tokens": 0 },
            "completion_tokens_details": { "reasoning_tokens": 24, "audio_tokens": 0 } },
        "system_fingerprint": "fp_1", "service_tier": "default",
    });
    let (body, _) = back(&state, &answer, &carriage);
    assert_eq!(
        body["content"],
        json!([
            { "type": "text", "text": "Running." },
            { "type": "tool_use", "id": "call_7", "name": "Bash", "input": { "command": "ls", "timeout": 2.0 } },
        ])
    );
    assert_eq!(
        (&body["stop_reason"], &body["type"], &body["role"]),
        (&json!("tool_use"), &json!("message"), &json!("assistant"))
    );
    assert_eq!(
        (&body["usage"]["input_tokens"], &body["usage"]["cache_read_input_tokens"]),
        (&json!(200), &json!(1000))
    );
}

/// What a coding agent of the chat protocol sends in the middle of its work.
fn chat_history() -> Value {
    json!({
        "model": "fast", "max_tokens": 8000, "temperature": 0.2, "stop": ["</end>"], "user": "u",
        "parallel_tool_calls": false,
        "messages": [
            { "role": "system", "content": "You are an agent." },
            { "role": "user", "content": "Fix it." },
            { "role": "assistant", "content": null, "tool_calls": [
                { "id": "functions.read:0", "type": "function", "function": { "name": "read", "arguments": "{\"path\": \"a\"}" } },
                { "id": "functions.read:1", "type": "function", "function": { "name": "read", "arguments": "" } },
            ] },
            { "role": "tool", "tool_call_id": "functions.read:0", "content": [{ "type": "text", "text": "A" }] },
            { "role": "tool", "tool_call_id": "functions.read:1", "content": "" },
            { "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw0=" } }] },
            { "role": "assistant", "content": "Seen." },
            { "role": "user", "content": "Go on." },
        ],
        "tools": [{ "type": "function", "function": { "name": "read", "description": "Reads", "strict": true, "parameters": {
            "type": "object", "properties": { "path": { "type": "string" } }, "required": ["path"], "additionalProperties": false } } }],
    })
}

#[test]
fn a_chat_agent_over_a_messages_backend() {
    let carriage = Carriage::default();
    let (body, effects, state) = up(OpenaiChat, Anthropic, &chat_history(), &carriage);
    let ids: Vec<Value> = (0..2).map(|n| body["messages"][1]["content"][n]["id"].clone()).collect();
    assert!(
        ids[0] != ids[1] && ids[0].as_str().is_some_and(|id| id.starts_with("functions_read_0_")),
        "{ids:?}"
    );
    assert_eq!(
        body,
        json!({
            "model": "upstream-model", "max_tokens": 8000, "temperature": 0.2, "stop_sequences": ["</end>"],
            "metadata": { "user_id": "u" }, "system": "You are an agent.",
            "tool_choice": { "type": "auto", "disable_parallel_tool_use": true },
            "messages": [
                { "role": "user", "content": "Fix it." },
                { "role": "assistant", "content": [
                    { "type": "tool_use", "id": ids[0], "name": "read", "input": { "path": "a" } },
                    { "type": "tool_use", "id": ids[1], "name": "read", "input": {} },
                ] },
                { "role": "user", "content": [
                    { "type": "tool_result", "tool_use_id": ids[0], "content": [{ "type": "text", "text": "A" }] },
                    { "type": "tool_result", "tool_use_id": ids[1], "content": "" },
                    { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBORw0=" } },
                ] },
                { "role": "assistant", "content": "Seen." },
                { "role": "user", "content": "Go on." },
            ],
            "tools": [{ "type": "custom", "name": "read", "description": "Reads", "strict": true, "input_schema": {
                "type": "object", "properties": { "path": { "type": "string" } }, "required": ["path"], "additionalProperties": false } }],
        })
    );
    assert_eq!(
        effects,
        [
            "adapted messages[2].tool_calls[0]",
            "adapted messages[2].tool_calls[1]",
            "adapted messages[3]",
            "adapted messages[4]",
            "adapted messages[2].tool_calls[1].function.arguments",
        ]
    );
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": [
            { "type": "text", "text": "Reading." },
            { "type": "tool_use", "id": "toolu_9", "name": "read", "input": { "path": "b", "n": 1.0 } },
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": { "input_tokens": 20, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 50, "output_tokens": 7,
            "cache_creation": { "ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 0 }, "service_tier": "standard" },
    });
    let (body, _) = back(&state, &answer, &carriage);
    assert_eq!(
        body["choices"],
        json!([{ "index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {
            "role": "assistant", "content": "Reading.", "refusal": null, "tool_calls": [
                { "id": "toolu_9", "type": "function", "function": { "name": "read", "arguments": "{\"path\":\"b\",\"n\":1.0}" } },
            ] } }])
    );
    assert_eq!(body["usage"]["prompt_tokens"], 100);
    assert_eq!(
        (&body["id"], &body["object"], &body["created"]),
        (&json!("msg_1"), &json!("chat.completion"), &json!(1_700_000_000))
    );
}

#[test]
fn the_same_history_gives_the_same_bytes() {
    for (from, to, body) in
        [(Anthropic, OpenaiChat, messages_history()), (OpenaiChat, Anthropic, chat_history())]
    {
        let facts = TargetFacts::default();
        let send = || {
            translate::request(
                from,
                to,
                Checked::new(body.to_string().as_bytes()).expect("JSON"),
                &facts,
                &Carriage::default(),
            )
            .map(|out| out.body)
            .expect("a request")
        };
        assert_eq!(send(), send());
    }
}

#[test]
fn a_longer_history_begins_with_the_bytes_of_the_shorter_one() {
    // What was cached stays cached: no pass may change what stands before.
    let short = chat_history();
    let mut long = chat_history();
    long["messages"].as_array_mut().expect("messages").extend([
        json!({ "role": "assistant", "content": "Done." }),
        json!({ "role": "user", "content": "Thanks." }),
    ]);
    let (short, _, _) = up(OpenaiChat, Anthropic, &short, &Carriage::default());
    let (long, _, _) = up(OpenaiChat, Anthropic, &long, &Carriage::default());
    let turns = short["messages"].as_array().expect("messages");
    assert_eq!(&long["messages"].as_array().expect("messages")[..turns.len()], &turns[..]);
    assert_eq!(long["system"], short["system"]);
    assert_eq!(long["tools"], short["tools"]);
}

#[test]
fn a_large_history_takes_no_long_time() {
    let call = |n: usize| json!({ "id": format!("functions.f:{n}"), "type": "function", "function": { "name": "f", "arguments": "" } });
    let result =
        |n: usize| json!({ "role": "tool", "tool_call_id": format!("functions.f:{n}"), "content": "x" });
    let count = 20_000;
    let mut turns = vec![json!({ "role": "user", "content": "go" })];
    turns.push(json!({ "role": "assistant", "tool_calls": (0..count).map(call).collect::<Vec<_>>() }));
    turns.extend((0..count).rev().map(result));
    let started = std::time::Instant::now();
    let (body, effects, _) =
        up(OpenaiChat, Anthropic, &json!({ "model": "x", "messages": turns }), &Carriage::default());
    assert_eq!(body["messages"][2]["content"].as_array().map(Vec::len), Some(count));
    assert_eq!(body["messages"][2]["content"][0]["tool_use_id"], body["messages"][1]["content"][0]["id"]);
    assert!(effects.len() <= 520, "{}", effects.len());
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
}
