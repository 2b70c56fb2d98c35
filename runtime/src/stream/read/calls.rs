//! Tool calls in chat completion chunks: fragments that name their call by a number, or hardly at all.

use busbar_protocols::ir::{self, Block, DeltaEvent, Event};
use busbar_protocols::openai_chat::{
    ChatCompletionChunkChoiceDeltaFunctionCall, ChatCompletionChunkChoiceDeltaToolCall,
};
use busbar_protocols::{Num, Text};
use serde::Deserialize;

use super::balance::Balance;
use super::openai_chat::{Numbers, begin, end};
use super::{Sink, number};
use crate::stream::StreamFault;

/// The calls of one answer.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug)]
struct Call {
    /// The server's number of the call.
    wire: Option<u64>,
    id: String,
    custom: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its name has not come; arguments so far.
    Nameless(String),
    /// Its arguments begin with a quote: perhaps an object in a string in a string. All of them so far.
    Quoted(u64, String),
    Open(u64, Balance),
    Closed,
}

/// One element of `tool_calls`, or a `function_call`.
pub(super) struct Fragment<'a> {
    index: Option<u64>,
    id: Option<Text<'a>>,
    name: Option<Text<'a>>,
    arguments: Option<Text<'a>>,
    custom: bool,
}

impl<'a> From<ChatCompletionChunkChoiceDeltaFunctionCall<'a>> for Fragment<'a> {
    fn from(call: ChatCompletionChunkChoiceDeltaFunctionCall<'a>) -> Self {
        Self {
            index: None,
            id: None,
            name: call.name.value(),
            arguments: call.arguments.value(),
            custom: false,
        }
    }
}

impl<'a> From<ChatCompletionChunkChoiceDeltaToolCall<'a>> for Fragment<'a> {
    fn from(call: ChatCompletionChunkChoiceDeltaToolCall<'a>) -> Self {
        #[derive(Deserialize)]
        struct Custom {
            name: Option<String>,
            input: Option<String>,
        }
        let custom =
            call.unknown.get("custom").and_then(|raw| serde_json::from_str::<Custom>(raw.as_str()).ok());
        let is_custom = custom.is_some();
        let function = call.function.value();
        let (name, arguments) = match (custom, function) {
            (Some(custom), _) => (custom.name.map(Text::from), custom.input.map(Text::from)),
            (None, Some(function)) => (function.name.value(), function.arguments.value()),
            (None, None) => (None, None),
        };
        Self {
            index: call.index.as_ref().and_then(Num::as_u64),
            id: call.id.value(),
            name,
            arguments,
            custom: is_custom,
        }
    }
}

impl Calls {
    /// Takes one fragment of the answer `candidate`.
    pub(super) fn fragment(
        &mut self,
        fragment: Fragment<'_>,
        candidate: u64,
        blocks: &mut Numbers,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let name = fragment.name.filter(|name| !name.is_empty());
        let id = fragment.id.filter(|id| !id.is_empty());
        let arguments = fragment.arguments.filter(|text| !text.is_empty());
        let place = match self.find(fragment.index, id.as_ref(), name.is_some()) {
            Some(place) => place,
            None => {
                if self.0.len() as u64 >= blocks.limit() {
                    return Err(blocks.too_many());
                }
                self.settle(None, sink)?;
                let id = match &id {
                    Some(id) => id.decode().into_owned(),
                    None => blocks.call_id(candidate, self.0.len()),
                };
                let state = State::Nameless(String::new());
                self.0.push(Call { wire: fragment.index, id, custom: fragment.custom, state });
                self.0.len() - 1
            }
        };
        let held = blocks.held();
        let Some(call) = self.0.get_mut(place) else { return Ok(()) };
        if let (State::Nameless(before), Some(name)) = (&mut call.state, name) {
            let before = std::mem::take(before);
            let block = blocks.take()?;
            let kind = if call.custom { ir::ToolKind::Custom } else { ir::ToolKind::Function };
            let node = ir::ToolCallBlock {
                id: Some(Text::plain(call.id.as_str())),
                name: Some(name),
                kind: Some(kind),
                ..ir::ToolCallBlock::default()
            };
            begin(block, candidate, Block::ToolCall(node), sink)?;
            call.state = State::Open(block, Balance::default());
            call.more(Text::from(before), held, sink)?;
        }
        if let Some(arguments) = arguments {
            call.more(arguments, held, sink)?;
        }
        self.settle(Some(place), sink)
    }

    /// Ends every call.
    pub(super) fn close(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        self.0.iter_mut().try_for_each(|call| call.close(sink))
    }

    fn find(&self, index: Option<u64>, id: Option<&Text<'_>>, named: bool) -> Option<usize> {
        match (index, id) {
            // Some servers number all calls 0; a new id together with a name is a new call.
            (Some(index), Some(id)) => self
                .0
                .iter()
                .rposition(|call| call.wire == Some(index) && (!named || *id == *call.id.as_str())),
            (Some(index), None) => self.0.iter().rposition(|call| call.wire == Some(index)),
            (None, Some(id)) => self.0.iter().rposition(|call| *id == *call.id.as_str()),
            (None, None) if named && self.0.iter().any(|call| matches!(call.state, State::Closed)) => None,
            (None, None) => self.0.len().checked_sub(1),
        }
    }

    /// Ends the calls whose arguments are complete, but for the one that is being written.
    fn settle(&mut self, current: Option<usize>, sink: Sink<'_>) -> Result<(), StreamFault> {
        for (place, call) in self.0.iter_mut().enumerate() {
            if Some(place) != current
                && matches!(&call.state, State::Open(_, balance) if balance.is_complete())
            {
                call.close(sink)?;
            }
        }
        Ok(())
    }
}

impl Call {
    fn more(&mut self, text: Text<'_>, held: usize, sink: Sink<'_>) -> Result<(), StreamFault> {
        if text.is_empty() {
            return Ok(());
        }
        match &mut self.state {
            State::Nameless(before) | State::Quoted(_, before) => {
                if before.len() + text.written_len() > held {
                    return Err(StreamFault::TooMuchHeld { limit: held });
                }
                before.push_str(&text.decode());
                Ok(())
            }
            State::Open(block, balance) => {
                if !self.custom {
                    let decoded = text.decode();
                    if *balance == Balance::default() && decoded.trim_start().starts_with('"') {
                        self.state = State::Quoted(*block, decoded.into_owned());
                        return Ok(());
                    }
                    balance.push(&decoded);
                }
                arguments(*block, text, sink)
            }
            State::Closed if text.decode().trim().is_empty() => Ok(()),
            State::Closed => Err(StreamFault::OutOfOrder("more arguments for a call that has ended")),
        }
    }

    fn close(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Closed => Ok(()),
            State::Nameless(_) => Err(StreamFault::OutOfOrder("a tool call without a name")),
            State::Open(block, _) => end(block, sink),
            State::Quoted(block, text) => {
                let inner = serde_json::from_str::<String>(&text).ok();
                let inner = inner.filter(|inner| inner.trim_start().starts_with('{'));
                arguments(block, Text::from(inner.unwrap_or(text)), sink)?;
                end(block, sink)
            }
        }
    }
}

fn arguments(block: u64, text: Text<'_>, sink: Sink<'_>) -> Result<(), StreamFault> {
    sink(Event::Delta(DeltaEvent {
        index: Some(number(block)),
        arguments: Some(text),
        ..DeltaEvent::default()
    }))
}
