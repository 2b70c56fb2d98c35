//! Mistakes of the gateway's own that a provider names: what to change so that the request is taken the next time.
//!
//! A provider that refuses a request because of how the gateway put it says so in words that are known as data
//! (`[[repair]]` in `schemas/<protocol>/rules.toml`). Such a refusal harms no lane and is no fault of the caller's: the
//! request is made once more with what has been learnt, and what holds for the model is remembered.

use std::borrow::Cow;
use std::fmt;

use busbar_protocols::prelude::rules::RepairRule;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{ReasoningForm, TargetFacts, UpstreamError};
use crate::Protocol;

/// Longest path of a field that is left out, in bytes.
const MAX_PATH: usize = 128;
/// The ids of the items of an input, whose places are each of a list.
const ITEM_IDS: &str = "input.*.id";

/// What to change in a request that a provider refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Repair {
    /// How the bound of the answer is spelled.
    MaxTokensField(Spelling),
    /// The most tokens that the model answers with.
    MaxOutputTokens(u64),
    /// Whether the model takes temperature and the like.
    Sampling(bool),
    /// Whether temperature and probability mass may be set together.
    SamplingTogether(bool),
    /// Whether the model goes on with an answer that is begun for it.
    Prefill(bool),
    /// How the model takes the wish to reason.
    Reasoning(ReasoningForm),
    /// Whether the model can be made to call a tool.
    ForcedTools(bool),
    /// No reasoning in this one request, whose earlier turns do not allow it.
    NoReasoningHere,
    /// Whether the backend reads reasoning of earlier turns.
    ReasoningHistory(bool),
    /// Whether the backend accepts the signatures of earlier turns of this request.
    Signatures(bool),
    /// Whether the backend accepts the ids of items of earlier turns of this request.
    ItemIds(bool),
    /// Ids of calls have to be made anew, with as many characters at most.
    CallIds(Option<u64>),
    /// Fields of the backend's own request that it does not take, as dotted paths.
    DropParameters(Vec<String>),
}

/// The names of the bound of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spelling {
    /// The name that servers that follow OpenAI from afar read.
    Legacy,
    /// The name that OpenAI's own newer models want.
    New,
}

impl Repair {
    /// The name in logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Repair::MaxTokensField(_) => "max_tokens_field",
            Repair::MaxOutputTokens(_) => "max_output_tokens",
            Repair::Sampling(_) => "sampling",
            Repair::SamplingTogether(_) => "sampling_together",
            Repair::Prefill(_) => "prefill",
            Repair::Reasoning(_) => "reasoning",
            Repair::ForcedTools(_) => "forced_tools",
            Repair::NoReasoningHere => "no_reasoning_here",
            Repair::ReasoningHistory(_) => "reasoning_history",
            Repair::Signatures(_) => "signatures",
            Repair::ItemIds(_) => "item_ids",
            Repair::CallIds(_) => "call_ids",
            Repair::DropParameters(_) => "drop_parameters",
        }
    }

    /// Whether it tells of the model, and so holds for the lane's later requests, or of this request alone.
    pub const fn is_of_model(&self) -> bool {
        !matches!(
            self,
            Repair::NoReasoningHere | Repair::Signatures(_) | Repair::ItemIds(_) | Repair::CallIds(_)
        )
    }

    /// Changes what is known of the target; false where it knew as much, or where the change is not in these facts.
    pub fn amend(&self, facts: &mut TargetFacts<'_>) -> bool {
        fn set<T: PartialEq>(slot: &mut T, value: T) -> bool {
            let changes = *slot != value;
            *slot = value;
            changes
        }
        match self {
            Repair::MaxTokensField(spelling) => {
                set(&mut facts.max_tokens_field_legacy, *spelling == Spelling::Legacy)
            }
            Repair::MaxOutputTokens(most) => set(&mut facts.max_output_tokens, Some(*most)),
            Repair::Sampling(takes) => set(&mut facts.sampling, *takes),
            Repair::SamplingTogether(takes) => set(&mut facts.sampling_together, *takes),
            Repair::Prefill(takes) => set(&mut facts.prefill, *takes),
            Repair::Reasoning(form) => set(&mut facts.reasoning, *form),
            Repair::ForcedTools(can) => set(&mut facts.forced_tools, *can),
            Repair::NoReasoningHere => set(&mut facts.reasoning, ReasoningForm::None),
            Repair::ReasoningHistory(reads) => set(&mut facts.reasoning_history, *reads),
            Repair::Signatures(accepts) => set(&mut facts.signatures, *accepts),
            Repair::ItemIds(_) | Repair::CallIds(_) | Repair::DropParameters(_) => false,
        }
    }

    /// The request without the fields that it says to leave out, and which of them it had; none where it had none.
    pub fn strip(&self, body: &[u8]) -> Option<(Vec<u8>, Vec<String>)> {
        let paths: &[String] = match self {
            Repair::DropParameters(paths) => paths,
            Repair::ItemIds(false) => &[ITEM_IDS.to_owned()],
            _ => return None,
        };
        let mut body = String::from_utf8(body.to_vec()).ok()?;
        let mut left_out = Vec::new();
        for path in paths {
            let steps: Vec<&str> = path.split('.').collect();
            if let Some(rest) = without(&body, &steps) {
                body = rest;
                left_out.push(path.clone());
            }
        }
        (!left_out.is_empty()).then(|| (body.into_bytes(), left_out))
    }

    fn of(kind: &str, number: Option<u64>, paths: Vec<String>) -> Option<Self> {
        Some(match kind {
            "max_tokens_new" => Repair::MaxTokensField(Spelling::New),
            "max_tokens_legacy" => Repair::MaxTokensField(Spelling::Legacy),
            "max_output" => Repair::MaxOutputTokens(number.filter(|most| *most > 0)?),
            // The number is the first that is too large.
            "max_output_below" => Repair::MaxOutputTokens(number?.checked_sub(1).filter(|most| *most > 0)?),
            "no_sampling" => Repair::Sampling(false),
            "one_sampling" => Repair::SamplingTogether(false),
            "no_prefill" => Repair::Prefill(false),
            "reasoning_budget" => Repair::Reasoning(ReasoningForm::Budget),
            "reasoning_adaptive" => Repair::Reasoning(ReasoningForm::Adaptive),
            "reasoning_always" => Repair::Reasoning(ReasoningForm::Always),
            "no_reasoning" => Repair::Reasoning(ReasoningForm::None),
            "no_forced_tools" => Repair::ForcedTools(false),
            "no_reasoning_here" => Repair::NoReasoningHere,
            "reasoning_history" => Repair::ReasoningHistory(true),
            "no_reasoning_history" => Repair::ReasoningHistory(false),
            "no_signatures" => Repair::Signatures(false),
            "no_item_ids" => Repair::ItemIds(false),
            "call_ids" => Repair::CallIds(number),
            "drop" if !paths.is_empty() => Repair::DropParameters(paths),
            _ => return None,
        })
    }
}

/// What to change in a request that a provider refused, where its words say that and what.
pub fn repair_of(backend: Protocol, error: &UpstreamError) -> Option<Repair> {
    let rules = busbar_protocols::rules(backend)?;
    // A server may say anything of a request with these; what others say is about something else.
    if !matches!(error.status, 400 | 404 | 413 | 422) {
        return None;
    }
    rules.repairs.iter().find_map(|rule| repair_by(rule, error, rules.kept))
}

fn repair_by(rule: &RepairRule, error: &UpstreamError, kept: &[&str]) -> Option<Repair> {
    let words = [error.kind.as_deref(), error.code.as_deref(), error.reason.as_deref()];
    let fits = (rule.status == 0 || rule.status == error.status)
        && (rule.word.is_empty() || words.contains(&Some(rule.word)))
        && (rule.param.is_empty() || error.param.as_deref() == Some(rule.param));
    if !fits {
        return None;
    }
    let found = found(rule.message, &error.message)?;
    let digits: String = found.trim().chars().take_while(char::is_ascii_digit).collect();
    let mut paths = Vec::new();
    if rule.kind == "drop" {
        let named = if found.is_empty() { error.param.as_deref().unwrap_or_default() } else { found };
        if rule.paths.is_empty() {
            paths.push(named.to_owned());
        } else {
            paths.extend(rule.paths.iter().map(|path| path.replace('*', named)));
        }
        if !paths.iter().all(|path| may_be_dropped(path, kept)) {
            return None;
        }
    }
    Repair::of(rule.kind, digits.parse().ok(), paths)
}

/// Whether a request is still the caller's without a field.
fn may_be_dropped(path: &str, kept: &[&str]) -> bool {
    let is_path = !path.is_empty()
        && path.len() <= MAX_PATH
        && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        && path.split('.').all(|part| !part.is_empty() && !part.bytes().all(|byte| byte.is_ascii_digit()));
    let is_kept = |kept: &&str| {
        path.strip_prefix(*kept).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            || kept.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'))
    };
    is_path && !kept.iter().any(is_kept)
}

/// What stands in a message for the last `*` of a pattern in lower case; empty where the pattern has none.
fn found<'a>(pattern: &str, message: &'a str) -> Option<&'a str> {
    // Lower case in ASCII alone keeps every place where it is.
    let said = message.to_ascii_lowercase();
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let mut at = said.find(first)? + first.len();
    let mut found = "";
    for part in parts {
        let end = if part.is_empty() { said.len() } else { at + said[at..].find(part)? };
        found = message.get(at..end)?;
        at = end + part.len();
    }
    Some(found)
}

/// A document without what is at a path; `*` is each of a list. None where there is nothing.
fn without(json: &str, path: &[&str]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    if *first == "*" {
        let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
        let mut changed = false;
        let items: Vec<Cow<'_, str>> = items
            .into_iter()
            .map(|item| match without(item.get(), rest) {
                Some(item) => {
                    changed = true;
                    item.into()
                }
                None => item.get().into(),
            })
            .collect();
        return changed.then(|| format!("[{}]", items.join(",")));
    }
    let Members(members) = serde_json::from_str(json).ok()?;
    let mut changed = false;
    let mut out = String::with_capacity(json.len());
    for (name, value) in members {
        let fitted = match (name == *first, rest) {
            (true, []) => {
                changed = true;
                continue;
            }
            (true, rest) => without(value.get(), rest),
            (false, _) => None,
        };
        changed |= fitted.is_some();
        out.push(if out.is_empty() { '{' } else { ',' });
        out.push_str(&serde_json::to_string(&name).ok()?);
        out.push(':');
        out.push_str(fitted.as_deref().unwrap_or(value.get()));
    }
    out.push_str(if out.is_empty() { "{}" } else { "}" });
    changed.then_some(out)
}

/// The members of an object in their order, each value as it is written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Each).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::HeaderMap;

    use super::*;
    use crate::translate::upstream_error;

    #[test]
    fn a_pattern_finds_what_stands_for_its_last_star() {
        assert_eq!(found("use 'x'", "Please USE 'x'."), Some(""));
        assert_eq!(found("at most * tokens", "Supports at most 16384 tokens, not 9"), Some("16384"));
        assert_eq!(
            found("value of * to * (exclusive)", "A value of 9 is from 1 to 65537 (exclusive)"),
            Some("65537")
        );
        assert_eq!(
            found("*: extra inputs", "output_Config.effort: Extra inputs"),
            Some("output_Config.effort")
        );
        assert_eq!(found("limit of *", "É limit of 7"), Some("7"));
        assert_eq!(found("limit of * now", "limit of 7 then"), None);
    }

    #[test]
    fn what_a_request_is_about_is_never_left_out() {
        let kept = &["messages", "text.format"];
        for path in ["seed", "text.verbosity", "reasoning.effort", "additional-fields.x"] {
            assert!(may_be_dropped(path, kept), "{path}");
        }
        let long = "x".repeat(MAX_PATH + 1);
        for path in [
            "",
            "messages",
            "messages.0.name",
            "text",
            "text.format.name",
            "a..b",
            "a[0]",
            "x.1",
            "a b",
            &long,
        ] {
            assert!(!may_be_dropped(path, kept), "{path}");
        }
    }

    #[test]
    fn every_kind_in_the_rules_is_known_and_every_rule_is_reached() {
        for protocol in Protocol::ALL {
            let rules = busbar_protocols::rules(protocol).unwrap();
            for (at, rule) in rules.repairs.iter().enumerate() {
                assert!(
                    Repair::of(rule.kind, Some(9), vec!["x".to_owned()]).is_some(),
                    "{protocol}: {rule:?}"
                );
                assert!(
                    !(rule.message.is_empty() && rule.word.is_empty() && rule.param.is_empty()),
                    "{protocol}: {rule:?} fits everything"
                );
                let hides = |earlier: &&RepairRule| {
                    (earlier.status == 0 || earlier.status == rule.status)
                        && (earlier.word.is_empty() || earlier.word == rule.word)
                        && (earlier.param.is_empty() || earlier.param == rule.param)
                        && rule.message.contains(earlier.message)
                };
                let hidden = rules.repairs[..at].iter().find(hides);
                assert_eq!(hidden, None, "{protocol}: {rule:?} is never reached");
            }
        }
    }

    #[test]
    fn a_repair_changes_the_facts_once() {
        let mut facts = TargetFacts { max_tokens_field_legacy: true, ..TargetFacts::default() };
        for repair in [
            Repair::MaxTokensField(Spelling::New),
            Repair::MaxOutputTokens(64_000),
            Repair::Sampling(false),
            Repair::SamplingTogether(false),
            Repair::Prefill(false),
            Repair::ForcedTools(false),
            Repair::Reasoning(ReasoningForm::Adaptive),
            Repair::NoReasoningHere,
            Repair::ReasoningHistory(false),
            Repair::Signatures(false),
        ] {
            assert!(repair.amend(&mut facts), "{repair:?}");
            assert!(!repair.amend(&mut facts), "{repair:?} a second time");
        }
        assert_eq!((facts.max_tokens_field_legacy, facts.max_output_tokens), (false, Some(64_000)));
        assert_eq!((facts.sampling, facts.prefill, facts.signatures), (false, false, false));
        assert!(!Repair::DropParameters(vec!["seed".to_owned()]).amend(&mut facts));
        assert!(Repair::Sampling(false).is_of_model() && !Repair::Signatures(false).is_of_model());
    }

    #[test]
    fn a_refusal_of_another_kind_is_not_repaired() {
        let repair = |status, body: &str| {
            let headers = HeaderMap::new();
            let error = upstream_error(
                Protocol::OpenaiChat,
                status,
                &headers,
                body.as_bytes(),
                SystemTime::UNIX_EPOCH,
            );
            repair_of(Protocol::OpenaiChat, &error)
        };
        let body =
            r#"{"error":{"message":"Unknown parameter: 'seed'.","param":"seed","code":"unknown_parameter"}}"#;
        assert_eq!(repair(400, body), Some(Repair::DropParameters(vec!["seed".to_owned()])));
        assert_eq!(repair(429, body), None);
        assert_eq!(repair(400, &body.replace("seed", "messages[0].x")), None);
        assert_eq!(repair(400, &body.replace("seed", "tools")), None);
        assert_eq!(repair(400, r#"{"error":{"message":"no","param":"seed","code":"invalid_value"}}"#), None);
    }

    #[test]
    fn fields_are_left_out_and_all_else_stays_as_it_is_written() {
        let drop = |paths: &[&str], body: &str| {
            let repair = Repair::DropParameters(paths.iter().map(|path| (*path).to_owned()).collect());
            let (body, left_out) = repair.strip(body.as_bytes())?;
            Some((String::from_utf8(body).unwrap(), left_out.join(" ")))
        };
        let body = r#"{"a":1e400, "b":{"c":[1.0],"d":"\u00e9"},"a":2}"#;
        assert_eq!(drop(&["b.c"], body).unwrap().0, r#"{"a":1e400,"b":{"d":"\u00e9"},"a":2}"#);
        assert_eq!(
            drop(&["a", "x", "b.y"], body),
            Some((r#"{"b":{"c":[1.0],"d":"\u00e9"}}"#.into(), "a".into()))
        );
        assert_eq!(drop(&["b.c.d", "z"], body), None);
        assert_eq!(drop(&["a"], r#"{"a":1}"#).unwrap().0, "{}");
        let items = br#"{"input":[{"id":"rs_1","type":"reasoning"},{"role":"user"}],"id":"kept"}"#;
        let (stripped, _) = Repair::ItemIds(false).strip(items).unwrap();
        assert_eq!(stripped, br#"{"input":[{"type":"reasoning"},{"role":"user"}],"id":"kept"}"#);
    }
}
