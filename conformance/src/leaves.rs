//! Nothing is lost in silence: every value of a document is in the translation, or the report names it.

use std::collections::BTreeMap;

use busbar::Protocol;
use busbar::translate::{self, CallState, Carriage, TargetFacts};
use busbar_codegen::schema::Schema;
use busbar_protocols::prelude::Checked;
use busbar_protocols::{EffectKind, Ledger};

use crate::docs::{Extras, Leaf, Mark, Marked, Root, marked};
use crate::suite::facts;

/// What a check of many documents found.
#[derive(Debug, Default)]
pub struct Found {
    /// Values that are in the translation, or change it.
    pub kept: u64,
    /// Values that the report names.
    pub reported: u64,
    /// Documents that were refused whole.
    pub refused: u64,
    /// Values that are gone without a word: an example document by path, indices left out.
    pub silent: BTreeMap<String, String>,
}

/// Values that need no word, by protocol, kind of document and path without indices; each has its reason.
const NO_BEARING: &[(Protocol, Root, &str, &str)] = &[
    (Protocol::OpenaiChat, Root::Request, "model", "the gateway chooses the model"),
    (Protocol::Anthropic, Root::Request, "model", "the gateway chooses the model"),
    (
        Protocol::OpenaiChat,
        Root::Request,
        "stream_options.include_usage",
        "the backend is always asked, and the way back leaves out what the client did not ask for",
    ),
    (
        Protocol::OpenaiChat,
        Root::Request,
        "messages[].name",
        "in the older form of results it is the name of the call",
    ),
    (
        Protocol::OpenaiChat,
        Root::Request,
        "stream_options.include_obfuscation",
        "padding against length analysis is not content",
    ),
    (Protocol::OpenaiChat, Root::Request, "response_format.json_schema.name", "it labels the schema"),
    (Protocol::OpenaiChat, Root::Response, "created", "when it was made is not content"),
    (Protocol::OpenaiChat, Root::Response, "choices[].index", "the only answer is the first"),
    (Protocol::OpenaiChat, Root::Response, "choices[].finish_reason", "an answer with calls ends in calls"),
    (Protocol::OpenaiChat, Root::Response, "usage.total_tokens", "it follows from the other counts"),
    (Protocol::Gemini, Root::Request, "model", "the gateway chooses the model"),
    (
        Protocol::Gemini,
        Root::Response,
        "candidates[].finishReason",
        "the report tells Google's own word as the category of the stop",
    ),
    (Protocol::Gemini, Root::Response, "candidates[].index", "the only answer is the first"),
    (Protocol::Gemini, Root::Response, "candidates[].content.role", "an answer is the model's"),
    (Protocol::Gemini, Root::Response, "usageMetadata.totalTokenCount", "it follows from the other counts"),
    (
        Protocol::Gemini,
        Root::Response,
        "candidates[].citationMetadata.citationSources[].startIndex",
        "a place outside the text",
    ),
    (
        Protocol::Gemini,
        Root::Response,
        "candidates[].citationMetadata.citationSources[].endIndex",
        "a place outside the text",
    ),
    (
        Protocol::Gemini,
        Root::Response,
        "candidates[].citationMetadata.citations[].startIndex",
        "a place outside the text",
    ),
    (
        Protocol::Gemini,
        Root::Response,
        "candidates[].citationMetadata.citations[].endIndex",
        "a place outside the text",
    ),
    (Protocol::Bedrock, Root::Response, "usage.totalTokens", "it follows from the other counts"),
    (Protocol::Bedrock, Root::Request, "messages[].role", "calls and results say by themselves who speaks"),
    (Protocol::Cohere, Root::Request, "model", "the gateway chooses the model"),
    (Protocol::Cohere, Root::Response, "finish_reason", "an answer with calls ends in calls"),
    (Protocol::Cohere, Root::Response, "message.citations[].text", "it repeats words of the answer"),
    (Protocol::OpenaiResponses, Root::Request, "model", "the gateway chooses the model"),
    (Protocol::OpenaiResponses, Root::Request, "store", "where nothing is kept, there is nothing to forbid"),
    (Protocol::OpenaiChat, Root::Request, "store", "where nothing is kept, there is nothing to forbid"),
    (Protocol::OpenaiResponses, Root::Request, "include[]", "what is sealed comes with every answer"),
    (Protocol::OpenaiResponses, Root::Request, "input[].id", "the provider's own book-keeping"),
    (Protocol::OpenaiResponses, Root::Request, "input[].status", "the provider's own book-keeping"),
    (
        Protocol::OpenaiResponses,
        Root::Request,
        "input[].execution",
        "a search for tools is over, whoever ran it",
    ),
    (Protocol::OpenaiResponses, Root::Request, "input[].role", "whoever declares a tool, it is declared"),
    (
        Protocol::OpenaiResponses,
        Root::Request,
        "reasoning.generate_summary",
        "the older name of `summary`, under which it is reported",
    ),
    (
        Protocol::OpenaiResponses,
        Root::Request,
        "stream_options.include_obfuscation",
        "padding against length analysis is not content",
    ),
    (Protocol::OpenaiResponses, Root::Request, "text.format.name", "it labels the schema"),
    (Protocol::OpenaiResponses, Root::Response, "output[].id", "the provider's own book-keeping"),
    (Protocol::OpenaiResponses, Root::Response, "output[].status", "the provider's own book-keeping"),
    (
        Protocol::OpenaiResponses,
        Root::Response,
        "status",
        "an answer that is there is complete, or says why it is not",
    ),
    (
        Protocol::OpenaiResponses,
        Root::Response,
        "incomplete_details.reason",
        "a refusal among the items says it already",
    ),
    (
        Protocol::OpenaiChat,
        Root::Request,
        "messages[].content[].prompt_cache_breakpoint.ttl",
        "a mark is reported under the name that most servers have for it",
    ),
    (Protocol::OpenaiResponses, Root::Response, "created_at", "when it was made is not content"),
    (Protocol::OpenaiResponses, Root::Response, "usage.total_tokens", "it follows from the other counts"),
    (Protocol::Anthropic, Root::Response, "stop_reason", "an end and a stop text are one word elsewhere"),
];

/// Values that a target says nothing of, by source, target, kind of document and path.
const UNTOLD: &[(Protocol, Protocol, Root, &str, &str)] = &[
    (
        Protocol::Gemini,
        Protocol::Anthropic,
        Root::Request,
        "serviceTier",
        "bought capacity is used where there is any",
    ),
    (
        Protocol::OpenaiResponses,
        Protocol::Gemini,
        Root::Response,
        "output[].content[].annotations[].start_index",
        "a place outside the text",
    ),
    (
        Protocol::OpenaiResponses,
        Protocol::Gemini,
        Root::Response,
        "output[].content[].annotations[].end_index",
        "a place outside the text",
    ),
    (
        Protocol::OpenaiChat,
        Protocol::Gemini,
        Root::Response,
        "choices[].message.annotations[].url_citation.start_index",
        "a place outside the text",
    ),
    (
        Protocol::OpenaiChat,
        Protocol::Gemini,
        Root::Response,
        "choices[].message.annotations[].url_citation.end_index",
        "a place outside the text",
    ),
    (
        Protocol::OpenaiChat,
        Protocol::Gemini,
        Root::Request,
        "messages[].content[].prompt_cache_breakpoint.ttl",
        "the report names the mark by its other name",
    ),
    (
        Protocol::Gemini,
        Protocol::Bedrock,
        Root::Response,
        "candidates[].content.parts[].inlineData.displayName",
        "the name of a file without bytes",
    ),
    (Protocol::Cohere, Protocol::Gemini, Root::Request, "strict_tools", "the report names each function"),
    (Protocol::OpenaiChat, Protocol::Bedrock, Root::Request, "stream", "the path says it"),
    (Protocol::Anthropic, Protocol::Bedrock, Root::Request, "stream", "the path says it"),
    (Protocol::OpenaiResponses, Protocol::Bedrock, Root::Request, "stream", "the path says it"),
    (Protocol::OpenaiResponses, Protocol::Gemini, Root::Request, "stream", "the path says it"),
    (
        Protocol::OpenaiResponses,
        Protocol::OpenaiChat,
        Root::Request,
        "service_tier",
        "fast and ultrafast are one tier",
    ),
    (
        Protocol::OpenaiResponses,
        Protocol::OpenaiChat,
        Root::Response,
        "service_tier",
        "fast and ultrafast are one tier",
    ),
    (
        Protocol::OpenaiResponses,
        Protocol::Bedrock,
        Root::Request,
        "service_tier",
        "auto and default are one tier",
    ),
    (
        Protocol::OpenaiResponses,
        Protocol::Bedrock,
        Root::Response,
        "service_tier",
        "auto and default are one tier",
    ),
    (
        Protocol::OpenaiChat,
        Protocol::OpenaiResponses,
        Root::Response,
        "metadata",
        "an answer repeats the labels of its request",
    ),
    (Protocol::Cohere, Protocol::Bedrock, Root::Request, "stream", "the path says it"),
    (Protocol::Cohere, Protocol::Gemini, Root::Request, "stream", "the path says it"),
    (Protocol::OpenaiChat, Protocol::Gemini, Root::Request, "stream", "the path says it"),
    (
        Protocol::OpenaiChat,
        Protocol::Cohere,
        Root::Request,
        "function_call.name",
        "a choice of a function that is not there is no choice",
    ),
    (
        Protocol::OpenaiChat,
        Protocol::Cohere,
        Root::Request,
        "messages[].content[].prompt_cache_breakpoint.ttl",
        "a mark is reported by the name that most clients give it",
    ),
    (Protocol::Anthropic, Protocol::Gemini, Root::Request, "stream", "the path says it"),
    (Protocol::OpenaiChat, Protocol::Bedrock, Root::Request, "service_tier", "auto and default are one tier"),
    (Protocol::Anthropic, Protocol::Bedrock, Root::Request, "service_tier", "no tier is bought in advance"),
    (
        Protocol::OpenaiChat,
        Protocol::Bedrock,
        Root::Response,
        "service_tier",
        "auto and default are one tier",
    ),
];

/// Members of a responses answer that repeat its request, or say when it was done.
const REPEATED: &[&str] = &[
    "background",
    "conversation",
    "image",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "access_programs",
    "completed_at",
];

/// Members that say nothing in a request without tools, or one that forbids calls.
const ABOUT_TOOLS: &[&str] =
    &["tool_choice", "function_call", "parallel_tool_calls", "strict_tools", "toolConfig"];

/// Values that become others, so that a difference in the translation is all that can be seen of them.
const CONVERTED: &[(Protocol, Root, &str, &str)] = &[
    (Protocol::OpenaiChat, Root::Response, "usage.completion_tokens", "reasoning is counted apart elsewhere"),
    (
        Protocol::OpenaiResponses,
        Root::Response,
        "usage.output_tokens",
        "reasoning is counted apart elsewhere",
    ),
    (Protocol::Anthropic, Root::Response, "usage.output_tokens", "reasoning is counted apart elsewhere"),
    (
        Protocol::Cohere,
        Root::Response,
        "usage.billed_units.output_tokens",
        "reasoning is counted apart elsewhere",
    ),
    (Protocol::Cohere, Root::Response, "usage.tokens.output_tokens", "reasoning is counted apart elsewhere"),
    (
        Protocol::Gemini,
        Root::Response,
        "usageMetadata.candidatesTokenCount",
        "reasoning is counted within elsewhere",
    ),
    (
        Protocol::Gemini,
        Root::Response,
        "usageMetadata.promptTokenCount",
        "cached input is counted apart elsewhere",
    ),
    (
        Protocol::Gemini,
        Root::Response,
        "usageMetadata.toolUsePromptTokenCount",
        "what the provider's own tools found is counted within the prompt",
    ),
    (
        Protocol::Gemini,
        Root::Response,
        "candidates[].content.parts[].functionCall.id",
        "the id of a call is sealed with its reasoning",
    ),
    (Protocol::OpenaiChat, Root::Response, "usage.prompt_tokens", "cached input is counted apart elsewhere"),
    (
        Protocol::OpenaiResponses,
        Root::Response,
        "usage.input_tokens",
        "cached input is counted apart elsewhere",
    ),
    (Protocol::Anthropic, Root::Response, "usage.input_tokens", "cached input is counted within elsewhere"),
    (
        Protocol::Bedrock,
        Root::Response,
        "usage.cacheDetails[].inputTokens",
        "counts of one time to live are added",
    ),
    (Protocol::Bedrock, Root::Response, "usage.inputTokens", "cached input is counted within elsewhere"),
    (
        Protocol::Cohere,
        Root::Response,
        "message.citations[].content_index",
        "a citation stands at the text that it supports",
    ),
    (
        Protocol::Cohere,
        Root::Response,
        "usage.tokens.input_tokens",
        "cached input is counted apart elsewhere",
    ),
    (
        Protocol::Cohere,
        Root::Response,
        "usage.billed_units.input_tokens",
        "where nothing else is counted, cached input is counted apart elsewhere",
    ),
    (Protocol::Anthropic, Root::Response, "content[].id", "the id of a call is sealed with its reasoning"),
    (
        Protocol::Bedrock,
        Root::Response,
        "output.message.content[].toolUse.toolUseId",
        "the id of a call is sealed with its reasoning",
    ),
];

fn is_listed(list: &[(Protocol, Root, &str, &str)], source: Protocol, root: Root, path: &str) -> bool {
    list.iter().any(|(protocol, kind, known, _)| *protocol == source && *kind == root && *known == path)
}

/// Whether a document says one thing in two ways, which nobody writes: one must give way.
///
/// Those are calls in the older and the newer form, counts of input beside the count of what was not cached, and
/// schemas of an answer in several dialects.
fn contradicts_itself(json: &str) -> bool {
    let has = |member: &str| json.contains(&format!("\"{member}\":"));
    (has("function_call") || has("functions")) && (has("tool_calls") || has("tools") || has("tool_choice"))
        || has("prompt_cache_miss_tokens")
        || has("responseJsonSchemaOrdered") && (has("responseSchema") || has("responseJsonSchema"))
        || has("responseSchema") && has("responseJsonSchema")
}

/// Translates `cases` documents of `source` to `target` and looks for each of their values.
pub fn check(
    schema: &Schema,
    source: Protocol,
    target: Protocol,
    root: Root,
    seed: u64,
    cases: u64,
) -> Found {
    let mut found = Found::default();
    for seed in seed..seed.saturating_add(cases) {
        let extras = Extras { unknown: seed % 4 == 0, nulls: false };
        let document = marked(schema, root, seed, extras);
        if contradicts_itself(&document.json) {
            continue;
        }
        let Some((body, ledger)) = translated(source, target, root, &document.json) else {
            found.refused += 1;
            continue;
        };
        for leaf in &document.leaves {
            if is_named(&ledger, &leaf.path) {
                found.reported += 1;
            } else if is_there(source, target, root, &document, leaf, (&body, &ledger)) {
                found.kept += 1;
            } else {
                let path = without_indices(&leaf.path);
                let first = path.split(['.', '[']).next().unwrap_or_default();
                let declares = |json: &str| json.contains("\"tools\":") || json.contains("\"functions\":");
                let no_tools = ABOUT_TOOLS.contains(&first)
                    && (!declares(&document.json)
                        || !body.contains("\"tools\":")
                        || body.contains("\"tool_choice\":{\"type\":\"none\"}")
                        || body.contains("\"functionCallingConfig\":{\"mode\":\"NONE\"}"));
                let untold = UNTOLD.iter().any(|(from, to, kind, known, _)| {
                    (*from, *to, *kind, *known) == (source, target, root, path.as_str())
                });
                let repeated = (source, root) == (Protocol::OpenaiResponses, Root::Response)
                    && REPEATED.contains(&first);
                if !no_tools && !repeated && !untold && !is_listed(NO_BEARING, source, root, &path) {
                    found.silent.entry(path).or_insert_with(|| {
                        format!("seed {seed}: {}\n  {}\n  {body}", leaf.path, document.json)
                    });
                }
            }
        }
    }
    found
}

fn translated(source: Protocol, target: Protocol, root: Root, json: &str) -> Option<(String, Ledger)> {
    let facts = TargetFacts { allow_semantic_loss: true, max_output_tokens: Some(9_000_000), ..facts() };
    let carriage = Carriage::default();
    let (body, ledger) = match root {
        Root::Request => {
            let body = Checked::new(json.as_bytes()).ok()?;
            let out = translate::request(source, target, body, &facts, &carriage).ok()?;
            (out.body, out.ledger)
        }
        Root::Response => {
            let state = CallState { model: "pool".to_owned(), ..CallState::new(target, source, &facts) };
            translate::response(json.as_bytes(), &state, &carriage).ok()?
        }
        Root::Stream | Root::Error => return None,
    };
    Some((String::from_utf8(body).ok()?, ledger))
}

/// Whether the report names the value, or something that it is in.
fn is_named(ledger: &Ledger, path: &str) -> bool {
    ledger.effects().iter().any(|effect| {
        effect.kind != EffectKind::Injected
            && path.strip_prefix(effect.path.as_str()).is_some_and(|rest| {
                effect.path.is_empty() || rest.is_empty() || rest.starts_with('.') || rest.starts_with('[')
            })
    })
}

/// Whether the value is in the translation, or the translation is another without it.
fn is_there(
    source: Protocol,
    target: Protocol,
    root: Root,
    document: &Marked,
    leaf: &Leaf,
    (body, ledger): (&str, &Ledger),
) -> bool {
    let differs = |other: &str| {
        let mut changed = document.json.clone();
        changed.replace_range(leaf.range.clone(), other);
        // A refusal, or a report that names it, is a word as well.
        translated(source, target, root, &changed)
            .is_none_or(|(after, said)| after != body || said != *ledger)
    };
    match &leaf.mark {
        Mark::Found(mark) if body.contains(mark.as_str()) => true,
        Mark::Found(_) if !is_listed(CONVERTED, source, root, &without_indices(&leaf.path)) => false,
        Mark::Found(mark) => differs(if mark.starts_with('w') { "\"w0z\"" } else { "999999999" }),
        Mark::Instead(other) => differs(other),
    }
}

fn without_indices(path: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => {
                inside = true;
                out.push_str("[]");
            }
            ']' => inside = false,
            _ if inside => {}
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_what_is_beneath_its_path() {
        let mut ledger = Ledger::default();
        ledger.note(EffectKind::Dropped, "messages[1].content[0]", "r");
        ledger.note(EffectKind::Injected, "tools", "r");
        assert!(is_named(&ledger, "messages[1].content[0].text"));
        assert!(is_named(&ledger, "messages[1].content[0]"));
        assert!(!is_named(&ledger, "messages[1].content[01]"));
        assert!(!is_named(&ledger, "messages[1]"));
        assert!(!is_named(&ledger, "tools[0]"));
        assert_eq!(without_indices("a[10].b[2]"), "a[].b[]");
    }
}
