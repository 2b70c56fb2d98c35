//! Chunks of servers that write a call's arguments as an object where the protocol has its text.

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    tool_calls: Option<Vec<Call<'a>>>,
    #[serde(borrow, default)]
    function_call: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

/// The chunk with each such object as its own text, key order and number spelling kept; `None` without one.
pub(super) fn arguments(chunk: &str) -> Option<String> {
    let parsed: Chunk<'_> = serde_json::from_str(chunk).ok()?;
    let deltas = parsed.choices.iter().filter_map(|choice| choice.delta.as_ref());
    let functions = deltas.flat_map(|delta| {
        let calls = delta.tool_calls.iter().flatten().filter_map(|call| call.function.as_ref());
        calls.chain(delta.function_call.as_ref())
    });
    let objects = functions.filter_map(|function| function.arguments).map(RawValue::get);
    let mut repaired = String::with_capacity(chunk.len() + 32);
    let mut done = 0;
    for object in objects.filter(|text| text.starts_with(['{', '['])) {
        let start = (object.as_ptr() as usize).checked_sub(chunk.as_ptr() as usize)?;
        repaired.push_str(chunk.get(done..start)?);
        repaired.push_str(&serde_json::to_string(object).ok()?);
        done = start + object.len();
    }
    repaired.push_str(chunk.get(done..)?);
    (done > 0).then_some(repaired)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_becomes_its_own_text() {
        let chunk = r#"{"id":"c","choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":{"b": 1.0,"a":"\"x"}}}]}}]}"#;
        let expected = r#"{"id":"c","choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{\"b\": 1.0,\"a\":\"\\\"x\"}"}}]}}]}"#;
        assert_eq!(arguments(chunk).unwrap(), expected);
        assert_eq!(arguments(expected), None);
        assert_eq!(arguments("[1]"), None);
    }
}
