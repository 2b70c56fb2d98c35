//! A responses backend and clients of the other protocols.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixtures::{RESPONSES_TEXT, RESPONSES_TOOLS};
use super::{Run, accumulate_anthropic, accumulate_chat, call, chunk, chunks, events, frames, run};
use crate::Protocol;
use crate::fault::Class;
use crate::stream::{Limits, StreamFault};
use crate::translate::carriage::Envelope;

fn chat(stream: &[u8]) -> Run {
    run(&call(Protocol::OpenaiChat, Protocol::OpenaiResponses), stream)
}

fn messages(stream: &[u8]) -> Run {
    run(&call(Protocol::Anthropic, Protocol::OpenaiResponses), stream)
}

fn created() -> Value {
    json!({"type": "response.created", "response": {
        "id": "resp_1", "created_at": 1_699_999_999, "model": "m-1", "status": "in_progress", "output": [],
    }})
}

fn completed(output: Value) -> Value {
    json!({"type": "response.completed", "response": {
        "id": "resp_1", "created_at": 1_699_999_999, "model": "m-1", "status": "completed", "output": output,
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    }})
}

fn done(index: u64, item: &Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": index, "item": item})
}

fn message(text: &str) -> Value {
    json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
           "content": [{"type": "output_text", "text": text, "annotations": []}]})
}

fn function(id: &str, name: &str, arguments: Value) -> Value {
    json!({"type": "function_call", "id": id, "call_id": format!("call_{id}"), "name": name, "arguments": arguments})
}

/// The content that a messages client ends with.
fn content(stream: &[Value]) -> Value {
    let run = messages(&events(stream));
    assert!(run.result.as_ref().is_ok_and(|progress| progress.done), "{run:?}");
    accumulate_anthropic(&run.text)["content"].clone()
}

#[test]
fn text_and_what_it_cites() {
    let run = chat(RESPONSES_TEXT);
    let answer = accumulate_chat(&run.text);
    assert_eq!(answer["message"]["content"], "naïve 北京 😀\n\"q\" done");
    let cited =
        json!({"url": "https://example.com/candide", "title": "Voltaire", "start_index": 0, "end_index": 5});
    assert_eq!(answer["message"]["annotations"][0]["url_citation"], cited);
    assert_eq!(answer["finish_reason"], "stop");
    assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 800);
    assert_eq!((run.counts.input, run.counts.output), (Some(1000), Some(50)));
    assert!(run.text.starts_with("data: {\"id\":\"resp_0a1b2c3d4e5f\",\"object\":\"chat.completion.chunk\",\"created\":1741476777,\"model\":\"gpt-5.1-2025-11-13\""));

    let answer = accumulate_anthropic(&messages(RESPONSES_TEXT).text);
    assert_eq!(answer["content"][0]["text"], "naïve 北京 😀\n\"q\" done");
    assert_eq!(answer["stop_reason"], "end_turn");
    assert_eq!(answer["usage"]["cache_read_input_tokens"], 800);
    assert_eq!(answer["usage"]["input_tokens"], 200);
}

#[test]
fn a_citation_of_a_later_part_counts_from_the_beginning_of_the_answer() {
    let cited =
        json!({"type": "url_citation", "url": "https://a", "title": "t", "start_index": 1, "end_index": 2});
    let mut item = message("abc");
    let later = json!({"type": "output_text", "text": "def", "annotations": [cited]});
    item["content"].as_array_mut().unwrap().push(later);
    let run = chat(&events(&[created(), completed(json!([item]))]));
    let message = &accumulate_chat(&run.text)["message"];
    assert_eq!(message["content"], "abcdef");
    let cited = &message["annotations"][0]["url_citation"];
    assert_eq!((&cited["start_index"], &cited["end_index"]), (&json!(4), &json!(5)));
}

#[test]
fn reasoning_text_and_calls() {
    let run = messages(RESPONSES_TOOLS);
    let answer = accumulate_anthropic(&run.text);
    let content = answer["content"].as_array().unwrap();
    assert_eq!(content[0]["thinking"], "Two cities: ask both.\n\nThen compare.");
    let sealed = Envelope::open(content[0]["signature"].as_str().unwrap()).unwrap();
    assert_eq!(sealed.issuer, Protocol::OpenaiResponses);
    assert_eq!(sealed.blocks[0].signature.as_deref(), Some("gAAAAABsecret=="));
    assert_eq!(content[1], json!({"type": "text", "text": "I'll look."}));
    let call = |id: &str, city: &str| json!({"type": "tool_use", "id": id, "name": "weather", "input": {"city": city}});
    assert_eq!(content[2..], [call("call_a", "Paris"), call("call_b", "Rome")]);
    assert_eq!(answer["stop_reason"], "tool_use");
    assert_eq!(answer["usage"]["output_tokens_details"]["thinking_tokens"], 30);

    let answer = accumulate_chat(&chat(RESPONSES_TOOLS).text);
    assert_eq!(answer["finish_reason"], "tool_calls");
    assert_eq!(answer["message"]["reasoning_content"], "Two cities: ask both.\n\nThen compare.");
    assert_eq!(answer["message"]["tool_calls"][1]["function"]["arguments"], "{\"city\":\"Rome\"}");
}

#[test]
fn what_never_came_in_pieces_is_taken_from_the_whole() {
    let item = |n: usize| {
        [
            json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}),
            message("4"),
            function("1", "f", json!("{\"a\":1}")),
            function("2", "g", json!({"b": 2})),
        ][n]
            .clone()
    };
    let items: Vec<Value> = (0..4).map(item).collect();
    let by_item: Vec<Value> = (0..4).map(|n| done(n, &items[n as usize])).collect();
    let place = json!({"output_index": 1, "content_index": 0, "item_id": "msg_1"});
    let with = |kind: &str, more: Value| {
        let mut event = place.clone();
        event["type"] = json!(kind);
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let text_done = with("response.output_text.done", json!({"text": "4"}));
    let part_done = with(
        "response.content_part.done",
        json!({"part": {"type": "output_text", "text": "4", "annotations": []}}),
    );
    let added = json!({"type": "response.output_item.added", "output_index": 2, "item": function("1", "f", json!(""))});
    let arguments =
        json!({"type": "response.function_call_arguments.done", "output_index": 2, "arguments": "{\"a\":1}"});
    let last = completed(json!(items));
    let expected = content(&[vec![created()], by_item.clone(), vec![last.clone()]].concat());
    assert_eq!(expected[0]["thinking"], "hm");
    assert_eq!(expected[1]["text"], "4");
    assert_eq!((&expected[2]["input"], &expected[3]["input"]), (&json!({"a": 1}), &json!({"b": 2})));
    for events in [
        vec![created(), last.clone()],
        vec![last.clone()],
        vec![created(), by_item[0].clone(), text_done.clone(), part_done, by_item[2].clone(), last.clone()],
        vec![created(), by_item[0].clone(), text_done, added, arguments, last],
    ] {
        assert_eq!(content(&events), expected, "{events:?}");
    }
}

#[test]
fn an_item_that_the_end_tells_again_is_not_told_twice() {
    let mut again = message("4");
    again["id"] = json!("msg_other");
    let thought = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "E"});
    let stream = [created(), done(0, &thought), done(1, &message("4")), completed(json!([again]))];
    let content = content(&stream);
    assert_eq!(content.as_array().unwrap().len(), 2, "{content}");
    assert_eq!(content[0]["type"], "redacted_thinking");
    let sealed = Envelope::open(content[0]["data"].as_str().unwrap()).unwrap();
    assert_eq!((sealed.issuer, sealed.blocks.len()), (Protocol::OpenaiResponses, 1));
}

#[test]
fn events_without_numbers_belong_to_the_last_item() {
    let stream = [
        json!({"type": "response.output_text.delta", "delta": "a"}),
        json!({"type": "response.output_text.delta", "delta": "b"}),
        done(0, &message("ab")),
        json!({"type": "response.function_call_arguments.delta", "item_id": "1", "delta": "{}"}),
        json!({"type": "response.output_item.done", "item": function("1", "f", json!("{}"))}),
        completed(json!([])),
    ];
    let content = content(&stream);
    assert_eq!(content[0]["text"], "ab");
    assert_eq!((&content[1]["name"], &content[1]["id"]), (&json!("f"), &json!("call_1")));
}

#[test]
fn raw_reasoning_is_told_where_there_is_no_summary_of_it() {
    let delta =
        |kind: &str, text: &str| json!({"type": kind, "output_index": 0, "item_id": "rs_1", "delta": text});
    let item = json!({"type": "reasoning", "id": "rs_1", "summary": [], "content": [
        {"type": "reasoning_text", "text": "a\nb"},
    ]});
    let stream = [
        created(),
        delta("response.reasoning_text.delta", "a\n"),
        delta("response.reasoning_text.delta", "b"),
        done(0, &item),
        completed(json!([item])),
    ];
    assert_eq!(content(&stream)[0]["thinking"], "a\nb");
    assert_eq!(content(&[created(), completed(json!([item]))])[0]["thinking"], "a\nb");
}

#[test]
fn refusals_and_free_text_have_their_own_form() {
    let part = json!({"type": "refusal", "refusal": "No."});
    let refused = json!({"type": "message", "id": "m", "role": "assistant", "content": [part]});
    let delta =
        json!({"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": "No."});
    let run = chat(&events(&[created(), delta, done(0, &refused), completed(json!([refused]))]));
    assert_eq!(accumulate_chat(&run.text)["message"]["refusal"], "No.");

    let custom =
        json!({"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "sh", "input": ""});
    let delta = |text: &str| json!({"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": text});
    let added = json!({"type": "response.output_item.added", "output_index": 0, "item": custom});
    let run = chat(&events(&[created(), added, delta("ls "), delta("-l"), completed(json!([]))]));
    let answer = accumulate_chat(&run.text);
    let call = &answer["message"]["tool_calls"][0];
    assert_eq!(call["custom"], json!({"name": "sh", "input": "ls -l"}));
    assert_eq!(answer["finish_reason"], "tool_calls");
}

#[test]
fn an_answer_that_is_not_complete_says_why() {
    for (reason, finish) in [("max_output_tokens", "length"), ("content_filter", "content_filter")] {
        for kind in ["response.incomplete", "response.completed"] {
            let mut last = completed(json!([message("4"), function("1", "f", json!("{\"a\""))]));
            last["type"] = json!(kind);
            last["response"]["status"] = json!("incomplete");
            last["response"]["incomplete_details"] = json!({"reason": reason});
            let run = chat(&events(&[created(), last]));
            assert_eq!(accumulate_chat(&run.text)["finish_reason"], finish, "{kind}");
        }
    }
}

#[test]
fn a_failure_is_told_with_its_class() {
    let failed = |error: Value| json!({"type": "response.failed", "response": {"id": "resp_1", "status": "failed", "error": error}});
    let limited = json!({"code": "rate_limit_exceeded", "message": "slow down"});
    for (event, class, message) in [
        (failed(limited.clone()), Class::RateLimited, "slow down"),
        (
            json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": null}),
            Class::RateLimited,
            "slow down",
        ),
        (json!({"type": "error", "error": limited}), Class::RateLimited, "slow down"),
        (failed(json!({"code": "server_error", "message": "boom"})), Class::ServerError, "boom"),
        (failed(json!({"code": "invalid_prompt", "message": "bad"})), Class::InvalidRequest, "bad"),
    ] {
        let run = chat(&events(&[created(), event.clone()]));
        let Err(StreamFault::Upstream(fault)) = run.result else { panic!("{event}") };
        assert_eq!((fault.class, fault.message.as_ref()), (class, message), "{event}");
    }
}

#[test]
fn an_end_without_the_last_event_is_a_cut() {
    let mut stream = events(&[created(), done(0, &message("4"))]);
    assert_eq!(chat(&stream).result.unwrap_err(), StreamFault::Cut);
    stream.extend_from_slice(b"data: [DONE]\n\n");
    assert_eq!(chat(&stream).result.unwrap_err(), StreamFault::Cut);
    let mut stream = events(&[created(), completed(json!([message("4")]))]);
    stream.extend_from_slice(b"data: [DONE]\n\n");
    assert!(chat(&stream).result.unwrap().done);
}

#[test]
fn what_other_protocols_have_no_form_for_is_reported() {
    let search =
        json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}});
    let going = json!({"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws_1"});
    let news = json!({"type": "response.news", "output_index": 0});
    let run =
        chat(&events(&[created(), going, news, done(0, &search), completed(json!([search, message("4")]))]));
    assert_eq!(accumulate_chat(&run.text)["message"]["content"], "4");
    let lost: Vec<_> = run.ledger.effects().iter().map(|effect| effect.path.as_str()).collect();
    assert_eq!(lost, ["content.native", "event.response.news"]);
}

#[test]
fn a_whole_answer_in_place_of_a_stream_is_one_all_the_same() {
    let body = completed(json!([message("4"), function("1", "f", json!("{}"))]))["response"].to_string();
    let answer = accumulate_anthropic(&messages(body.as_bytes()).text);
    assert_eq!((&answer["content"][0]["text"], &answer["content"][1]["name"]), (&json!("4"), &json!("f")));
    let failed =
        json!({"id": "resp_1", "status": "failed", "error": {"code": "server_error", "message": "boom"}});
    let run = chat(failed.to_string().as_bytes());
    assert!(matches!(run.result, Err(StreamFault::Upstream(fault)) if fault.message == "boom"));
}

#[test]
fn numbers_of_parts_and_bytes_that_wait_are_bounded() {
    let limits = Limits { held: 16, blocks: 2, ..Limits::default() };
    let call = call(Protocol::OpenaiChat, Protocol::OpenaiResponses);
    let fault = |stream: &[Value]| super::run_pieces(&call, &[&events(stream)], limits).result.unwrap_err();
    let many: Vec<Value> = (0..3).map(|n| done(n, &message("4"))).collect();
    assert_eq!(fault(&many), StreamFault::TooManyBlocks { limit: 2 });
    let nameless = |text: &str| json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": text});
    assert_eq!(
        fault(&[nameless("123456789"), nameless("123456789")]),
        StreamFault::TooMuchHeld { limit: 16 }
    );
}

/// Events that a server may leave out, as others say the same.
fn is_left_out(name: &str, left_out: [bool; 5]) -> bool {
    let group = match name {
        "response.output_item.added" | "response.content_part.added" => 0,
        _ if name.ends_with(".delta") => 1,
        "response.content_part.done" | "response.reasoning_summary_part.done" => 2,
        "response.output_item.done" => 3,
        _ if name.ends_with(".done") => 4,
        _ => return false,
    };
    left_out[group]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn whatever_a_server_leaves_out_the_answer_is_the_same(
        said in proptest::collection::vec((0u8..4, "[a-z \"\\\\\n北😀]{1,12}"), 0..10),
        left_out in any::<[bool; 5]>(),
    ) {
        let mut calls = 0;
        let mut stream = Vec::new();
        for (kind, text) in &said {
            stream.push(chunk(match kind {
                0 => json!({"reasoning_content": text}),
                1 => json!({"refusal": text}),
                2 => {
                    calls += 1;
                    let arguments = json!({"t": text}).to_string();
                    json!({"tool_calls": [{"index": calls, "id": format!("c{calls}"), "type": "function",
                           "function": {"name": "f", "arguments": arguments}}]})
                }
                _ => json!({"content": text}),
            }, None));
        }
        stream.push(chunk(json!({}), Some(if calls > 0 { "tool_calls" } else { "stop" })));
        let stream = chunks(&stream);
        // The same answer by way of this protocol; reasoning stands there without a signature.
        let sent = run(&call(Protocol::OpenaiResponses, Protocol::OpenaiChat), &stream).text;
        let mut sent: Vec<Value> = frames(&sent).into_iter().map(|(_, event)| event).collect();
        sent.retain(|event| !is_left_out(event["type"].as_str().unwrap(), left_out));
        for event in &mut sent {
            let bare = |item: &mut Value| drop(item.as_object_mut().unwrap().remove("encrypted_content"));
            if let Some(item) = event.get_mut("item") {
                bare(item);
            }
            let output = event.get_mut("response").and_then(|response| response["output"].as_array_mut());
            output.into_iter().flatten().for_each(bare);
        }
        let told = chat(&events(&sent));
        prop_assert!(told.result.is_ok(), "{:?}", told);
        let direct = run(&call(Protocol::OpenaiChat, Protocol::OpenaiChat), &stream);
        let (mut told, mut direct) = (accumulate_chat(&told.text), accumulate_chat(&direct.text));
        for answer in [&mut told, &mut direct] {
            answer["usage"] = Value::Null;
            let message = answer["message"].as_object_mut().unwrap();
            message.retain(|_, value| *value != json!(""));
        }
        prop_assert_eq!(told, direct);
    }
}
