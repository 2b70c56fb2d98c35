//! Long sessions of coding agents over every backend: nothing goes, calls stay paired, and the prefix stays the same.

mod build;
mod read;

use std::collections::BTreeSet;

use busbar::Protocol;
use busbar::translate::{Carriage, Outbound, request};
use busbar_conformance::suite::facts;
use busbar_conformance::targets;
use busbar_protocols::prelude::Checked;
use serde_json::Value;

use self::build::{CALLS, TOOLS, session, words};
use self::read::{Step, steps, tools, turns};

/// Rounds of calls, each of two messages or more.
const TURNS: usize = 150;

#[test]
fn every_word_call_and_result_arrives() {
    for_each_pair(|client, backend| {
        let (out, body) = sent(client, backend, TURNS);
        let text = body.to_string();
        let seen: Vec<usize> = words(TURNS).iter().map(|word| text.matches(word.as_str()).count()).collect();
        for (word, times) in words(TURNS).iter().zip(seen) {
            assert_eq!(times, 1, "{client} > {backend}: {word}");
        }
        assert_eq!(tools(backend, &body), TOOLS, "{client} > {backend}");
        paired(&steps(backend, &body)).unwrap_or_else(|found| panic!("{client} > {backend}: {found}"));
        assert_eq!(empty_text(&body), None, "{client} > {backend}");
        // What was thought arrives, or the report says of each thought that it does not.
        let reported: BTreeSet<&str> =
            out.ledger.effects().iter().map(|effect| effect.path.as_str()).collect();
        let thoughts = session(client, TURNS).to_string().matches("thought-").count();
        let kept = (0..thoughts).filter(|turn| text.contains(&format!("thought-{turn}."))).count();
        let told = reported.iter().filter(|path| is_thought(client, path)).count();
        assert!(
            kept + told >= thoughts,
            "{client} > {backend}: {kept} of {thoughts} thoughts, {told} reported"
        );
    });
}

#[test]
fn a_turn_more_leaves_what_was_sent_as_it_was() {
    for_each_pair(|client, backend| {
        let (_, before) = sent(client, backend, TURNS);
        let (_, after) = sent(client, backend, TURNS + 1);
        let (before_turns, after_turns) =
            (unmarked(turns(backend, &before)), unmarked(turns(backend, &after)));
        assert!(after_turns.len() > before_turns.len());
        for (at, (was, is)) in before_turns.iter().zip(&after_turns).enumerate() {
            assert_eq!(was, is, "{client} > {backend}: message {at}");
        }
        for member in ["system", "systemInstruction", "instructions", "tools", "toolConfig"] {
            assert_eq!(before.get(member), after.get(member), "{client} > {backend}: {member}");
        }
    });
}

#[test]
fn roles_take_turns_where_they_must() {
    for_each_pair(|client, backend| {
        if !matches!(backend, Protocol::Anthropic | Protocol::Bedrock | Protocol::Gemini) {
            return;
        }
        let (_, body) = sent(client, backend, TURNS);
        let roles: Vec<&Value> = turns(backend, &body).iter().map(|turn| &turn["role"]).collect();
        assert_eq!(roles.len(), 1 + 2 * TURNS, "{client} > {backend}");
        assert!(roles.windows(2).all(|pair| pair[0] != pair[1]), "{client} > {backend}");
    });
}

#[test]
fn marks_stay_where_there_are_marks() {
    for (client, backend, marks) in
        [(Protocol::Anthropic, Protocol::Bedrock, 3), (Protocol::Bedrock, Protocol::Anthropic, 2)]
    {
        let (_, body) = sent(client, backend, TURNS);
        let word = if backend == Protocol::Bedrock { "\"cachePoint\"" } else { "\"cache_control\"" };
        assert_eq!(body.to_string().matches(word).count(), marks, "{client} > {backend}");
        let last = turns(backend, &body).last().expect("a message");
        assert!(last.to_string().contains(word), "{client} > {backend}: the mark that moves is at the end");
    }
}

#[test]
fn pairing_is_judged() {
    let all: Vec<Step> = (0..TURNS * CALLS)
        .flat_map(|call| [Step::Other, Step::Call(call.to_string()), Step::Result(call.to_string())])
        .collect();
    assert_eq!(paired(&all), Ok(()));
    let changed = |change: &dyn Fn(&mut Vec<Step>)| {
        let mut steps = all.clone();
        change(&mut steps);
        paired(&steps)
    };
    assert!(changed(&|steps| steps.truncate(30)).is_err(), "calls are missing");
    assert!(changed(&|steps| drop(steps.remove(2))).is_err(), "a result is missing");
    assert!(changed(&|steps| steps.insert(2, Step::Other)).is_err(), "something stands between");
    assert!(changed(&|steps| steps.swap(1, 2)).is_err(), "a result comes first");
    assert!(changed(&|steps| steps[4] = Step::Call("0".to_owned())).is_err(), "an id comes twice");
}

/// Whether a path of the report leads into what was thought.
fn is_thought(client: Protocol, path: &str) -> bool {
    match client {
        Protocol::Anthropic => path.contains(".content[0]"),
        Protocol::Bedrock => path.contains(".reasoningContent"),
        Protocol::Gemini => path.contains(".parts[0]"),
        _ => path.starts_with("input["),
    }
}

fn for_each_pair(check: impl Fn(Protocol, Protocol)) {
    for client in Protocol::ALL {
        targets(client).for_each(|backend| check(client, backend));
    }
}

fn sent(client: Protocol, backend: Protocol, turns: usize) -> (Outbound, Value) {
    let body = session(client, turns).to_string();
    let document = Checked::new(body.as_bytes()).expect("JSON");
    let out = request(client, backend, document, &facts(), &Carriage::default())
        .unwrap_or_else(|refusal| panic!("{client} > {backend}: {refusal:?}"));
    let body = serde_json::from_slice(&out.body).expect("JSON");
    (out, body)
}

/// Whether the results of all calls follow them at once, each one once.
fn paired(steps: &[Step]) -> Result<(), String> {
    let (mut open, mut seen) = (Vec::new(), BTreeSet::new());
    let mut answering = false;
    for step in steps {
        match step {
            Step::Call(id) if answering => {
                return Err(format!("{id} is called before all results are there"));
            }
            Step::Call(id) => {
                if !seen.insert(id) {
                    return Err(format!("{id} is called twice"));
                }
                open.push(id);
            }
            Step::Result(id) => {
                answering = true;
                let Some(at) = open.iter().position(|called| *called == id) else {
                    return Err(format!("{id} is the result of no open call"));
                };
                open.remove(at);
            }
            Step::Other if !open.is_empty() => {
                return Err(format!("something stands before the results of {open:?}"));
            }
            Step::Other => {}
        }
        answering &= !open.is_empty();
    }
    match seen.len() {
        calls if calls == TURNS * CALLS && open.is_empty() => Ok(()),
        calls => Err(format!("{calls} calls, of which {open:?} have no result")),
    }
}

/// The first object that has an empty text.
fn empty_text(value: &Value) -> Option<&Value> {
    match value {
        Value::Object(members) => {
            let is_empty = members.get("text").is_some_and(|text| text == "");
            if is_empty { Some(value) } else { members.values().find_map(empty_text) }
        }
        Value::Array(items) => items.iter().find_map(empty_text),
        _ => None,
    }
}

/// Messages without cache marks, the last of which moves with each turn.
fn unmarked(turns: &[Value]) -> Vec<Value> {
    let mut turns = turns.to_vec();
    for part in turns.iter_mut().filter_map(|turn| turn["content"].as_array_mut()) {
        part.retain(|part| part.get("cachePoint").is_none());
        for member in part.iter_mut().filter_map(Value::as_object_mut) {
            member.remove("cache_control");
        }
    }
    turns
}
