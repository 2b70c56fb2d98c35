//! Ids of calls and names of tools that the target takes.

use std::collections::{HashMap, HashSet};

use busbar_protocols::prelude::rules::NameRules;
use busbar_protocols::{EffectKind, Text, ir};

use super::super::shape::Shape;

/// Makes the ids of calls and results fit; an id that fits already stays as it is.
///
/// A made id depends on the old one alone, so that it is the same in every turn, and two ids never become one.
pub(super) fn fit_tool_ids(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let rules = shape.to.call_ids;
    let mut ids = Fitted::new(rules, 8);
    for id in call_ids(request) {
        ids.reserve(id);
    }
    for block in request.turns.iter_mut().flatten().flat_map(|turn| turn.content.iter_mut().flatten()) {
        let (id, at) = match block {
            ir::Block::ToolCall(node) => (&mut node.id, node.at),
            ir::Block::ToolResult(node) => (&mut node.call_id, node.at),
            _ => continue,
        };
        let Some(old) = id.as_ref().map(|id| id.decode().into_owned()) else { continue };
        if let Some(new) = ids.fit(&old) {
            *id = Some(Text::plain(new));
            shape.report.node(
                EffectKind::Adapted,
                at,
                "the id of the call has characters or a length that the target refuses",
            );
        }
    }
}

const REFUSED: &str = "the name of the tool has characters or a length that the target refuses";

/// Makes the names of tools fit, wherever one stands, and remembers the caller's.
pub(super) fn fit_tool_names(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let mut names = Fitted::new(shape.to.tool_names, 16);
    for tool in request.tools.iter().flatten() {
        if let Some(name) = tool_name(tool) {
            names.reserve(name);
        }
    }
    let mut declared: HashSet<String> = HashSet::new();
    let mut fitted: HashMap<String, String> = HashMap::new();
    let mut change = |name: &mut Option<Text<'_>>| -> bool {
        let Some(old) = name.as_ref().map(|name| name.decode().into_owned()) else { return false };
        match names.fit(&old) {
            Some(new) => {
                fitted.insert(new.clone(), old);
                *name = Some(Text::plain(new));
                true
            }
            None => false,
        }
    };
    for tool in request.tools.iter_mut().flatten() {
        let (name, at) = match tool {
            ir::Tool::Function(node) => (&mut node.name, node.at),
            ir::Tool::Custom(node) => (&mut node.name, node.at),
            _ => continue,
        };
        if change(name) {
            shape.report.node(EffectKind::Adapted, at, REFUSED);
        }
        declared.extend(name.as_ref().map(|name| name.decode().into_owned()));
    }
    // A declaration has said it for all that name the tool.
    let is_declared =
        |name: &Option<Text<'_>>| name.as_ref().is_some_and(|name| declared.contains(&*name.decode()));
    for block in request.turns.iter_mut().flatten().flat_map(|turn| turn.content.iter_mut().flatten()) {
        let (name, at) = match block {
            ir::Block::ToolCall(node) => (&mut node.name, node.at),
            // The call says the name; a result repeats it only where the target wants it.
            ir::Block::ToolResult(node) if !shape.to.tools.result_names => {
                node.name = None;
                continue;
            }
            ir::Block::ToolResult(node) => (&mut node.name, node.at),
            _ => continue,
        };
        if change(name) && !is_declared(name) {
            shape.report.node(EffectKind::Adapted, at, REFUSED);
        }
    }
    let allowed = request.tool_choice.allowed.iter_mut().flatten().map(|tool| &mut tool.name);
    for name in allowed.chain([&mut request.tool_choice.name]) {
        if change(name) && !is_declared(name) {
            shape.report.request(EffectKind::Adapted, "tool_choice.name", REFUSED);
        }
    }
    for (new, old) in fitted {
        // A custom tool is remembered by the name that goes up.
        if shape.state.custom_tools.remove(&old) {
            shape.state.custom_tools.insert(new.clone());
        }
        shape.state.tool_names.insert(new, old);
    }
}

fn call_ids<'r>(request: &'r ir::Request<'_>) -> impl Iterator<Item = std::borrow::Cow<'r, str>> {
    request.turns.iter().flatten().flat_map(|turn| turn.content.iter().flatten()).filter_map(|block| {
        match block {
            ir::Block::ToolCall(node) => node.id.as_ref().map(Text::decode),
            ir::Block::ToolResult(node) => node.call_id.as_ref().map(Text::decode),
            _ => None,
        }
    })
}

fn tool_name<'r>(tool: &'r ir::Tool<'_>) -> Option<std::borrow::Cow<'r, str>> {
    match tool {
        ir::Tool::Function(node) => node.name.as_ref().map(Text::decode),
        ir::Tool::Custom(node) => node.name.as_ref().map(Text::decode),
        _ => None,
    }
}

/// Names that fit, by the names that did not.
struct Fitted {
    rules: NameRules,
    /// Hexadecimal digits of the hash in a made name.
    digits: usize,
    taken: HashSet<String>,
    made: HashMap<String, String>,
}

impl Fitted {
    fn new(rules: NameRules, digits: usize) -> Self {
        Self { rules, digits, taken: HashSet::new(), made: HashMap::new() }
    }

    /// Keeps a name that fits from being made out of another.
    fn reserve(&mut self, name: std::borrow::Cow<'_, str>) {
        if fits(&name, self.rules) {
            self.taken.insert(name.into_owned());
        }
    }

    /// The name that stands for this one; none when it fits.
    fn fit(&mut self, name: &str) -> Option<String> {
        if fits(name, self.rules) {
            return None;
        }
        if let Some(made) = self.made.get(name) {
            return Some(made.clone());
        }
        let mut salt = 0_u64;
        let made = loop {
            let made = make(name, self.rules, self.digits, salt);
            if self.taken.insert(made.clone()) {
                break made;
            }
            salt += 1;
        };
        self.made.insert(name.to_owned(), made.clone());
        Some(made)
    }
}

fn fits(name: &str, rules: NameRules) -> bool {
    !name.is_empty()
        && name.chars().count() <= rules.max
        && (!rules.word || name.chars().all(|c| is_word(c, rules)))
        && !begins_badly(name, rules)
}

fn is_word(c: char, rules: NameRules) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || (c == '-' && !rules.identifier)
}

fn begins_badly(name: &str, rules: NameRules) -> bool {
    let is_bad = |first: char| match rules.letter_first {
        true => !first.is_ascii_alphabetic() && first != '_',
        false => rules.identifier && first.is_ascii_digit(),
    };
    name.starts_with(is_bad)
}

/// What can be read of the name, and a hash of all of it.
fn make(name: &str, rules: NameRules, digits: usize, salt: u64) -> String {
    let hash = format!("{:016x}", hash(name, salt));
    let hash = &hash[..digits.min(hash.len())];
    let room = rules.max.saturating_sub(hash.len() + 1);
    let first = begins_badly(name, rules).then_some('_');
    let word = |c| if is_word(c, rules) { c } else { '_' };
    let readable: String = first.into_iter().chain(name.chars().map(word)).take(room).collect();
    let readable = if readable.is_empty() { rules.prefix.trim_end_matches('_') } else { &readable };
    format!("{readable}_{hash}")
}

/// FNV-1a with 64 bits: the same in every process and version, which a cached prompt prefix needs.
pub(super) fn hash(name: &str, salt: u64) -> u64 {
    let bytes = name.bytes().chain(salt.to_le_bytes().into_iter().filter(|_| salt > 0));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
