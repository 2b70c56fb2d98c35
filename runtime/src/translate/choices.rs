//! Several answers to one request, each from a call of its own, as the one answer that the caller asked for.

use busbar_protocols::prelude::Wire;
use busbar_protocols::{Field, Num, gemini, openai_chat};
use serde_json::{Map, Value};

use super::{CallState, Malformed};
use crate::Protocol;

/// Makes one answer of several, each in the caller's form: their choices one after the other, their tokens together.
///
/// # Errors
/// [`Malformed`] when one of them is not of the caller's protocol, or that has no place for a second choice.
pub fn merge_answers(answers: &[Vec<u8>], state: &CallState) -> Result<Vec<u8>, Malformed> {
    let malformed = |error: busbar_protocols::WireError| Malformed { message: error.to_string() };
    let none = || Malformed { message: "no answer".to_owned() };
    match state.client {
        Protocol::OpenaiChat => {
            let documents = answers.iter().map(|answer| openai_chat::root::Response::parse(answer));
            let mut documents = documents.collect::<Result<Vec<_>, _>>().map_err(malformed)?;
            let usage = sum(documents.iter().filter_map(|one| json_of(&one.usage)));
            let mut choices: Vec<_> = documents.iter_mut().flat_map(|one| taken(&mut one.choices)).collect();
            for (index, choice) in (0_u64..).zip(&mut choices) {
                choice.index = Field::Value(Num::from(index));
            }
            let mut first = documents.into_iter().next().ok_or_else(none)?;
            first.choices = Field::Value(choices);
            if let Some(usage) = &usage {
                first.usage = Field::Value(Wire::parse(usage.as_bytes()).map_err(malformed)?);
            }
            Ok(first.to_json())
        }
        Protocol::Gemini => {
            let documents = answers.iter().map(|answer| gemini::root::Response::parse(answer));
            let mut documents = documents.collect::<Result<Vec<_>, _>>().map_err(malformed)?;
            let usage = sum(documents.iter().filter_map(|one| json_of(&one.usage_metadata)));
            let mut candidates: Vec<_> =
                documents.iter_mut().flat_map(|one| taken(&mut one.candidates)).collect();
            for (index, candidate) in (0_u64..).zip(&mut candidates) {
                candidate.index = Field::Value(Num::from(index));
            }
            let mut first = documents.into_iter().next().ok_or_else(none)?;
            first.candidates = Field::Value(candidates);
            if let Some(usage) = &usage {
                first.usage_metadata = Field::Value(Wire::parse(usage.as_bytes()).map_err(malformed)?);
            }
            Ok(first.to_json())
        }
        other => Err(Malformed { message: format!("an answer of {other} is one") }),
    }
}

fn taken<T>(field: &mut Field<Vec<T>>) -> Vec<T> {
    std::mem::take(field).value().unwrap_or_default()
}

fn json_of<'a, T: Wire<'a>>(field: &Field<T>) -> Option<Value> {
    serde_json::from_slice(&field.as_ref()?.to_json()).ok()
}

/// Counts of several answers together.
fn sum(all: impl Iterator<Item = Value>) -> Option<String> {
    all.reduce(add).map(|sum| sum.to_string())
}

fn add(mine: Value, theirs: Value) -> Value {
    match (mine, theirs) {
        (Value::Number(mine), Value::Number(theirs)) => match (mine.as_u64(), theirs.as_u64()) {
            (Some(mine), Some(theirs)) => mine.saturating_add(theirs).into(),
            _ => Value::Number(mine),
        },
        (Value::Object(mut mine), Value::Object(theirs)) => {
            for (name, more) in theirs {
                let sum = match mine.remove(&name) {
                    Some(own) => add(own, more),
                    None => more,
                };
                mine.insert(name, sum);
            }
            Value::Object(mine)
        }
        (Value::Array(mine), Value::Array(theirs)) => Value::Array(add_kinds(mine, theirs)),
        (Value::Null, theirs) => theirs,
        (mine, _) => mine,
    }
}

/// Counts that are listed by kind.
fn add_kinds(mut mine: Vec<Value>, theirs: Vec<Value>) -> Vec<Value> {
    let kind = |count: &Value| words(count.as_object().unwrap_or(&Map::new()));
    for more in theirs {
        match mine.iter_mut().find(|own| kind(own) == kind(&more)) {
            Some(own) => *own = add(own.take(), more),
            None => mine.push(more),
        }
    }
    mine
}

/// What names a count in a list: all that is no number.
fn words(count: &Map<String, Value>) -> Vec<String> {
    count
        .iter()
        .filter(|(_, value)| !value.is_number())
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::translate::TargetFacts;

    fn merged(client: Protocol, answers: &[Value]) -> Result<Value, Malformed> {
        let state = CallState::new(client, Protocol::Anthropic, &TargetFacts::default());
        let answers: Vec<Vec<u8>> = answers.iter().map(|answer| answer.to_string().into_bytes()).collect();
        merge_answers(&answers, &state).map(|body| serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn choices_of_chat_are_numbered_and_what_they_cost_is_added_up() {
        let one = |text: &str, cached: u64| {
            json!({
                "id": text, "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
                "usage": { "prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12,
                    "prompt_tokens_details": { "cached_tokens": cached } },
            })
        };
        let body = merged(Protocol::OpenaiChat, &[one("a", 0), one("b", 8), one("c", 8)]).unwrap();
        let said: Vec<_> = body["choices"].as_array().unwrap().iter().collect();
        let told: Vec<_> = said.iter().map(|one| (&one["index"], &one["message"]["content"])).collect();
        assert_eq!(told, [(&json!(0), &json!("a")), (&json!(1), &json!("b")), (&json!(2), &json!("c"))]);
        assert_eq!(body["id"], "a");
        assert_eq!(
            body["usage"],
            json!({ "prompt_tokens": 30, "completion_tokens": 6, "total_tokens": 36,
                "prompt_tokens_details": { "cached_tokens": 16 } })
        );
    }

    #[test]
    fn candidates_of_gemini_are_numbered_and_counts_by_kind_are_added_up() {
        let one = |text: &str, kind: &str| {
            json!({
                "candidates": [{ "content": { "role": "model", "parts": [{ "text": text }] }, "index": 0 }],
                "usageMetadata": { "promptTokenCount": 4, "totalTokenCount": 5,
                    "promptTokensDetails": [{ "modality": kind, "tokenCount": 4 }] },
            })
        };
        let answers = [one("a", "TEXT"), one("b", "IMAGE"), one("c", "TEXT")];
        let body = merged(Protocol::Gemini, &answers).unwrap();
        assert_eq!(body["candidates"][2]["index"], 2);
        assert_eq!(body["candidates"][2]["content"]["parts"][0]["text"], "c");
        assert_eq!(
            body["usageMetadata"],
            json!({ "promptTokenCount": 12, "totalTokenCount": 15, "promptTokensDetails": [
                { "modality": "TEXT", "tokenCount": 8 }, { "modality": "IMAGE", "tokenCount": 4 }] })
        );
    }

    #[test]
    fn nothing_and_answers_that_are_one_are_not_merged() {
        assert!(merged(Protocol::OpenaiChat, &[]).is_err());
        assert!(merged(Protocol::Cohere, &[json!({}), json!({})]).is_err());
    }
}
