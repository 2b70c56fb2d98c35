//! A document as a list of its values, each with where it stands and who says it.

use serde_json::Value;

/// Who says what stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Whoever runs the application.
    System,
    /// Whoever uses it.
    User,
    /// The model.
    Assistant,
    /// A tool, in its result.
    Tool,
    /// The document does not say.
    Nobody,
}

/// A text, number or name of a member, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    /// Where, with indices.
    pub(crate) path: String,
    /// The last member on the way that is not inside free-form JSON or a list.
    pub(crate) name: String,
    pub(crate) speaker: Speaker,
    /// Whether it is what a model thinks rather than says.
    pub(crate) thought: bool,
    /// The text, decoded; a number as it is written; `true` and `false`.
    pub(crate) value: String,
    pub(crate) is_number: bool,
}

/// Every value of a document, in its order.
pub(crate) fn places(json: &str) -> Vec<Place> {
    let mut places = Vec::new();
    if let Ok(value) = serde_json::from_str::<Value>(json) {
        let context = Context { name: "", speaker: Speaker::Nobody, thought: false };
        walk(&value, String::new(), context, &mut places);
    }
    places
}

/// What a value is in.
#[derive(Clone, Copy)]
struct Context<'c> {
    name: &'c str,
    speaker: Speaker,
    thought: bool,
}

fn walk(value: &Value, path: String, context: Context<'_>, places: &mut Vec<Place>) {
    let place = |path: String, value: String, is_number| Place {
        path,
        name: context.name.to_owned(),
        speaker: context.speaker,
        thought: context.thought,
        value,
        is_number,
    };
    match value {
        Value::Null => {}
        Value::Object(none) if none.is_empty() => places.push(place(path, "{}".to_owned(), false)),
        Value::Array(none) if none.is_empty() => places.push(place(path, "[]".to_owned(), false)),
        Value::Bool(it) => places.push(place(path, it.to_string(), false)),
        Value::Number(it) => places.push(place(path, it.to_string(), true)),
        Value::String(it) => places.push(place(path, it.clone(), false)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, format!("{path}[{index}]"), context, places);
            }
        }
        // The names in a schema are values.
        Value::Object(members) if members.keys().any(|member| is_mark(member)) => {
            for (member, value) in members {
                let shown = if is_mark(member) { format!("{member}{value}") } else { value.to_string() };
                places.push(place(format!("{path}.{member}"), shown, false));
            }
        }
        Value::Object(members) => {
            let text = |member: &str| members.get(member).and_then(Value::as_str);
            let kind = text("type").unwrap_or_default();
            let told = text("role").map(by_role);
            let speaker = by_type(kind).or(told).unwrap_or(context.speaker);
            let thought = context.thought
                || matches!(kind, "thinking" | "redacted_thinking" | "reasoning")
                || members.get("thought") == Some(&Value::Bool(true));
            for (member, value) in members {
                let path = if path.is_empty() { member.clone() } else { format!("{path}.{member}") };
                // Lists of names, and names of a schema, belong to what they are in.
                let inside = matches!(member.as_str(), "properties" | "required");
                let context = Context {
                    name: if inside { context.name } else { member },
                    speaker: by_member(member).unwrap_or(speaker),
                    thought: thought || THOUGHT.contains(&member.as_str()),
                };
                walk(value, path, context, places);
            }
        }
    }
}

/// Members that hold what a model thinks.
const THOUGHT: &[&str] =
    &["reasoning", "reasoning_content", "reasoning_details", "reasoningContent", "tool_plan"];

fn by_role(role: &str) -> Speaker {
    match role.to_ascii_lowercase().as_str() {
        "assistant" | "model" | "chatbot" => Speaker::Assistant,
        "system" | "developer" => Speaker::System,
        "tool" | "function" => Speaker::Tool,
        "user" => Speaker::User,
        _ => Speaker::Nobody,
    }
}

fn by_type(kind: &str) -> Option<Speaker> {
    (kind.contains("tool_result") || kind.ends_with("_output")).then_some(Speaker::Tool)
}

fn by_member(member: &str) -> Option<Speaker> {
    match member {
        "system" | "instructions" | "systemInstruction" | "system_instruction" => Some(Speaker::System),
        "toolResult" | "functionResponse" | "function_response" => Some(Speaker::Tool),
        _ => None,
    }
}

/// Whether the name of a member is itself a value that is looked for.
fn is_mark(member: &str) -> bool {
    member
        .strip_prefix('j')
        .and_then(|rest| rest.strip_suffix('z'))
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}
