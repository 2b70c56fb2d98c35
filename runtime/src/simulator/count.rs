//! Questions for the size of a prompt, and their answers.

use serde_json::{Map, Value, json};

use super::Wire;
use super::refusal::Refusal;

/// A model whose name holds this is one that nobody counts for.
const UNCOUNTED: &str = "uncounted";
/// Bedrock counts for a model, not for a place where it is served.
const PLACES: [&str; 3] = ["eu.", "global.", "us."];

/// What the Responses API takes when it is asked for a size.
const RESPONSES: [&str; 12] = [
    "conversation",
    "input",
    "instructions",
    "model",
    "parallel_tool_calls",
    "personality",
    "previous_response_id",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
    "truncation",
];
/// What Bedrock takes of a conversation then.
const CONVERSE: [&str; 4] = ["additionalModelRequestFields", "messages", "system", "toolConfig"];

/// The request that a question is about, to be checked like any other.
pub(super) fn asked(wire: Wire, model: Option<&str>, body: &Value) -> Result<Value, Refusal> {
    let model = model.or_else(|| body.get("model")?.as_str()).unwrap_or_default();
    if model.contains(UNCOUNTED) {
        return Err(match wire {
            Wire::Bedrock => Refusal::invalid("The provided model doesn't support counting tokens."),
            _ => Refusal { status: 404, ..Refusal::invalid("Not Found") },
        });
    }
    match wire {
        Wire::OpenaiResponses => {
            known(body, &RESPONSES).map_err(|name| {
                Refusal::field(format!("Unknown parameter: '{name}'."), name, Some("unknown_parameter"))
            })?;
            Ok(body.clone())
        }
        Wire::Bedrock => {
            if PLACES.iter().any(|place| model.starts_with(place)) {
                return Err(Refusal::invalid("The provided model identifier is invalid."));
            }
            let input = body.get("input").and_then(Value::as_object).filter(|input| input.len() == 1);
            let converse = input.and_then(|input| input.get("converse"));
            let converse = converse.ok_or_else(|| Refusal::invalid("1 validation error detected: Value at 'input' failed to satisfy constraint: exactly one member must be set"))?;
            known(converse, &CONVERSE).map_err(|name| {
                Refusal::invalid(format!(
                    "The model returned the following errors: {name}: Extra inputs are not permitted"
                ))
            })?;
            Ok(converse.clone())
        }
        _ => Ok(body.clone()),
    }
}

/// The first member that is not one of these.
fn known(body: &Value, names: &[&str]) -> Result<(), String> {
    let members = body.as_object().into_iter().flat_map(Map::keys);
    members
        .filter(|name| !names.contains(&name.as_str()))
        .map(|name| Err(name.clone()))
        .next()
        .unwrap_or(Ok(()))
}

/// The size: a token for each four bytes of the request.
pub(super) fn answer(wire: Wire, asked: &Value) -> Value {
    let tokens = asked.to_string().len() / 4 + 1;
    match wire {
        Wire::Gemini => {
            json!({"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]})
        }
        Wire::OpenaiResponses => json!({"object": "response.input_tokens", "input_tokens": tokens}),
        Wire::Bedrock => json!({"inputTokens": tokens}),
        _ => json!({"input_tokens": tokens}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_holds_what_its_api_takes() {
        let said =
            |wire, body: Value| asked(wire, None, &body).map_err(|refusal| (refusal.status, refusal.message));
        let question = json!({"input": {"converse": {"messages": []}}});
        assert_eq!(said(Wire::Bedrock, question), Ok(json!({"messages": []})));
        assert!(said(Wire::Bedrock, json!({"messages": []})).is_err());
        assert!(said(Wire::Bedrock, json!({"input": {"converse": {"inferenceConfig": {}}}})).is_err());
        let said = |body: Value| asked(Wire::OpenaiResponses, None, &body).map_err(|refusal| refusal.param);
        assert_eq!(said(json!({"model": "m", "store": false})), Err(Some("store".to_owned())));
        assert!(said(json!({"model": "m", "input": "a"})).is_ok());
    }

    #[test]
    fn some_models_are_not_counted_for() {
        let question = json!({"input": {"converse": {"messages": []}}});
        let status =
            |wire, model: &str| asked(wire, Some(model), &question).map_err(|refusal| refusal.status);
        assert_eq!(status(Wire::Bedrock, "sim-uncounted"), Err(400));
        assert_eq!(status(Wire::Bedrock, "us.sim-text"), Err(400));
        assert_eq!(status(Wire::Anthropic, "sim-uncounted"), Err(404));
        assert!(status(Wire::Bedrock, "sim-text").is_ok());
    }
}
