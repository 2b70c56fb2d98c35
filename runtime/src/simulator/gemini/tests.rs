use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{buffered, error_frame, frames, validate};
use crate::simulator::answer::{Answer, Seen, answer};
use crate::simulator::scenario::Scenario;
use crate::simulator::sign;

fn check(body: &Value) -> Result<(), String> {
    validate("m", body, false).map(|_| ()).map_err(|refusal| refusal.message)
}

fn refused(cases: impl IntoIterator<Item = (Value, &'static str)>) {
    for (body, said) in cases {
        assert_eq!(check(&body), Err(said.to_owned()), "{body}");
    }
}

fn accepted(bodies: impl IntoIterator<Item = Value>) {
    for body in bodies {
        assert_eq!(check(&body), Ok(()), "{body}");
    }
}

/// A good request with more members.
fn request(more: Value) -> Value {
    let mut body = json!({"contents": [user()]});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

fn config(config: Value) -> Value {
    request(json!({"generationConfig": config}))
}

fn parts(parts: Value) -> Value {
    json!({"contents": [{"role": "user", "parts": parts}]})
}

fn contents(more: Value) -> Value {
    let mut contents = vec![user()];
    contents.extend(more.as_array().expect("a list").iter().cloned());
    json!({"contents": contents})
}

fn user() -> Value {
    json!({"role": "user", "parts": [{"text": "hi"}]})
}

fn model(parts: Value) -> Value {
    json!({"role": "model", "parts": parts})
}

fn results(count: usize) -> Value {
    let result = json!({"functionResponse": {"name": "f", "response": {"ok": true}}});
    json!({"role": "user", "parts": vec![result; count]})
}

fn call() -> Value {
    json!({"functionCall": {"name": "f", "args": {}}})
}

fn signed(signature: &str) -> Value {
    json!({"functionCall": {"name": "f", "args": {}}, "thoughtSignature": signature})
}

fn function(function: Value) -> Value {
    request(json!({"tools": [{"functionDeclarations": [function]}]}))
}

#[test]
fn unknown_names_and_wrong_types_are_told_at_their_place() {
    refused([
        (
            request(json!({"x_y": 1})),
            "Invalid JSON payload received. Unknown name \"x_y\": Cannot find field.",
        ),
        (
            config(json!({"x": 1})),
            "Invalid JSON payload received. Unknown name \"x\" at 'generation_config': Cannot find field.",
        ),
        (
            parts(json!([{"text": "a", "inlineData": {"mimeType": "image/png", "data": "AA=="}}])),
            "Invalid value at 'contents[0].parts[0]' (oneof), oneof field 'data' is already set. Cannot set 'inlineData'",
        ),
        (
            parts(json!([{"functionResponse": {"name": "f", "response": "ok"}}])),
            "Invalid value at 'contents[0].parts[0].function_response.response' (type.googleapis.com/google.protobuf.Struct), \"ok\"",
        ),
        (
            request(json!({"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}})),
            "Invalid value at 'tool_config.function_calling_config.mode' (type.googleapis.com/google.ai.generativelanguage.v1beta.FunctionCallingConfig.Mode), \"SOME\"",
        ),
        (request(json!({"labels": {"a": 1}})), "Invalid value at 'labels[0].value' (TYPE_STRING), 1"),
    ]);
    let refusal = validate("m", &config(json!({"x": 1})), false).expect_err("is refused");
    assert_eq!(
        refusal.details,
        [json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{
            "field": "generation_config", "description": refusal.message,
        }]})]
    );
    accepted([
        request(json!({"generation_config": {"max_output_tokens": "9", "topK": 4.0}, "labels": {"a": "b"}})),
        json!({"contents": {"parts": {"text": "the short spelling of the documents"}}}),
    ]);
}

#[test]
fn contents_and_parts_have_to_be_there_and_in_order() {
    let calls = model(json!([signed(&sign::sign("gemini", "f")), call()]));
    refused([
        (json!({}), "* GenerateContentRequest.contents: contents is not specified"),
        (json!({"contents": []}), "* GenerateContentRequest.contents: contents is not specified"),
        (
            json!({"contents": [{"role": "system", "parts": [{"text": "a"}]}]}),
            "Please use a valid role: user, model.",
        ),
        (parts(json!([])), "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty."),
        (
            parts(json!([{"text": "a"}, {"thought": true}])),
            "* GenerateContentRequest.contents[0].parts[1].data: required oneof field 'data' must have one initialized field",
        ),
        (
            json!({"contents": [model(json!([{"text": "a"}]))]}),
            "Please ensure that single turn requests end with a user role or the role field is empty.",
        ),
        (
            json!({"contents": [model(json!([{"text": "a"}])), user()]}),
            "Please ensure that multiturn requests alternate between user and model.",
        ),
        (
            json!({"contents": [calls, results(2)]}),
            "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
        ),
        (
            contents(json!([results(1)])),
            "Please ensure that function response turn comes immediately after a function call turn.",
        ),
        (
            contents(json!([calls, results(1)])),
            "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
        ),
        (
            contents(json!([calls, user()])),
            "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
        ),
        (
            parts(json!([call()])),
            "* GenerateContentRequest.contents[0].parts[0].function_call: only allowed in a turn of the role model.",
        ),
        (
            contents(json!([model(json!([{"functionCall": {"args": {}}}]))])),
            "* GenerateContentRequest.contents[1].parts[0].function_call.name: Name cannot be empty.",
        ),
        (
            contents(json!([calls, model(json!([{"functionResponse": {"name": "f", "response": {}}}]))])),
            "* GenerateContentRequest.contents[2].parts[0].function_response: only allowed in a turn of the role user.",
        ),
    ]);
    let mut function = results(2);
    function["role"] = json!("function");
    accepted([
        contents(json!([calls, results(2)])),
        contents(json!([calls, function])),
        contents(json!([model(json!([{"text": "a"}])), calls, model(json!([{"text": ""}])), results(2)])),
        contents(json!([calls, results(2), calls, results(2), model(json!([{"text": "a"}])), user()])),
    ]);
}

#[test]
fn results_are_objects_without_foreign_references() {
    let result = |response: Value| {
        let mut turn = results(1);
        turn["parts"][0]["functionResponse"] = response;
        contents(json!([model(json!([signed(&sign::sign("gemini", "f"))])), turn]))
    };
    let blob =
        |kind: &str| json!([{"inlineData": {"mimeType": kind, "data": "AA==", "displayName": "a.png"}}]);
    refused([
        (
            result(json!({"response": {}})),
            "* GenerateContentRequest.contents[2].parts[0].function_response.name: Name cannot be empty.",
        ),
        (
            result(json!({"name": "f"})),
            "* GenerateContentRequest.contents[2].parts[0].function_response.response: required field is not set",
        ),
        (
            result(json!({"name": "f", "response": {"a": [{"$ref": "#/components/schemas/E"}]}})),
            "The referenced name `#/components/schemas/E` in function_response.response does not match to a display_name in the function_response.parts.",
        ),
        (
            result(json!({"name": "f", "response": {}, "parts": blob("image/gif")})),
            "Unsupported MIME type: image/gif",
        ),
    ]);
    accepted([
        result(json!({"name": "f", "response": {"image": {"$ref": "a.png"}}, "parts": blob("image/png")})),
        result(json!({"name": "f", "response": {"said": "{\"$ref\": \"#/x\"}"}})),
    ]);
}

#[test]
fn calls_of_the_current_turn_need_their_own_signature() {
    let missing = "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call `default_api:f` , position 2. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details.";
    let damaged = "Corrupted thought signature.";
    let own = sign::sign("gemini", "f");
    let loop_of = |first: Value| contents(json!([model(json!([first, call()])), results(2)]));
    let words = |signature: &str| {
        contents(json!([model(json!([{"text": "a", "thoughtSignature": signature}])), user()]))
    };
    refused([
        (loop_of(call()), missing),
        (loop_of(signed("")), missing),
        (loop_of(signed("Zm9yZWlnbg==")), damaged),
        (loop_of(signed(&sign::sign("gemini", "g"))), damaged),
        (loop_of(signed(&sign::sign("gemini", ""))), damaged),
        (loop_of(signed(&sign::sign("anthropic", "f"))), damaged),
        (words("AAAA"), damaged),
        // The signature belongs to the first of the calls.
        (contents(json!([model(json!([call(), signed(&own)])), results(2)])), missing),
        // A second step of the same turn needs one of its own.
        (
            contents(json!([model(json!([signed(&own)])), results(1), model(json!([call()])), results(1)])),
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call `default_api:f` , position 4. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
        ),
    ]);
    let bytes = STANDARD.decode(&own).expect("base64");
    accepted([
        loop_of(signed(&own)),
        loop_of(signed(&URL_SAFE_NO_PAD.encode(bytes))),
        loop_of(signed("skip_thought_signature_validator")),
        loop_of(signed(&STANDARD.encode("skip_thought_signature_validator"))),
        loop_of(signed("context_engineering_is_the_way_to_go")),
        words(&sign::sign("gemini", "")),
        // Of an earlier turn nothing is asked.
        contents(json!([model(json!([call()])), results(1), model(json!([{"text": "a"}])), user()])),
        contents(json!([model(json!([call()])), results(1), user()])),
    ]);
}

#[test]
fn media_have_known_types_and_reachable_places() {
    let inline = |kind: &str, data: &str| parts(json!([{"inlineData": {"mimeType": kind, "data": data}}]));
    let file = |uri: &str, kind: &str| parts(json!([{"fileData": {"fileUri": uri, "mimeType": kind}}]));
    refused([
        (inline("image/gif", "AA=="), "Unsupported MIME type: image/gif"),
        (inline("", "AA=="), "Unsupported MIME type: "),
        (
            inline("image/png", ""),
            "* GenerateContentRequest.contents[0].parts[0].inline_data.data: must not be empty.",
        ),
        (
            inline("image/png", "%"),
            "Invalid value at 'contents[0].parts[0].inline_data.data' (TYPE_BYTES), Base64 decoding failed for \"%\"",
        ),
        (
            file("", "image/png"),
            "* GenerateContentRequest.contents[0].parts[0].file_data.file_uri: must not be empty.",
        ),
        (
            file("data:image/png;base64,AA==", "image/png"),
            "Invalid or unsupported file uri: data:image/png;base64,AA==",
        ),
        (
            file("http://example.com/a.png", "image/png"),
            "Invalid or unsupported file uri: http://example.com/a.png",
        ),
        (file("https://example.com/a.png", ""), "Unsupported MIME type: "),
    ]);
    accepted([
        inline("image/png", "-_8"),
        inline("application/pdf", "AA=="),
        inline("audio/wav", "AA=="),
        file("https://example.com/a.png", "image/png"),
        file("gs://bucket/a.mp4", "video/mp4"),
        file("https://generativelanguage.googleapis.com/v1beta/files/abc", ""),
        file("https://www.youtube.com/watch?v=x", "video/*"),
    ]);
}

#[test]
fn functions_have_plain_names_and_schemas_of_one_dialect() {
    let name = "* GenerateContentRequest.tools[0].function_declarations[0].name: Invalid function name. Must start with a letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64.";
    let object = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let with = |more: Value| {
        let mut schema = object.clone();
        schema["properties"]["a"]
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("one").clone());
        function(json!({"name": "f", "parameters": schema}))
    };
    refused([
        (function(json!({})), name),
        (function(json!({"name": "1a"})), name),
        (function(json!({"name": "a b"})), name),
        (function(json!({"name": "a".repeat(65)})), name),
        (
            request(json!({"tools": [{"functionDeclarations": [{"name": "f"}, {"name": "f"}]}]})),
            "Duplicate function declaration found: f",
        ),
        (
            function(json!({"name": "f", "parameters": object, "parametersJsonSchema": object})),
            "* GenerateContentRequest.tools[0].function_declarations[0]: only one of parameters and parameters_json_schema may be set.",
        ),
        (
            function(json!({"name": "f", "parameters": {"type": "string"}})),
            "* GenerateContentRequest.tools[0].function_declarations[0].parameters: schema should be of type OBJECT.",
        ),
        (
            function(json!({"name": "f", "parametersJsonSchema": {"type": "string"}})),
            "* GenerateContentRequest.tools[0].function_declarations[0].parameters_json_schema: schema should be of type object.",
        ),
        (
            function(json!({"name": "f", "parameters": {"type": "object", "properties": {}}})),
            "* GenerateContentRequest.tools[0].function_declarations[0].parameters.properties: should be non-empty for OBJECT type",
        ),
    ]);
    for word in [
        "$ref",
        "$defs",
        "$schema",
        "additionalProperties",
        "const",
        "oneOf",
        "allOf",
        "not",
        "exclusiveMinimum",
    ] {
        let said = format!(
            "Invalid JSON payload received. Unknown name \"{word}\" at 'tools[0].function_declarations[0].parameters.properties[0].value': Cannot find field."
        );
        assert_eq!(check(&with(json!({word: {}}))), Err(said));
    }
    let list = with(json!({"type": ["string", "null"]}));
    assert_eq!(
        check(&list),
        Err("Invalid JSON payload received. Unknown name \"type\" at 'tools[0].function_declarations[0].parameters.properties[0].value': Proto field is not repeating, cannot start list.".to_owned())
    );
    accepted([
        function(json!({"name": "_a.b:c-d1", "description": "x"})),
        with(json!({"nullable": true, "minLength": "3", "enum": ["a"], "any_of": [{"type": "NULL"}]})),
        function(json!({"name": "f", "parametersJsonSchema": {
            "type": "object", "properties": {}, "additionalProperties": false, "$defs": {"A": {"const": 1}},
        }})),
    ]);
}

#[test]
fn the_choice_of_functions_names_declared_ones() {
    let choice = |calling: Value| {
        request(json!({
            "tools": [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}],
            "toolConfig": {"functionCallingConfig": calling},
        }))
    };
    let path = "* GenerateContentRequest.tool_config.function_calling_config.allowed_function_names";
    for (calling, said) in [
        (
            json!({"mode": "AUTO", "allowedFunctionNames": ["f"]}),
            "only allowed when the mode is ANY or VALIDATED.",
        ),
        (
            json!({"mode": "ANY", "allowedFunctionNames": ["h"]}),
            "`h` is not among the function declarations.",
        ),
    ] {
        assert_eq!(check(&choice(calling)), Err(format!("{path}: {said}")));
    }
    refused([(
        request(json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}})),
        "Function calling config is set without function_declarations.",
    )]);
    let seen = |calling: Value| validate("m", &choice(calling), false).expect("is accepted");
    let any = seen(json!({"mode": "ANY", "allowedFunctionNames": ["g"]}));
    assert_eq!((any.must_call, any.forced.as_deref()), (true, Some("g")));
    assert!(seen(json!({"mode": "none"})).no_calls);
    let validated = seen(json!({"mode": "VALIDATED", "allowedFunctionNames": ["g"]}));
    assert_eq!((validated.must_call, validated.tools.len()), (false, 1));
}

#[test]
fn settings_have_ranges_and_go_with_each_other() {
    let path = "* GenerateContentRequest.generation_config";
    let object = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    for (given, said) in [
        (json!({"temperature": 2.1}), ".temperature: temperature must be in the range [0.0, 2.0], got 2.1."),
        (json!({"topP": -0.5}), ".top_p: top_p must be in the range [0.0, 1.0], got -0.5."),
        (
            json!({"presencePenalty": 2.0}),
            ".presence_penalty: presence_penalty must be in the range [-2.0, 2.0).",
        ),
        (json!({"topK": 0}), ".top_k: top_k must be positive."),
        (json!({"maxOutputTokens": 0}), ".max_output_tokens: max_output_tokens must be positive."),
        (json!({"candidateCount": 9}), ".candidate_count: candidate_count must be in the range [1, 8]."),
        (json!({"logprobs": 2}), ".logprobs: logprobs requires response_logprobs to be set."),
        (
            json!({"logprobs": 21, "responseLogprobs": true}),
            ".logprobs: logprobs must be in the range [0, 20].",
        ),
        (
            json!({"stopSequences": ["a", "b", "c", "d", "e", "f"]}),
            ".stop_sequences: The number of stop sequences must not exceed 5, got 6.",
        ),
        (
            json!({"responseMimeType": "text/html"}),
            ".response_mime_type: allowed mimetypes are `text/plain`, `application/json`, `application/xml`, `application/yaml` and `text/x.enum`.",
        ),
        (
            json!({"responseSchema": object}),
            ".response_schema: only allowed with response_mime_type `application/json`.",
        ),
        (
            json!({"responseJsonSchema": object}),
            ".response_json_schema: only allowed with response_mime_type `application/json`.",
        ),
        (
            json!({"responseMimeType": "application/json", "responseJsonSchema": object, "responseSchema": object}),
            ": only one of response_schema and response_json_schema may be set.",
        ),
        (
            json!({"responseMimeType": "application/json", "responseSchema": {"type": "array"}}),
            ".response_schema.items: missing field.",
        ),
    ] {
        assert_eq!(check(&config(given.clone())), Err(format!("{path}{said}")), "{given}");
    }
    refused([
        (
            config(json!({"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}})),
            "You can only set only one of thinking budget and thinking level.",
        ),
        (
            config(json!({"thinkingConfig": {"thinkingBudget": 52428}})),
            "The thinking budget (52428) is invalid. Please choose a value between 0 and 32768.",
        ),
    ]);
    accepted([
        config(json!({"thinkingConfig": {"thinkingBudget": -1, "includeThoughts": true}})),
        config(json!({"thinkingConfig": {"thinkingLevel": "high"}})),
        config(
            json!({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}}),
        ),
        config(json!({"responseMimeType": "application/json", "responseJsonSchema": {"$ref": "#"}})),
    ]);
}

#[test]
fn safety_cache_and_instructions_are_checked() {
    let setting = |category: &str| json!({"category": category, "threshold": "BLOCK_NONE"});
    refused([
        (
            request(json!({"safetySettings": [setting("HARM_CATEGORY_MEDICAL")]})),
            "* GenerateContentRequest.safety_settings[0].category: element predicate failed: $.category in (HarmCategory.HARM_CATEGORY_HATE_SPEECH, HarmCategory.HARM_CATEGORY_SEXUALLY_EXPLICIT, HarmCategory.HARM_CATEGORY_DANGEROUS_CONTENT, HarmCategory.HARM_CATEGORY_HARASSMENT, HarmCategory.HARM_CATEGORY_CIVIC_INTEGRITY)",
        ),
        (
            request(json!({"safetySettings": vec![setting("HARM_CATEGORY_HARASSMENT"); 2]})),
            "* GenerateContentRequest.safety_settings: there should not be more than one setting for each category.",
        ),
        (
            request(json!({"cachedContent": "x"})),
            "* GenerateContentRequest.cached_content: must be of the form cachedContents/{id}.",
        ),
        (
            request(json!({"cachedContent": "cachedContents/x"})),
            "CachedContent not found (or permission denied)",
        ),
        (
            request(json!({"systemInstruction": {"parts": []}})),
            "* GenerateContentRequest.system_instruction.parts: contents.parts must not be empty.",
        ),
        (
            request(json!({"systemInstruction": {"parts": [{}]}})),
            "* GenerateContentRequest.system_instruction.parts[0].data: required oneof field 'data' must have one initialized field",
        ),
        (
            request(
                json!({"systemInstruction": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]}}),
            ),
            "* GenerateContentRequest.system_instruction.parts[0]: only text is supported in system_instruction.",
        ),
    ]);
    let refusal = validate("m", &request(json!({"cachedContent": "cachedContents/x"})), false);
    assert_eq!(refusal.expect_err("is refused").status, 403);
    accepted([request(
        json!({"safetySettings": [setting("HARM_CATEGORY_HARASSMENT")], "systemInstruction": {"parts": {"text": "a"}}}),
    )]);
}

#[test]
fn tokens_are_counted_of_a_wrapped_request_too() {
    let wrapped = json!({"generateContentRequest": request(json!({"model": "models/m"}))});
    assert!(validate("m", &wrapped, true).is_ok());
    assert_eq!(
        validate("m", &wrapped, false).expect_err("is refused").message,
        "Invalid JSON payload received. Unknown name \"generateContentRequest\": Cannot find field."
    );
}

/// Plays a scenario on a request that has what it needs.
fn play(scenario: Scenario, more: Value) -> (Seen, Answer) {
    let body = request(json!({
        "tools": [{"functionDeclarations": [
            {"name": "f", "parametersJsonSchema": {"type": "object", "properties": {"a": {"type": "integer"}}}},
            {"name": "g"},
        ]}],
    }));
    let mut body = body.as_object().expect("an object").clone();
    body.extend(more.as_object().expect("an object").clone());
    let body = Value::Object(body);
    let seen = validate("sim-x", &body, false).expect("is accepted");
    let answer = answer(scenario, &seen, body.to_string().as_bytes(), Duration::ZERO);
    (seen, answer)
}

fn whole(scenario: Scenario) -> Value {
    let (seen, answer) = play(scenario, json!({}));
    buffered(&seen, &answer)
}

fn chunks(scenario: Scenario, more: Value) -> Vec<Value> {
    let (seen, answer) = play(scenario, more);
    let sent: Vec<Value> = frames(&seen, &answer, false)
        .all
        .iter()
        .map(|frame| {
            let text = std::str::from_utf8(frame).expect("text");
            let data =
                text.strip_prefix("data: ").and_then(|text| text.strip_suffix("\n\n")).expect("an event");
            serde_json::from_str(data).expect("JSON")
        })
        .collect();
    let array: Vec<u8> = frames(&seen, &answer, true).all.concat();
    assert_eq!(serde_json::from_slice::<Vec<Value>>(&array).expect("an array"), sent);
    sent
}

fn parts_of(body: &Value) -> &[Value] {
    body["candidates"][0]["content"]["parts"].as_array().map_or(&[], Vec::as_slice)
}

/// What a chunk's part is: its text, marked for a thought and a signature, or a call.
fn shape(part: &Value) -> String {
    let mark = if part.get("thoughtSignature").is_some() { "*" } else { "" };
    match part["functionCall"]["name"].as_str() {
        Some(name) => format!("{name}(){mark}"),
        None => {
            let kind = if part["thought"] == json!(true) { "~" } else { "" };
            format!("{kind}{}{mark}", part["text"].as_str().expect("a text").trim())
        }
    }
}

fn shapes(bodies: &[Value]) -> Vec<String> {
    bodies.iter().flat_map(parts_of).map(shape).collect()
}

#[test]
fn signatures_stand_where_the_real_ones_do() {
    assert_eq!(shapes(&[whole(Scenario::Tools)]), ["f()*", "g()"]);
    assert_eq!(shapes(&[whole(Scenario::ThinkTools)]), ["~A tool will tell.", "f()*"]);
    assert_eq!(
        shapes(&[whole(Scenario::Interleaved)]),
        ["~First thought.*", "First text.", "~Second thought.*", "Second text."]
    );
    let report = "Simulated answer to: hi (messages=1 system=0 tools=2 images=0 documents=0)";
    assert_eq!(
        shapes(&[whole(Scenario::Think)]),
        ["~First I read the question.".to_owned(), format!("{report}*")]
    );
    assert_eq!(shapes(&[whole(Scenario::Redacted)]), [format!("{report}*")]);
    assert_eq!(shapes(&[whole(Scenario::Text)]), [report]);
    let hidden = json!({"generationConfig": {"thinkingConfig": {"includeThoughts": false}}});
    let (seen, answer) = play(Scenario::Think, hidden);
    assert_eq!(shapes(&[buffered(&seen, &answer)]), [format!("{report}*")]);
}

#[test]
fn a_stream_brings_calls_whole_and_the_end_last() {
    let tools = chunks(Scenario::Tools, json!({}));
    assert_eq!(shapes(&tools), ["f()*", "g()", ""]);
    assert_eq!(parts_of(&tools[0])[0]["functionCall"]["args"], json!({"a": 1}));
    let thinking = chunks(Scenario::ThinkTools, json!({}));
    assert_eq!(shapes(&thinking), ["~A", "~tool", "~will", "~tell.", "f()*", ""]);
    let think = chunks(Scenario::Think, json!({}));
    assert_eq!(shapes(&think).last().map(String::as_str), Some("*"));
    let interleaved = chunks(Scenario::Interleaved, json!({}));
    assert_eq!(
        shapes(&interleaved),
        ["~First", "~thought.*", "First", "text.", "~Second", "~thought.*", "Second", "text."]
    );
    for sent in [tools, thinking, think, interleaved, chunks(Scenario::Text, json!({}))] {
        let (last, before) = sent.split_last().expect("chunks");
        assert_eq!(last["candidates"][0]["finishReason"], "STOP");
        for chunk in before {
            assert_eq!(chunk["candidates"][0].get("finishReason"), None);
            assert_eq!(chunk["responseId"], last["responseId"]);
            assert!(
                chunk["usageMetadata"]["totalTokenCount"].as_u64()
                    <= last["usageMetadata"]["totalTokenCount"].as_u64()
            );
        }
    }
}

#[test]
fn each_end_has_its_reason() {
    let cases = [
        (Scenario::Text, "STOP", 1),
        (Scenario::Tools, "STOP", 2),
        (Scenario::Empty, "STOP", 0),
        (Scenario::Length, "MAX_TOKENS", 1),
        (Scenario::LengthTools, "MAX_TOKENS", 0),
        (Scenario::BrokenCall, "MALFORMED_FUNCTION_CALL", 0),
        (Scenario::Refusal, "SAFETY", 0),
    ];
    for (scenario, reason, parts) in cases {
        let whole = whole(scenario);
        assert_eq!(whole["candidates"][0]["finishReason"], reason, "{scenario:?}");
        assert_eq!(whole["candidates"][0]["content"]["role"], "model");
        assert_eq!(parts_of(&whole).len(), parts, "{scenario:?}");
        let sent = chunks(scenario, json!({}));
        let last = sent.last().expect("a chunk");
        assert_eq!(last["candidates"][0]["finishReason"], reason, "{scenario:?}");
        assert_eq!(last["usageMetadata"], whole["usageMetadata"], "{scenario:?}");
        assert_eq!(last["candidates"][0]["safetyRatings"], whole["candidates"][0]["safetyRatings"]);
    }
    let blocked = whole(Scenario::Blocked);
    assert_eq!(blocked["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
    assert_eq!(blocked.get("candidates"), None);
    assert_eq!(chunks(Scenario::Blocked, json!({})), [blocked]);
    let stop = json!({"generationConfig": {"stopSequences": ["."]}});
    let (seen, answer) = play(Scenario::Stop, stop);
    assert_eq!(shapes(&[buffered(&seen, &answer)]), ["All before the sequence"]);
}

#[test]
fn usage_sources_and_alternatives_are_told() {
    let usage = &whole(Scenario::Usage)["usageMetadata"];
    let said = usage["candidatesTokenCount"].as_u64().expect("a count");
    assert_eq!(
        *usage,
        json!({
            "promptTokenCount": 1061, "cachedContentTokenCount": 700, "candidatesTokenCount": said,
            "thoughtsTokenCount": 17, "totalTokenCount": 1061 + 17 + said,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1061}],
            "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 700}],
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": said}],
        })
    );
    let image = json!({"contents": [{"parts": [{"text": "a".repeat(4000)}, {"inlineData": {"mimeType": "image/png", "data": "AA=="}}]}]});
    let (seen, answer) = play(Scenario::Text, image);
    let usage = buffered(&seen, &answer)["usageMetadata"].clone();
    let details = usage["promptTokensDetails"].as_array().expect("details");
    assert_eq!(details[1], json!({"modality": "IMAGE", "tokenCount": 258}));
    let sum: u64 = details.iter().filter_map(|detail| detail["tokenCount"].as_u64()).sum();
    assert_eq!(Some(sum), usage["promptTokenCount"].as_u64());

    let cited = whole(Scenario::Citations);
    let support = &cited["candidates"][0]["groundingMetadata"]["groundingSupports"][0];
    assert_eq!(support["segment"], json!({"endIndex": 16, "text": "The sky is blue."}));
    assert_eq!(support["groundingChunkIndices"], json!([0]));
    let last = chunks(Scenario::Citations, json!({})).pop().expect("a chunk");
    for name in ["groundingMetadata", "citationMetadata"] {
        assert!(last["candidates"][0][name].is_object(), "{name}");
        assert_eq!(last["candidates"][0][name], cited["candidates"][0][name]);
    }

    let two = json!({"generationConfig": {"candidateCount": 2}});
    for chunk in chunks(Scenario::Text, two) {
        let indices: Vec<&Value> =
            chunk["candidates"].as_array().expect("a list").iter().map(|one| &one["index"]).collect();
        assert_eq!(indices, [0, 1]);
    }
}

#[test]
fn a_schema_of_its_own_dialect_has_an_instance() {
    let output = json!({"generationConfig": {"responseMimeType": "application/json", "responseSchema": {
        "type": "OBJECT", "properties": {"n": {"type": "INTEGER"}, "s": {"type": "STRING", "enum": ["x"]}},
    }}});
    let (seen, answer) = play(Scenario::Json, output);
    let text = buffered(&seen, &answer)["candidates"][0]["content"]["parts"][0]["text"].clone();
    let said: Map<String, Value> = serde_json::from_str(text.as_str().expect("a text")).expect("JSON");
    assert_eq!(Value::Object(said), json!({"n": 1, "s": "x"}));
}

#[test]
fn an_error_in_a_stream_keeps_the_array_whole() {
    let array = |first: bool, before: &str| {
        let body = format!("{before}{}", String::from_utf8_lossy(&error_frame(true, first)));
        serde_json::from_str::<Vec<Value>>(&body).expect("an array")
    };
    assert_eq!(array(true, "")[0]["error"]["status"], "UNAVAILABLE");
    assert_eq!(array(false, "[{}")[1]["error"]["code"], 503);
}
