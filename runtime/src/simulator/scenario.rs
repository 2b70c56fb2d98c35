//! What the simulator is asked to play: by the model's name, or by a marker in the user's words.

use std::time::Duration;

use serde_json::Value;

/// Longest pause between tokens that a scenario may ask for.
const MAX_PACE: Duration = Duration::from_secs(5);

/// One scripted behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    /// A text that reports what was seen.
    Text,
    /// The exact body that was received, as the answer's text.
    Echo,
    /// Two parallel tool calls, then a text that quotes their results.
    Tools,
    /// One call that the marker spells out, then a text that quotes its result.
    Call,
    /// Signed thinking, then text.
    Think,
    /// Signed thinking, then one tool call.
    ThinkTools,
    /// Redacted thinking, then text.
    Redacted,
    /// Thinking, text, thinking, text.
    Interleaved,
    /// A minimal instance of the schema that was asked for.
    Json,
    /// A refusal with its explanation.
    Refusal,
    /// The prompt is blocked before anything is said.
    Blocked,
    /// A text that a content filter cuts.
    Filter,
    /// An answer cut by the token limit.
    Length,
    /// An answer cut because the context is full; protocols without a word for it call it the limit.
    Window,
    /// A tool call whose arguments are cut by the token limit.
    LengthTools,
    /// A tool call whose arguments are no JSON.
    BrokenCall,
    /// An answer that runs into the first stop sequence.
    Stop,
    /// An answer without content.
    Empty,
    /// Cache reads, cache writes by lifetime and reasoning tokens in the usage.
    Usage,
    /// A pause before each token; `None` takes the configured one.
    Slow(Option<Duration>),
    /// A text of multi-byte characters, its bytes cut anywhere.
    Unicode,
    /// A text with a citation.
    Citations,
    /// The connection breaks in the middle.
    Cut,
    /// An error event after some content.
    ErrorMid,
    /// An error event after the events that come before content.
    ErrorEarly,
    /// A failure told in a whole answer, or at the end of a stream, where the protocol has such a form;
    /// otherwise as [`Scenario::ErrorMid`].
    Failed,
    /// Headers, then nothing.
    Silent,
    /// Status 200 and a body that is not JSON.
    Garbage,
    /// An error status, of a special class where one is named.
    Error(u16, Class),
}

/// What an error status is about, where the status alone does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// What the status means by itself.
    Plain,
    /// The prompt is longer than the model's context.
    Overflow,
    /// No money left.
    Quota,
}

impl Scenario {
    /// Chooses by the last marker `[[sim:NAME]]` in the user's words, else by the model's name.
    ///
    /// `None` is a `sim-` name that no scenario has: an unknown model.
    pub(super) fn choose(model: &str, words: &str) -> Option<Self> {
        if let Some(name) = marker(words) {
            return if called(words).is_some() { Some(Self::Call) } else { Self::named(name) };
        }
        let last = model.rsplit('/').next().unwrap_or(model);
        match last.strip_prefix("sim-") {
            Some(name) => Self::named(name),
            None => Some(Self::Text),
        }
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "text" => Self::Text,
            "echo" => Self::Echo,
            "tools" => Self::Tools,
            "think" => Self::Think,
            "think-tools" => Self::ThinkTools,
            "redacted" => Self::Redacted,
            "interleaved" => Self::Interleaved,
            "json" => Self::Json,
            "refusal" => Self::Refusal,
            "blocked" => Self::Blocked,
            "filter" => Self::Filter,
            "length" => Self::Length,
            "window" => Self::Window,
            "length-tools" => Self::LengthTools,
            "broken-call" => Self::BrokenCall,
            "stop" => Self::Stop,
            "empty" => Self::Empty,
            "usage" => Self::Usage,
            "slow" => Self::Slow(None),
            "unicode" => Self::Unicode,
            "citations" => Self::Citations,
            "cut" => Self::Cut,
            "error-mid" => Self::ErrorMid,
            "error-early" => Self::ErrorEarly,
            "failed" => Self::Failed,
            "silent" => Self::Silent,
            "garbage" => Self::Garbage,
            _ => return Self::parameterised(name),
        })
    }

    fn parameterised(name: &str) -> Option<Self> {
        if let Some(pause) = name.strip_prefix("slow-") {
            let pause = Duration::from_millis(pause.parse().ok()?);
            return Some(Self::Slow(Some(pause.min(MAX_PACE))));
        }
        let rest = name.strip_prefix("error-")?;
        let (status, class) = rest.split_once('-').unwrap_or((rest, ""));
        let class = match class {
            "" => Class::Plain,
            "overflow" => Class::Overflow,
            "quota" => Class::Quota,
            _ => return None,
        };
        let status = status.parse().ok().filter(|status| (400..600).contains(status))?;
        Some(Self::Error(status, class))
    }
}

/// What the last marker in some words names.
fn marker(words: &str) -> Option<&str> {
    let (_, rest) = words.rsplit_once("[[sim:")?;
    rest.split_once("]]").map(|(name, _)| name)
}

/// The name and the arguments of the call that the marker `[[sim:call NAME {...}]]` spells out.
pub(super) fn called(words: &str) -> Option<(&str, &str)> {
    marker(words)?.strip_prefix("call ")?.split_once(' ')
}

/// The last text anywhere in a request that spells out a call.
pub(super) fn spelt(body: &Value) -> Option<&str> {
    match body {
        Value::String(words) => called(words).map(|_| words.as_str()),
        Value::Array(items) => items.iter().rev().find_map(spelt),
        Value::Object(members) => members.values().rev().find_map(spelt),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_marker_outranks_the_model_and_unknown_names_are_unknown_models() {
        assert_eq!(Scenario::choose("gpt-5", "hi"), Some(Scenario::Text));
        assert_eq!(Scenario::choose("sim-tools", "hi"), Some(Scenario::Tools));
        assert_eq!(Scenario::choose("x/sim-tools", "hi [[sim:think]]"), Some(Scenario::Think));
        let spelt = r#"[[sim:call read {"path":"a b"}]]"#;
        assert_eq!(Scenario::choose("sim-text", spelt), Some(Scenario::Call));
        assert_eq!(called(spelt), Some(("read", r#"{"path":"a b"}"#)));
        let body = json!({"messages": [{"content": spelt}, {"content": [{"text": "reminder"}]}]});
        assert_eq!(super::spelt(&body), Some(spelt));
        assert_eq!(Scenario::choose("sim-text", "[[sim:call read]]"), None);
        assert_eq!(Scenario::choose("sim-slow-9999999", ""), Some(Scenario::Slow(Some(MAX_PACE))));
        assert_eq!(Scenario::choose("sim-error-529", ""), Some(Scenario::Error(529, Class::Plain)));
        assert_eq!(
            Scenario::choose("sim-error-400-overflow", ""),
            Some(Scenario::Error(400, Class::Overflow))
        );
        for unknown in ["sim-", "sim-nothing", "sim-error-200", "sim-error-400-x", "sim-slow-x"] {
            assert_eq!(Scenario::choose(unknown, ""), None, "{unknown}");
        }
    }
}
