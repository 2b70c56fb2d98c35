//! The rules for the items of the input, and for how they follow one another.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::shape::Is::{Any, Flag, Integer, List, Object, Text, TextOrList, Word};
use super::shape::Need::{May, Must, Null};
use super::shape::{Member, STATUS, at, invalid, list, missing, object, set, shape, text, too_long, value};
use super::{content, ids, tools};
use crate::simulator::answer::Seen;
use crate::simulator::refusal::Refusal;
use crate::simulator::sign;

const MAX_CALL_ID: usize = 64;

const TYPE: Member = ("type", Text, Must);
const ID: Member = ("id", Text, Must);
const MAYBE_ID: Member = ("id", Text, May);
const CALL_ID: Member = ("call_id", Text, Must);
const CALLER: Member = ("caller", Object, May);
const MAYBE_STATUS: Member = ("status", STATUS, May);
const NAMESPACE: Member = ("namespace", Text, May);

/// Calls, each with the item that brings its result.
const PAIRS: &[(&str, &str)] = &[
    ("function_call", "function_call_output"),
    ("custom_tool_call", "custom_tool_call_output"),
    ("computer_call", "computer_call_output"),
    ("shell_call", "shell_call_output"),
    ("apply_patch_call", "apply_patch_call_output"),
];

/// What an id of the item begins with, where the item has a prefix of its own.
const PREFIXES: &[(&str, &str)] =
    &[("message", "msg"), ("function_call", "fc"), ("custom_tool_call", "ctc"), ("reasoning", "rs")];

const MESSAGE: &[Member] = &[
    ("type", Text, May),
    MAYBE_ID,
    ("role", Word(&["assistant", "system", "developer", "user"]), Must),
    ("content", TextOrList, Must),
    MAYBE_STATUS,
    ("phase", Word(&["commentary", "final_answer"]), May),
];

const SEARCH_STATUS: super::shape::Is =
    Word(&["in_progress", "searching", "completed", "incomplete", "failed"]);

/// Every item but messages.
const ITEMS: &[(&str, &[Member])] = &[
    (
        "function_call",
        &[
            TYPE,
            MAYBE_ID,
            CALL_ID,
            ("name", Text, Must),
            ("arguments", Text, Must),
            ("async", Flag, May),
            CALLER,
            NAMESPACE,
            MAYBE_STATUS,
        ],
    ),
    (
        "function_call_output",
        &[
            TYPE,
            MAYBE_ID,
            CALL_ID,
            ("output", TextOrList, Must),
            CALLER,
            ("name", Text, May),
            NAMESPACE,
            MAYBE_STATUS,
        ],
    ),
    (
        "custom_tool_call",
        &[
            TYPE,
            MAYBE_ID,
            CALL_ID,
            ("name", Text, Must),
            ("input", Text, Must),
            ("async", Flag, May),
            CALLER,
            NAMESPACE,
            MAYBE_STATUS,
        ],
    ),
    (
        "custom_tool_call_output",
        &[TYPE, MAYBE_ID, CALL_ID, ("output", TextOrList, Must), CALLER, MAYBE_STATUS],
    ),
    (
        "reasoning",
        &[
            TYPE,
            MAYBE_ID,
            ("summary", List, Must),
            ("content", List, May),
            ("encrypted_content", Text, May),
            MAYBE_STATUS,
        ],
    ),
    ("item_reference", &[("type", Text, May), ID]),
    (
        "file_search_call",
        &[TYPE, ID, ("queries", List, Must), ("status", SEARCH_STATUS, Must), ("results", List, May)],
    ),
    (
        "web_search_call",
        &[TYPE, ID, ("status", SEARCH_STATUS, Must), ("action", Object, Must), ("results", List, May)],
    ),
    (
        "computer_call",
        &[
            TYPE,
            ID,
            CALL_ID,
            ("pending_safety_checks", List, Must),
            ("status", STATUS, Must),
            ("action", Object, May),
            ("actions", List, May),
        ],
    ),
    (
        "computer_call_output",
        &[
            TYPE,
            MAYBE_ID,
            CALL_ID,
            ("output", Object, Must),
            ("acknowledged_safety_checks", List, May),
            MAYBE_STATUS,
        ],
    ),
    (
        "tool_search_call",
        &[
            TYPE,
            MAYBE_ID,
            ("arguments", Any, Must),
            ("call_id", Text, May),
            ("execution", Word(&["server", "client"]), May),
            MAYBE_STATUS,
        ],
    ),
    (
        "tool_search_output",
        &[
            TYPE,
            MAYBE_ID,
            ("tools", List, Must),
            ("call_id", Text, May),
            ("execution", Word(&["server", "client"]), May),
            MAYBE_STATUS,
        ],
    ),
    ("additional_tools", &[TYPE, MAYBE_ID, ("role", Word(&["developer"]), Must), ("tools", List, Must)]),
    ("configuration_update", &[TYPE, MAYBE_ID, ("reasoning", Object, May), ("text", Object, May)]),
    ("compaction", &[TYPE, MAYBE_ID, ("encrypted_content", Text, Must)]),
    ("compaction_trigger", &[TYPE, MAYBE_ID]),
    (
        "image_generation_call",
        &[
            TYPE,
            ID,
            ("result", Text, Null),
            ("status", Word(&["in_progress", "completed", "generating", "failed"]), Must),
            ("action", Word(&["generate", "edit", "auto"]), May),
            ("background", Word(&["transparent", "opaque", "auto"]), May),
            ("error", Object, May),
            ("output_format", Word(&["png", "webp", "jpeg", "gif", "svg"]), May),
            ("quality", Word(&["low", "medium", "high", "xhigh", "max", "auto"]), May),
            ("revised_prompt", Text, May),
            ("size", Text, May),
            ("svg_usage", Object, May),
        ],
    ),
    (
        "code_interpreter_call",
        &[
            TYPE,
            ID,
            ("code", Text, Null),
            ("container_id", Text, Must),
            ("outputs", List, Null),
            ("status", Word(&["in_progress", "completed", "incomplete", "interpreting", "failed"]), Must),
        ],
    ),
    ("local_shell_call", &[TYPE, ID, CALL_ID, ("action", Object, Must), ("status", STATUS, Must)]),
    ("local_shell_call_output", &[TYPE, ID, ("output", Text, Must), MAYBE_STATUS]),
    (
        "shell_call",
        &[
            TYPE,
            MAYBE_ID,
            CALL_ID,
            ("action", Object, Must),
            CALLER,
            ("environment", Object, May),
            MAYBE_STATUS,
        ],
    ),
    (
        "shell_call_output",
        &[
            TYPE,
            MAYBE_ID,
            CALL_ID,
            ("output", List, Must),
            CALLER,
            ("max_output_length", Integer, May),
            MAYBE_STATUS,
        ],
    ),
    (
        "apply_patch_call",
        &[
            TYPE,
            MAYBE_ID,
            CALL_ID,
            ("operation", Object, Must),
            ("status", Word(&["in_progress", "completed"]), Must),
            CALLER,
        ],
    ),
    (
        "apply_patch_call_output",
        &[
            TYPE,
            MAYBE_ID,
            CALL_ID,
            ("status", Word(&["completed", "failed"]), Must),
            ("output", Text, May),
            CALLER,
        ],
    ),
    (
        "mcp_list_tools",
        &[TYPE, ID, ("server_label", Text, Must), ("tools", List, Must), ("error", Text, May)],
    ),
    (
        "mcp_approval_request",
        &[TYPE, ID, ("arguments", Text, Must), ("name", Text, Must), ("server_label", Text, Must)],
    ),
    (
        "mcp_approval_response",
        &[
            TYPE,
            MAYBE_ID,
            ("approval_request_id", Text, Must),
            ("approve", Flag, Must),
            ("reason", Text, May),
        ],
    ),
    (
        "mcp_call",
        &[
            TYPE,
            ID,
            ("arguments", Text, Must),
            ("name", Text, Must),
            ("server_label", Text, Must),
            ("approval_request_id", Text, May),
            ("error", Any, May),
            ("output", Text, May),
            ("status", Word(&["in_progress", "completed", "incomplete", "calling", "failed"]), May),
        ],
    ),
    ("program", &[TYPE, ID, CALL_ID, ("code", Text, Must), ("fingerprint", Text, Must)]),
    (
        "program_output",
        &[TYPE, ID, CALL_ID, ("result", Text, Must), ("status", Word(&["completed", "incomplete"]), Must)],
    ),
];

/// What is known of the items up to some point.
struct Walk<'a> {
    /// Calls without a result: which pair they are of, and their ids.
    open: Vec<(usize, &'a str)>,
    /// Reasoning that waits for what it led to.
    thought: Option<String>,
    ids: HashSet<&'a str>,
    /// Whether there may be calls that are not to be seen here.
    continued: bool,
    stored: bool,
}

/// Checks the items.
pub(super) fn check(items: &[Value], continued: bool, stored: bool, seen: &mut Seen) -> Result<(), Refusal> {
    seen.messages = items.len();
    let mut walk = Walk { open: Vec::new(), thought: None, ids: HashSet::new(), continued, stored };
    for (n, item) in items.iter().enumerate() {
        let path = format!("input[{n}]");
        one(object(item, &path)?, &path, &mut walk, seen)?;
    }
    if let Some(thought) = &walk.thought {
        return Err(unfollowed(thought));
    }
    match walk.open.first() {
        Some((pair, id)) => Err(Refusal::field(
            format!("No tool output found for {} {id}.", PAIRS[*pair].0.replace('_', " ")),
            "input",
            None,
        )),
        None => Ok(()),
    }
}

fn one<'a>(
    item: &'a Map<String, Value>,
    path: &str,
    walk: &mut Walk<'a>,
    seen: &mut Seen,
) -> Result<(), Refusal> {
    let word = match set(item, "type") {
        // A reference may go without its type; a message as well, and it has a role.
        None if item.contains_key("id") && !item.contains_key("role") => "item_reference",
        None => "message",
        Some(_) => text(item, path, "type")?,
    };
    let members = match word {
        "message" => MESSAGE,
        _ => match ITEMS.iter().find(|(name, _)| *name == word) {
            Some((_, members)) => members,
            None => {
                let words: Vec<&str> =
                    ["message"].into_iter().chain(ITEMS.iter().map(|(name, _)| *name)).collect();
                return Err(value(&at(path, "type"), word, &words));
            }
        },
    };
    shape(item, path, members)?;
    let by_model = match word {
        "message" => item.get("role").and_then(Value::as_str) == Some("assistant"),
        _ => !word.ends_with("_output") && word != "mcp_approval_response",
    };
    match walk.thought.take() {
        Some(thought) if !by_model => return Err(unfollowed(&thought)),
        _ => {}
    }
    if let Some(id) = item.get("id").and_then(Value::as_str) {
        self::id(id, word, path, walk)?;
    }
    match word {
        "message" => message(item, path, seen)?,
        "reasoning" => reasoning(item, path, walk)?,
        "compaction" => sealed(item)?,
        "additional_tools" | "tool_search_output" => {
            for (n, tool) in list(item, "tools").iter().enumerate() {
                tools::elsewhere(tool, &format!("{path}.tools[{n}]"))?;
            }
        }
        "item_reference" => {
            let id = text(item, path, "id")?;
            if !ids::is_stored(id) {
                return Err(not_found(id, walk.stored));
            }
            walk.continued = true;
        }
        _ => {}
    }
    if let Some(pair) = PAIRS.iter().position(|(call, _)| *call == word) {
        seen.results.clear();
        walk.open.push((pair, call_id(item, path)?));
    }
    if let Some(pair) = PAIRS.iter().position(|(_, output)| *output == word) {
        let id = call_id(item, path)?;
        match walk.open.iter().position(|call| *call == (pair, id)) {
            Some(at) => drop(walk.open.remove(at)),
            None if walk.continued => {}
            None => {
                let name = PAIRS[pair].0.replace('_', " ");
                return Err(Refusal::field(
                    format!("No tool call found for {name} output with call_id {id}."),
                    "input",
                    None,
                ));
            }
        }
        let said = match item.get("output") {
            Some(Value::Array(parts)) if pair < 2 => {
                content::check(parts, &at(path, "output"), content::INPUT, seen)?
            }
            Some(Value::String(said)) => said.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        seen.results.push(said);
    }
    Ok(())
}

/// Checks what an id begins with, and that no two items have the same.
fn id<'a>(id: &'a str, word: &str, path: &str, walk: &mut Walk<'a>) -> Result<(), Refusal> {
    if let Some((_, prefix)) = PREFIXES.iter().find(|(name, _)| *name == word)
        && !id.starts_with(prefix)
    {
        return Err(foreign(id, &at(path, "id"), prefix));
    }
    if walk.ids.insert(id) {
        return Ok(());
    }
    Err(Refusal::field(
        format!("Duplicate item found with id {id}. Remove duplicate items from your input and try again."),
        "input",
        None,
    ))
}

/// An id that is not of this kind.
pub(super) fn foreign(id: &str, path: &str, prefix: &str) -> Refusal {
    invalid(path, format!("Invalid '{path}': '{id}'. Expected an ID that begins with '{prefix}'."))
}

fn unfollowed(thought: &str) -> Refusal {
    Refusal::field(
        format!("Item '{thought}' of type 'reasoning' was provided without its required following item."),
        "input",
        None,
    )
}

fn not_found(id: &str, stored: bool) -> Refusal {
    let said = if stored {
        format!("Item with id '{id}' not found.")
    } else {
        format!(
            "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input."
        )
    };
    Refusal { status: 404, ..Refusal::field(said, "input", None) }
}

fn call_id<'a>(item: &'a Map<String, Value>, path: &str) -> Result<&'a str, Refusal> {
    let id = text(item, path, "call_id")?;
    let path = at(path, "call_id");
    if id.is_empty() {
        return Err(Refusal::field(
            format!(
                "Invalid '{path}': empty string. Expected a string with minimum length 1, but got an empty string instead."
            ),
            path,
            Some("empty_string"),
        ));
    }
    too_long(id, &path, MAX_CALL_ID)?;
    Ok(id)
}

fn message(item: &Map<String, Value>, path: &str, seen: &mut Seen) -> Result<(), Refusal> {
    seen.results.clear();
    let role = text(item, path, "role")?;
    seen.system += usize::from(matches!(role, "system" | "developer"));
    let allowed = if role == "assistant" { content::OUTPUT } else { content::INPUT };
    let said = match item.get("content") {
        Some(Value::Array(parts)) => content::check(parts, &at(path, "content"), allowed, seen)?,
        Some(Value::String(said)) => said.clone(),
        _ => String::new(),
    };
    if role == "user" && !said.is_empty() {
        seen.user = said;
    }
    Ok(())
}

fn reasoning(item: &Map<String, Value>, path: &str, walk: &mut Walk<'_>) -> Result<(), Refusal> {
    for (name, kind) in [("summary", "summary_text"), ("content", "reasoning_text")] {
        for (n, part) in list(item, name).iter().enumerate() {
            let path = format!("{path}.{name}[{n}]");
            let part = object(part, &path)?;
            let word = text(part, &path, "type")?;
            if word != kind {
                return Err(value(&at(&path, "type"), word, &[kind]));
            }
            shape(part, &path, &[TYPE, ("text", Text, Must)])?;
        }
    }
    let id = item.get("id").and_then(Value::as_str);
    if set(item, "encrypted_content").is_some() {
        sealed(item)?;
    } else {
        let id = id.ok_or_else(|| missing(&at(path, "id")))?;
        if !walk.stored || !ids::is_stored(id) {
            return Err(not_found(id, walk.stored));
        }
    }
    walk.thought = Some(id.unwrap_or(path).to_owned());
    Ok(())
}

/// Checks that encrypted content is the simulator's own and came back whole.
fn sealed(item: &Map<String, Value>) -> Result<(), Refusal> {
    let token = item.get("encrypted_content").and_then(Value::as_str).unwrap_or_default();
    if sign::sealed("responses", token) {
        return Ok(());
    }
    let head: String = token.chars().take(4).collect();
    let tail = token.char_indices().rev().nth(3).map_or("", |(at, _)| &token[at..]);
    Err(Refusal {
        code: Some("invalid_encrypted_content"),
        ..Refusal::invalid(format!(
            "The encrypted content {head}...{tail} could not be verified. Reason: Encrypted content could not be decrypted or parsed."
        ))
    })
}
