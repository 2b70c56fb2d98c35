//! The shapes of a request, as botocore's service model of `bedrock-runtime` has them.

use super::shape::Kind::{Bool, Bytes, Document, Int, Like, List, Map, Number, Of, Text, Word};
use super::shape::{Kind, Member, Pattern, Shape};

const MUST: bool = true;
const MAY: bool = false;

/// Where the model has no limit.
const ANY: usize = usize::MAX;

const STRING: Kind = Text(0, ANY);
const NON_EMPTY: Kind = Text(1, ANY);
const NAME: Kind = Like(1, 64, WORD);
const TOOL_USE_ID: Kind = Like(1, 64, CALL_ID);

const WORD: Pattern =
    Pattern { said: "[a-zA-Z0-9_-]+", holds: |text| !text.is_empty() && text.bytes().all(is_plain) };

const CALL_ID: Pattern = Pattern {
    said: "[a-zA-Z0-9_.:-]+",
    holds: |text| !text.is_empty() && text.bytes().all(|byte| is_plain(byte) || matches!(byte, b'.' | b':')),
};

const ACCOUNT: Pattern = Pattern {
    said: "[0-9]{12}",
    holds: |text| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()),
};

const S3_URI: Pattern =
    Pattern { said: r"s3://[a-z0-9][\.\-a-z0-9]{1,61}[a-z0-9](/.*)?", holds: |text| is_s3_uri(text) };

const GUARDRAIL: Pattern = Pattern {
    said: "(|([a-z0-9]+)|(arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+))",
    holds: |text| is_guardrail(text),
};

const GUARDRAIL_VERSION: Pattern = Pattern {
    said: "(|([1-9][0-9]{0,7})|(DRAFT))",
    holds: |text| {
        let number =
            !text.starts_with('0') && text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_digit());
        text == "DRAFT" || number
    },
};

const METADATA_KEY: Pattern =
    Pattern { said: r"[a-zA-Z0-9\s:_@$#=/+,-.]{1,256}", holds: |text| text.chars().all(is_metadata) };

const METADATA_VALUE: Pattern =
    Pattern { said: r"[a-zA-Z0-9\s:_@$#=/+,-.]{0,256}", holds: |text| text.chars().all(is_metadata) };

/// The body of Converse.
pub(super) static REQUEST: Shape = structure("ConverseRequest", &members(Of(&GUARDRAIL_CONFIG)));

/// The body of ConverseStream: its guardrail has one more member.
pub(super) static STREAM_REQUEST: Shape =
    structure("ConverseStreamRequest", &members(Of(&GUARDRAIL_STREAM_CONFIG)));

const fn members(guardrail: Kind) -> [Member; 12] {
    [
        ("messages", List(0, ANY, &A_MESSAGE), MAY),
        ("system", List(0, ANY, &A_SYSTEM), MAY),
        ("inferenceConfig", Of(&INFERENCE), MAY),
        ("toolConfig", Of(&TOOL_CONFIG), MAY),
        ("guardrailConfig", guardrail, MAY),
        ("additionalModelRequestFields", Document, MAY),
        ("promptVariables", Map(0, ANY, &STRING, &A_VARIABLE), MAY),
        ("additionalModelResponseFieldPaths", List(0, 10, &Text(1, 256)), MAY),
        ("requestMetadata", Map(1, 16, &Like(1, 256, METADATA_KEY), &Like(0, 256, METADATA_VALUE)), MAY),
        ("performanceConfig", Of(&PERFORMANCE), MAY),
        ("serviceTier", Of(&SERVICE_TIER), MAY),
        ("outputConfig", Of(&OUTPUT), MAY),
    ]
}

// A function that is `const` borrows no temporary of a static.
static A_MESSAGE: Kind = Of(&MESSAGE);
static A_SYSTEM: Kind = Of(&SYSTEM);
static A_VARIABLE: Kind = Of(&PROMPT_VARIABLE);

const fn structure(name: &'static str, members: &'static [Member]) -> Shape {
    Shape { name, union: false, members }
}

const fn union(name: &'static str, members: &'static [Member]) -> Shape {
    Shape { name, union: true, members }
}

static MESSAGE: Shape = structure(
    "Message",
    &[("role", Word(&["user", "assistant", "system"]), MUST), ("content", List(0, ANY, &Of(&CONTENT)), MUST)],
);

static CONTENT: Shape = union(
    "ContentBlock",
    &[
        ("text", STRING, MAY),
        ("image", Of(&IMAGE), MAY),
        ("document", Of(&DOCUMENT), MAY),
        ("video", Of(&VIDEO), MAY),
        ("audio", Of(&AUDIO), MAY),
        ("toolUse", Of(&TOOL_USE), MAY),
        ("toolResult", Of(&TOOL_RESULT), MAY),
        ("guardContent", Of(&GUARD_CONTENT), MAY),
        ("cachePoint", Of(&CACHE_POINT), MAY),
        ("reasoningContent", Of(&REASONING), MAY),
        ("citationsContent", Of(&CITATIONS_CONTENT), MAY),
        ("searchResult", Of(&SEARCH_RESULT), MAY),
        ("toolAddition", Of(&TOOL_CHANGE), MAY),
        ("toolRemoval", Of(&TOOL_CHANGE), MAY),
    ],
);

static SYSTEM: Shape = union(
    "SystemContentBlock",
    &[
        ("text", NON_EMPTY, MAY),
        ("guardContent", Of(&GUARD_CONTENT), MAY),
        ("cachePoint", Of(&CACHE_POINT), MAY),
    ],
);

static IMAGE: Shape = structure(
    "ImageBlock",
    &[
        ("format", Word(&["png", "jpeg", "gif", "webp"]), MUST),
        ("source", Of(&IMAGE_SOURCE), MUST),
        ("error", Of(&ERROR), MAY),
    ],
);

static IMAGE_SOURCE: Shape = union("ImageSource", MEDIA_SOURCE);
static VIDEO_SOURCE: Shape = union("VideoSource", MEDIA_SOURCE);
static AUDIO_SOURCE: Shape = union("AudioSource", MEDIA_SOURCE);
const MEDIA_SOURCE: &[Member] = &[("bytes", Bytes(1), MAY), ("s3Location", Of(&S3_LOCATION), MAY)];

static S3_LOCATION: Shape = structure(
    "S3Location",
    &[("uri", Like(1, 1024, S3_URI), MUST), ("bucketOwner", Like(0, ANY, ACCOUNT), MAY)],
);

static ERROR: Shape = structure("ErrorBlock", &[("message", STRING, MAY)]);

static DOCUMENT: Shape = structure(
    "DocumentBlock",
    &[
        ("format", Word(&["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"]), MAY),
        ("name", Text(1, 200), MUST),
        ("source", Of(&DOCUMENT_SOURCE), MUST),
        ("context", STRING, MAY),
        ("citations", Of(&CITATIONS), MAY),
    ],
);

static DOCUMENT_SOURCE: Shape = union(
    "DocumentSource",
    &[
        ("bytes", Bytes(1), MAY),
        ("s3Location", Of(&S3_LOCATION), MAY),
        ("text", STRING, MAY),
        ("content", List(0, ANY, &Of(&DOCUMENT_CONTENT)), MAY),
    ],
);

static DOCUMENT_CONTENT: Shape = union("DocumentContentBlock", TEXT_ALONE);
const TEXT_ALONE: &[Member] = &[("text", STRING, MAY)];

static CITATIONS: Shape = structure("CitationsConfig", &[("enabled", Bool, MUST)]);

static VIDEO: Shape = structure(
    "VideoBlock",
    &[
        ("format", Word(&["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"]), MUST),
        ("source", Of(&VIDEO_SOURCE), MUST),
    ],
);

static AUDIO: Shape = structure(
    "AudioBlock",
    &[
        (
            "format",
            Word(&[
                "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg",
                "mpga", "pcm", "webm",
            ]),
            MUST,
        ),
        ("source", Of(&AUDIO_SOURCE), MUST),
        ("error", Of(&ERROR), MAY),
    ],
);

static TOOL_USE: Shape = structure(
    "ToolUseBlock",
    &[
        ("toolUseId", TOOL_USE_ID, MUST),
        ("name", NAME, MUST),
        ("input", Document, MUST),
        ("type", Word(&["server_tool_use"]), MAY),
    ],
);

static TOOL_RESULT: Shape = structure(
    "ToolResultBlock",
    &[
        ("toolUseId", TOOL_USE_ID, MUST),
        ("content", List(0, ANY, &Of(&TOOL_RESULT_CONTENT)), MUST),
        ("status", Word(&["success", "error"]), MAY),
        ("type", STRING, MAY),
    ],
);

static TOOL_RESULT_CONTENT: Shape = union(
    "ToolResultContentBlock",
    &[
        ("json", Document, MAY),
        ("text", STRING, MAY),
        ("image", Of(&IMAGE), MAY),
        ("document", Of(&DOCUMENT), MAY),
        ("video", Of(&VIDEO), MAY),
        ("searchResult", Of(&SEARCH_RESULT), MAY),
    ],
);

static SEARCH_RESULT: Shape = structure(
    "SearchResultBlock",
    &[
        ("source", STRING, MUST),
        ("title", STRING, MUST),
        ("content", List(0, ANY, &Of(&SEARCH_RESULT_CONTENT)), MUST),
        ("citations", Of(&CITATIONS), MAY),
    ],
);

static SEARCH_RESULT_CONTENT: Shape = structure("SearchResultContentBlock", &[("text", STRING, MUST)]);

static GUARD_CONTENT: Shape = union(
    "GuardrailConverseContentBlock",
    &[("text", Of(&GUARD_TEXT), MAY), ("image", Of(&GUARD_IMAGE), MAY)],
);

static GUARD_TEXT: Shape = structure(
    "GuardrailConverseTextBlock",
    &[
        ("text", STRING, MUST),
        ("qualifiers", List(0, ANY, &Word(&["grounding_source", "query", "guard_content"])), MAY),
    ],
);

static GUARD_IMAGE: Shape = structure(
    "GuardrailConverseImageBlock",
    &[("format", Word(&["png", "jpeg"]), MUST), ("source", Of(&GUARD_IMAGE_SOURCE), MUST)],
);

static GUARD_IMAGE_SOURCE: Shape = union("GuardrailConverseImageSource", &[("bytes", Bytes(1), MAY)]);

static CACHE_POINT: Shape =
    structure("CachePointBlock", &[("type", Word(&["default"]), MUST), ("ttl", Word(&["5m", "1h"]), MAY)]);

static REASONING: Shape = union(
    "ReasoningContentBlock",
    &[("reasoningText", Of(&REASONING_TEXT), MAY), ("redactedContent", Bytes(0), MAY)],
);

static REASONING_TEXT: Shape =
    structure("ReasoningTextBlock", &[("text", STRING, MUST), ("signature", STRING, MAY)]);

static CITATIONS_CONTENT: Shape = structure(
    "CitationsContentBlock",
    &[
        ("content", List(0, ANY, &Of(&CITATION_CONTENT)), MAY),
        ("citations", List(0, ANY, &Of(&CITATION)), MAY),
    ],
);

static CITATION_CONTENT: Shape = union("CitationGeneratedContent", TEXT_ALONE);

static CITATION: Shape = structure(
    "Citation",
    &[
        ("title", STRING, MAY),
        ("source", STRING, MAY),
        ("sourceContent", List(0, ANY, &Of(&CITATION_SOURCE)), MAY),
        ("location", Of(&LOCATION), MAY),
    ],
);

static CITATION_SOURCE: Shape = union("CitationSourceContent", TEXT_ALONE);

static LOCATION: Shape = union(
    "CitationLocation",
    &[
        ("web", Of(&WEB_LOCATION), MAY),
        ("documentChar", Of(&DOCUMENT_LOCATION), MAY),
        ("documentPage", Of(&DOCUMENT_LOCATION), MAY),
        ("documentChunk", Of(&DOCUMENT_LOCATION), MAY),
        ("searchResultLocation", Of(&SEARCH_LOCATION), MAY),
    ],
);

static WEB_LOCATION: Shape = structure("WebLocation", &[("url", STRING, MAY), ("domain", STRING, MAY)]);

static DOCUMENT_LOCATION: Shape = structure(
    "DocumentLocation",
    &[("documentIndex", Int(0), MAY), ("start", Int(0), MAY), ("end", Int(0), MAY)],
);

static SEARCH_LOCATION: Shape = structure(
    "SearchResultLocation",
    &[("searchResultIndex", Int(0), MAY), ("start", Int(0), MAY), ("end", Int(0), MAY)],
);

static TOOL_CHANGE: Shape = structure("ToolChangeBlock", &[("tool", Of(&TOOL_REFERENCE), MUST)]);

static TOOL_REFERENCE: Shape = structure(
    "ToolReference",
    &[("type", Text(1, 64), MAY), ("name", Text(1, 128), MAY), ("serverName", Text(1, 128), MAY)],
);

static INFERENCE: Shape = structure(
    "InferenceConfiguration",
    &[
        ("maxTokens", Int(1), MAY),
        ("temperature", Number(0.0, 1.0), MAY),
        ("topP", Number(0.0, 1.0), MAY),
        ("stopSequences", List(0, 2500, &NON_EMPTY), MAY),
    ],
);

static TOOL_CONFIG: Shape = structure(
    "ToolConfiguration",
    &[("tools", List(1, ANY, &Of(&TOOL)), MUST), ("toolChoice", Of(&TOOL_CHOICE), MAY)],
);

static TOOL: Shape = union(
    "Tool",
    &[
        ("toolSpec", Of(&TOOL_SPEC), MAY),
        ("systemTool", Of(&NAMED), MAY),
        ("cachePoint", Of(&CACHE_POINT), MAY),
    ],
);

static TOOL_SPEC: Shape = structure(
    "ToolSpecification",
    &[
        ("name", NAME, MUST),
        ("description", NON_EMPTY, MAY),
        ("inputSchema", Of(&INPUT_SCHEMA), MUST),
        ("strict", Bool, MAY),
    ],
);

static INPUT_SCHEMA: Shape = union("ToolInputSchema", &[("json", Document, MAY)]);

static NAMED: Shape = structure("SystemTool", &[("name", NAME, MUST)]);

static TOOL_CHOICE: Shape = union(
    "ToolChoice",
    &[("auto", Of(&NOTHING), MAY), ("any", Of(&NOTHING), MAY), ("tool", Of(&NAMED), MAY)],
);

static NOTHING: Shape = structure("ToolChoice", &[]);

const IDENTIFIER: Member = ("guardrailIdentifier", Like(0, 2048, GUARDRAIL), MAY);
const VERSION: Member = ("guardrailVersion", Like(0, ANY, GUARDRAIL_VERSION), MAY);
const TRACE: Member = ("trace", Word(&["enabled", "disabled", "enabled_full"]), MAY);

static GUARDRAIL_CONFIG: Shape = structure("GuardrailConfiguration", &[IDENTIFIER, VERSION, TRACE]);

static GUARDRAIL_STREAM_CONFIG: Shape = structure(
    "GuardrailStreamConfiguration",
    &[IDENTIFIER, VERSION, TRACE, ("streamProcessingMode", Word(&["sync", "async"]), MAY)],
);

static PROMPT_VARIABLE: Shape = union("PromptVariableValues", TEXT_ALONE);

static PERFORMANCE: Shape =
    structure("PerformanceConfiguration", &[("latency", Word(&["standard", "optimized"]), MAY)]);

static SERVICE_TIER: Shape =
    structure("ServiceTier", &[("type", Word(&["priority", "default", "flex", "reserved"]), MUST)]);

static OUTPUT: Shape =
    structure("OutputConfig", &[("textFormat", Of(&OUTPUT_FORMAT), MAY), ("effort", Text(0, 16), MAY)]);

static OUTPUT_FORMAT: Shape = structure(
    "OutputFormat",
    &[("type", Word(&["json_schema"]), MUST), ("structure", Of(&OUTPUT_STRUCTURE), MUST)],
);

static OUTPUT_STRUCTURE: Shape = union("OutputFormatStructure", &[("jsonSchema", Of(&JSON_SCHEMA), MAY)]);

static JSON_SCHEMA: Shape = structure(
    "JsonSchemaDefinition",
    &[("schema", STRING, MUST), ("name", STRING, MAY), ("description", STRING, MAY)],
);

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn is_metadata(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter.is_ascii_whitespace() || ":_@$#=/+,-.".contains(letter)
}

fn is_s3_uri(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("s3://") else { return false };
    let bucket = rest.split('/').next().unwrap_or_default().as_bytes();
    let edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=63).contains(&bucket.len())
        && bucket.first().is_some_and(edge)
        && bucket.last().is_some_and(edge)
        && bucket.iter().all(|byte| edge(byte) || matches!(byte, b'.' | b'-'))
}

fn is_guardrail(text: &str) -> bool {
    let id = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if id(text) {
        return true;
    }
    let parts: Vec<&str> = text.split(':').collect();
    let [arn, partition, service, region, account, resource] = parts[..] else { return false };
    arn == "arn"
        && (partition == "aws" || partition.strip_prefix("aws-").is_some_and(|rest| !rest.is_empty()))
        && service == "bedrock"
        && (1..=20).contains(&region.len())
        && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && (ACCOUNT.holds)(account)
        && resource.strip_prefix("guardrail/").is_some_and(|name| !name.is_empty() && id(name))
}
