//! Whether a value that is found says the same.
//!
//! The judge is told which names and words mean the same, in whatever protocol they are. It is not told which field
//! becomes which, so a value that lands in a field of another meaning, with another speaker or in another unit is
//! seen.

use super::places::{Place, Speaker};
use super::{Change, snake};
use crate::docs::{Leaf, Mark};

/// Names of members that mean the same, in lower case with underscores. A name may be in several groups.
const NAMES: &[&[&str]] = &[
    // What is said, by whomever.
    &[
        "text",
        "content",
        "refusal",
        "input",
        "output",
        "response",
        "result",
        "instructions",
        "system",
        "data",
        "cited_text",
        "explanation",
        "finish_message",
        "documents",
        "token",
        "delta",
        "summary",
        "error",
    ],
    // What is thought; that it stays thought is judged apart.
    &["thinking", "text", "reasoning", "reasoning_content", "tool_plan", "summary"],
    // Calls and their results.
    &["id", "call_id", "tool_call_id", "tool_use_id", "item_id"],
    &["arguments", "raw_arguments", "input", "args"],
    &["name", "allowed_function_names", "namespace"],
    &["max_tool_calls", "max_uses"],
    &["json", "output", "content", "response", "text", "result", "error"],
    &["parameters", "parameters_json_schema", "input_schema", "json"],
    &["schema", "json_schema", "response_schema", "response_json_schema", "response_json_schema_ordered"],
    &["definition", "description", "syntax"],
    // Files and sources.
    &["data", "bytes", "file_data", "url", "uri", "file_uri", "file_url", "image_url", "source", "id"],
    &["title", "name", "filename", "document_title", "display_name", "context", "id"],
    &["media_type", "mime_type", "format"],
    // Places in a text or a document.
    &["start_index", "start_char_index", "start", "start_page_number", "start_block_index"],
    &["end_index", "end_char_index", "end", "end_page_number", "end_block_index"],
    &["document_index", "search_result_index", "index", "id"],
    // Parameters.
    &["max_tokens", "max_output_tokens", "max_completion_tokens"],
    &["top_p", "p"],
    &["top_k", "k"],
    &["stop", "stop_sequences", "stop_sequence"],
    &["n", "candidate_count"],
    &["logprobs", "top_logprobs"],
    &["thinking_budget", "budget_tokens", "token_budget"],
    &["user", "user_id", "safety_identifier", "end_user"],
    &["metadata", "request_metadata", "labels"],
    // Answers.
    &["model", "model_version"],
    &["id", "response_id"],
    &["created", "created_at", "create_time"],
    &["signature", "thought_signature", "encrypted_content", "redacted_content", "id", "call_id"],
    // Counts.
    &["input_tokens", "prompt_tokens", "prompt_token_count", "tool_use_prompt_token_count"],
    &["output_tokens", "completion_tokens", "candidates_token_count"],
    &["total_tokens", "total_token_count"],
    &["cached_tokens", "cache_read_input_tokens", "cached_content_token_count", "prompt_cache_hit_tokens"],
    &["cache_write_tokens", "cache_write_input_tokens", "cache_creation_input_tokens"],
    &["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "input_tokens"],
    &["reasoning_tokens", "thinking_tokens", "thoughts_token_count"],
    &["thoughts_token_count", "output_tokens", "completion_tokens"],
    &["audio_tokens", "text_tokens", "image_tokens", "token_count"],
];

/// Where a value that the report names may stand besides: written out for the model to read.
pub(crate) const WRITTEN: &[&str] =
    &["text", "content", "output", "data", "error", "description", "system", "instructions"];

/// Words that mean the same, of enumerations.
const WORDS: &[&[&str]] = &[
    &["assistant", "model", "chatbot"],
    &["system", "developer"],
    &["user", "tool", "function"],
    // Why an answer ends.
    &["stop", "end_turn", "complete", "completed", "stop_sequence"],
    &["length", "max_tokens", "max_output_tokens", "incomplete", "model_context_window_exceeded"],
    &["tool_calls", "tool_use", "tool_call", "function_call", "completed", "stop"],
    &[
        "content_filter",
        "content_filtered",
        "refusal",
        "guardrail_intervened",
        "safety",
        "error",
        "error_toxic",
        "incomplete",
        "blocklist",
        "prohibited_content",
        "spii",
        "recitation",
        "language",
        "image_safety",
        "image_prohibited_content",
        "image_recitation",
        "model_armor",
        "escalation",
        "other",
        "image_other",
    ],
    &[
        "other",
        "error",
        "failed",
        "timeout",
        "malformed_function_call",
        "malformed_model_output",
        "no_image",
        "malformed_tool_use",
        "unexpected_tool_call",
        "malformed_response",
        "too_many_tool_calls",
        "stop",
        "cancelled",
        "missing_thought_signature",
        "finish_reason_unspecified",
        "end_turn",
        "complete",
        "completed",
        "in_progress",
        "queued",
        "pause_turn",
        "incomplete",
        "image_other",
        "server_error",
        "compaction",
        "max_tokens",
        "length",
        "steered",
    ],
    // Where there is no word for a refusal, its text says it.
    &["refusal", "escalation", "complete"],
    // Which tool is called.
    &["auto", "validated", "mode_unspecified"],
    &["required", "any"],
    // How much is thought.
    &["minimal", "low", "1024"],
    &["high", "xhigh", "max"],
    &["none", "disabled", "off"],
    &["enabled", "adaptive", "between_tools", "thinking_level_unspecified"],
    // How soon, and for how long.
    &["default", "auto", "standard", "standard_only", "unspecified", "on_demand"],
    &["priority", "fast", "ultrafast"],
    &["24h", "1h"],
    &["in_memory", "in-memory", "5m", "30m"],
    // Forms of files and answers.
    &["jpeg", "image/jpeg", "jpg"],
    &["png", "image/png"],
    &["gif", "image/gif"],
    &["webp", "image/webp"],
    &["pdf", "application/pdf"],
    &["txt", "text/plain"],
    &["md", "text/markdown"],
    &["csv", "text/csv"],
    &["html", "text/html"],
    &["wav", "audio/wav"],
    &["mp3", "audio/mp3", "audio/mpeg", "mpeg", "mpga"],
    &["mp4", "video/mp4"],
    &["webm", "video/webm", "audio/webm"],
    &["docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
    &["xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
    &["doc", "application/msword"],
    &["xls", "application/vnd.ms-excel"],
    &["three_gp", "video/3gpp"],
    &["mkv", "video/x-matroska"],
    &["high", "media_resolution_high", "original", "ultra_high", "media_resolution_ultra_high"],
    &["low", "media_resolution_low"],
    &["auto", "media_resolution_unspecified", "media_resolution_medium", "medium"],
    &["fast", "accurate", "off", "json_object", "application/json"],
    // Switches with the opposite name.
    &["true", "enabled", "summarized", "auto", "error"],
    &["false", "disabled", "omitted", "none", "success"],
];

/// Free-form JSON that is rewritten for the target, so that a number may be spelled another way.
const FITTED: &[&str] = &[
    "schema",
    "parameters",
    "parameters_json_schema",
    "input_schema",
    "json",
    "json_schema",
    "response_schema",
    "response_json_schema",
    "response_json_schema_ordered",
    "data",
    "documents",
    "x_of_tomorrow",
];

/// Names of what somebody says; ids, names and arguments stand with the call and with its result.
const SAID: &[&str] = &["text", "content", "refusal", "thinking", "reasoning_content", "tool_plan"];

/// Pairs of names of which one says the opposite of the other.
const OPPOSITES: &[(&str, &str)] = &[("parallel_tool_calls", "disable_parallel_tool_use")];

/// Whether some group has both.
fn same(groups: &[&[&str]], one: &str, other: &str) -> bool {
    one == other || groups.iter().any(|group| group.contains(&one) && group.contains(&other))
}

/// Whether two names mean the same.
pub(crate) fn means_same(one: &str, other: &str) -> bool {
    same(NAMES, one, other)
}

/// What is wrong with where a value stands.
pub(super) fn wrong(
    leaf: &Leaf,
    own: Option<&Place>,
    stands: &[&Place],
    body: &str,
    is_request: bool,
    named: bool,
) -> Option<String> {
    let from = last(&leaf.path);
    let fits = |place: &Place| same(NAMES, &from, &snake(&place.name));
    // Beside its own place, or where the report says so, it may be written out.
    let written = named || stands.iter().any(|place| fits(place));
    for place in stands {
        let is_written = written && WRITTEN.contains(&snake(&place.name).as_str());
        if !fits(place) && !is_written {
            return Some(format!("`{from}` stands at {}", place.path));
        }
        if let Some(own) = own
            && !named
            && is_request
            && SAID.contains(&from.as_str())
            && (own.thought != place.thought || !may_speak(own.speaker, place.speaker))
        {
            let who = |place: &Place| {
                format!("{:?}{}", place.speaker, if place.thought { " in thought" } else { "" })
            };
            return Some(format!("{} says it, and at {} {}", who(own), place.path, who(place)));
        }
    }
    let whole = leaf.whole.as_ref()?;
    // Free-form JSON keeps the spelling of its numbers, which the list of places does not.
    let shorter = whole.replace("1.50", "1.5");
    let is_shorter = [&shorter, &escaped(&shorter)].iter().any(|spelled| body.contains(spelled.as_str()));
    let whole = if FITTED.contains(&from.as_str()) && is_shorter { &shorter } else { whole };
    if FITTED.contains(&from.as_str())
        && stands.iter().any(|place| WRITTEN.contains(&snake(&place.name).as_str()))
    {
        return None;
    }
    let once = escaped(whole);
    let is_whole =
        stands.iter().any(|place| place.value.contains(whole.as_str()) || place.value.contains(&once))
            || [whole, &once, &escaped(&once)].iter().any(|spelled| body.contains(spelled.as_str()));
    (!named && !is_whole).then(|| format!("it is altered at {}", stands[0].path))
}

/// The text as it stands in a text of JSON.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Whether what one says may stand with the other. What is said outside of turns, and results, is nobody's.
fn may_speak(own: Speaker, there: Speaker) -> bool {
    let turn = |speaker| match speaker {
        Speaker::System | Speaker::User | Speaker::Tool => Some(false),
        Speaker::Assistant => Some(true),
        Speaker::Nobody => None,
    };
    match (turn(own), turn(there)) {
        (Some(own), Some(there)) => own == there,
        _ => true,
    }
}

/// What is wrong with how a translation changes when a value is another.
///
/// Of words it is judged where one word gives way to one other; of numbers, that the difference is the same.
pub(super) fn wrong_change(leaf: &Leaf, json: &str, change: &Change) -> Option<String> {
    if change.told {
        return None;
    }
    let before: String = json.get(leaf.range.clone())?.trim_matches('"').to_lowercase();
    let from = last(&leaf.path);
    match &leaf.mark {
        Mark::Number(number) => {
            let step = whole(super::OTHER_NUMBER)? - whole(number)?;
            let follows = |(_, one, other): &(String, Option<String>, Option<String>)| {
                let value = |text: &Option<String>| text.as_deref().map_or(Some(0), whole);
                let (Some(one), Some(other)) = (value(one), value(other)) else { return false };
                // A count that is taken from another does not go below nothing.
                (other - one).abs() == step.abs() || one == 0 || other == 0
            };
            let any = change.places.iter().any(follows);
            (!any).then(|| format!("{number} became {:?}", change.places))
        }
        Mark::Instead(other) => {
            let [(to, Some(one), Some(two))] = &change.places[..] else { return None };
            let (to, one, two) = (snake(to), one.to_lowercase(), two.to_lowercase());
            let after = other.trim_matches('"').to_lowercase();
            let opposite =
                OPPOSITES.iter().any(|(a, b)| (*a, *b) == (&from, &to) || (*b, *a) == (&from, &to));
            let right = match opposite {
                true => one == after && two == before,
                false => says(&before, &one) || says(&after, &two),
            };
            (!right).then(|| format!("{before} became {one}, and {after} {two}, at {to}"))
        }
        Mark::Found(_) => None,
    }
}

/// A whole number, or a fraction that is one.
fn whole(text: &str) -> Option<i128> {
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}

/// Whether one word says what the other does; a type in an address or a longer name counts by its end.
fn says(word: &str, other: &str) -> bool {
    same(WORDS, word, other) || other.contains(word) || word.contains(other)
}

fn last(path: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or(path);
    snake(last.split('[').next().unwrap_or(last))
}
