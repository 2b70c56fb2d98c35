//! Whole requests and answers, from one protocol to another.

use busbar::Protocol::{Anthropic, OpenaiChat};
use busbar::translate::{self, Carriage, TargetFacts};
use serde_json::{Value, json};

#[test]
fn look() {
    let facts = TargetFacts { upstream_model: "claude-x", now: 1_700_000_000, ..TargetFacts::default() };
    let carriage = Carriage::default();
    let body = json!({
        "model": "fast", "stream": true, "temperature": 1.5, "max_tokens": 50, "stop": ["\n", "END"], "user": "u1", "n": 1,
        "reasoning_effort": "high", "seed": 4,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Really."}]},
            {"role": "user", "name": "Ann", "content": [
                {"type": "text", "text": "What is \"this\"?\n"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0=", "detail": "low"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}]},
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "functions.Bash:0", "type": "function", "function": {"name": "bash", "arguments": "{\"cmd\":\"ls\"}"}},
                {"id": "call_2", "type": "function", "function": {"name": "read", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "call_2", "content": "two"},
            {"role": "tool", "tool_call_id": "functions.Bash:0", "content": [{"type": "text", "text": "one"}]},
            {"role": "user", "content": "go on"}
        ],
        "tools": [{"type": "function", "function": {"name": "bash", "description": "run", "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}}}},
                  {"type": "function", "function": {"name": "read"}}],
        "tool_choice": "required", "parallel_tool_calls": false,
        "response_format": {"type": "json_object"}
    });
    let out =
        translate::request(OpenaiChat, Anthropic, body.to_string().as_bytes(), &facts, &carriage).unwrap();
    println!("{:#}\n{:#?}", serde_json::from_slice::<Value>(&out.body).unwrap(), out.ledger.effects());
    println!("{:?}", out.state);
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "SIG="},
            {"type": "redacted_thinking", "data": "RED"},
            {"type": "text", "text": "a"}, {"type": "text", "text": "b"},
            {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"cmd": "ls", "n": 1.0}}],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 1, "output_tokens": 7}
    });
    let (body, ledger) = translate::response(answer.to_string().as_bytes(), &out.state, &carriage).unwrap();
    println!("{:#}\n{:#?}", serde_json::from_slice::<Value>(&body).unwrap(), ledger.effects());

    let body = json!({
        "model": "fast", "max_tokens": 2000, "stream": true, "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc=1"},
            {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "thinking": {"type": "enabled", "budget_tokens": 1500}, "top_k": 4, "metadata": {"user_id": "u"},
        "stop_sequences": ["a","b","c","d","e"],
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "SIG="},
                {"type": "text", "text": "let me"},
                {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"cmd": "ls"}},
                {"type": "tool_use", "id": "toolu_2", "name": "bash", "input": {}}]},
            {"role": "user", "content": [
                {"type": "text", "text": "first"},
                {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": true, "content": [{"type": "text", "text": "no"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}}]},
                {"type": "tool_result", "tool_use_id": "toolu_1"}]}
        ],
        "tools": [{"name": "bash", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false}}}
    });
    let facts = TargetFacts { allow_semantic_loss: true, ..facts };
    let out =
        translate::request(Anthropic, OpenaiChat, body.to_string().as_bytes(), &facts, &carriage).unwrap();
    println!("{:#}\n{:#?}", serde_json::from_slice::<Value>(&out.body).unwrap(), out.ledger.effects());
    let answer = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt", "choices": [{"index": 0, "finish_reason": "stop", "message": {
            "role": "assistant", "content": "x", "reasoning_content": "think", "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "bash", "arguments": "{\"cmd\": \"ls\"}"}}]}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 4}}
    });
    let (body, ledger) = translate::response(answer.to_string().as_bytes(), &out.state, &carriage).unwrap();
    println!("{:#}\n{:#?}", serde_json::from_slice::<Value>(&body).unwrap(), ledger.effects());
}
