//! What the judge is told: values that need no word, and values that become others, each with its reason.

use busbar::Protocol;
use serde_json::Value;

use crate::docs::Root;

/// Values that need no word, by protocol, kind of document and path without indices; each has its reason.
pub(super) const NO_BEARING: &[(Protocol, Root, &str, &str)] = &[
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
    (
        Protocol::OpenaiChat,
        Root::Request,
        "tools[].custom.format.x_of_tomorrow",
        "where two objects become one, of two unknown members of one name one stays",
    ),
    (
        Protocol::OpenaiChat,
        Root::Request,
        "messages[].cache_control.ttl",
        "a mark too many of a message is reported at its last text",
    ),
    (Protocol::OpenaiChat, Root::Response, "created", "when it was made is not content"),
    (Protocol::OpenaiChat, Root::Response, "choices[].index", "the only answer is the first"),
    (Protocol::OpenaiChat, Root::Response, "choices[].finish_reason", "an answer with calls ends in calls"),
    (Protocol::OpenaiChat, Root::Response, "usage.total_tokens", "it follows from the other counts"),
    (Protocol::OpenaiResponses, Root::Request, "input[].name", "of a result, it is the name of the call"),
    (
        Protocol::Gemini,
        Root::Response,
        "usageMetadata.promptTokensDetails[].modality",
        "a kind of which nothing is counted",
    ),
    (
        Protocol::Gemini,
        Root::Request,
        "toolConfig.functionCallingConfig.mode",
        "of the words for a free choice, one promises valid arguments, which others do for each tool",
    ),
    (Protocol::Gemini, Root::Request, "model", "the gateway chooses the model"),
    (
        Protocol::Gemini,
        Root::Response,
        "candidates[].finishReason",
        "the report tells Google's own word as the category of the stop",
    ),
    (Protocol::Bedrock, Root::Response, "output.message.role", "an answer is the model's"),
    (Protocol::Bedrock, Root::Response, "stopReason", "an end and a stop text are one word elsewhere"),
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
pub(super) const UNTOLD: &[(Protocol, Protocol, Root, &str, &str)] = &[
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
    (
        Protocol::Gemini,
        Protocol::Cohere,
        Root::Request,
        "toolConfig.functionCallingConfig.allowedFunctionNames[]",
        "a choice of a function that is not there is no choice",
    ),
    (
        Protocol::Bedrock,
        Protocol::Anthropic,
        Root::Request,
        "toolConfig.tools[].cachePoint.ttl",
        "a mark too many is reported at the tool that it follows",
    ),
    (Protocol::Cohere, Protocol::Gemini, Root::Request, "strict_tools", "the report names each function"),
    (Protocol::OpenaiChat, Protocol::Bedrock, Root::Request, "stream", "the path says it"),
    (Protocol::Anthropic, Protocol::Bedrock, Root::Request, "stream", "the path says it"),
    (
        Protocol::Bedrock,
        Protocol::Anthropic,
        Root::Request,
        "system[].cachePoint.ttl",
        "a mark beyond the most is reported at the text that it marks",
    ),
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
pub(super) const REPEATED: &[&str] = &[
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

/// Names for one thing that a protocol has several of, and the one that a report uses.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("max_completion_tokens", "max_tokens"),
    ("responseJsonSchemaOrdered", "responseSchema"),
    ("responseJsonSchema", "responseSchema"),
    ("generate_summary", "summary"),
    ("file.filename", "title"),
    ("].filename", "].title"),
    ("inlineData", "fileData"),
    // Calls, results and choices in the older form of chat completions are reported in the newer.
    ("function_call.name", "tool_choice.custom.name"),
    ("function_call", "tool_choice.type"),
    (".function_call", ".tool_calls[0]"),
    ("tool_choice.function.name", "tool_choice.custom.name"),
    // A mark of a whole message is one of its text.
    (".cache_control", ".content[0].cache_control"),
    // A choice in one word, and one that is an object.
    ("tool_choice", "tool_choice.type"),
    ("prompt_cache_breakpoint", "cache_control"),
];

/// Members that go with the part before them, where the report names them.
pub(super) const NEAR: &[&str] = &["contents[].parts[].thoughtSignature"];

/// Members that say nothing in a request without tools, or one that forbids calls.
pub(super) const ABOUT_TOOLS: &[&str] =
    &["tool_choice", "function_call", "parallel_tool_calls", "strict_tools", "toolConfig"];

/// Values that become others, so that a difference in the translation is all that can be seen of them.
pub(super) const CONVERTED: &[(Protocol, Root, &str, &str)] = &[
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
    (
        Protocol::OpenaiResponses,
        Root::Response,
        "output[].call_id",
        "the id of a call is sealed with its reasoning",
    ),
    (Protocol::Anthropic, Root::Response, "content[].id", "the id of a call is sealed with its reasoning"),
    (
        Protocol::Bedrock,
        Root::Response,
        "output.message.content[].toolUse.toolUseId",
        "the id of a call is sealed with its reasoning",
    ),
];

/// Whether a list has the path for documents of this protocol and kind.
pub(super) fn is_listed(
    list: &[(Protocol, Root, &str, &str)],
    source: Protocol,
    root: Root,
    path: &str,
) -> bool {
    list.iter().any(|(protocol, kind, known, _)| *protocol == source && *kind == root && *known == path)
}

/// Whether a document says one thing in two ways, which nobody writes: one must give way.
///
/// Those are results in the model's own turn, calls in the older and the newer form, counts of input beside the count of what was not cached, and
/// schemas of an answer in several dialects.
pub(super) fn contradicts_itself(json: &str) -> bool {
    if results_of_the_model(json) {
        return true;
    }
    let has = |member: &str| json.contains(&format!("\"{member}\":"));
    (has("function_call") || has("functions")) && (has("tool_calls") || has("tools") || has("tool_choice"))
        || has("prompt_cache_miss_tokens")
        || has("responseJsonSchemaOrdered") && (has("responseSchema") || has("responseJsonSchema"))
        || has("responseSchema") && has("responseJsonSchema")
        || has("parameters") && has("parametersJsonSchema")
}

fn results_of_the_model(json: &str) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(json) else { return false };
    let turns =
        ["messages", "contents"].iter().filter_map(|member| document.get(member)?.as_array()).flatten();
    let is_result = |block: &Value| {
        block.get("toolResult").is_some()
            || block.get("functionResponse").is_some()
            || block.get("type").and_then(Value::as_str).is_some_and(|kind| kind == "tool_result")
    };
    turns
        .filter(|turn| matches!(turn.get("role").and_then(Value::as_str), Some("assistant" | "model")))
        .filter_map(|turn| turn.get("content").or_else(|| turn.get("parts"))?.as_array())
        .flatten()
        .any(is_result)
}
