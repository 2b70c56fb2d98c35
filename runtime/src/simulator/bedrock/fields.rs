//! The rules for what goes to the model itself, and for what is wanted of its own answer.

use serde_json::{Map, Value, json};

use super::request::{model_says, not_an_object};
use crate::simulator::answer::{Finish, Seen};
use crate::simulator::refusal::Refusal;

const MIN_THINKING_BUDGET: u64 = 1024;

/// The least mass of probability beside thinking.
const MIN_THINKING_TOP_P: f64 = 0.95;

/// Names under which Anthropic's models take the request for thinking here.
const THINKING: &[&str] = &["thinking", "reasoning_config"];

/// Fields of Anthropic's models, and where Converse has its own.
const TAKEN: &[(&str, &str)] = &[
    ("messages", "/messages"),
    ("system", "/system"),
    ("max_tokens", "/inferenceConfig/maxTokens"),
    ("temperature", "/inferenceConfig/temperature"),
    ("top_p", "/inferenceConfig/topP"),
    ("stop_sequences", "/inferenceConfig/stopSequences"),
    ("tools", "/toolConfig/tools"),
    ("tool_choice", "/toolConfig/toolChoice"),
];

/// What the caller asked of thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    Off,
    Budget,
    Adaptive,
}

/// Checks the additional fields, those known here.
pub(super) fn check(body: &Map<String, Value>, seen: &Seen) -> Result<Thinking, Refusal> {
    let Some(fields) = body.get("additionalModelRequestFields").filter(|fields| !fields.is_null()) else {
        return Ok(Thinking::Off);
    };
    let fields = fields.as_object().ok_or_else(|| not_an_object("additionalModelRequestFields"))?;
    let whole = Value::Object(body.clone());
    for (name, place) in TAKEN {
        if fields.contains_key(*name) && whole.pointer(place).is_some() {
            return Err(Refusal::invalid(format!(
                "The additional field {name} conflicts with an existing field."
            )));
        }
    }
    if fields.get("top_k").is_some_and(|value| value.as_u64().is_none()) {
        return Err(model_says("top_k: Input should be a valid integer"));
    }
    if let Some(flags) = fields.get("anthropic_beta")
        && !flags.as_array().is_some_and(|flags| flags.iter().all(Value::is_string))
    {
        return Err(model_says("anthropic_beta: Input should be a valid list"));
    }
    if let Some(effort) = fields.get("output_config").and_then(|config| config.get("effort"))
        && !matches!(effort.as_str(), Some("low" | "medium" | "high" | "xhigh" | "max"))
    {
        return Err(model_says(
            "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
        ));
    }
    let Some(asked) = THINKING.iter().find_map(|name| fields.get(*name)) else { return Ok(Thinking::Off) };
    let thinking = thinking(asked, seen.limit)?;
    if thinking != Thinking::Off {
        beside_thinking(&whole, fields, seen)?;
    }
    Ok(thinking)
}

fn thinking(asked: &Value, limit: Option<u64>) -> Result<Thinking, Refusal> {
    let asked =
        asked.as_object().ok_or_else(|| model_says("thinking: Input should be a valid dictionary"))?;
    let (kind, known): (_, &[&str]) = match asked.get("type").and_then(Value::as_str) {
        Some("disabled") => (Thinking::Off, &["type"]),
        Some("adaptive") => (Thinking::Adaptive, &["type", "display"]),
        Some("enabled") => (Thinking::Budget, &["type", "budget_tokens", "display"]),
        _ => {
            return Err(model_says(
                "thinking: Input tag does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'",
            ));
        }
    };
    if let Some(name) = asked.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(model_says(&format!("thinking.{name}: Extra inputs are not permitted")));
    }
    if kind == Thinking::Budget {
        let path = "thinking.enabled.budget_tokens";
        let budget =
            asked.get("budget_tokens").ok_or_else(|| model_says(&format!("{path}: Field required")))?;
        let budget =
            budget.as_u64().ok_or_else(|| model_says(&format!("{path}: Input should be a valid integer")))?;
        if budget < MIN_THINKING_BUDGET {
            return Err(model_says(&format!(
                "{path}: Input should be greater than or equal to {MIN_THINKING_BUDGET}"
            )));
        }
        if limit.is_some_and(|limit| budget >= limit) {
            return Err(model_says("`max_tokens` must be greater than `thinking.budget_tokens`."));
        }
    }
    Ok(kind)
}

/// What does not go with thinking.
fn beside_thinking(whole: &Value, fields: &Map<String, Value>, seen: &Seen) -> Result<(), Refusal> {
    let number = |place: &str| whole.pointer(place).and_then(Value::as_f64);
    if number("/inferenceConfig/temperature").is_some_and(|temperature| temperature < 1.0) {
        return Err(model_says("`temperature` may only be set to 1 when thinking is enabled."));
    }
    if number("/inferenceConfig/topP").is_some_and(|top_p| top_p < MIN_THINKING_TOP_P) {
        return Err(model_says(
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.",
        ));
    }
    if fields.contains_key("top_k") {
        return Err(model_says("`top_k` must be unset when thinking is enabled."));
    }
    if seen.must_call || seen.forced.is_some() {
        return Err(model_says("Thinking may not be enabled when tool_choice forces tool use."));
    }
    Ok(())
}

/// Checks the paths of wanted fields and keeps them; each is a JSON pointer.
pub(super) fn paths(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    const NAME: &str = "additionalModelResponseFieldPaths";
    let Some(paths) = body.get(NAME).and_then(Value::as_array) else { return Ok(()) };
    for (n, path) in paths.iter().filter_map(Value::as_str).enumerate() {
        let escaped = path.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if !path.starts_with('/') || !escaped {
            return Err(Refusal::invalid(format!("The value at {NAME}.{n} is not a valid JSON Pointer.")));
        }
    }
    seen.echo.insert(NAME.to_owned(), Value::from(paths.clone()));
    Ok(())
}

/// The wanted fields that the model's own answer has; one that it has not is passed over.
pub(super) fn wanted(seen: &Seen, finish: &Finish) -> Option<Value> {
    let Finish::Sequence(sequence) = finish else { return None };
    let paths = seen.echo.get("additionalModelResponseFieldPaths")?.as_array()?;
    paths.iter().any(|path| path == "/stop_sequence").then(|| json!({"stop_sequence": sequence}))
}
