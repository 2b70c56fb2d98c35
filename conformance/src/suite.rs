//! Cases as data: one file each, in a folder for each suite.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use busbar::Protocol;
use busbar::translate::{CallState, Grouped, ReasoningForm, TargetFacts};
use serde::Deserialize;

/// One document of one protocol, and what must become of it towards others.
#[derive(Debug, Clone)]
pub struct Case {
    /// Suite and file name, such as `tools/parallel_calls`.
    pub id: String,
    /// What the case shows, in one sentence.
    pub why: String,
    /// Protocol of the document.
    pub source: Protocol,
    /// The document.
    pub input: Input,
    /// What is expected, by target.
    pub expect: BTreeMap<Protocol, Expect>,
    facts: FactsText,
    state: StateText,
}

/// The document of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A client's request body.
    Request(String),
    /// A backend's buffered answer.
    Response(String),
    /// A backend's stream, as bytes on the wire.
    Stream(String),
    /// A backend's failure before any answer.
    Error {
        /// Its status.
        status: u16,
        /// Its `retry-after`, if it sent one.
        retry_after: Option<String>,
        /// Its body, which need not be JSON.
        body: String,
    },
}

/// What must become of a document towards one target.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// A JSON object: values of the output, by JSON pointer. Of a stream, of the answer it adds up to; of an error,
    /// of an object with its `status`, `retry_after` and `body`.
    #[serde(default)]
    pub has: Option<String>,
    /// JSON pointers that lead nowhere in the output.
    #[serde(default)]
    pub absent: Vec<String>,
    /// Paths that the ledger names as adapted; these lists are complete.
    #[serde(default)]
    pub adapted: BTreeSet<String>,
    /// Paths that it names as emulated.
    #[serde(default)]
    pub emulated: BTreeSet<String>,
    /// Paths that it names as carried.
    #[serde(default)]
    pub carried: BTreeSet<String>,
    /// Paths that it names as dropped.
    #[serde(default)]
    pub dropped: BTreeSet<String>,
    /// Paths that it names as injected.
    #[serde(default)]
    pub injected: BTreeSet<String>,
    /// Path that a refusal names; then nothing else is expected.
    #[serde(default)]
    pub refused: Option<String>,
}

impl Expect {
    /// The expected entries of the ledger, as `kind path`.
    pub fn effects(&self) -> BTreeSet<String> {
        [
            ("adapted", &self.adapted),
            ("emulated", &self.emulated),
            ("carried", &self.carried),
            ("dropped", &self.dropped),
            ("injected", &self.injected),
        ]
        .into_iter()
        .flat_map(|(kind, paths)| paths.iter().map(move |path| format!("{kind} {path}")))
        .collect()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    why: String,
    client: Option<String>,
    backend: Option<String>,
    request: Option<String>,
    response: Option<String>,
    stream: Option<String>,
    error: Option<String>,
    status: Option<u16>,
    retry_after: Option<String>,
    #[serde(default)]
    facts: FactsText,
    #[serde(default)]
    state: StateText,
    expect: BTreeMap<String, Expect>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FactsText {
    max_output_tokens: Option<u64>,
    max_tokens_field_legacy: Option<bool>,
    reasoning: Option<ReasoningText>,
    reasoning_off: Option<bool>,
    reasoning_history: Option<bool>,
    sampling: Option<bool>,
    allow_semantic_loss: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReasoningText {
    Budget,
    Adaptive,
    None,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateText {
    #[serde(default)]
    include_usage: bool,
    #[serde(default)]
    stops: Vec<String>,
    #[serde(default)]
    bare_json: bool,
    #[serde(default)]
    custom_tools: BTreeSet<String>,
    #[serde(default)]
    tool_names: BTreeMap<String, String>,
    /// Group and tool by the name that was sent up.
    #[serde(default)]
    groups: BTreeMap<String, (String, String)>,
    finder: Option<String>,
}

/// The time at which every case happens.
pub const NOW: u64 = 1_700_000_000;

impl Case {
    /// Reads the text of one case.
    pub fn parse(id: &str, text: &str) -> Result<Self> {
        let file: File = toml::from_str(text).with_context(|| format!("case {id}"))?;
        let (side, input) = match (file.request, file.response, file.stream, file.error) {
            (Some(body), None, None, None) => (file.client, Input::Request(body)),
            (None, Some(body), None, None) => (file.backend, Input::Response(body)),
            (None, None, Some(body), None) => (file.backend, Input::Stream(body)),
            (None, None, None, Some(body)) => {
                let Some(status) = file.status else { bail!("case {id}: an error has a status") };
                (file.backend, Input::Error { status, retry_after: file.retry_after, body })
            }
            _ => bail!("case {id}: exactly one of request, response, stream and error"),
        };
        let Some(side) = side else { bail!("case {id}: a request has a client, an answer a backend") };
        let source = protocol(&side).with_context(|| format!("case {id}"))?;
        let mut expect = BTreeMap::new();
        for (name, expected) in file.expect {
            let target = protocol(&name).with_context(|| format!("case {id}"))?;
            expect.insert(target, expected);
        }
        Ok(Self {
            id: id.to_owned(),
            why: file.why,
            source,
            input,
            expect,
            facts: file.facts,
            state: file.state,
        })
    }

    /// What is known of the target.
    pub fn facts(&self) -> TargetFacts<'static> {
        let given = &self.facts;
        let usual = facts();
        TargetFacts {
            max_output_tokens: given.max_output_tokens,
            max_tokens_field_legacy: given.max_tokens_field_legacy.unwrap_or(usual.max_tokens_field_legacy),
            reasoning: given.reasoning.map_or(usual.reasoning, |form| match form {
                ReasoningText::Budget => ReasoningForm::Budget,
                ReasoningText::Adaptive => ReasoningForm::Adaptive,
                ReasoningText::None => ReasoningForm::None,
            }),
            reasoning_off: given.reasoning_off.unwrap_or(usual.reasoning_off),
            reasoning_history: given.reasoning_history.unwrap_or(usual.reasoning_history),
            sampling: given.sampling.unwrap_or(usual.sampling),
            allow_semantic_loss: given.allow_semantic_loss.unwrap_or(usual.allow_semantic_loss),
            ..usual
        }
    }

    /// What the way back to a client of `client` knows.
    pub fn state(&self, client: Protocol) -> CallState {
        let given = self.state.clone();
        CallState {
            model: "pool".to_owned(),
            stream: matches!(self.input, Input::Stream(_)),
            include_usage: given.include_usage,
            stops: given.stops,
            bare_json: given.bare_json,
            custom_tools: given.custom_tools,
            tool_names: given.tool_names,
            groups: given
                .groups
                .into_iter()
                .map(|(flat, (group, name))| (flat, Grouped { group, name }))
                .collect(),
            finder: given.finder,
            ..CallState::new(client, self.source, &facts())
        }
    }
}

/// What is known of a target about which a case says nothing.
pub fn facts() -> TargetFacts<'static> {
    TargetFacts { upstream_model: "target-model", now: NOW, scope: "caller", ..TargetFacts::default() }
}

/// Reads all cases below `folder`, of one suite if it is named, sorted by id.
pub fn load(folder: &Path, only: Option<&str>) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for suite in sorted(folder)? {
        let name = file_name(&suite);
        if only.is_some_and(|only| only != name) {
            continue;
        }
        for path in sorted(&suite)? {
            let stem = file_name(&path);
            let Some(stem) = stem.strip_suffix(".toml") else {
                bail!("{}: a case is a .toml file", path.display())
            };
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            cases.push(Case::parse(&format!("{name}/{stem}"), &text)?);
        }
    }
    if cases.is_empty() {
        bail!("no cases in {}", folder.display());
    }
    Ok(cases)
}

fn protocol(name: &str) -> Result<Protocol> {
    let known = Protocol::ALL.into_iter().find(|protocol| protocol.name() == name);
    known.with_context(|| format!("`{name}` is no protocol"))
}

fn sorted(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Case;

    #[test]
    fn a_case_says_what_it_is() {
        let whole =
            "why = 'w'\nclient = 'anthropic'\nrequest = '{}'\n[expect.openai_chat]\ndropped = ['a']\n";
        let case = Case::parse("s/c", whole).unwrap();
        let expected = case.expect.values().next().unwrap().effects();
        assert_eq!(expected.into_iter().collect::<Vec<_>>(), ["dropped a"]);
        for broken in [
            whole.replace("client", "backend"),
            whole.replace("request", "no"),
            whole.replace("anthropic", "other"),
            whole.replace("dropped", "lost"),
            format!("stream = ''\n{whole}"),
        ] {
            assert!(Case::parse("s/c", &broken).is_err(), "{broken}");
        }
    }
}
