//! What an answer repeats of its request, for the protocol whose answers do.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The members of a Responses request that its answers repeat, as they stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echo(Arc<str>);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Request<'a> {
    #[serde(borrow)]
    background: Option<&'a RawValue>,
    #[serde(borrow)]
    instructions: Option<&'a RawValue>,
    #[serde(borrow)]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    parallel_tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    previous_response_id: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt_cache_key: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    safety_identifier: Option<&'a RawValue>,
    #[serde(borrow)]
    store: Option<&'a RawValue>,
    #[serde(borrow)]
    temperature: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    top_logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    top_p: Option<&'a RawValue>,
    #[serde(borrow)]
    truncation: Option<&'a RawValue>,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
}

impl Echo {
    /// What answers to this request repeat; of a body that is no object, what answers to an empty one have.
    pub fn of(request: &str) -> Self {
        let request: Request<'_> = serde_json::from_str(request).unwrap_or_default();
        let members = [
            ("background", request.background, "false"),
            ("instructions", request.instructions, "null"),
            ("max_output_tokens", request.max_output_tokens, "null"),
            ("max_tool_calls", request.max_tool_calls, "null"),
            ("metadata", request.metadata, "{}"),
            ("parallel_tool_calls", request.parallel_tool_calls, "true"),
            ("previous_response_id", request.previous_response_id, "null"),
            ("prompt_cache_key", request.prompt_cache_key, "null"),
            ("reasoning", request.reasoning, r#"{"effort":null,"summary":null}"#),
            ("safety_identifier", request.safety_identifier, "null"),
            // The gateway keeps no answers.
            ("store", request.store, "false"),
            ("temperature", request.temperature, "null"),
            ("text", request.text, r#"{"format":{"type":"text"}}"#),
            ("tool_choice", request.tool_choice, r#""auto""#),
            ("tools", request.tools, "[]"),
            ("top_logprobs", request.top_logprobs, "0"),
            ("top_p", request.top_p, "null"),
            ("truncation", request.truncation, r#""disabled""#),
            ("user", request.user, "null"),
        ];
        let mut echo = String::new();
        for (name, said, default) in members {
            let said = said.map(RawValue::get).filter(|said| *said != "null");
            echo.push_str(",\"");
            echo.push_str(name);
            echo.push_str("\":");
            echo.push_str(said.unwrap_or(default));
        }
        Self(echo.into())
    }

    /// The members, each with a comma in front of it.
    pub fn members(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn members(request: &str) -> Value {
        let echo = Echo::of(request);
        serde_json::from_str(&format!("{{\"a\":0{}}}", echo.members())).unwrap()
    }

    #[test]
    fn what_was_asked_stands_as_it_was_written() {
        let tools = r#"[{"type":"function","name":"f","parameters":{"b":1.0,"a":2},"strict":null}]"#;
        let request = format!(
            r#"{{"model":"m","input":"secret","instructions":"Be \"brief\".","tools":{tools},"tool_choice":"required","temperature":0.50,"stream":true,"metadata":null}}"#
        );
        assert!(Echo::of(&request).members().contains(&format!(r#","tools":{tools},"#)));
        let echo = members(&request);
        assert_eq!(echo["instructions"], "Be \"brief\".");
        assert_eq!(echo["tool_choice"], "required");
        assert_eq!(echo["metadata"], json!({}));
        assert!(echo.get("input").is_none() && echo.get("model").is_none() && echo.get("stream").is_none());
    }

    #[test]
    fn what_clients_read_is_always_there() {
        for request in ["{}", "[]", "no JSON"] {
            let echo = members(request);
            assert_eq!(echo["parallel_tool_calls"], true);
            assert_eq!((&echo["tools"], &echo["tool_choice"]), (&json!([]), &json!("auto")));
            assert_eq!(echo["instructions"], Value::Null);
        }
    }
}
