use super::super::Malformed;
use super::*;

fn to_chat(content: Value, stop: &str) -> (Value, Vec<String>) {
    back(&chat(json!({})).state, &message(content, stop), &Carriage::default())
}

fn to_messages(said: Value, finish: &str) -> (Value, Vec<String>) {
    back(&messages(json!({})).state, &completion(said, finish), &Carriage::default())
}

fn call(arguments: Value) -> Value {
    json!([{ "id": "c1", "type": "function", "function": { "name": "f", "arguments": arguments } }])
}

#[test]
fn a_whole_answer_to_a_chat_client() {
    let (body, effects) =
        to_chat(json!([{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }]), "end_turn");
    assert_eq!(
        body,
        json!({
            "id": "msg_1", "object": "chat.completion", "created": 1_700_000_000, "model": "m",
            "choices": [{
                "index": 0, "finish_reason": "stop", "logprobs": null,
                "message": { "role": "assistant", "content": "ab", "refusal": null },
            }],
            "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 },
        })
    );
    assert_eq!(effects, ["adapted content[1]"]);
}

#[test]
fn a_whole_answer_to_an_anthropic_client() {
    let (body, _) = to_messages(json!({ "content": "a", "refusal": null, "annotations": [] }), "stop");
    assert_eq!(
        body,
        json!({
            "id": "chatcmpl-1", "type": "message", "role": "assistant", "model": "m",
            "content": [{ "type": "text", "text": "a" }],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {
                "input_tokens": 3, "output_tokens": 2, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            },
        })
    );
}

#[test]
fn every_reason_to_end_has_its_word() {
    let text = json!([{ "type": "text", "text": "a" }]);
    for (stop, finish) in [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("refusal", "content_filter"),
        ("model_context_window_exceeded", "length"),
        // No call was made, whatever is said.
        ("tool_use", "stop"),
    ] {
        assert_eq!(to_chat(text.clone(), stop).0["choices"][0]["finish_reason"], finish, "{stop}");
    }
    for (finish, stop) in [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal")] {
        assert_eq!(to_messages(json!({ "content": "a" }), finish).0["stop_reason"], stop, "{finish}");
    }
}

#[test]
fn calls_end_in_calls_and_length_stays_length() {
    let (body, _) = to_messages(json!({ "content": null, "tool_calls": call(json!("{\"a\":1}")) }), "stop");
    assert_eq!(body["stop_reason"], "tool_use");
    assert_eq!(
        body["content"],
        json!([{ "type": "tool_use", "id": "c1", "name": "f", "input": { "a": 1 } }])
    );
    let (body, effects) =
        to_messages(json!({ "content": null, "tool_calls": call(json!("{\"city")) }), "length");
    assert_eq!(body["stop_reason"], "max_tokens");
    assert_eq!(body["content"][0]["input"], json!({ "raw_arguments": "{\"city" }));
    assert!(
        effects.contains(&"adapted choices[0].message.tool_calls[0].function.arguments".to_owned()),
        "{effects:?}"
    );
}

#[test]
fn arguments_in_odd_forms_are_read() {
    for (arguments, input) in [
        (json!({ "a": 1 }), json!({ "a": 1 })),
        (json!("\"{\\\"a\\\":1}\""), json!({ "a": 1 })),
        (json!(""), json!({})),
        (json!(null), json!({})),
        (json!("{\"a\":1.0,\"pages\":\"\"}"), json!({ "a": 1.0, "pages": "" })),
    ] {
        let (body, _) = to_messages(json!({ "tool_calls": call(arguments.clone()) }), "tool_calls");
        assert_eq!(body["content"][0]["input"], input, "{arguments}");
    }
    let untyped = json!([{ "id": "c1", "function": { "name": "f", "arguments": "{}" } }]);
    let (body, _) = to_messages(json!({ "tool_calls": untyped }), "tool_calls");
    assert_eq!(body["content"], json!([{ "type": "tool_use", "id": "c1", "name": "f", "input": {} }]));
}

#[test]
fn calls_without_an_id_of_their_own_get_one() {
    let calls = json!([
        { "id": "", "type": "function", "function": { "name": "f", "arguments": "{}" } },
        { "id": "same", "type": "function", "function": { "name": "f", "arguments": "{}" } },
        { "id": "same", "type": "function", "function": { "name": "f", "arguments": "{}" } },
    ]);
    let (body, _) = to_messages(json!({ "tool_calls": calls }), "tool_calls");
    let ids: Vec<&str> =
        body["content"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap()).collect();
    assert!(ids[0].starts_with("toolu_") && ids[1] == "same" && ids[2].starts_with("toolu_"), "{ids:?}");
    assert_ne!(ids[0], ids[2]);
}

#[test]
fn a_refusal_keeps_its_words_both_ways() {
    let mut answer = message(json!([]), "refusal");
    answer["stop_details"] = json!({ "type": "refusal", "category": "cyber", "explanation": "No." });
    let (body, _) = back(&chat(json!({})).state, &answer, &Carriage::default());
    let choice = &body["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["refusal"]),
        (&json!("content_filter"), &json!("No."))
    );
    assert_eq!(choice["message"]["content"], Value::Null);
    assert_eq!(body["usage"]["completion_tokens"], 2);
    let (body, _) = to_messages(json!({ "content": null, "refusal": "I can't." }), "stop");
    assert_eq!(body["stop_reason"], "refusal");
    assert_eq!(body["content"], json!([{ "type": "text", "text": "I can't." }]));
    assert_eq!(body["stop_details"]["explanation"], "I can't.");
}

#[test]
fn counts_mean_the_same_on_both_sides() {
    let mut answer = completion(json!({ "content": "a" }), "stop");
    answer["usage"] = json!({
        "prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050,
        "prompt_tokens_details": { "cached_tokens": 800 }, "completion_tokens_details": { "reasoning_tokens": 30 },
    });
    let (body, _) = back(&messages(json!({})).state, &answer, &Carriage::default());
    assert_eq!(
        (
            &body["usage"]["input_tokens"],
            &body["usage"]["cache_read_input_tokens"],
            &body["usage"]["output_tokens"]
        ),
        (&json!(200), &json!(800), &json!(50))
    );
    let mut answer = message(json!([]), "end_turn");
    answer["usage"] = json!({
        "input_tokens": 200, "cache_read_input_tokens": 700, "cache_creation_input_tokens": 100, "output_tokens": 50,
        "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 100 },
    });
    let (body, _) = back(&chat(json!({})).state, &answer, &Carriage::default());
    assert_eq!(
        (&body["usage"]["prompt_tokens"], &body["usage"]["total_tokens"]),
        (&json!(1000), &json!(1050))
    );
    assert_eq!(body["usage"]["prompt_tokens_details"]["cached_tokens"], 700);
}

#[test]
fn citations_of_addresses_are_annotations() {
    let (body, effects) = to_chat(
        json!([
            { "type": "text", "text": "See " },
            { "type": "text", "text": "this", "citations": [
                { "type": "web_search_result_location", "url": "https://e.com", "title": "E", "cited_text": "x", "encrypted_index": "i" },
                { "type": "char_location", "cited_text": "x", "document_index": 0, "document_title": "D", "start_char_index": 0, "end_char_index": 1 },
            ] },
        ]),
        "end_turn",
    );
    assert_eq!(body["choices"][0]["message"]["content"], "See this");
    assert_eq!(
        body["choices"][0]["message"]["annotations"],
        json!([{ "type": "url_citation", "url_citation": { "url": "https://e.com", "title": "E", "start_index": 4, "end_index": 8 } }])
    );
    assert!(effects.contains(&"dropped content[1].citations[1]".to_owned()), "{effects:?}");
}

#[test]
fn of_several_answers_the_first_is_given_and_the_rest_reported() {
    let mut answer = completion(json!({ "content": "a" }), "stop");
    let second =
        json!({ "index": 1, "message": { "role": "assistant", "content": "b" }, "finish_reason": "stop" });
    answer["choices"].as_array_mut().unwrap().push(second);
    let (body, effects) = back(&messages(json!({})).state, &answer, &Carriage::default());
    assert_eq!(body["content"], json!([{ "type": "text", "text": "a" }]));
    assert!(effects.contains(&"dropped choices[1]".to_owned()), "{effects:?}");
}

#[test]
fn an_empty_answer_is_an_answer() {
    let (body, _) = to_messages(json!({ "content": null }), "length");
    assert_eq!((&body["content"], &body["stop_reason"]), (&json!([]), &json!("max_tokens")));
    let (body, _) = to_chat(json!([]), "max_tokens");
    assert_eq!(body["choices"][0]["message"]["content"], Value::Null);
    assert_eq!(body["choices"][0]["finish_reason"], "length");
}

#[test]
fn what_is_no_answer_is_malformed() {
    let malformed = |state: &CallState, body: &[u8]| -> Malformed {
        response(body, state, &Carriage::default()).err().unwrap()
    };
    let (to_chat, to_messages) = (chat(json!({})).state, messages(json!({})).state);
    assert!(malformed(&to_messages, br#"{"error":{"message":"x"}}"#).message.contains("choices"));
    assert!(malformed(&to_chat, br#"{"type":"error","error":{}}"#).message.contains("content"));
    for body in [
        &b"<html>"[..],
        b"",
        b"[]",
        b"\xff",
        br#"{"content":5}"#,
        br#"{"choices":[{"message":{"content":{}}}]}"#,
    ] {
        malformed(&to_messages, body);
        malformed(&to_chat, body);
    }
}

#[test]
fn ids_that_a_client_cannot_read_are_made_anew() {
    let mut answer = completion(json!({ "content": "a" }), "stop");
    answer["id"] = json!("");
    let (body, _) = back(&messages(json!({})).state, &answer, &Carriage::default());
    assert!(body["id"].as_str().unwrap().starts_with("msg_"));
    let mut answer = message(json!([]), "end_turn");
    answer["id"] = json!("a b");
    let (body, _) = back(&chat(json!({})).state, &answer, &Carriage::default());
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
}

#[test]
fn of_several_calls_the_first_is_handed_on_to_a_caller_of_one_at_a_time() {
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
    let said = message(json!([{"type": "text", "text": "a"}, call("x"), call("y"), call("z")]), "tool_use");
    let facts = facts();
    let state =
        CallState { one_call: true, ..CallState::new(Protocol::OpenaiChat, Protocol::Anthropic, &facts) };
    let (answer, effects) = back(&state, &said, &Carriage::default());
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["tool_calls"].as_array().map(Vec::len), Some(1), "{message}");
    assert_eq!((&message["tool_calls"][0]["id"], &message["content"]), (&json!("x"), &json!("a")));
    assert_eq!(
        effects.iter().filter(|effect| effect.starts_with("emulated content[")).count(),
        2,
        "{effects:?}"
    );
}
