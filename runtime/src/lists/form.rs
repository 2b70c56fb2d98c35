//! One entry and a list of them, protocol by protocol.

use serde_json::{Map, Value, json};

use super::page::{Query, wrong};
use super::{Entry, Known};
use crate::Protocol;
use crate::config::raw::Reasoning;
use crate::fault::Fault;

/// How a protocol tells of models.
pub(super) struct Form {
    /// The model's name in what stands in the path.
    pub(super) name: fn(&str) -> &str,
    /// One model.
    pub(super) one: fn(&Entry) -> Value,
    /// A page of them.
    pub(super) list: fn(&[Entry], &Query<'_>) -> Result<Value, Fault>,
}

/// A protocol's form; Bedrock has two.
pub(super) fn of(protocol: Protocol, profiles: bool) -> Form {
    match protocol {
        Protocol::OpenaiChat | Protocol::OpenaiResponses => {
            Form { name: same, one: openai, list: openai_list }
        }
        Protocol::Anthropic => Form { name: same, one: anthropic, list: anthropic_list },
        Protocol::Gemini => Form { name: same, one: gemini, list: gemini_list },
        Protocol::Cohere => Form { name: same, one: cohere, list: cohere_list },
        Protocol::Bedrock if profiles => {
            Form { name: bedrock_name, one: bedrock_profile, list: bedrock_profiles }
        }
        Protocol::Bedrock => Form { name: bedrock_name, one: bedrock_one, list: bedrock_list },
    }
}

fn same(name: &str) -> &str {
    name
}

/// An object of what is known; what is not is not there.
fn object<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The protocol's own members first; what else is known follows, under names that its clients pass over.
fn openai(entry: &Entry) -> Value {
    let known = &entry.known;
    let can = object([
        ("vision", known.can.vision.into()),
        ("documents", known.can.documents.into()),
        ("audio", known.can.audio.into()),
        ("schema", known.can.schema.into()),
        ("tools", known.can.tools.into()),
    ]);
    let mut model = object([
        ("id", entry.name.as_str().into()),
        ("object", "model".into()),
        ("created", 0.into()),
        ("owned_by", entry.owner.as_str().into()),
        ("context_window", known.context_window.into()),
        ("max_output_tokens", known.max_output_tokens.into()),
    ]);
    if !can.is_empty() {
        model.insert("capabilities".to_owned(), Value::Object(can));
    }
    Value::Object(model)
}

fn openai_list(entries: &[Entry], _: &Query<'_>) -> Result<Value, Fault> {
    Ok(json!({ "object": "list", "data": entries.iter().map(openai).collect::<Vec<_>>() }))
}

fn anthropic(entry: &Entry) -> Value {
    let known = &entry.known;
    json!({
        "type": "model",
        "id": entry.name,
        "display_name": entry.title,
        // When it was released is not known here; the documents name this for that case.
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
        "line": null,
        "deprecated_at": null,
        "retires_at": null,
        "max_input_tokens": known.context_window,
        "max_tokens": known.max_output_tokens,
        "capabilities": known.says_something().then(|| anthropic_capabilities(known)),
    })
}

/// Every member that clients may look up; what is not known to be there is told as absent.
fn anthropic_capabilities(known: &Known) -> Value {
    let is = |supported: bool| json!({ "supported": supported });
    let reasons = known.reasoning != Reasoning::None;
    let by_effort = matches!(known.reasoning, Reasoning::Adaptive | Reasoning::Always);
    json!({
        "batch": is(false),
        "citations": is(false),
        "code_execution": is(false),
        "context_management": { "supported": false },
        "effort": {
            "supported": by_effort,
            "low": is(by_effort), "medium": is(by_effort), "high": is(by_effort), "xhigh": is(false), "max": is(false),
        },
        "image_input": is(known.can.vision == Some(true)),
        "pdf_input": is(known.can.documents == Some(true)),
        "server_tools": { "supported": false, "web_search": is(false), "code_execution": is(false) },
        "structured_outputs": is(known.can.schema == Some(true)),
        "thinking": {
            "supported": reasons,
            "types": {
                "adaptive": is(by_effort),
                "between_tools": is(false),
                "disabled": is(known.reasoning != Reasoning::Always),
                "enabled": is(known.reasoning == Reasoning::Budget),
            },
        },
    })
}

/// Entries on a page of Anthropic's.
const ANTHROPIC_PAGE: usize = 20;

fn anthropic_list(entries: &[Entry], query: &Query<'_>) -> Result<Value, Fault> {
    let size = query.size("limit", ANTHROPIC_PAGE)?;
    let at = |parameter: &'static str| match query.get(parameter) {
        None => Ok(None),
        Some(id) => {
            let at = entries.iter().position(|entry| entry.name == *id);
            at.map(Some).ok_or_else(|| wrong(parameter, "is not one that this list gave"))
        }
    };
    let (begin, end) = match (at("after_id")?, at("before_id")?) {
        (Some(_), Some(_)) => return Err(wrong("before_id", "does not go with `after_id`")),
        (Some(after), None) => (after + 1, entries.len().min(after.saturating_add(1 + size))),
        (None, Some(before)) => (before.saturating_sub(size), before),
        (None, None) => (0, entries.len().min(size)),
    };
    let page = &entries[begin..end];
    let backwards = query.get("before_id").is_some();
    Ok(json!({
        "data": page.iter().map(anthropic).collect::<Vec<_>>(),
        "has_more": if backwards { begin > 0 } else { end < entries.len() },
        "first_id": page.first().map(|entry| &entry.name),
        "last_id": page.last().map(|entry| &entry.name),
    }))
}

/// What a model of Gemini's is called.
const GEMINI_PREFIX: &str = "models/";
/// Entries on a page of Gemini's.
const GEMINI_PAGE: usize = 50;

fn gemini(entry: &Entry) -> Value {
    let known = &entry.known;
    Value::Object(object([
        ("name", format!("{GEMINI_PREFIX}{}", entry.name).into()),
        ("baseModelId", entry.name.as_str().into()),
        ("version", "001".into()),
        ("displayName", entry.title.as_str().into()),
        ("description", format!("served by {}", entry.owner).into()),
        ("inputTokenLimit", known.context_window.into()),
        ("outputTokenLimit", known.max_output_tokens.into()),
        ("supportedGenerationMethods", json!(["generateContent", "countTokens"])),
        ("thinking", known.says_something().then_some(known.reasoning != Reasoning::None).into()),
    ]))
}

fn gemini_list(entries: &[Entry], query: &Query<'_>) -> Result<Value, Fault> {
    let (page, next) = query.page(entries, "pageToken", query.size("pageSize", GEMINI_PAGE)?)?;
    let models: Vec<_> = page.iter().map(gemini).collect();
    Ok(Value::Object(object([("models", models.into()), ("nextPageToken", next.into())])))
}

/// Entries on a page of Cohere's.
const COHERE_PAGE: usize = 20;
/// The endpoint that all models here serve.
const COHERE_CHAT: &str = "chat";

fn cohere(entry: &Entry) -> Value {
    let can = entry.known.can;
    let features = [("vision", can.vision), ("json_schema", can.schema), ("tools", can.tools)];
    let features: Vec<_> =
        features.iter().filter(|(_, can)| *can == Some(true)).map(|(name, _)| *name).collect();
    let features = if entry.known.says_something() { json!(features) } else { Value::Null };
    json!({
        "name": entry.name,
        "is_deprecated": false,
        "endpoints": [COHERE_CHAT],
        "default_endpoints": [],
        "finetuned": false,
        "context_length": entry.known.context_window,
        "tokenizer_url": null,
        "features": features,
    })
}

fn cohere_list(entries: &[Entry], query: &Query<'_>) -> Result<Value, Fault> {
    let entries =
        if query.get("endpoint").is_some_and(|endpoint| endpoint != COHERE_CHAT) { &[] } else { entries };
    let (page, next) = query.page(entries, "page_token", query.size("page_size", COHERE_PAGE)?)?;
    let models: Vec<_> = page.iter().map(cohere).collect();
    Ok(Value::Object(object([("models", models.into()), ("next_page_token", next.into())])))
}

/// What stands before the id of a foundation model in its resource name.
const BEDROCK_MODEL: &str = "arn:aws:bedrock:us-east-1::foundation-model/";
/// The same of an inference profile.
const BEDROCK_PROFILE: &str = "arn:aws:bedrock:us-east-1:000000000000:inference-profile/";
/// Entries on a page of inference profiles.
const BEDROCK_PAGE: usize = 1000;

/// The id in a resource name of ours; any other is an id as it is.
fn bedrock_name(asked: &str) -> &str {
    asked.strip_prefix(BEDROCK_MODEL).or_else(|| asked.strip_prefix(BEDROCK_PROFILE)).unwrap_or(asked)
}

fn bedrock(entry: &Entry) -> Value {
    let sees = entry.known.can.vision == Some(true);
    json!({
        "modelArn": format!("{BEDROCK_MODEL}{}", entry.name),
        "modelId": entry.name,
        "modelName": entry.title,
        "providerName": entry.owner,
        "inputModalities": if sees { json!(["TEXT", "IMAGE"]) } else { json!(["TEXT"]) },
        "outputModalities": ["TEXT"],
        "responseStreamingSupported": true,
        "customizationsSupported": [],
        "inferenceTypesSupported": ["ON_DEMAND"],
        "modelLifecycle": { "status": "ACTIVE" },
    })
}

fn bedrock_one(entry: &Entry) -> Value {
    json!({ "modelDetails": bedrock(entry) })
}

fn bedrock_list(entries: &[Entry], query: &Query<'_>) -> Result<Value, Fault> {
    let other = |parameter: &str, ours: &str| query.get(parameter).is_some_and(|asked| asked != ours);
    let none = other("byOutputModality", "TEXT")
        || other("byInferenceType", "ON_DEMAND")
        || query.get("byCustomizationType").is_some();
    let provider = query.get("byProvider");
    let of_provider = |entry: &&Entry| {
        !none && provider.as_ref().is_none_or(|provider| entry.owner.eq_ignore_ascii_case(provider))
    };
    let models: Vec<_> = entries.iter().filter(of_provider).map(bedrock).collect();
    Ok(json!({ "modelSummaries": models }))
}

fn bedrock_profile(entry: &Entry) -> Value {
    json!({
        "inferenceProfileName": entry.title,
        "inferenceProfileId": entry.name,
        "inferenceProfileArn": format!("{BEDROCK_PROFILE}{}", entry.name),
        "models": [{ "modelArn": format!("{BEDROCK_MODEL}{}", entry.name) }],
        "status": "ACTIVE",
        "type": "SYSTEM_DEFINED",
    })
}

fn bedrock_profiles(entries: &[Entry], query: &Query<'_>) -> Result<Value, Fault> {
    let entries = if query.get("type").is_some_and(|kind| kind != "SYSTEM_DEFINED") { &[] } else { entries };
    let (page, next) = query.page(entries, "nextToken", query.size("maxResults", BEDROCK_PAGE)?)?;
    let profiles: Vec<_> = page.iter().map(bedrock_profile).collect();
    Ok(Value::Object(object([("inferenceProfileSummaries", profiles.into()), ("nextToken", next.into())])))
}
