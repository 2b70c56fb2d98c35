//! Named cases: one request or answer in, exact JSON and exact reports out.

mod answers;
mod carriage;
mod content;
pub(crate) mod errors;
mod gemini;
mod given;
mod parameters;
pub(crate) mod places;
mod reasoning;
mod shapes;
mod tools;
mod turns;

use busbar_protocols::prelude::Checked;
use serde_json::{Value, json};

use super::{CallState, Carriage, Outbound, Refusal, TargetFacts, response};
use crate::Protocol::{self, Anthropic, OpenaiChat};

/// A request that went up.
struct Up {
    body: Value,
    effects: Vec<String>,
    state: CallState,
}

/// A request of bytes that are JSON.
fn request(
    from: Protocol,
    to: Protocol,
    body: &[u8],
    facts: &TargetFacts<'_>,
    carriage: &Carriage,
) -> Result<Outbound, Refusal> {
    super::request(from, to, Checked::new(body).expect("a body is JSON"), facts, carriage)
}

fn facts() -> TargetFacts<'static> {
    TargetFacts { upstream_model: "m", now: 1_700_000_000, scope: "key", ..TargetFacts::default() }
}

fn effects(ledger: &busbar_protocols::Ledger) -> Vec<String> {
    ledger.effects().iter().map(|effect| format!("{} {}", effect.kind.name(), effect.path)).collect()
}

fn try_up(from: Protocol, body: &Value, facts: &TargetFacts<'_>, carriage: &Carriage) -> Result<Up, Refusal> {
    let to = if from == OpenaiChat { Anthropic } else { OpenaiChat };
    let Outbound { body, ledger, state } = request(from, to, body.to_string().as_bytes(), facts, carriage)?;
    let body = serde_json::from_slice(&body).expect("a body is JSON");
    Ok(Up { body, effects: effects(&ledger), state })
}

/// A chat request for an anthropic backend; the members of `body` join the least that is needed.
fn chat(body: Value) -> Up {
    try_up(
        OpenaiChat,
        &with(body, json!({ "model": "x", "max_tokens": 100 })),
        &facts(),
        &Carriage::default(),
    )
    .unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// An anthropic request for a chat backend.
fn messages(body: Value) -> Up {
    try_up(Anthropic, &with(body, json!({ "model": "x", "max_tokens": 100 })), &facts(), &Carriage::default())
        .unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// What is missing in `body` comes from `rest`.
fn with(mut body: Value, rest: Value) -> Value {
    let (Value::Object(members), Value::Object(rest)) = (&mut body, rest) else { panic!("objects") };
    for (name, value) in rest {
        members.entry(name).or_insert(value);
    }
    members.entry("messages").or_insert(json!([{ "role": "user", "content": "hi" }]));
    body
}

/// An answer on its way back.
fn back(state: &CallState, body: &Value, carriage: &Carriage) -> (Value, Vec<String>) {
    let (body, ledger) = response(body.to_string().as_bytes(), state, carriage).expect("an answer");
    (serde_json::from_slice(&body).expect("a body is JSON"), effects(&ledger))
}

/// An anthropic answer with this content.
fn message(content: Value, stop: &str) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": stop, "stop_sequence": null,
        "usage": { "input_tokens": 3, "output_tokens": 2 },
    })
}

/// A chat answer with this message.
fn completion(message: Value, finish: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 5, "model": "m",
        "choices": [{ "index": 0, "message": with_role(message), "finish_reason": finish }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 },
    })
}

fn with_role(mut message: Value) -> Value {
    message["role"] = json!("assistant");
    message
}

/// A user turn of text, in the form that both protocols share.
fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}
