//! What only its provider can read comes back to it, through a client that knows nothing of it.

use busbar::Protocol;
use busbar::translate::{Carriage, request, response};
use busbar_conformance::suite::{Input, facts, load};
use busbar_conformance::{data, targets};
use busbar_protocols::prelude::Checked;
use serde_json::{Value, json};

/// What a client keeps of an answer when it puts it into the history.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Keeps {
    /// Every member that it got.
    All,
    /// The members that the protocol's own library knows.
    Known,
}

/// The next request of a client that got `answer`: the answer in the history, and a result for each call.
fn next_request(client: Protocol, answer: &Value, keeps: Keeps) -> Option<Value> {
    let question = json!({"role": "user", "content": "Go on."});
    match client {
        Protocol::OpenaiChat => {
            let mut said = answer["choices"][0]["message"].clone();
            if keeps == Keeps::Known {
                let members = said.as_object_mut()?;
                members
                    .retain(|name, _| ["role", "content", "refusal", "tool_calls"].contains(&name.as_str()));
            }
            let calls = said["tool_calls"].as_array().cloned().unwrap_or_default();
            let mut messages = vec![question.clone(), said];
            messages.extend(
                calls.iter().map(|call| json!({"role": "tool", "tool_call_id": call["id"], "content": "ok"})),
            );
            if calls.is_empty() {
                messages.push(question);
            }
            Some(json!({"model": "pool", "max_completion_tokens": 9000, "messages": messages}))
        }
        Protocol::Anthropic => {
            let content = answer["content"].as_array()?;
            let results: Vec<Value> = content
                .iter()
                .filter(|block| block["type"] == "tool_use")
                .map(|block| json!({"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}))
                .collect();
            let last = if results.is_empty() {
                question.clone()
            } else {
                json!({"role": "user", "content": results})
            };
            let messages = json!([question, {"role": "assistant", "content": content}, last]);
            Some(json!({"model": "pool", "max_tokens": 9000, "messages": messages}))
        }
        _ => None,
    }
}

/// The reasoning and the ids of calls in an answer or in a request's history, in order, in the words of `protocol`.
fn opaque(protocol: Protocol, document: &Value) -> Option<(Vec<Value>, Vec<Value>)> {
    match protocol {
        Protocol::Anthropic => {
            let content = document.get("content").or_else(|| document.pointer("/messages/1/content"))?;
            let blocks = content.as_array()?;
            let of = |kinds: &[&str]| -> Vec<Value> {
                let is_one = |block: &&Value| kinds.iter().any(|kind| block["type"] == *kind);
                blocks.iter().filter(is_one).cloned().collect()
            };
            let ids = of(&["tool_use"]).iter().map(|block| block["id"].clone()).collect();
            Some((of(&["thinking", "redacted_thinking"]), ids))
        }
        Protocol::OpenaiChat => {
            let said = document.pointer("/choices/0/message").or_else(|| document.pointer("/messages/1"))?;
            let reasoning = said.get("reasoning_content").cloned().into_iter().collect();
            let calls = said["tool_calls"].as_array().cloned().unwrap_or_default();
            Some((reasoning, calls.iter().map(|call| call["id"].clone()).collect()))
        }
        _ => None,
    }
}

#[test]
fn reasoning_comes_back_to_its_provider() {
    let (mut with_reasoning, mut with_calls) = (0, 0);
    for case in load(&data("suites"), Some("answers")).unwrap() {
        let Input::Response(body) = &case.input else { continue };
        let answer: Value = serde_json::from_str(body).unwrap();
        let Some((reasoning, calls)) = opaque(case.source, &answer) else { continue };
        let whole = calls.iter().all(Value::is_string) && !case.id.contains("several");
        for client in targets(case.source).filter(|_| whole) {
            for keeps in [Keeps::All, Keeps::Known] {
                let carriage = Carriage::default();
                let state = case.state(client);
                let (told, _) = response(body.as_bytes(), &state, &carriage).unwrap();
                let told: Value = serde_json::from_slice(&told).unwrap();
                let Some(next) = next_request(client, &told, keeps) else { continue };
                let next = next.to_string();
                let next = Checked::new(next.as_bytes()).unwrap();
                let out = request(client, case.source, next, &facts(), &carriage)
                    .unwrap_or_else(|refusal| panic!("{} by {client}: {refusal}", case.id));
                let out: Value = serde_json::from_slice(&out.body).unwrap();
                let found = opaque(case.source, &out).unwrap_or_default();
                assert_eq!(found.1, calls, "{} by {client}, {keeps:?}: {out}", case.id);
                // A client that keeps nothing but calls can carry reasoning in their ids alone.
                if keeps == Keeps::All || !calls.is_empty() {
                    assert_eq!(found.0, reasoning, "{} by {client}, {keeps:?}: {out}", case.id);
                    with_reasoning += usize::from(!reasoning.is_empty());
                }
                with_calls += usize::from(!calls.is_empty());
            }
        }
    }
    assert!(with_reasoning >= 6 && with_calls >= 10, "{with_reasoning} {with_calls}");
}
