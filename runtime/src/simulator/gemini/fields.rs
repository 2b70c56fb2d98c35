//! The messages of a generateContent request, as the published descriptors and the Google SDK name them.

use super::proto::Kind::{Any, Bool, Bytes, Int32, Int64, List, Map, Number, Object, Of, Text, Word};
use super::proto::{Kind, Message};

macro_rules! messages {
    ($($(#[$note:meta])* $id:ident = $name:literal { $($field:literal: $kind:expr),* $(,)? } $([$($one:literal),*])?;)+) => {$(
        $(#[$note])*
        pub(super) static $id: Message =
            Message { name: $name, fields: &[$(($field, $kind)),*], one_of: &[$($($one),*)?] };
    )+};
}

const DETAIL: Kind = Word(
    "Part.MediaResolution.Level",
    &[
        "MEDIA_RESOLUTION_UNSPECIFIED",
        "MEDIA_RESOLUTION_LOW",
        "MEDIA_RESOLUTION_MEDIUM",
        "MEDIA_RESOLUTION_HIGH",
        "MEDIA_RESOLUTION_ULTRA_HIGH",
    ],
);

const TOOL_TYPE: Kind = Word(
    "ToolType",
    &[
        "TOOL_TYPE_UNSPECIFIED",
        "GOOGLE_SEARCH_WEB",
        "GOOGLE_SEARCH_IMAGE",
        "URL_CONTEXT",
        "GOOGLE_MAPS",
        "FILE_SEARCH",
        "MEDIA_PROCESSING",
    ],
);

const CATEGORY: Kind = Word(
    "HarmCategory",
    &[
        "HARM_CATEGORY_UNSPECIFIED",
        "HARM_CATEGORY_DEROGATORY",
        "HARM_CATEGORY_TOXICITY",
        "HARM_CATEGORY_VIOLENCE",
        "HARM_CATEGORY_SEXUAL",
        "HARM_CATEGORY_MEDICAL",
        "HARM_CATEGORY_DANGEROUS",
        "HARM_CATEGORY_HARASSMENT",
        "HARM_CATEGORY_HATE_SPEECH",
        "HARM_CATEGORY_SEXUALLY_EXPLICIT",
        "HARM_CATEGORY_DANGEROUS_CONTENT",
        "HARM_CATEGORY_CIVIC_INTEGRITY",
        "HARM_CATEGORY_JAILBREAK",
        "HARM_CATEGORY_IMAGE_HATE",
        "HARM_CATEGORY_IMAGE_DANGEROUS_CONTENT",
        "HARM_CATEGORY_IMAGE_HARASSMENT",
        "HARM_CATEGORY_IMAGE_SEXUALLY_EXPLICIT",
    ],
);

const THRESHOLD: Kind = Word(
    "SafetySetting.HarmBlockThreshold",
    &[
        "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
        "BLOCK_LOW_AND_ABOVE",
        "BLOCK_MEDIUM_AND_ABOVE",
        "BLOCK_ONLY_HIGH",
        "BLOCK_NONE",
        "OFF",
    ],
);

messages! {
    REQUEST = "GenerateContentRequest" {
        "model": Text, "systemInstruction": Of(&CONTENT), "contents": List(&Of(&CONTENT)), "tools": List(&Of(&TOOL)),
        "toolConfig": Of(&TOOL_CONFIG), "safetySettings": List(&Of(&SAFETY)),
        "generationConfig": Of(&GENERATION), "cachedContent": Text, "labels": Map(&Text),
        "serviceTier": Word("ServiceTier", &["unspecified", "flex", "standard", "priority"]),
        "continuationToken": Text, "store": Bool,
    };
    /// The request of countTokens: the same, or wrapped.
    COUNT = "CountTokensRequest" {
        "model": Text, "systemInstruction": Of(&CONTENT), "contents": List(&Of(&CONTENT)), "tools": List(&Of(&TOOL)),
        "toolConfig": Of(&TOOL_CONFIG), "safetySettings": List(&Of(&SAFETY)),
        "generationConfig": Of(&GENERATION), "cachedContent": Text, "labels": Map(&Text), "serviceTier": Text,
        "store": Bool, "generateContentRequest": Of(&REQUEST),
    };
    CONTENT = "Content" { "parts": List(&Of(&PART)), "role": Text };
    PART = "Part" {
        "text": Text, "inlineData": Of(&BLOB), "functionCall": Of(&CALL), "functionResponse": Of(&RESPONSE),
        "fileData": Of(&FILE), "executableCode": Of(&CODE), "codeExecutionResult": Of(&CODE_RESULT),
        "toolCall": Of(&TOOL_CALL), "toolResponse": Of(&TOOL_RESPONSE), "audioTranscription": Object,
        "videoMetadata": Of(&VIDEO), "thought": Bool, "thoughtSignature": Bytes, "partMetadata": Object,
        "mediaResolution": Of(&RESOLUTION), "speechMetadata": Object, "documentMetadata": Object,
        "spreadsheetMetadata": Object, "audioMetadata": Object,
        "mediaProcessing": Word("MediaProcessing", &["MEDIA_PROCESSING_UNSPECIFIED", "STATIC", "AGENTIC"]),
    } ["text", "inlineData", "functionCall", "functionResponse", "fileData", "executableCode", "codeExecutionResult",
       "toolCall", "toolResponse", "audioTranscription"];
    BLOB = "Blob" { "mimeType": Text, "data": Bytes, "displayName": Text };
    FILE = "FileData" { "mimeType": Text, "fileUri": Text, "displayName": Text };
    CALL = "FunctionCall" { "id": Text, "name": Text, "args": Object };
    RESPONSE = "FunctionResponse" {
        "id": Text, "name": Text, "response": Object, "parts": List(&Of(&RESPONSE_PART)), "willContinue": Bool,
        "scheduling": Word(
            "FunctionResponse.Scheduling", &["SCHEDULING_UNSPECIFIED", "SILENT", "WHEN_IDLE", "INTERRUPT"]
        ),
    };
    RESPONSE_PART = "FunctionResponsePart" {
        "inlineData": Of(&BLOB), "fileData": Of(&FILE), "mediaResolution": Of(&RESOLUTION),
        "videoMetadata": Of(&VIDEO), "documentMetadata": Object, "spreadsheetMetadata": Object,
        "audioMetadata": Object,
        "mediaProcessing": Word("MediaProcessing", &["MEDIA_PROCESSING_UNSPECIFIED", "STATIC", "AGENTIC"]),
    } ["inlineData", "fileData"];
    CODE = "ExecutableCode" {
        "id": Text, "language": Word("ExecutableCode.Language", &["LANGUAGE_UNSPECIFIED", "PYTHON"]), "code": Text,
    };
    CODE_RESULT = "CodeExecutionResult" {
        "id": Text, "output": Text,
        "outcome": Word(
            "CodeExecutionResult.Outcome",
            &["OUTCOME_UNSPECIFIED", "OUTCOME_OK", "OUTCOME_FAILED", "OUTCOME_DEADLINE_EXCEEDED"]
        ),
    };
    TOOL_CALL = "ToolCall" { "id": Text, "toolType": TOOL_TYPE, "args": Object };
    TOOL_RESPONSE = "ToolResponse" { "id": Text, "toolType": TOOL_TYPE, "response": Object };
    VIDEO = "VideoMetadata" {
        "startOffset": Text, "endOffset": Text, "fps": Number, "contentLayers": List(&Text),
    };
    RESOLUTION = "Part.MediaResolution" { "level": DETAIL, "numTokens": Int32 };
    TOOL = "Tool" {
        "functionDeclarations": List(&Of(&FUNCTION)), "googleSearchRetrieval": Object, "codeExecution": Of(&EMPTY),
        "googleSearch": Of(&SEARCH), "computerUse": Of(&COMPUTER), "urlContext": Of(&EMPTY), "fileSearch": Object,
        "googleMaps": Of(&MAPS), "mcpServers": List(&Object),
    };
    EMPTY = "Tool.CodeExecution" {};
    SEARCH = "Tool.GoogleSearch" { "timeRangeFilter": Of(&INTERVAL) };
    INTERVAL = "Interval" { "startTime": Text, "endTime": Text };
    COMPUTER = "Tool.ComputerUse" {
        "environment": Word("Tool.ComputerUse.Environment", &["ENVIRONMENT_UNSPECIFIED", "ENVIRONMENT_BROWSER"]),
        "excludedPredefinedFunctions": List(&Text),
    };
    MAPS = "GoogleMaps" { "enableWidget": Bool };
    FUNCTION = "FunctionDeclaration" {
        "name": Text, "description": Text, "parameters": Of(&SCHEMA), "parametersJsonSchema": Any,
        "response": Of(&SCHEMA), "responseJsonSchema": Any,
        "behavior": Word("FunctionDeclaration.Behavior", &["UNSPECIFIED", "BLOCKING", "NON_BLOCKING"]),
    };
    /// The descriptors' fields; `additionalProperties`, `$ref` and `$defs` are Vertex AI's alone, says the SDK.
    SCHEMA = "Schema" {
        "type": Word(
            "Type", &["TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"]
        ),
        "format": Text, "title": Text, "description": Text, "nullable": Bool, "enum": List(&Text),
        "items": Of(&SCHEMA), "maxItems": Int64, "minItems": Int64, "properties": Map(&Of(&SCHEMA)),
        "required": List(&Text), "minProperties": Int64, "maxProperties": Int64, "minimum": Number,
        "maximum": Number, "minLength": Int64, "maxLength": Int64, "pattern": Text, "example": Any,
        "anyOf": List(&Of(&SCHEMA)), "propertyOrdering": List(&Text), "default": Any,
    };
    TOOL_CONFIG = "ToolConfig" {
        "functionCallingConfig": Of(&CALLING), "retrievalConfig": Of(&RETRIEVAL),
        "includeServerSideToolInvocations": Bool,
    };
    CALLING = "FunctionCallingConfig" {
        "mode": Word("FunctionCallingConfig.Mode", &["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"]),
        "allowedFunctionNames": List(&Text),
    };
    RETRIEVAL = "RetrievalConfig" { "latLng": Of(&PLACE), "languageCode": Text };
    PLACE = "LatLng" { "latitude": Number, "longitude": Number };
    SAFETY = "SafetySetting" { "category": CATEGORY, "threshold": THRESHOLD };
    GENERATION = "GenerationConfig" {
        "candidateCount": Int32, "stopSequences": List(&Text), "maxOutputTokens": Int32, "temperature": Number,
        "topP": Number, "topK": Int32, "seed": Int32, "responseMimeType": Text, "responseSchema": Of(&SCHEMA),
        "responseJsonSchema": Any, "responseJsonSchemaOrdered": Any, "presencePenalty": Number,
        "frequencyPenalty": Number, "responseLogprobs": Bool, "logprobs": Int32,
        "enableEnhancedCivicAnswers": Bool,
        "responseModalities": List(&Word(
            "GenerationConfig.Modality", &["MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO"]
        )),
        "speechConfig": Object, "thinkingConfig": Of(&THINKING), "imageConfig": Object,
        "mediaResolution": Word(
            "GenerationConfig.MediaResolution",
            &["MEDIA_RESOLUTION_UNSPECIFIED", "MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH"]
        ),
        "modelSelectionConfig": Object, "enableAffectiveDialog": Bool, "responseFormat": List(&Object),
        "translationConfig": Object, "audioTranscriptionConfig": Object,
    };
    THINKING = "ThinkingConfig" {
        "includeThoughts": Bool, "thinkingBudget": Int32,
        "thinkingLevel": Word(
            "ThinkingConfig.ThinkingLevel",
            &["THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"]
        ),
    };
}
