//! What the way back must know about the way there.

use std::collections::{BTreeMap, BTreeSet};

use busbar_protocols::{Text, ir};

use super::echo::Echo;
use super::facts::TargetFacts;
use super::given::Given;
use crate::Protocol;

/// What the way back must know about the way there; buffered answers and streams read the same.
#[derive(Debug, Clone)]
pub struct CallState {
    /// Protocol of the client.
    pub client: Protocol,
    /// Protocol of the backend.
    pub backend: Protocol,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// Whether the client asked for usage at the end of the stream.
    pub include_usage: bool,
    /// The model as the client named it.
    pub model: String,
    /// Names, as sent up, of functions that stand for tools with free text.
    pub custom_tools: BTreeSet<String>,
    /// The caller's name of a tool by the name that was sent up, where they differ.
    pub tool_names: BTreeMap<String, String>,
    /// The tool and its group by the name that was sent up, before it was made to fit.
    pub groups: BTreeMap<String, Grouped>,
    /// Name, as sent up, of the function that stands for the caller's search for tools.
    pub finder: Option<String>,
    /// Texts that end the answer and that the backend was not told.
    pub stops: Vec<String>,
    /// The answer must be bare JSON, and the backend was asked for it in words.
    pub bare_json: bool,
    /// Calls are answered in the older form without ids, which knows one call.
    pub legacy_calls: bool,
    /// The caller takes one call at a time, and the backend was asked so in words alone.
    pub one_call: bool,
    /// How often the backend is asked, each time for one of the answers that the caller wants.
    pub choices: u8,
    /// What the request gave to be cited from, where the two sides have different names for it.
    pub given: Vec<Given>,
    /// What the answer repeats of the request, where the client's protocol has that.
    pub echo: Option<Echo>,
    /// The client wants its stream as one JSON array, not as events.
    pub json_array: bool,
    /// Seconds since the Unix epoch at the request's start.
    pub now: u64,
    /// Whose request it is.
    pub scope: String,
}

/// A tool in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouped {
    /// Name of the group.
    pub group: String,
    /// Name of the tool in it.
    pub name: String,
}

/// The one parameter of a function that stands for a tool with free text.
pub(crate) const FREE_TEXT: &str = "input";

/// The key under which arguments stand that are no JSON object.
pub(crate) const RAW_ARGUMENTS: &str = "raw_arguments";

impl CallState {
    /// The state of a call between two protocols that has changed nothing yet.
    pub fn new(client: Protocol, backend: Protocol, facts: &TargetFacts<'_>) -> Self {
        Self {
            client,
            backend,
            stream: false,
            include_usage: false,
            model: String::new(),
            custom_tools: BTreeSet::new(),
            tool_names: BTreeMap::new(),
            groups: BTreeMap::new(),
            finder: None,
            stops: Vec::new(),
            bare_json: false,
            legacy_calls: false,
            one_call: false,
            choices: 1,
            given: Vec::new(),
            echo: None,
            json_array: false,
            now: facts.now,
            scope: facts.scope.to_owned(),
        }
    }

    /// Gives a call of the backend's the name, the group and the kind that the caller knows; whether its arguments
    /// are those of a tool with free text.
    pub(crate) fn restore_name(&self, call: &mut ir::ToolCallBlock<'_>) -> bool {
        let Some(sent) = call.name.as_ref().map(|name| name.decode().into_owned()) else { return false };
        let own = self.tool_names.get(&sent);
        if let Some(own) = own {
            call.name = Some(Text::plain(own.clone()));
        }
        let own = own.unwrap_or(&sent);
        if self.finder.as_ref() == Some(own) {
            call.kind = Some(ir::ToolKind::Search);
        }
        if let Some(grouped) = self.groups.get(own) {
            call.namespace = Some(Text::plain(grouped.group.clone()));
            call.name = Some(Text::plain(grouped.name.clone()));
        }
        self.custom_tools.contains(&sent)
    }

    /// Takes note of what the request says about the form of its answer.
    pub(super) fn note_request(&mut self, request: &ir::Request<'_>) {
        self.stream = request.stream == Some(true);
        self.include_usage = request.stream_usage == Some(true);
        self.model = request.model.as_ref().map(|model| model.decode().into_owned()).unwrap_or_default();
    }
}
