use std::time::Duration;

use serde_json::{Value, json};

use super::{buffered, error_frame, failed, failed_frame, frames, ids, validate};
use crate::simulator::answer::{Answer, Seen, answer};
use crate::simulator::scenario::Scenario;
use crate::simulator::sign;

/// A good request with some members replaced; `null` takes one away.
fn request(changes: &Value) -> Value {
    let mut body = json!({"model": "m", "input": "hi"});
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            body.as_object_mut().expect("an object").remove(name);
        } else {
            body[name] = value.clone();
        }
    }
    body
}

/// Status, message, parameter and code of the refusal; empty where the request is taken.
fn said(changes: &Value) -> (u16, String, String, String) {
    match validate(&request(changes)) {
        Ok(_) => (200, String::new(), String::new(), String::new()),
        Err(refusal) => (
            refusal.status,
            refusal.message,
            refusal.param.unwrap_or_default(),
            refusal.code.unwrap_or_default().to_owned(),
        ),
    }
}

fn refused(changes: &Value, message: &str, param: &str, code: &str) {
    assert_eq!(said(changes), (400, message.to_owned(), param.to_owned(), code.to_owned()), "{changes}");
}

fn taken(changes: &Value) {
    assert_eq!(said(changes).1, "", "{changes}");
}

fn call(id: &str) -> Value {
    json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"})
}

fn output(id: &str) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": "ok"})
}

fn tool() -> Value {
    json!({"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}})
}

fn play(scenario: Scenario, changes: &Value) -> (Seen, Answer) {
    let body = request(changes);
    let seen = validate(&body).expect("is taken");
    let answer = answer(scenario, &seen, body.to_string().as_bytes(), Duration::ZERO);
    (seen, answer)
}

/// The events of a stream; their names and numbers are checked on the way.
fn events(seen: &Seen, answer: &Answer) -> Vec<Value> {
    let frames = frames(seen, answer);
    assert_eq!(frames.start, 2);
    frames
        .all
        .iter()
        .enumerate()
        .map(|(n, frame)| {
            let text = std::str::from_utf8(frame).expect("text");
            let (name, data) = text.split_once('\n').expect("two lines");
            let data: Value =
                serde_json::from_str(data.trim_start_matches("data: ").trim_end()).expect("JSON");
            assert_eq!(name.trim_start_matches("event: "), data["type"]);
            assert_eq!(data["sequence_number"], n);
            data
        })
        .collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap_or_default().trim_start_matches("response."))
        .collect()
}

#[test]
fn members_of_the_request_are_known_typed_and_in_range() {
    refused(&json!({"stop": ["x"]}), "Unknown parameter: 'stop'.", "stop", "unknown_parameter");
    refused(
        &json!({"model": null}),
        "Missing required parameter: 'model'.",
        "model",
        "missing_required_parameter",
    );
    for input in [Value::Null, json!([])] {
        refused(
            &json!({"input": input}),
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.",
            "input",
            "missing_required_parameter",
        );
    }
    refused(
        &json!({"input": 7}),
        "Invalid type for 'input': expected one of an array of objects or string, but got an integer instead.",
        "input",
        "invalid_type",
    );
    refused(
        &json!({"stream": "yes"}),
        "Invalid type for 'stream': expected a boolean, but got a string instead.",
        "stream",
        "invalid_type",
    );
    refused(
        &json!({"max_output_tokens": 15}),
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 15 instead.",
        "max_output_tokens",
        "integer_below_min_value",
    );
    refused(
        &json!({"temperature": 2.5}),
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
        "temperature",
        "decimal_above_max_value",
    );
    refused(
        &json!({"top_logprobs": 21}),
        "Invalid 'top_logprobs': integer above maximum value. Expected a value <= 20, but got 21 instead.",
        "top_logprobs",
        "integer_above_max_value",
    );
    refused(
        &json!({"reasoning": {"effort": "most"}}),
        "Invalid value: 'most'. Supported values are: 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', and 'max'.",
        "reasoning.effort",
        "invalid_value",
    );
    refused(
        &json!({"truncation": "x"}),
        "Invalid value: 'x'. Supported values are: 'auto' and 'disabled'.",
        "truncation",
        "invalid_value",
    );
    let (_, message, param, code) = said(&json!({"include": ["reasoning.encrypted_content", "all"]}));
    assert!(message.starts_with("Invalid value: 'all'. Supported values are: 'file_search_call.results', "));
    assert_eq!((param.as_str(), code.as_str()), ("include[1]", "invalid_value"));
    refused(
        &json!({"stream_options": {"include_obfuscation": true}}),
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        "stream_options",
        "invalid_value",
    );
    refused(
        &json!({"stream": true, "stream_options": {"include_usage": true}}),
        "Unknown parameter: 'stream_options.include_usage'.",
        "stream_options.include_usage",
        "unknown_parameter",
    );
    let pairs: Value = (0..17).map(|n| (n.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    refused(
        &json!({"metadata": pairs}),
        "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object with 17 properties instead.",
        "metadata",
        "object_above_max_properties",
    );
    refused(
        &json!({"metadata": {"a": 1}}),
        "Invalid type for 'metadata.a': expected a string, but got an integer instead.",
        "metadata.a",
        "invalid_type",
    );
    refused(
        &json!({"metadata": {"a": "x".repeat(513)}}),
        "Invalid 'metadata.a': string too long. Expected a string with maximum length 512, but got a string with length 513 instead.",
        "metadata.a",
        "string_above_max_length",
    );
    taken(&json!({
        "max_output_tokens": 16, "metadata": {"a": "b"}, "reasoning": {"effort": "xhigh", "summary": "auto"},
        "include": ["reasoning.encrypted_content"], "temperature": null, "store": false, "user": "u",
        "instructions": "Be brief.", "service_tier": "flex", "parallel_tool_calls": true, "tools": [],
    }));
}

#[test]
fn what_was_not_stored_is_not_found() {
    refused(
        &json!({"previous_response_id": "resp_0"}),
        "Previous response with id 'resp_0' not found.",
        "previous_response_id",
        "previous_response_not_found",
    );
    refused(
        &json!({"previous_response_id": "chatcmpl-1"}),
        "Invalid 'previous_response_id': 'chatcmpl-1'. Expected an ID that begins with 'resp'.",
        "previous_response_id",
        "invalid_value",
    );
    assert_eq!(said(&json!({"conversation": "conv_1"})).0, 404);
    for (store, found) in [(true, true), (false, false)] {
        let (seen, answer) = play(Scenario::Text, &json!({"store": store}));
        let id = buffered(&seen, &answer)["id"].clone();
        let changes = json!({"previous_response_id": id, "input": [output("c1")]});
        assert_eq!(said(&changes).0 == 200, found, "store {store}");
    }
    let (status, message, ..) =
        said(&json!({"store": false, "input": [{"type": "item_reference", "id": "msg_1"}]}));
    assert_eq!(status, 404);
    assert_eq!(
        message,
        "Item with id 'msg_1' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input."
    );
    assert_eq!(said(&json!({"input": [{"id": "msg_1"}]})).1, "Item with id 'msg_1' not found.");
    assert!(!ids::is_stored("ß") && !ids::is_stored(""));
    refused(
        &json!({"background": true}),
        "Background mode is not supported by this model.",
        "background",
        "invalid_value",
    );
}

#[test]
fn messages_have_roles_and_parts_of_their_own() {
    let user = |content: Value| json!({"input": [{"role": "user", "content": content}]});
    for content in [json!("hi"), json!([{"type": "input_text", "text": "hi"}])] {
        taken(&user(content));
    }
    taken(&json!({"input": [
        {"type": "message", "role": "user", "status": "completed", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "b", "annotations": [
                {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}]},
            {"type": "refusal", "refusal": "no"}]},
        {"role": "developer", "content": "c"},
    ]}));
    refused(
        &json!({"input": [{"role": "tool", "content": "x"}]}),
        "Invalid value: 'tool'. Supported values are: 'assistant', 'system', 'developer', and 'user'.",
        "input[0].role",
        "invalid_value",
    );
    refused(
        &json!({"input": [{"type": "message", "content": "x"}]}),
        "Missing required parameter: 'input[0].role'.",
        "input[0].role",
        "missing_required_parameter",
    );
    refused(
        &json!({"input": [{"role": "user", "content": "x", "name": "ann"}]}),
        "Unknown parameter: 'input[0].name'.",
        "input[0].name",
        "unknown_parameter",
    );
    refused(
        &json!({"input": [{"role": "user", "content": "x", "status": "done"}]}),
        "Invalid value: 'done'. Supported values are: 'in_progress', 'completed', and 'incomplete'.",
        "input[0].status",
        "invalid_value",
    );
    refused(
        &user(json!([{"type": "text", "text": "x"}])),
        "Invalid value: 'text'. Supported values are: 'input_text', 'input_image', 'input_file', 'output_text', and 'refusal'.",
        "input[0].content[0].type",
        "invalid_value",
    );
    refused(
        &user(json!([{"type": "output_text", "text": "x"}])),
        "Invalid value: 'output_text'. Supported values are: 'input_text', 'input_image', and 'input_file'.",
        "input[0].content[0]",
        "invalid_value",
    );
    refused(
        &json!({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]}),
        "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'.",
        "input[0].content[0]",
        "invalid_value",
    );
    refused(
        &json!({"input": [{"role": "assistant", "id": "m1", "content": "x"}]}),
        "Invalid 'input[0].id': 'm1'. Expected an ID that begins with 'msg'.",
        "input[0].id",
        "invalid_value",
    );
    let twice = json!({"role": "assistant", "id": "msg_1", "content": "x"});
    refused(
        &json!({"input": [twice, twice]}),
        "Duplicate item found with id msg_1. Remove duplicate items from your input and try again.",
        "input",
        "",
    );
}

#[test]
fn images_and_files_are_addresses_or_data() {
    let part = |part: Value| json!({"input": [{"role": "user", "content": [part]}]});
    let image = |url: Value| part(json!({"type": "input_image", "image_url": url}));
    let file = |more: Value| {
        let mut file = json!({"type": "input_file"});
        file.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        part(file)
    };
    taken(&image(json!("https://example.com/a.png")));
    taken(&image(json!("data:image/png;base64,aW1n")));
    taken(&part(json!({"type": "input_image", "file_id": "file-1", "detail": "high"})));
    taken(&file(json!({"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"})));
    taken(&file(json!({"file_url": "https://example.com/a.pdf"})));
    taken(&file(json!({"file_id": "file-1"})));
    let place = "input[0].content[0]";
    let expected = "Expected a base64-encoded data URL with an image MIME type (e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU=')";
    let url = format!("{place}.image_url");
    refused(
        &image(json!("aW1n")),
        &format!("Invalid '{url}'. {expected}, but got a value without the 'data:' prefix."),
        &url,
        "invalid_value",
    );
    refused(
        &image(json!("data:image/bmp;base64,aW1n")),
        &format!("Invalid '{url}'. {expected}, but got unsupported MIME type 'image/bmp'."),
        &url,
        "invalid_value",
    );
    refused(&image(json!("data:image/png;base64,%")), "Invalid base64 image_url.", &url, "invalid_base64");
    refused(
        &image(json!({"url": "https://example.com/a.png"})),
        &format!("Invalid type for '{url}': expected an image URL, but got an object instead."),
        &url,
        "invalid_type",
    );
    refused(
        &part(json!({"type": "input_image"})),
        &format!("Missing required parameter: '{url}'."),
        &url,
        "missing_required_parameter",
    );
    assert_eq!(
        said(&part(json!({"type": "input_image", "image_url": "https://e.com/a", "file_id": "f"}))).3,
        "mutually_exclusive_parameters"
    );
    let data = format!("{place}.file_data");
    refused(
        &file(json!({"file_data": "JVBERg==", "filename": "a.pdf"})),
        &format!(
            "Invalid '{data}'. Expected a base64-encoded data URL with an application/pdf MIME type (e.g. 'data:application/pdf;base64,aW1nIGJ5dGVzIGhlcmU='), but got a value without the 'data:' prefix."
        ),
        &data,
        "invalid_value",
    );
    assert_eq!(
        said(&file(json!({"file_data": "data:image/png;base64,aW1n", "filename": "a"}))).3,
        "invalid_value"
    );
    assert_eq!(
        said(&file(json!({"file_data": "data:application/pdf;base64,%", "filename": "a"}))).3,
        "invalid_base64"
    );
    assert_eq!(
        said(&file(json!({"file_data": "data:application/pdf;base64,JVBERg=="}))).2,
        format!("{place}.filename")
    );
    assert_eq!(said(&file(json!({"file_url": "a.pdf"}))).3, "invalid_value");
    assert_eq!(said(&file(json!({}))).3, "missing_required_parameter");
}

#[test]
fn calls_and_outputs_come_in_pairs() {
    taken(&json!({"input": [call("a"), call("b"), output("b"), output("a")]}));
    taken(&json!({"input": [
        {"type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "select 1"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "1"}]},
    ]}));
    refused(
        &json!({"input": [call("a"), {"role": "user", "content": "x"}]}),
        "No tool output found for function call a.",
        "input",
        "",
    );
    refused(
        &json!({"input": [output("a")]}),
        "No tool call found for function call output with call_id a.",
        "input",
        "",
    );
    refused(
        &json!({"input": [call("a"), {"type": "custom_tool_call_output", "call_id": "a", "output": "x"}]}),
        "No tool call found for custom tool call output with call_id a.",
        "input",
        "",
    );
    let long = "x".repeat(65);
    refused(
        &json!({"input": [call(&long), output(&long)]}),
        "Invalid 'input[0].call_id': string too long. Expected a string with maximum length 64, but got a string with length 65 instead.",
        "input[0].call_id",
        "string_above_max_length",
    );
    assert_eq!(said(&json!({"input": [call(""), output("")]})).3, "empty_string");
    let mut foreign = call("a");
    foreign["id"] = json!("call_1");
    refused(
        &json!({"input": [foreign, output("a")]}),
        "Invalid 'input[0].id': 'call_1'. Expected an ID that begins with 'fc'.",
        "input[0].id",
        "invalid_value",
    );
    let mut object = call("a");
    object["arguments"] = json!({});
    refused(
        &json!({"input": [object, output("a")]}),
        "Invalid type for 'input[0].arguments': expected a string, but got an object instead.",
        "input[0].arguments",
        "invalid_type",
    );
    let (_, message, param, _) = said(&json!({"input": [{"type": "tool_result"}]}));
    assert!(
        message.starts_with("Invalid value: 'tool_result'. Supported values are: 'message', "),
        "{message}"
    );
    assert_eq!(param, "input[0].type");
    taken(&json!({"input": [
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": null},
        {"role": "user", "content": "x"},
    ]}));
    assert_eq!(
        said(&json!({"input": [{"type": "web_search_call", "id": "ws_1", "status": "done", "action": {}}]}))
            .3,
        "invalid_value"
    );
}

#[test]
fn reasoning_comes_back_whole_and_followed() {
    let own = sign::seal("responses", "hm");
    let thought = |more: Value| {
        let mut thought = json!({"type": "reasoning", "id": "rs_1", "summary": []});
        thought.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        thought
    };
    let with = |thought: Value| json!({"store": false, "input": [thought, call("a"), output("a")]});
    taken(&with(thought(json!({"encrypted_content": own}))));
    taken(&with(
        json!({"type": "reasoning", "encrypted_content": own, "summary": [{"type": "summary_text", "text": "hm"}]}),
    ));
    let foreign = "The encrypted content gAAA...Zg== could not be verified. Reason: Encrypted content could not be decrypted or parsed.";
    refused(
        &with(thought(json!({"encrypted_content": "gAAAforeignZg=="}))),
        foreign,
        "",
        "invalid_encrypted_content",
    );
    let cut: String = own.chars().take(own.len() - 1).collect();
    assert_eq!(said(&with(thought(json!({"encrypted_content": cut})))).3, "invalid_encrypted_content");
    assert_eq!(said(&with(thought(json!({"encrypted_content": "ß"})))).3, "invalid_encrypted_content");
    let (status, message, param, _) = said(&with(thought(json!({}))));
    assert_eq!((status, param.as_str()), (404, "input"));
    assert!(message.starts_with("Item with id 'rs_1' not found. Items are not persisted when `store`"));
    assert_eq!(said(&json!({"input": [thought(json!({})), call("a"), output("a")]})).0, 404);
    for after in [json!([]), json!([{"role": "user", "content": "x"}])] {
        let mut input = vec![thought(json!({"encrypted_content": own}))];
        input.extend(after.as_array().cloned().unwrap_or_default());
        refused(
            &json!({"input": input}),
            "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
            "input",
            "",
        );
    }
    assert_eq!(
        said(&with(thought(json!({"encrypted_content": own, "summary": [{"type": "text", "text": "x"}]})))).2,
        "input[0].summary[0].type"
    );
    // What was stored is known by its id alone.
    let (seen, answer) = play(Scenario::Think, &json!({}));
    let id = buffered(&seen, &answer)["output"][0]["id"].clone();
    taken(
        &json!({"input": [{"type": "reasoning", "id": id, "summary": []}, {"role": "assistant", "content": "x"}]}),
    );
}

#[test]
fn tools_have_names_schemas_and_formats() {
    let one = |tool: Value| json!({"tools": [tool]});
    let strict = |parameters: Value| {
        one(json!({"type": "function", "name": "f", "strict": true, "parameters": parameters}))
    };
    let bad = |changes: &Value, said: &str| {
        let said = format!("Invalid schema for function 'f': {said}");
        refused(changes, &said, "tools[0].parameters", "invalid_function_parameters");
    };
    bad(
        &strict(json!({"type": "object", "properties": {}})),
        "In context=(), 'additionalProperties' is required to be supplied and to be false.",
    );
    bad(
        &strict(
            json!({"type": "object", "additionalProperties": false, "properties": {"a": {"type": "string"}}}),
        ),
        "In context=(), 'required' is required to be supplied and to be an array including every key in properties. Missing 'a'.",
    );
    bad(
        &one(json!({"type": "function", "name": "f", "parameters": {"type": "string"}})),
        "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"string\"'.",
    );
    refused(
        &one(json!({"type": "function", "function": {"name": "f"}})),
        "Unknown parameter: 'tools[0].function'.",
        "tools[0].function",
        "unknown_parameter",
    );
    refused(
        &one(json!({"type": "function", "name": "a b"})),
        "Invalid 'tools[0].name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
        "tools[0].name",
        "invalid_value",
    );
    assert_eq!(said(&one(json!({"type": "function", "name": "x".repeat(65)}))).3, "string_above_max_length");
    assert_eq!(said(&one(json!({"type": "function", "name": ""}))).3, "empty_string");
    assert_eq!(said(&one(json!({"type": "function"}))).2, "tools[0].name");
    assert_eq!(said(&one(json!({"type": "retrieval"}))).2, "tools[0].type");
    assert_eq!(said(&json!({"tools": vec![tool(); 129]})).3, "array_above_max_length");
    let custom = |format: Value| one(json!({"type": "custom", "name": "sql", "format": format}));
    taken(&custom(json!({"type": "text"})));
    taken(&custom(json!({"type": "grammar", "syntax": "lark", "definition": "start: \"a\""})));
    refused(
        &custom(json!({"type": "grammar", "syntax": "ebnf", "definition": "x"})),
        "Invalid value: 'ebnf'. Supported values are: 'lark' and 'regex'.",
        "tools[0].format.syntax",
        "invalid_value",
    );
    assert_eq!(said(&custom(json!({"type": "grammar", "syntax": "regex"}))).3, "missing_required_parameter");
    assert_eq!(
        said(&custom(json!({"type": "grammar", "syntax": "regex", "definition": ""}))).3,
        "invalid_value"
    );
    taken(&json!({"tools": [
        {"type": "web_search"}, {"type": "file_search", "vector_store_ids": ["vs_1"]}, {"type": "local_shell"},
        {"type": "code_interpreter", "container": {"type": "auto"}}, {"type": "mcp", "server_label": "s"},
        {"type": "namespace", "name": "n", "description": "d", "tools": [tool()]},
    ]}));
    assert_eq!(said(&one(json!({"type": "file_search"}))).2, "tools[0].vector_store_ids");
    assert_eq!(
        said(&one(json!({"type": "namespace", "name": "n", "description": "d", "tools": []}))).3,
        "empty_array"
    );
}

#[test]
fn a_choice_is_among_what_is_offered() {
    let tools = json!([tool(), {"type": "custom", "name": "sql"}, {"type": "web_search"}, {"type": "mcp", "server_label": "s"}]);
    let choose = |choice: Value| json!({"tools": tools, "tool_choice": choice});
    for choice in [
        json!("none"),
        json!("auto"),
        json!("required"),
        json!({"type": "function", "name": "f"}),
        json!({"type": "custom", "name": "sql"}),
        json!({"type": "web_search"}),
        json!({"type": "mcp", "server_label": "s"}),
        json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}),
    ] {
        taken(&choose(choice));
    }
    taken(&json!({"tool_choice": "auto"}));
    refused(
        &choose(json!("any")),
        "Invalid value: 'any'. Supported values are: 'none', 'auto', and 'required'.",
        "tool_choice",
        "invalid_value",
    );
    refused(
        &json!({"tool_choice": "required"}),
        "Tool choice 'required' must be specified with 'tools' parameter.",
        "tool_choice",
        "",
    );
    for (choice, name) in [
        (json!({"type": "function", "name": "g"}), "g"),
        (json!({"type": "function", "name": "sql"}), "sql"),
        (json!({"type": "custom", "name": "f"}), "f"),
        (json!({"type": "image_generation"}), "image_generation"),
        (json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "g"}]}), "g"),
    ] {
        refused(
            &choose(choice),
            &format!("Tool choice '{name}' not found in 'tools' parameter."),
            "tool_choice",
            "",
        );
    }
    refused(
        &choose(json!({"type": "function", "function": {"name": "f"}})),
        "Unknown parameter: 'tool_choice.function'.",
        "tool_choice.function",
        "unknown_parameter",
    );
    assert_eq!(said(&choose(json!({"type": "function"}))).2, "tool_choice.name");
    let allowed = choose(
        json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "sql"}]}),
    );
    let (seen, answer) = play(Scenario::Text, &allowed);
    assert_eq!(buffered(&seen, &answer)["output"][0]["type"], "custom_tool_call");
}

#[test]
fn a_text_format_has_a_name_and_a_schema() {
    let format = |format: Value| json!({"text": {"format": format}});
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    taken(&format(json!({"type": "json_schema", "name": "n", "schema": schema, "strict": true})));
    taken(&json!({"input": "as JSON", "text": {"format": {"type": "json_object"}}}));
    for (given, path) in [
        (json!({"type": "json_schema", "schema": schema}), "text.format.name"),
        (json!({"type": "json_schema", "name": "n"}), "text.format.schema"),
        (json!({}), "text.format.type"),
    ] {
        let said = format!("Missing required parameter: '{path}'.");
        refused(&format(given), &said, path, "missing_required_parameter");
    }
    refused(
        &format(json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})),
        "Unknown parameter: 'text.format.json_schema'.",
        "text.format.json_schema",
        "unknown_parameter",
    );
    refused(
        &format(json!({"type": "json_schema", "name": "n", "strict": true, "schema": {"type": "object"}})),
        "Invalid schema for response_format 'n': In context=(), 'additionalProperties' is required to be supplied and to be false.",
        "text.format.schema",
        "invalid_json_schema",
    );
    assert_eq!(
        said(&format(json!({"type": "json_schema", "name": "a b", "schema": schema}))).3,
        "invalid_value"
    );
    assert_eq!(said(&format(json!({"type": "xml"}))).2, "text.format.type");
    refused(
        &format(json!({"type": "json_object"})),
        "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.",
        "input",
        "",
    );
    refused(
        &json!({"text": {"verbosity": "loud"}}),
        "Invalid value: 'loud'. Supported values are: 'low', 'medium', and 'high'.",
        "text.verbosity",
        "invalid_value",
    );
}

#[test]
fn a_response_repeats_its_request() {
    let (seen, answer) = play(
        Scenario::Usage,
        &json!({
            "store": false, "instructions": "Be brief.", "metadata": {"a": "b"}, "temperature": 0.5,
            "reasoning": {"effort": "low"}, "tools": [tool()], "tool_choice": "none", "top_logprobs": 2,
            "include": ["message.output_text.logprobs"], "max_output_tokens": 99,
        }),
    );
    let said = buffered(&seen, &answer);
    for (name, value) in [
        ("object", json!("response")),
        ("status", json!("completed")),
        ("store", json!(false)),
        ("instructions", json!("Be brief.")),
        ("metadata", json!({"a": "b"})),
        ("temperature", json!(0.5)),
        ("top_p", json!(1.0)),
        ("reasoning", json!({"effort": "low", "summary": null})),
        ("text", json!({"format": {"type": "text"}, "verbosity": "medium"})),
        ("tool_choice", json!("none")),
        ("parallel_tool_calls", json!(true)),
        ("max_output_tokens", json!(99)),
        ("error", Value::Null),
        ("incomplete_details", Value::Null),
        ("previous_response_id", Value::Null),
        ("truncation", json!("disabled")),
        ("service_tier", json!("default")),
    ] {
        assert_eq!(said[name], value, "{name}");
        assert!(said.get(name).is_some(), "{name} is there");
    }
    assert_eq!(said["tools"][0]["strict"], false);
    assert_eq!(
        said["usage"]["input_tokens_details"],
        json!({"cached_tokens": 700, "cache_write_tokens": 350})
    );
    assert_eq!(said["usage"]["output_tokens_details"]["reasoning_tokens"], 17);
    assert_eq!(said["usage"]["input_tokens"], 1061);
    let part = &said["output"][0]["content"][0];
    assert_eq!(part["logprobs"][0]["token"], "Simulated ");
    assert_eq!(part["annotations"], json!([]));
}

#[test]
fn a_stream_has_the_native_order() {
    let summary = json!({"reasoning": {"summary": "auto"}, "tools": [tool()]});
    let (seen, answer) = play(Scenario::ThinkTools, &summary);
    let all = events(&seen, &answer);
    assert_eq!(
        names(&all),
        [
            "created",
            "in_progress",
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed",
        ]
    );
    assert_eq!(all[0]["response"]["status"], "in_progress");
    assert_eq!(all[0]["response"]["usage"], Value::Null);
    assert_eq!(all[16]["response"], buffered(&seen, &answer));
    // What opens an item has only a part of the encrypted content.
    let whole = &all[10]["item"]["encrypted_content"];
    assert!(sign::sealed("responses", whole.as_str().unwrap_or_default()));
    assert_ne!(&all[2]["item"]["encrypted_content"], whole);
    assert_eq!(all[12]["item_id"], all[11]["item"]["id"]);
    assert_eq!((&all[12]["output_index"], &all[11]["item"]["arguments"]), (&json!(1), &json!("")));
    assert_eq!(all[14]["name"], "f");
}

#[test]
fn texts_citations_and_refusals_are_streamed_in_parts() {
    let (seen, answer) = play(Scenario::Citations, &json!({}));
    let all = events(&seen, &answer);
    assert_eq!(
        names(&all)[2..],
        [
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.delta",
            "output_text.delta",
            "output_text.annotation.added",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ]
    );
    assert_eq!(all[2]["item"]["status"], "in_progress");
    assert_eq!(all[3]["part"], json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []}));
    assert_eq!(all[8]["annotation"]["type"], "url_citation");
    assert_eq!((&all[8]["content_index"], &all[8]["annotation_index"]), (&json!(0), &json!(0)));
    assert_eq!(all[10]["part"], all[11]["item"]["content"][0]);
    let (seen, answer) = play(Scenario::Refusal, &json!({}));
    let all = events(&seen, &answer);
    let order = names(&all);
    assert_eq!(order[3..5], ["content_part.added", "refusal.delta"]);
    assert_eq!(
        order[order.len() - 4..],
        ["refusal.done", "content_part.done", "output_item.done", "completed"]
    );
    assert_eq!(all[3]["part"], json!({"type": "refusal", "refusal": ""}));
}

#[test]
fn a_free_form_call_is_a_text() {
    let custom = json!({"tools": [{"type": "custom", "name": "sql"}]});
    let (seen, answer) = play(Scenario::Tools, &custom);
    let said = buffered(&seen, &answer);
    assert_eq!(said["output"][0]["type"], "custom_tool_call");
    assert_eq!(said["output"][0]["input"], "value");
    assert_eq!(said["tools"][0]["format"], json!({"type": "text"}));
    let all = events(&seen, &answer);
    assert_eq!(
        names(&all)[2..7],
        [
            "output_item.added",
            "custom_tool_call_input.delta",
            "custom_tool_call_input.delta",
            "custom_tool_call_input.done",
            "output_item.done",
        ]
    );
    assert_eq!((&all[2]["item"]["input"], &all[5]["input"]), (&json!(""), &json!("value")));
    let (seen, answer) = play(Scenario::LengthTools, &custom);
    assert_eq!(buffered(&seen, &answer)["output"][0]["input"], "value");
}

#[test]
fn what_is_not_whole_says_why() {
    for (scenario, reason) in [(Scenario::Length, "max_output_tokens"), (Scenario::Filter, "content_filter")]
    {
        let (seen, answer) = play(scenario, &json!({}));
        let said = buffered(&seen, &answer);
        assert_eq!(
            (&said["status"], &said["incomplete_details"]),
            (&json!("incomplete"), &json!({"reason": reason}))
        );
        assert_eq!(said["output"][0]["status"], "incomplete");
        assert_eq!(said["completed_at"], Value::Null);
        assert!(said["usage"].is_object());
        assert_eq!(names(&events(&seen, &answer)).last(), Some(&"incomplete"));
    }
    let (seen, answer) = play(Scenario::LengthTools, &json!({"tools": [tool()]}));
    assert_eq!(buffered(&seen, &answer)["output"][0]["status"], "incomplete");
    let (seen, answer) = play(Scenario::Failed, &json!({}));
    let whole = failed(&seen, &answer);
    assert_eq!((&whole["status"], &whole["error"]["code"]), (&json!("failed"), &json!("server_error")));
    let last = failed_frame(&seen, &answer, 4);
    assert!(last.starts_with(b"event: response.failed\n"));
    assert!(String::from_utf8_lossy(&last).contains("\"sequence_number\":4"));
    let error = String::from_utf8_lossy(&error_frame(3)).into_owned();
    assert!(error.starts_with("event: error\n") && error.contains("\"sequence_number\":3"), "{error}");
}

#[test]
fn reasoning_is_told_only_where_a_summary_is_asked_for() {
    for (scenario, reasoning, parts) in [
        (Scenario::Think, json!({"effort": "low"}), 0),
        (Scenario::Think, json!({"summary": "auto"}), 1),
        (Scenario::Think, json!({"generate_summary": "concise"}), 1),
        (Scenario::Redacted, json!({"summary": "auto"}), 0),
    ] {
        let (seen, answer) = play(scenario, &json!({"reasoning": reasoning}));
        let item = &buffered(&seen, &answer)["output"][0];
        assert_eq!(item["type"], "reasoning");
        assert_eq!(item["summary"].as_array().map(Vec::len), Some(parts), "{reasoning}");
        assert!(sign::sealed("responses", item["encrypted_content"].as_str().unwrap_or_default()));
    }
}
