use serde_json::{Value, json};

use super::{buffered, error_frame, frames, validate};
use crate::simulator::answer::{Answer, Finish, Piece, Seen, Usage};

/// A good request with some members replaced.
fn request(changes: &Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

fn tool(name: &str, parameters: &Value) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "d", "parameters": parameters}})
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})
}

fn call(id: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}})
}

fn asking(calls: &[Value]) -> Value {
    json!({"role": "assistant", "tool_plan": "I plan.", "tool_calls": calls})
}

fn result(id: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": "x"})
}

/// Every change is refused with exactly this status and these words.
fn refused(cases: &[(Value, u16, &str)]) {
    for (changes, status, said) in cases {
        let refusal = validate(&request(changes)).expect_err(&changes.to_string());
        let (said, help) = match status {
            422 => (said, ". For proper usage, please refer to https://docs.cohere.com/reference/chat"),
            _ => (said, ""),
        };
        assert_eq!((refusal.status, refusal.message), (*status, format!("{said}{help}")), "{changes}");
    }
}

#[test]
fn bodies_that_can_not_be_decoded_are_422() {
    let user = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    refused(&[
        (json!({"n": 1}), 422, "unknown field: parameter 'n' is not a valid field"),
        (
            json!({"messages": [{"role": "user", "content": "hi", "name": "me"}]}),
            422,
            "unknown field: parameter 'name' is not a valid field",
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": schema(), "strict": true}}]}),
            422,
            "unknown field: parameter 'strict' is not a valid field",
        ),
        (
            json!({"response_format": {"type": "json_object", "schema": schema()}}),
            422,
            "unknown field: parameter 'schema' is not a valid field",
        ),
        (
            json!({"model": 1}),
            422,
            "invalid type: parameter 'model' is of type number but should be of type string",
        ),
        (
            json!({"k": 1.5}),
            422,
            "invalid type: parameter 'k' is of type number but should be of type integer",
        ),
        (
            json!({"seed": "1"}),
            422,
            "invalid type: parameter 'seed' is of type string but should be of type integer",
        ),
        (json!({"p": "1"}), 422, "invalid type: parameter 'p' is of type string but should be of type float"),
        (
            json!({"stream": 1}),
            422,
            "invalid type: parameter 'stream' is of type number but should be of type bool",
        ),
        (
            json!({"tools": {}}),
            422,
            "invalid type: parameter 'tools' is of type object but should be of type array",
        ),
        (
            json!({"stop_sequences": [1]}),
            422,
            "invalid type: parameter 'stop_sequences' is of type number but should be of type string",
        ),
        (
            user(json!(1)),
            422,
            "invalid type: parameter 'messages[0].content' is of type number but should be of type array",
        ),
        (user(json!([{"type": "document", "document": "d"}])), 422, "unrecognized content type 'document'"),
        (user(json!([{"type": "thinking", "thinking": "t"}])), 422, "unrecognized content type 'thinking'"),
        (
            user(json!([{"type": "image_url", "image_url": {"url": "https://x/a.png", "detail": "fine"}}])),
            422,
            "unrecognized image detail 'fine'",
        ),
        (json!({"safety_mode": "NONE"}), 422, "unrecognized safety mode 'NONE'"),
        (json!({"tool_choice": "AUTO"}), 422, "unrecognized tool choice 'AUTO'"),
        (json!({"citation_options": {"mode": "SLOW"}}), 422, "unrecognized citation mode 'SLOW'"),
        (json!({"thinking": {"type": "adaptive"}}), 422, "unrecognized thinking type 'adaptive'"),
        (
            json!({"response_format": {"type": "json_schema"}}),
            422,
            "unrecognized response format type 'json_schema'",
        ),
    ]);
}

#[test]
fn each_rule_on_parameters_is_told_in_the_providers_words() {
    let many: Value = (0..201).map(|n| (format!("f{n}"), json!({"type": "string"}))).collect();
    let many = json!({"type": "object", "properties": many, "required": ["f0"]});
    let optional = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let format = |schema: Value| json!({"response_format": {"type": "json_object", "json_schema": schema}});
    let json_mode = json!({"type": "json_object"});
    refused(&[
        (json!({"model": ""}), 400, "a model parameter is required for this endpoint."),
        (
            json!({"temperature": 1.1}),
            400,
            "invalid request: temperature must be between 0 and 1.0 inclusive.",
        ),
        (json!({"p": 1}), 400, "invalid request: p must be between 0.01 and 0.99 inclusive."),
        (json!({"p": 0}), 400, "invalid request: p must be between 0.01 and 0.99 inclusive."),
        (json!({"k": 501}), 400, "invalid request: k must be between 0 and 500 inclusive."),
        (json!({"k": -1}), 400, "invalid request: k must be between 0 and 500 inclusive."),
        (
            json!({"presence_penalty": -0.1}),
            400,
            "invalid request: presence_penalty must be between 0 and 1 inclusive.",
        ),
        (
            json!({"frequency_penalty": 1.5}),
            400,
            "invalid request: frequency_penalty must be between 0 and 1 inclusive.",
        ),
        (json!({"priority": -1}), 400, "invalid request: priority cannot be less than 0."),
        (json!({"max_tokens": -1}), 400, "invalid request: max_tokens cannot be less than 0."),
        (
            json!({"stop_sequences": ["a", "b", "c", "d", "e", "f"]}),
            400,
            "invalid request: too many stop sequences provided, maximum is 5, received 6.",
        ),
        (
            json!({"tools": [tool("get-weather", &schema())]}),
            400,
            "invalid request: tool names can only contain certain characters (A-Za-z0-9_) and can't begin with a digit (provided name: 'get-weather').",
        ),
        (
            json!({"tools": [tool("1st", &schema())]}),
            400,
            "invalid request: tool names can only contain certain characters (A-Za-z0-9_) and can't begin with a digit (provided name: '1st').",
        ),
        (json!({"tools": [{"type": "custom"}]}), 400, "tool must be of type function"),
        (json!({"tools": [{"type": "function"}]}), 400, "invalid request: tools[0].function is required."),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
            400,
            "invalid request: tools[0].function.parameters is required.",
        ),
        (json!({"tools": [tool("f", &json!({"type": "array"}))]}), 400, "schema must be an object"),
        (
            json!({"tools": [tool("f", &optional)], "strict_tools": true}),
            400,
            "invalid request: tool 'f' must have at least one required parameter when strict_tools is enabled.",
        ),
        (
            json!({"tools": [tool("f", &many)], "strict_tools": true}),
            400,
            "invalid request: strict_tools allows at most 200 fields across all tools, received 201.",
        ),
        (
            json!({"tool_choice": "REQUIRED"}),
            400,
            "invalid request: tool_choice can only be specified when tools are provided.",
        ),
        (json!({"documents": [""]}), 400, "invalid request: document at index 0 cannot be empty"),
        (
            json!({"documents": ["a", {"data": {}}]}),
            400,
            "invalid request: document at index 1 cannot be empty",
        ),
        (json!({"documents": [{"id": "a"}]}), 400, "invalid request: documents[0].data is required."),
        (
            json!({"documents": [{"id": "doc:1", "data": {"text": "a"}}, "b"]}),
            400,
            "invalid request: duplicate document ID doc:1 at index 1 and 0",
        ),
        (
            json!({"response_format": {"type": "text", "json_schema": schema()}}),
            400,
            "invalid request: json_schema must not be specified when the response_format type is text.",
        ),
        (
            json!({"response_format": json_mode, "tools": [tool("f", &schema())]}),
            400,
            "invalid request: response_format is not supported with tools.",
        ),
        (
            json!({"response_format": json_mode, "documents": ["d"]}),
            400,
            "invalid request: response_format is not supported with RAG.",
        ),
        (format(json!({"type": "array"})), 400, "schema must be an object"),
        (format(optional.clone()), 400, "every object in the schema must have at least one required field"),
        (
            format(json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]})),
            400,
            "required field b not found in properties",
        ),
        (
            format(json!({"type": "object", "properties": {"a": {"title": "A"}}, "required": ["a"]})),
            400,
            "property a must have a type",
        ),
        (
            format(json!({"type": "object", "properties": {"a": optional}, "required": ["a"]})),
            400,
            "every object in the schema must have at least one required field",
        ),
        (json!({"thinking": {}}), 400, "invalid request: thinking.type is required."),
        (
            json!({"thinking": {"type": "enabled", "token_budget": 0}}),
            400,
            "invalid request: thinking.token_budget must be a positive integer.",
        ),
        (
            json!({"safety_mode": "STRICT", "documents": ["d"]}),
            400,
            "invalid request: safety_mode is not supported in combination with tools and documents.",
        ),
    ]);
}

#[test]
fn each_rule_on_messages_is_told_in_the_providers_words() {
    let messages = |list: Value| json!({"messages": list});
    let user = json!({"role": "user", "content": "hi"});
    let part = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let images: Vec<Value> = (0..21).map(|_| image("https://x/a.png")).collect();
    let unanswered = "invalid request: An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: b";
    let two = [call("a", "{}"), call("b", "{}")];
    refused(&[
        (messages(json!([])), 400, "invalid request: at least one message is required in 'messages'."),
        (messages(json!([{"content": "x"}])), 400, "invalid request: messages[0].role is required."),
        (
            messages(json!([{"role": "developer", "content": "x"}])),
            400,
            "invalid request: Invalid role in messages at index 0: 'developer'. Role must be one of the following: user, assistant, system, tool",
        ),
        (
            messages(json!([{"role": "user", "content": ""}])),
            400,
            "invalid request: message at index 0 must have non-empty content.",
        ),
        (
            messages(json!([{"role": "user", "content": []}])),
            400,
            "invalid request: message at index 0 must have non-empty content.",
        ),
        (
            messages(json!([{"role": "system"}])),
            400,
            "invalid request: message at index 0 must have non-empty content.",
        ),
        (
            messages(json!([user, {"role": "assistant", "content": ""}])),
            400,
            "invalid request: message at index 1 must have content or tool_calls.",
        ),
        (messages(json!([user, result("a")])), 400, "tool call id not found in previous tool calls"),
        (
            messages(json!([user, asking(&two[..1]), result("a"), result("a")])),
            400,
            "tool call id not found in previous tool calls",
        ),
        (
            messages(json!([user, asking(&two[..1]), {"role": "tool", "content": "x"}])),
            400,
            "tool call id must be provided with tool message",
        ),
        (messages(json!([user, asking(&two), result("a")])), 400, unanswered),
        (messages(json!([user, asking(&two), result("a"), user, result("b")])), 400, unanswered),
        (
            messages(json!([user, asking(&[call("a", "{}"), call("a", "{}")])])),
            400,
            "cannot have duplicate tool ids",
        ),
        (
            messages(json!([user, asking(&[json!({"id": "a", "type": "custom"})])])),
            400,
            "tool call must be of type function",
        ),
        (
            messages(json!([user, asking(&[call("a", "{")])])),
            400,
            "invalid request: messages[1].tool_calls[0].function.arguments must be valid JSON.",
        ),
        (
            messages(json!([user, asking(&two[..1]), {"role": "tool", "tool_call_id": "a"}])),
            400,
            "invalid request: messages[2].content is required.",
        ),
        (
            part(image("data:image/bmp;base64,AAAA")),
            400,
            "invalid request: unsupported image format 'image/bmp'.",
        ),
        (part(image("data:image/png;base64,%")), 400, "invalid request: image data must be valid base64."),
        (
            part(image("a.png")),
            400,
            "invalid request: messages[0].content[0].image_url.url must be a web URL or a base64 data URL.",
        ),
        (
            messages(json!([{"role": "user", "content": images}])),
            400,
            "invalid request: at most 20 images are allowed.",
        ),
        (part(json!({"type": "text"})), 400, "invalid request: messages[0].content[0].text is required."),
    ]);
}

#[test]
fn everything_allowed_is_read() {
    let seen = validate(&request(&json!({
        "temperature": 1, "p": 0.99, "k": 500, "frequency_penalty": 0, "presence_penalty": 1, "seed": 7,
        "priority": 1, "max_tokens": 9, "stop_sequences": ["x"], "logprobs": true, "stream": true,
        "thinking": {"type": "disabled"}, "strict_tools": true, "tool_choice": "REQUIRED",
        "tools": [tool("f", &schema()), tool("now", &json!({"type": "object", "properties": {}}))],
        "citation_options": {"mode": "OFF"}, "documents": ["words", {"id": "d", "data": {"title": "t"}}],
        "safety_mode": null,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "s"}]},
            {"role": "user", "content": [
                {"type": "text", "text": "go"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}],
             "tool_calls": [call("a", "{}"), call("b", "")], "citations": []},
            {"role": "tool", "tool_call_id": "b", "content": "two"},
            {"role": "tool", "tool_call_id": "a", "content": [
                {"type": "document", "document": {"data": {"n": 1}}},
                {"type": "document", "document": {"id": "x", "data": "{\"n\":2}"}}]},
        ],
    })))
    .expect("is taken");
    assert_eq!(seen.results, ["two", "{\"n\":1}{\"n\":2}"]);
    assert_eq!((seen.user.as_str(), seen.system, seen.images, seen.documents), ("go", 1, 1, 2));
    assert!(seen.must_call && seen.logprobs && seen.stream && seen.omit_thinking && seen.no_citations);
    assert_eq!((seen.limit, seen.stop.len(), seen.tools.len()), (Some(9), 1, 2));
    assert_eq!(
        seen.sources,
        [
            json!({"type": "document", "id": "doc:0", "document": {"id": "doc:0", "text": "words"}}),
            json!({"type": "document", "id": "d", "document": {"id": "d", "title": "t"}}),
            json!({"type": "tool", "id": "b:0", "tool_output": {"content": "two"}}),
            json!({"type": "tool", "id": "a:0", "tool_output": {"n": 1}}),
            json!({"type": "tool", "id": "a:1", "tool_output": {"n": 2}}),
        ]
    );
    let plain = validate(&request(&json!({"response_format": {"type": "json_object"}}))).expect("is taken");
    assert_eq!(plain.schema, Some(json!({})));
}

fn answer(pieces: Vec<Piece>, finish: Finish) -> Answer {
    let usage = Usage { input: 3, cache_read: 4, output: 2, ..Usage::default() };
    Answer { pieces, finish, usage, pace: None, seed: 0x0123_4567_89ab_cdef, omit_thinking: false }
}

/// The events of a stream, whose names are their types.
fn events(seen: &Seen, answer: &Answer) -> Vec<Value> {
    frames(seen, answer).all.iter().map(|frame| event(frame)).collect()
}

fn event(frame: &[u8]) -> Value {
    let frame = std::str::from_utf8(frame).expect("text");
    let (name, data) = frame.trim_end().split_once("\ndata: ").expect("a name and data");
    let event: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(Some(name), event["type"].as_str().map(|kind| format!("event: {kind}")).as_deref());
    event
}

#[test]
fn an_answer_has_the_same_parts_whole_and_streamed() {
    let call =
        |name: &str, arguments: &str| Piece::Call { name: name.to_owned(), arguments: arguments.to_owned() };
    let pieces = vec![
        Piece::Thinking("hm".to_owned()),
        Piece::Cited("so it".to_owned()),
        call("f", "{\"a\":1}"),
        call("now", "{}"),
    ];
    let mut answer = answer(pieces, Finish::Calls);
    let mut seen = Seen { logprobs: true, ..Seen::default() };
    let id = "01234567-89ab-4def-89ab-cdef01234567";
    let calls = json!([
        {"id": "f_89abcdef0000", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
        {"id": "now_89abcdef0001", "type": "function", "function": {"name": "now", "arguments": "{}"}},
    ]);
    let citation = json!({
        "start": 0, "end": 5, "text": "so it", "type": "TEXT_CONTENT", "content_index": 1,
        "sources": [{"type": "document", "id": "doc:0", "document": {"id": "doc:0", "title": "A document"}}],
    });
    let usage = json!({
        "billed_units": {"input_tokens": 3, "output_tokens": 2},
        "tokens": {"input_tokens": 7, "output_tokens": 2}, "cached_tokens": 4,
    });
    let whole = buffered(&seen, &answer);
    let logprobs = whole["logprobs"].clone();
    assert_eq!(
        whole,
        json!({
            "id": id, "finish_reason": "TOOL_CALL", "usage": usage, "logprobs": logprobs,
            "message": {
                "role": "assistant", "tool_plan": "I will use the tools.", "tool_calls": calls,
                "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "so it"}],
                "citations": [citation],
            },
        })
    );
    let words: Vec<&Value> = logprobs.as_array().expect("a list").iter().map(|item| &item["text"]).collect();
    assert_eq!(words, ["hm", "so ", "it"]);
    let said = |delta: Value| json!({"message": {"content": delta}});
    let plan = |word: &str| json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": word}}});
    let asked = |n: usize, delta: Value| json!({"type": "tool-call-delta", "index": n, "delta": {"message": {"tool_calls": delta}}});
    let started = |n: usize| {
        let mut call = calls[n].clone();
        call["function"]["arguments"] = Value::from("");
        json!({"type": "tool-call-start", "index": n, "delta": {"message": {"tool_calls": call}}})
    };
    let expected = json!([
        {"id": id, "type": "message-start", "delta": {"message": {
            "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}},
        {"type": "content-start", "index": 0, "delta": said(json!({"type": "thinking", "thinking": ""}))},
        {"type": "content-delta", "index": 0, "delta": said(json!({"thinking": "hm"})), "logprobs": logprobs[0]},
        {"type": "content-end", "index": 0},
        {"type": "content-start", "index": 1, "delta": said(json!({"type": "text", "text": ""}))},
        {"type": "content-delta", "index": 1, "delta": said(json!({"text": "so "})), "logprobs": logprobs[1]},
        {"type": "content-delta", "index": 1, "delta": said(json!({"text": "it"})), "logprobs": logprobs[2]},
        {"type": "citation-start", "index": 0, "delta": {"message": {"citations": citation}}},
        {"type": "citation-end", "index": 0},
        {"type": "content-end", "index": 1},
        plan("I "), plan("will "), plan("use "), plan("the "), plan("tools."),
        started(0),
        asked(0, json!({"function": {"arguments": "{\"a"}})),
        asked(0, json!({"function": {"arguments": "\":1}"}})),
        {"type": "tool-call-end", "index": 0},
        started(1),
        {"type": "tool-call-end", "index": 1},
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": usage}},
    ]);
    assert_eq!(Value::from(events(&seen, &answer)), expected);

    seen = Seen { no_citations: true, ..Seen::default() };
    answer.omit_thinking = true;
    let whole = buffered(&seen, &answer);
    assert_eq!(whole["message"]["content"], json!([{"type": "text", "text": "so it"}]));
    assert!(whole["message"].get("citations").is_none() && whole.get("logprobs").is_none(), "{whole}");
    let text = Value::from(events(&seen, &answer)).to_string();
    assert!(!text.contains("hm") && !text.contains("citation-") && !text.contains("logprobs"), "{text}");
}

#[test]
fn every_ending_has_its_reason() {
    for (finish, reason) in [
        (Finish::End, "COMPLETE"),
        (Finish::Refusal, "COMPLETE"),
        (Finish::Limit, "MAX_TOKENS"),
        (Finish::Sequence("x".to_owned()), "STOP_SEQUENCE"),
        (Finish::Calls, "TOOL_CALL"),
    ] {
        let answer = answer(vec![Piece::Redacted("r".to_owned())], finish);
        let whole = buffered(&Seen::default(), &answer);
        assert_eq!(
            (&whole["finish_reason"], &whole["message"]),
            (&json!(reason), &json!({"role": "assistant"}))
        );
        let events = events(&Seen::default(), &answer);
        assert_eq!(events.len(), 2);
        assert_eq!(events[1]["delta"]["finish_reason"], reason);
    }
    let last = event(&error_frame());
    assert_eq!((&last["type"], &last["delta"]["finish_reason"]), (&json!("message-end"), &json!("ERROR")));
    assert_eq!(last["delta"]["error"], "internal server error");
}
