//! What each feature becomes on each target, as a document for readers: `docs/fidelity.md`.
//!
//! Nothing of it is written down twice. A feature is a small document that has it; the gateway translates that
//! towards every other protocol, and its report is read. What the maps keep and lack is listed from their rows.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};
use busbar::Protocol;
use busbar::translate::{self, CallState, Carriage, Fetched, TargetFacts};
use busbar_protocols::prelude::{Checked, Fate};
use busbar_protocols::{Effect, EffectKind, Ledger};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::data;
use crate::suite::facts;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    feature: Vec<Feature>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    name: String,
    source: String,
    request: Option<String>,
    answer: Option<String>,
    paths: Vec<String>,
    /// An address in the document whose content the gateway may put in its place.
    fetched: Option<String>,
}

/// What becomes of a feature, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Becomes {
    Native,
    Carried,
    Adapted,
    Emulated,
    Reported,
    Refused,
}

impl Becomes {
    fn letter(self) -> &'static str {
        match self {
            Self::Native => "N",
            Self::Carried => "C",
            Self::Adapted => "A",
            Self::Emulated => "E",
            Self::Reported => "R",
            Self::Refused => "X",
        }
    }

    fn of(effect: &Effect) -> Self {
        match effect.kind {
            _ if effect.semantic => Self::Refused,
            EffectKind::Dropped => Self::Reported,
            EffectKind::Emulated => Self::Emulated,
            EffectKind::Adapted => Self::Adapted,
            EffectKind::Carried => Self::Carried,
            EffectKind::Injected => Self::Native,
        }
    }
}

/// The whole document.
///
/// # Errors
/// When a feature's document is none of its protocol.
pub fn document() -> Result<String> {
    let text = std::fs::read_to_string(data("fidelity.toml"))?;
    let file: File = toml::from_str(&text)?;
    let mut out = String::from(HEAD);
    let (requests, answers): (Vec<_>, Vec<_>) = file.feature.iter().partition(|one| one.request.is_some());
    table(&mut out, "What a request says, by the backend's protocol", &requests)?;
    table(&mut out, "What an answer says, by the client's protocol", &answers)?;
    for protocol in Protocol::ALL {
        fields(&mut out, protocol)?;
    }
    Ok(out)
}

const HEAD: &str = "# What becomes of each feature

Made by `cargo run -p busbar-conformance -- fidelity`; a test fails when it is not up to date. Each row is a small
document with the feature, which the gateway translated towards the other protocols; the letters and reasons are its
own report. `-` is the protocol of the document itself, whose bytes are forwarded.

N native, in the target's own form. C carried: it travels in an opaque place and comes back. A adapted: the same
meaning in another shape. E emulated by the gateway. R reported as lost, and the rest goes on. X refused by default
with a native 400 that names the field, because the rest would be another question; `busbar-fidelity: allow` lets it go
on. All but N is reported in `busbar-fidelity`.
";

fn table(out: &mut String, title: &str, features: &[&Feature]) -> Result<()> {
    write!(out, "\n## {title}\n\n| feature |")?;
    for protocol in Protocol::ALL {
        write!(out, " {protocol} |")?;
    }
    out.push_str("\n| --- |");
    out.push_str(&" :-: |".repeat(Protocol::ALL.len()));
    out.push('\n');
    let mut reasons = String::new();
    for feature in features {
        let (letters, why) = row(feature).with_context(|| feature.name.clone())?;
        writeln!(out, "| {} | {} |", feature.name, letters.join(" | "))?;
        for (reason, targets) in why {
            writeln!(reasons, "- {}, {}: {reason}", feature.name, targets.join(", "))?;
        }
    }
    write!(out, "\nWhy:\n\n{reasons}")?;
    Ok(())
}

/// Targets by the reason for what is not native.
type Reasons = BTreeMap<String, Vec<String>>;

/// A letter for each protocol, and why.
fn row(feature: &Feature) -> Result<(Vec<&'static str>, Reasons)> {
    let source: Protocol = Protocol::ALL
        .into_iter()
        .find(|protocol| protocol.name() == feature.source)
        .with_context(|| format!("`{}` is no protocol", feature.source))?;
    let mut letters = Vec::new();
    let mut why = Reasons::new();
    for target in Protocol::ALL {
        if target == source {
            letters.push("-");
            continue;
        }
        let (becomes, reasons) = judge(feature, source, target)?;
        letters.push(becomes.letter());
        if becomes != Becomes::Native {
            why.entry(reasons.join("; ")).or_default().push(format!("{target} {}", becomes.letter()));
        }
    }
    Ok((letters, why))
}

fn judge(feature: &Feature, source: Protocol, target: Protocol) -> Result<(Becomes, Vec<String>)> {
    let carriage = Carriage::default();
    if let Some(members) = &feature.request {
        let body = with(shortest_request(source), members)?;
        let mut known = HashMap::new();
        if let Some(address) = &feature.fetched {
            let file =
                Fetched { media_type: "image/png".to_owned(), base64: "iVBORw0KGgoAAAANSUhEUg==".to_owned() };
            known.insert(address.clone(), file);
        }
        let facts = TargetFacts { fetched: Some(&known), ..facts() };
        let body = body.to_string();
        let document = Checked::new(body.as_bytes())?;
        return match translate::request(source, target, document, &facts, &carriage) {
            Ok(out) => Ok(worst(feature, &out.ledger)),
            Err(refusal) => {
                ensure!(refusal.semantic, "refused towards {target}: {refusal}");
                Ok((Becomes::Refused, vec![refusal.message]))
            }
        };
    }
    let Some(members) = &feature.answer else { bail!("neither `request` nor `answer`") };
    let body = with(shortest_answer(source), members)?.to_string();
    let state = CallState { model: "m".to_owned(), ..CallState::new(target, source, &facts()) };
    let made = translate::response(body.as_bytes(), &state, &carriage);
    let (_, ledger) = made.map_err(|malformed| anyhow::anyhow!("towards {target}: {malformed}"))?;
    Ok(worst(feature, &ledger))
}

/// The worst of what the report says about the feature.
fn worst(feature: &Feature, ledger: &Ledger) -> (Becomes, Vec<String>) {
    let about = ledger.effects().iter().filter(|effect| {
        let beneath = |path: &str, of: &str| {
            path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        feature.paths.iter().any(|path| beneath(&effect.path, path) || beneath(path, &effect.path))
    });
    let about: Vec<_> = about.filter(|effect| Becomes::of(effect) != Becomes::Native).collect();
    let becomes = about.iter().map(|effect| Becomes::of(effect)).max().unwrap_or(Becomes::Native);
    let mut reasons: Vec<String> = Vec::new();
    for effect in about.iter().filter(|effect| Becomes::of(effect) == becomes) {
        let reason = effect.reason.to_string();
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    (becomes, reasons)
}

fn with(mut document: Value, members: &str) -> Result<Value> {
    let members: Map<String, Value> = serde_json::from_str(members)?;
    for (name, value) in members {
        document[name] = value;
    }
    Ok(document)
}

fn shortest_request(protocol: Protocol) -> Value {
    let turns = json!([{"role": "user", "content": "Hi"}]);
    match protocol {
        Protocol::OpenaiChat | Protocol::Cohere => json!({"model": "m", "messages": turns}),
        Protocol::OpenaiResponses => json!({"model": "m", "input": turns, "store": false}),
        Protocol::Anthropic => json!({"model": "m", "max_tokens": 1000, "messages": turns}),
        Protocol::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
        Protocol::Bedrock => json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}),
    }
}

fn shortest_answer(protocol: Protocol) -> Value {
    match protocol {
        Protocol::OpenaiChat => json!({
            "id": "1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        }),
        Protocol::Anthropic => json!({
            "id": "1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
            "stop_sequence": null, "content": [{"type": "text", "text": "a"}],
            "usage": {"input_tokens": 1, "output_tokens": 1}
        }),
        Protocol::Gemini => json!({
            "responseId": "1", "modelVersion": "m",
            "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [{"text": "a"}]}}],
            "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
        }),
        Protocol::Bedrock => json!({
            "output": {"message": {"role": "assistant", "content": [{"text": "a"}]}}, "stopReason": "end_turn",
            "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}, "metrics": {"latencyMs": 1}
        }),
        Protocol::OpenaiResponses => json!({
            "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed",
            "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                        "content": [{"type": "output_text", "text": "a", "annotations": []}]}],
            "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        }),
        Protocol::Cohere => json!({
            "id": "1", "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "a"}]},
            "usage": {"tokens": {"input_tokens": 1, "output_tokens": 1}}
        }),
    }
}

/// What one protocol keeps to itself, what the gateway's code moves, and what it has no form for.
fn fields(out: &mut String, protocol: Protocol) -> Result<()> {
    writeln!(out, "\n## {protocol}")?;
    let (mut kept, mut moved) = (Vec::new(), Vec::new());
    for row in busbar_protocols::rows(protocol) {
        let name =
            if row.field.is_empty() { row.wire.to_owned() } else { format!("{}.{}", row.wire, row.field) };
        match row.fate {
            Fate::Keep(reason) => kept.push((name, reason)),
            Fate::KeepSemantic(reason) => kept.push((format!("{name} (X)"), reason)),
            Fate::Hand(reason) => moved.push((name, reason)),
            _ => {}
        }
    }
    let lacks = busbar_protocols::lacks(protocol);
    let lacks = lacks.iter().map(|lack| (format!("{}.{}", lack.ir, lack.path), lack.reason)).collect();
    list(out, "Fields that stay with their provider, and are reported towards others:", kept)?;
    list(out, "Fields that are more than one other field, and are moved by code:", moved)?;
    list(out, "What others say and this protocol has no form for:", lacks)
}

/// Names by their reason, in the order in which the reasons come first.
fn list(out: &mut String, title: &str, entries: Vec<(String, &str)>) -> Result<()> {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for (name, reason) in entries {
        match by_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(name),
            None => by_reason.push((reason, vec![name])),
        }
    }
    if by_reason.is_empty() {
        return Ok(());
    }
    write!(out, "\n{title}\n\n")?;
    for (reason, names) in by_reason {
        writeln!(
            out,
            "- {}: {reason}",
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        )?;
    }
    Ok(())
}
