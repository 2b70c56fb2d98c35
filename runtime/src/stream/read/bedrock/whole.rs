//! A buffered Converse answer where a stream was asked for, told as the events it would have been.

use busbar_protocols::prelude::Checked;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Notes, Reader, Sink};
use crate::stream::{Limits, StreamFault};

/// What is looked at of an answer; values keep their spelling.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    #[serde(borrow)]
    output: Output<'a>,
    stop_reason: Option<&'a RawValue>,
    additional_model_response_fields: Option<&'a RawValue>,
    usage: Option<&'a RawValue>,
    metrics: Option<&'a RawValue>,
    service_tier: Option<&'a RawValue>,
    performance_config: Option<&'a RawValue>,
    trace: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Vec<&'a RawValue>,
}

/// One block; one of its members is there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    reasoning_content: Option<Value>,
    citations_content: Option<Cited>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    tool_use_id: String,
    name: String,
    r#type: Option<String>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Cited {
    #[serde(default)]
    content: Vec<Value>,
    #[serde(default)]
    citations: Vec<Value>,
}

/// Tells a whole answer as events.
pub(crate) fn tell(
    document: Checked<'_>,
    limits: Limits,
    notes: &mut Notes,
    sink: Sink<'_>,
) -> Result<(), StreamFault> {
    let malformed = |error: serde_json::Error| StreamFault::Malformed {
        path: "output".to_owned(),
        message: format!("it is no answer, at line {} column {}", error.line(), error.column()),
    };
    let whole: Whole<'_> = serde_json::from_str(document.as_str()).map_err(malformed)?;
    let mut reader = Reader::new(limits);
    let mut step = |name: &str, event: String| {
        reader.step(name.as_bytes(), Checked::new(event.as_bytes())?, notes, &mut *sink)
    };
    step("messageStart", "{\"role\":\"assistant\"}".to_owned())?;
    for (index, content) in whole.output.message.content.into_iter().enumerate() {
        let delta = |delta: &str| format!("{{\"contentBlockIndex\":{index},\"delta\":{delta}}}");
        let known: Content<'_> = serde_json::from_str(content.get()).map_err(malformed)?;
        if let Some(call) = known.tool_use {
            let mut start = json!({"toolUseId": call.tool_use_id, "name": call.name});
            if let Some(kind) = call.r#type {
                start["type"] = kind.into();
            }
            let start = json!({"contentBlockIndex": index, "start": {"toolUse": start}});
            step("contentBlockStart", start.to_string())?;
            if let Some(input) = call.input {
                let input = json!({"toolUse": {"input": input.get()}});
                step("contentBlockDelta", delta(&input.to_string()))?;
            }
        } else if let Some(reasoning) = known.reasoning_content {
            let text = reasoning.get("reasoningText");
            for (name, value) in [
                ("text", text.and_then(|text| text.get("text"))),
                ("signature", text.and_then(|text| text.get("signature"))),
                ("redactedContent", reasoning.get("redactedContent")),
            ] {
                if let Some(value) = value.filter(|value| value.is_string()) {
                    let event = json!({"reasoningContent": {name: value}});
                    step("contentBlockDelta", delta(&event.to_string()))?;
                }
            }
        } else if let Some(cited) = known.citations_content {
            for text in cited.content {
                step("contentBlockDelta", delta(&text.to_string()))?;
            }
            for citation in cited.citations {
                step("contentBlockDelta", delta(&json!({"citation": citation}).to_string()))?;
            }
        } else {
            // Text is the same in both; what neither has is reported.
            step("contentBlockDelta", delta(content.get()))?;
        }
        step("contentBlockStop", format!("{{\"contentBlockIndex\":{index}}}"))?;
    }
    let members = |members: &[(&str, Option<&RawValue>)]| {
        let said = members.iter().filter_map(|(name, value)| Some(format!("\"{name}\":{}", (*value)?)));
        format!("{{{}}}", said.collect::<Vec<_>>().join(","))
    };
    let fields = whole.additional_model_response_fields;
    step(
        "messageStop",
        members(&[("stopReason", whole.stop_reason), ("additionalModelResponseFields", fields)]),
    )?;
    step(
        "metadata",
        members(&[
            ("usage", whole.usage),
            ("metrics", whole.metrics),
            ("serviceTier", whole.service_tier),
            ("performanceConfig", whole.performance_config),
            ("trace", whole.trace),
        ]),
    )
}
