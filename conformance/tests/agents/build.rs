//! Long sessions of coding agents, in the shapes that they send.

use busbar::Protocol;
use serde_json::{Value, json};

/// Tools that a session declares.
pub(crate) const TOOLS: usize = 24;
/// Calls that each turn makes at once.
pub(crate) const CALLS: usize = 2;

/// The request of an agent of `protocol` after `turns` rounds of calls.
pub(crate) fn session(protocol: Protocol, turns: usize) -> Value {
    match protocol {
        Protocol::Anthropic => messages(turns),
        Protocol::OpenaiResponses => responses(turns),
        Protocol::Gemini => gemini(turns),
        Protocol::OpenaiChat => chat(turns),
        Protocol::Bedrock => converse(turns),
        Protocol::Cohere => cohere(turns),
    }
}

/// Words that must come out once each.
pub(crate) fn words(turns: usize) -> Vec<String> {
    let mut words: Vec<String> = (0..turns).map(|turn| format!("said-{turn}.")).collect();
    for turn in 0..turns {
        for call in 0..CALLS {
            words.push(format!("asked-{turn}-{call}."));
            words.push(format!("found-{turn}-{call}."));
        }
    }
    words.extend((0..TOOLS).map(|tool| format!("does-{tool}.")));
    words.push("The task.".to_owned());
    words
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]})
}

fn tools(make: impl Fn(String, String) -> Value) -> Vec<Value> {
    (0..TOOLS).map(|tool| make(format!("tool_{tool}"), format!("does-{tool}."))).collect()
}

/// Id, tool and argument of the calls of a turn.
fn calls(turn: usize, prefix: &str) -> Vec<(String, String, String)> {
    let call = |call: usize| {
        let tool = (turn * CALLS + call) % TOOLS;
        (format!("{prefix}{turn}_{call}"), format!("tool_{tool}"), format!("asked-{turn}-{call}."))
    };
    (0..CALLS).map(call).collect()
}

fn found(turn: usize, call: usize) -> String {
    format!("found-{turn}-{call}.")
}

fn messages(turns: usize) -> Value {
    let mut out = vec![json!({"role": "user", "content": [{"type": "text", "text": "The task."}]})];
    for turn in 0..turns {
        let mut said = vec![
            json!({"type": "thinking", "thinking": format!("thought-{turn}."), "signature": "c2ln"}),
            json!({"type": "text", "text": format!("said-{turn}.")}),
        ];
        let mut results = Vec::new();
        for (at, (id, name, path)) in calls(turn, "toolu_").into_iter().enumerate() {
            said.push(json!({"type": "tool_use", "id": id, "name": name, "input": {"path": path}}));
            // Some results are text, some are parts, and some have failed.
            let content = match turn % 2 {
                0 => json!(found(turn, at)),
                _ => json!([{"type": "text", "text": found(turn, at)}]),
            };
            let mut result = json!({"type": "tool_result", "tool_use_id": id, "content": content});
            if turn % 5 == 4 {
                result["is_error"] = json!(true);
            }
            results.push(result);
        }
        if turn + 1 == turns {
            results[CALLS - 1]["cache_control"] = json!({"type": "ephemeral"});
        }
        out.push(json!({"role": "assistant", "content": said}));
        out.push(json!({"role": "user", "content": results}));
    }
    json!({
        "model": "pool", "max_tokens": 32000, "stream": true,
        "thinking": {"type": "enabled", "budget_tokens": 31999},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": "user_ab_session_cd"},
        "system": [
            {"type": "text", "text": "You are a coding agent.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Be terse.", "cache_control": {"type": "ephemeral"}}
        ],
        "tools": tools(|name, does| json!({"name": name, "description": does, "input_schema": schema()})),
        "messages": out,
    })
}

fn responses(turns: usize) -> Value {
    let message = |role: &str, kind: &str, text: String| json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]});
    let mut out = vec![
        message("developer", "input_text", "You are a coding agent.".to_owned()),
        message("user", "input_text", "The task.".to_owned()),
    ];
    for turn in 0..turns {
        out.push(json!({"type": "reasoning", "id": format!("rs_{turn}"), "encrypted_content": "gAAA",
            "summary": [{"type": "summary_text", "text": format!("thought-{turn}.")}]}));
        out.push(message("assistant", "output_text", format!("said-{turn}.")));
        for (id, name, path) in calls(turn, "call_") {
            let arguments = json!({"path": path}).to_string();
            out.push(json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments}));
        }
        for (at, (id, ..)) in calls(turn, "call_").into_iter().enumerate() {
            out.push(json!({"type": "function_call_output", "call_id": id, "output": found(turn, at)}));
        }
    }
    json!({
        "model": "pool", "stream": true, "store": false, "parallel_tool_calls": true, "tool_choice": "auto",
        "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "medium", "summary": "auto"},
        "prompt_cache_key": "session-1", "input": out,
        "tools": tools(|name, does| json!({"type": "function", "name": name, "description": does,
            "strict": false, "parameters": schema()})),
    })
}

fn gemini(turns: usize) -> Value {
    let mut out = vec![json!({"role": "user", "parts": [{"text": "The task."}]})];
    for turn in 0..turns {
        let mut said = vec![
            json!({"text": format!("thought-{turn}."), "thought": true}),
            json!({"text": format!("said-{turn}.")}),
        ];
        let mut results = Vec::new();
        for (at, (_, name, path)) in calls(turn, "").into_iter().enumerate() {
            let mut call = json!({"functionCall": {"name": name, "args": {"path": path}}});
            if at == 0 {
                call["thoughtSignature"] = json!("c2ln");
            }
            said.push(call);
            let response = json!({"output": found(turn, at)});
            results.push(json!({"functionResponse": {"name": name, "response": response}}));
        }
        out.push(json!({"role": "model", "parts": said}));
        out.push(json!({"role": "user", "parts": results}));
    }
    let declared =
        tools(|name, does| json!({"name": name, "description": does, "parametersJsonSchema": schema()}));
    json!({
        "systemInstruction": {"parts": [{"text": "You are a coding agent."}]},
        "generationConfig": {"temperature": 1, "topP": 0.95,
            "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 8192}},
        "tools": [{"functionDeclarations": declared}], "contents": out,
    })
}

fn chat(turns: usize) -> Value {
    let mut out = vec![
        json!({"role": "system", "content": "You are a coding agent."}),
        json!({"role": "user", "content": "The task."}),
    ];
    spoken(turns, &mut out, "content");
    json!({
        "model": "pool", "stream": true, "stream_options": {"include_usage": true}, "max_tokens": 8000,
        "tools": functions(), "messages": out,
    })
}

fn cohere(turns: usize) -> Value {
    let mut out = vec![
        json!({"role": "system", "content": "You are a coding agent."}),
        json!({"role": "user", "content": "The task."}),
    ];
    spoken(turns, &mut out, "tool_plan");
    json!({"model": "pool", "stream": true, "max_tokens": 8000, "tools": functions(), "messages": out})
}

/// Turns as Chat Completions and Cohere write them, with what was said in `member`.
fn spoken(turns: usize, out: &mut Vec<Value>, member: &str) {
    for turn in 0..turns {
        let made: Vec<Value> = calls(turn, "call_")
            .into_iter()
            .map(|(id, name, path)| {
                let arguments = json!({"path": path}).to_string();
                json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
            })
            .collect();
        out.push(json!({"role": "assistant", member: format!("said-{turn}."), "tool_calls": made}));
        for (at, (id, ..)) in calls(turn, "call_").into_iter().enumerate() {
            let content = json!([{"type": "text", "text": found(turn, at)}]);
            out.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
        }
    }
}

fn functions() -> Vec<Value> {
    tools(|name, does| {
        let function = json!({"name": name, "description": does, "parameters": schema()});
        json!({"type": "function", "function": function})
    })
}

fn converse(turns: usize) -> Value {
    let mut out = vec![json!({"role": "user", "content": [{"text": "The task."}]})];
    for turn in 0..turns {
        let mut said = vec![
            json!({"reasoningContent": {"reasoningText": {"text": format!("thought-{turn}."), "signature": "c2ln"}}}),
            json!({"text": format!("said-{turn}.")}),
        ];
        let mut results = Vec::new();
        for (at, (id, name, path)) in calls(turn, "tooluse_").into_iter().enumerate() {
            said.push(json!({"toolUse": {"toolUseId": id, "name": name, "input": {"path": path}}}));
            results.push(json!({"toolResult": {"toolUseId": id, "content": [{"text": found(turn, at)}]}}));
        }
        if turn + 1 == turns {
            results.push(json!({"cachePoint": {"type": "default"}}));
        }
        out.push(json!({"role": "assistant", "content": said}));
        out.push(json!({"role": "user", "content": results}));
    }
    let declared = tools(
        |name, does| json!({"toolSpec": {"name": name, "description": does, "inputSchema": {"json": schema()}}}),
    );
    json!({
        "system": [{"text": "You are a coding agent."}, {"cachePoint": {"type": "default"}}],
        "inferenceConfig": {"maxTokens": 32000}, "toolConfig": {"tools": declared}, "messages": out,
    })
}
