//! What became of a feature.

use busbar::Protocol;
use serde::{Deserialize, Serialize};

use super::probes::Want;
use crate::leaves::{Place, WRITTEN, means_same, places, snake};

/// What became of a feature, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is there in the words of the same protocol.
    Kept,
    /// It is there in the words of another.
    Mapped,
    /// It travels in an opaque place.
    Carried,
    /// The gateway does what the other side cannot, or says it in plain text.
    Emulated,
    /// The gateway says that it is lost, or refuses by name.
    Reported,
    /// It is gone without a word.
    Silent,
    /// It says something else, or the call failed for it.
    Wrong,
}

impl Verdict {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Mapped => "mapped",
            Self::Carried => "carried",
            Self::Emulated => "emulated",
            Self::Reported => "reported",
            Self::Silent => "silent",
            Self::Wrong => "wrong",
        }
    }

    /// All seven.
    pub const ALL: [Self; 7] =
        [Self::Kept, Self::Mapped, Self::Carried, Self::Emulated, Self::Reported, Self::Silent, Self::Wrong];
}

/// The verdict over all that a probe wants of a document; `told` is what the gateway says of its losses.
pub(super) fn judge(
    client: Protocol,
    backend: Protocol,
    wants: &[Want],
    document: &str,
    told: &str,
) -> (Verdict, String) {
    let all = places(document);
    wants
        .iter()
        .map(|want| one(client, backend, want, &all, told))
        .max_by_key(|(verdict, _)| *verdict)
        .unwrap_or((Verdict::Wrong, "nothing was wanted".to_owned()))
}

fn one(client: Protocol, backend: Protocol, want: &Want, all: &[Place], told: &str) -> (Verdict, String) {
    let there = if client == backend { Verdict::Kept } else { Verdict::Mapped };
    let (name, found, fits) = match want {
        Want::Value(name, value) => {
            let stands: Vec<&Place> = all.iter().filter(|place| is_value(place, value)).collect();
            // Arguments and schemas are free-form: the member that holds them is further out.
            let fits = stands.iter().any(|place| {
                means_same(name, &snake(&place.name))
                    || HOLDERS.contains(name)
                        && place.path.split(['.', '[']).any(|step| means_same(name, &snake(step)))
            });
            (*name, stands, fits)
        }
        Want::Member(names) => {
            let is_one = |place: &&Place| {
                place.path.split(['.', '[']).any(|step| names.contains(&snake(step).as_str()))
            };
            let found: Vec<&Place> = all.iter().filter(is_one).filter(|place| place.value != "[]").collect();
            let fits = !found.is_empty();
            (names[0], found, fits)
        }
        Want::Word(names, words) => {
            let found: Vec<&Place> =
                all.iter().filter(|place| names.contains(&snake(&place.name).as_str())).collect();
            let fits = found.iter().any(|place| words.contains(&place.value.to_lowercase().as_str()));
            if let (false, Some(other)) = (fits, found.first()) {
                let said = told_kind(told, names[0]);
                return said.unwrap_or((Verdict::Wrong, format!("{} says {}", other.path, other.value)));
            }
            (names[0], found, fits)
        }
    };
    if fits {
        return match told_kind(told, name) {
            Some((verdict @ (Verdict::Emulated | Verdict::Carried), why)) => (verdict, why),
            _ => (there, String::new()),
        };
    }
    if let Some(place) = found.first() {
        if WRITTEN.contains(&snake(&place.name).as_str()) {
            return (Verdict::Emulated, format!("`{name}` is written at {}", place.path));
        }
        return (Verdict::Wrong, format!("`{name}` stands at {}", place.path));
    }
    told_kind(told, name).unwrap_or((Verdict::Silent, format!("`{name}` is gone")))
}

/// Names of members that hold free-form JSON.
const HOLDERS: &[&str] = &["arguments", "parameters", "schema", "content"];

fn is_value(place: &Place, value: &str) -> bool {
    if place.is_number {
        return place.value.parse::<f64>().ok().is_some_and(|one| value.parse() == Ok(one));
    }
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return place.value == value;
    }
    place.value.contains(value) || place.path.split('.').any(|step| step == value)
}

/// What the gateway says of a member, such as `dropped=top_k; emulated=stop`.
fn told_kind(told: &str, name: &str) -> Option<(Verdict, String)> {
    for group in told.split(';') {
        let Some((kind, paths)) = group.trim().split_once('=') else { continue };
        let is_it = |path: &&str| {
            path.split(['.', '[']).any(|step| {
                means_same(name, &snake(step)) || (name, step) == ("top_k", "additionalModelRequestFields")
            })
        };
        let Some(path) = paths.split(',').find(is_it) else { continue };
        let verdict = match kind {
            "dropped" => Verdict::Reported,
            "emulated" => Verdict::Emulated,
            "carried" => Verdict::Carried,
            "adapted" => Verdict::Mapped,
            _ => continue,
        };
        return Some((verdict, format!("told: {kind} {path}")));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use Protocol::{Anthropic, Cohere, OpenaiChat};

    fn verdict(want: Want, document: &str, told: &str) -> Verdict {
        judge(OpenaiChat, Cohere, &[want], document, told).0
    }

    #[test]
    fn a_value_is_judged_by_where_it_stands_and_by_what_is_told() {
        let top_k = || Want::Value("top_k", "37".to_owned());
        assert_eq!(verdict(top_k(), r#"{"k": 37}"#, ""), Verdict::Mapped);
        assert_eq!(judge(Anthropic, Anthropic, &[top_k()], r#"{"top_k": 37}"#, "").0, Verdict::Kept);
        assert_eq!(verdict(top_k(), r#"{"seed": 37}"#, ""), Verdict::Wrong);
        assert_eq!(verdict(top_k(), "{}", ""), Verdict::Silent);
        assert_eq!(verdict(top_k(), "{}", "emulated=stop; dropped=a,top_k"), Verdict::Reported);
        let schema = Want::Value("schema", "probe_field".to_owned());
        assert_eq!(
            verdict(schema.clone(), r#"{"messages":[{"content":"by probe_field"}]}"#, ""),
            Verdict::Emulated
        );
        assert_eq!(
            verdict(schema, r#"{"json_schema":{"properties":{"probe_field":{"type":"string"}}}}"#, ""),
            Verdict::Mapped
        );
    }

    #[test]
    fn words_and_members_are_judged() {
        let ends = || Want::Word(&["finish_reason"], &["max_tokens"]);
        assert_eq!(verdict(ends(), r#"{"finish_reason":"MAX_TOKENS"}"#, ""), Verdict::Mapped);
        assert_eq!(verdict(ends(), r#"{"finish_reason":"COMPLETE"}"#, ""), Verdict::Wrong);
        assert_eq!(
            verdict(Want::Member(&["thinking"]), r#"{"thinking":{"type":"enabled"}}"#, ""),
            Verdict::Mapped
        );
        assert_eq!(verdict(Want::Member(&["thinking"]), r#"{"messages":[]}"#, ""), Verdict::Silent);
    }
}
