//! A responses client and backends of the other protocols.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixtures::{
    ANTHROPIC_TEXT, ANTHROPIC_TOOLS, CHAT_TEXT, CHAT_TOOLS, RESPONSES_TEXT, RESPONSES_TOOLS,
};
use super::{Run, accumulate_responses, call, chunk, chunks, events, frames, run, run_pieces};
use crate::Protocol;
use crate::fault::{Class, Fault};
use crate::stream::{Limits, StreamFault, Transcoder};
use crate::translate::carriage::Envelope;
use crate::translate::{CallState, Carriage, Echo};

fn state(backend: Protocol) -> CallState {
    CallState {
        echo: Some(Echo::of(r#"{"instructions":"Be brief.","temperature":0.5}"#)),
        ..call(Protocol::OpenaiResponses, backend)
    }
}

fn of(backend: Protocol, stream: &[u8]) -> Run {
    let run = run(&state(backend), stream);
    assert!(run.result.as_ref().is_ok_and(|progress| progress.done), "{run:?}");
    run
}

fn of_chat(stream: &[Value]) -> Value {
    accumulate_responses(&of(Protocol::OpenaiChat, &chunks(stream)).text)
}

#[test]
fn text_event_by_event() {
    let run = of(Protocol::OpenaiChat, CHAT_TEXT);
    let response = |status: &str, output: &str, usage: &str| {
        format!(
            "\"response\":{{\"id\":\"chatcmpl-AbC\",\"object\":\"response\",\"created_at\":1699999999,\"status\":\"{status}\",\
             \"error\":null,\"incomplete_details\":null,\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\
             \"background\":false,\"instructions\":\"Be brief.\",\"max_output_tokens\":null,\"max_tool_calls\":null,\
             \"metadata\":{{}},\"parallel_tool_calls\":true,\"previous_response_id\":null,\"prompt_cache_key\":null,\
             \"reasoning\":{{\"effort\":null,\"summary\":null}},\"safety_identifier\":null,\"store\":false,\
             \"temperature\":0.5,\"text\":{{\"format\":{{\"type\":\"text\"}}}},\"tool_choice\":\"auto\",\"tools\":[],\
             \"top_logprobs\":0,\"top_p\":null,\"truncation\":\"disabled\",\"user\":null,\
             \"output\":[{output}],\"usage\":{usage}}}"
        )
    };
    let text = r#"naïve 北京 😀\n\"q\" done"#;
    let part = format!(r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":"{text}"}}"#);
    let item = |status: &str, parts: &str| {
        format!(
            r#"{{"id":"msg_AbC_0","type":"message","status":"{status}","content":[{parts}],"role":"assistant"}}"#
        )
    };
    let at = r#""item_id":"msg_AbC_0","output_index":0,"content_index":0"#;
    let delta =
        |text: &str| ("response.output_text.delta", format!(r#"{at},"delta":"{text}","logprobs":[]"#));
    let usage = r#"{"input_tokens":1000,"input_tokens_details":{"cache_write_tokens":0,"cached_tokens":800},"output_tokens":50,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":1050}"#;
    let done = item("completed", &part);
    let expected = [
        ("response.created", response("in_progress", "", "null")),
        ("response.in_progress", response("in_progress", "", "null")),
        ("response.output_item.added", format!(r#""output_index":0,"item":{}"#, item("in_progress", ""))),
        (
            "response.content_part.added",
            format!(r#"{at},"part":{{"type":"output_text","annotations":[],"logprobs":[],"text":""}}"#),
        ),
        delta("naïve "),
        delta(r#"北京 😀\n\"q\""#),
        delta(" done"),
        ("response.output_text.done", format!(r#"{at},"text":"{text}","logprobs":[]"#)),
        ("response.content_part.done", format!(r#"{at},"part":{part}"#)),
        ("response.output_item.done", format!(r#""output_index":0,"item":{done}"#)),
        ("response.completed", response("completed", &done, usage)),
    ];
    let expected: String = expected
        .iter()
        .enumerate()
        .map(|(n, (name, members))| {
            format!("event: {name}\ndata: {{\"type\":\"{name}\",\"sequence_number\":{n},{members}}}\n\n")
        })
        .collect();
    assert_eq!(run.text, expected);
}

#[test]
fn reasoning_text_and_calls_of_a_messages_backend() {
    let answer = accumulate_responses(&of(Protocol::Anthropic, ANTHROPIC_TOOLS).text);
    let output = answer["output"].as_array().unwrap();
    let kinds: Vec<_> = output.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call", "function_call"]);
    assert_eq!(output[0]["summary"], json!([{"type": "summary_text", "text": "Two cities: ask both."}]));
    let sealed = Envelope::open(output[0]["encrypted_content"].as_str().unwrap()).unwrap();
    assert_eq!(sealed.issuer, Protocol::Anthropic);
    assert_eq!(sealed.blocks[0].signature.as_deref(), Some("EqQBCgIYAhIM+/=="));
    assert_eq!(output[1]["content"][0]["text"], "I'll look.");
    assert_eq!(output[2]["arguments"], "{\"city\": \"Paris\"}");
    assert_eq!((&output[2]["call_id"], &output[2]["name"]), (&json!("toolu_01"), &json!("weather")));
    assert_eq!(output[3]["arguments"], "{}", "clients parse the arguments of a call without any");
    assert_eq!(answer["usage"]["output_tokens_details"]["reasoning_tokens"], 12);
    let answer = accumulate_responses(&of(Protocol::Anthropic, ANTHROPIC_TEXT).text);
    assert_eq!(
        (&answer["usage"]["input_tokens"], &answer["usage"]["total_tokens"]),
        (&json!(123), &json!(130))
    );
    assert_eq!(
        answer["usage"]["input_tokens_details"],
        json!({"cached_tokens": 20, "cache_write_tokens": 3})
    );
}

#[test]
fn calls_whose_arguments_come_by_turns_are_open_together() {
    let run = of(Protocol::OpenaiChat, CHAT_TOOLS);
    let answer = accumulate_responses(&run.text);
    let output = answer["output"].as_array().unwrap();
    assert_eq!(output[0]["summary"][0]["text"], "Two cities: ask both.");
    assert_eq!(output[2]["arguments"].as_str().unwrap().replace(' ', ""), "{\"city\":\"Paris\"}");
    assert_eq!(output[3]["arguments"].as_str().unwrap().replace(' ', ""), "{\"city\":\"Rome\"}");
    let ids: Vec<_> = output.iter().map(|item| item["id"].as_str().unwrap()).collect();
    let word = ids[0].strip_prefix("rs_").unwrap().strip_suffix("_0").unwrap();
    assert_eq!(ids[1..], [format!("msg_{word}_1"), format!("fc_{word}_2"), format!("fc_{word}_3")]);
}

#[test]
fn the_providers_own_stream_says_the_same_once_more() {
    for stream in [RESPONSES_TEXT, RESPONSES_TOOLS] {
        let answer = accumulate_responses(&of(Protocol::OpenaiResponses, stream).text);
        let sent = frames(std::str::from_utf8(stream).unwrap()).pop().unwrap().1["response"].clone();
        assert_eq!(answer["usage"]["total_tokens"], sent["usage"]["total_tokens"]);
        let (told, sent) = (answer["output"].as_array().unwrap(), sent["output"].as_array().unwrap());
        assert_eq!(told.len(), sent.len());
        for (told, sent) in told.iter().zip(sent) {
            assert_eq!(told["type"], sent["type"]);
            for member in ["content", "arguments", "call_id", "encrypted_content"] {
                assert_eq!(told[member], sent[member]);
            }
        }
    }
    let answer = accumulate_responses(&of(Protocol::OpenaiResponses, RESPONSES_TOOLS).text);
    assert_eq!(answer["output"][0]["id"], "rs_0a1b2c01");
    assert_eq!(answer["output"][0]["summary"][0]["text"], "Two cities: ask both.\n\nThen compare.");
    let search =
        json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}});
    let last = json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": [search]}});
    let answer = accumulate_responses(&of(Protocol::OpenaiResponses, &events(&[last])).text);
    assert_eq!(answer["output"], json!([search]));
}

#[test]
fn refusals_are_parts_of_a_message() {
    let answer = of_chat(&[
        chunk(json!({"refusal": "No"}), None),
        chunk(json!({"refusal": "."}), None),
        chunk(json!({}), Some("stop")),
    ]);
    assert_eq!(answer["output"][0]["content"], json!([{"type": "refusal", "refusal": "No."}]));
    assert_eq!(answer["status"], "completed");
    let stop = json!({"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_sequence": null,
        "stop_details": {"type": "refusal", "category": null, "explanation": "I cannot."}}, "usage": {"output_tokens": 9}});
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "model": "c", "usage": {"input_tokens": 5}}});
    let stream = events(&[start, stop, json!({"type": "message_stop"})]);
    let answer = accumulate_responses(&of(Protocol::Anthropic, &stream).text);
    assert_eq!(answer["output"][0]["content"], json!([{"type": "refusal", "refusal": "I cannot."}]));
}

#[test]
fn texts_one_after_the_other_are_parts_of_one_message() {
    let block = |index: u64, content: Value, delta: Value| {
        [
            json!({"type": "content_block_start", "index": index, "content_block": content}),
            json!({"type": "content_block_delta", "index": index, "delta": delta}),
            json!({"type": "content_block_stop", "index": index}),
        ]
    };
    let text = |index: u64, text: &str| {
        block(index, json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": text}))
    };
    let cited = |url: &str| {
        let citation = json!({"type": "web_search_result_location", "url": url, "title": "t", "cited_text": "c", "encrypted_index": "e"});
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": citation}})
    };
    let mut cites = text(1, "naïve").to_vec();
    cites.insert(1, cited("https://a"));
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "model": "c", "usage": {"input_tokens": 5}}});
    let empty =
        json!({"type": "content_block_start", "index": 4, "content_block": {"type": "text", "text": ""}});
    let stream = [
        vec![start],
        text(0, "a").to_vec(),
        cites,
        block(
            2,
            json!({"type": "tool_use", "id": "c1", "name": "f", "input": {}}),
            json!({"type": "input_json_delta", "partial_json": "{}"}),
        )
        .to_vec(),
        text(3, "b").to_vec(),
        vec![
            empty,
            json!({"type": "content_block_stop", "index": 4}),
            json!({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 9}}),
            json!({"type": "message_stop"}),
        ],
    ];
    let answer = accumulate_responses(&of(Protocol::Anthropic, &events(&stream.concat())).text);
    let output = answer["output"].as_array().unwrap();
    let annotation =
        json!({"type": "url_citation", "url": "https://a", "title": "t", "start_index": 0, "end_index": 5});
    let part = |text: &str, annotations: Value| json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": []});
    assert_eq!(output[0]["content"], json!([part("a", json!([])), part("naïve", json!([annotation]))]));
    assert_eq!(output[1]["type"], "function_call");
    assert_eq!(output[2]["content"], json!([part("b", json!([]))]), "a text without a word is no part");
    assert_eq!((&output[0]["status"], &output[2]["status"]), (&json!("completed"), &json!("incomplete")));
    assert_eq!(answer["status"], "incomplete");
    assert_eq!(answer["incomplete_details"], json!({"reason": "max_output_tokens"}));
}

#[test]
fn an_answer_that_is_not_complete_says_why() {
    for (finish, reason) in [("length", "max_output_tokens"), ("content_filter", "content_filter")] {
        let answer = of_chat(&[chunk(json!({"content": "a"}), None), chunk(json!({}), Some(finish))]);
        assert_eq!(
            (&answer["status"], &answer["incomplete_details"]["reason"]),
            (&json!("incomplete"), &json!(reason))
        );
    }
}

#[test]
fn free_text_and_encrypted_reasoning_have_their_own_items() {
    let call = CallState { custom_tools: ["sh".to_owned()].into(), ..state(Protocol::Anthropic) };
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "model": "c", "usage": {"input_tokens": 5}}});
    let stream = [
        start,
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "redacted_thinking", "data": "E+/="}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "c1", "name": "sh", "input": {}}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"input\":\"ls\\n\"}"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ];
    let answer = accumulate_responses(&run(&call, &events(&stream)).text);
    let sealed = Envelope::open(answer["output"][0]["encrypted_content"].as_str().unwrap()).unwrap();
    assert_eq!((sealed.issuer, sealed.blocks[0].data.as_deref()), (Protocol::Anthropic, Some("E+/=")));
    let expected =
        json!({"id": "ctc_1_1", "type": "custom_tool_call", "input": "ls\n", "call_id": "c1", "name": "sh"});
    assert_eq!(answer["output"][1], expected);
}

#[test]
fn signs_of_life_and_failures_have_their_place_in_the_order() {
    let mut transcoder =
        Transcoder::new(state(Protocol::OpenaiChat), Limits::default(), Carriage::default()).unwrap();
    let mut out = Vec::new();
    transcoder.keep_alive(&mut out);
    assert_eq!(std::mem::take(&mut out), b": ping\n", "no event stands before the first one");
    let said = chunks(&[chunk(json!({"content": "a"}), None)]);
    let said = said.strip_suffix(b"data: [DONE]\n\n").unwrap();
    transcoder.push(said, &mut out).unwrap();
    transcoder.keep_alive(&mut out);
    let fault = Fault::upstream(Class::Overloaded, "full");
    transcoder.fail(&fault, "r1", &mut out);
    let frames = frames(std::str::from_utf8(&out).unwrap());
    for (n, (_, event)) in frames.iter().enumerate() {
        assert_eq!(event["sequence_number"], n);
    }
    let names: Vec<_> = frames.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names[4..],
        ["response.output_text.delta", "response.in_progress", "error", "response.failed"]
    );
    let [error, failed] = &frames[6..] else { panic!() };
    let expected = json!({"type": "error", "sequence_number": 6, "code": "server_overloaded", "message": "full", "param": null});
    assert_eq!(error.1, expected);
    assert_eq!(failed.1["response"]["error"], json!({"code": "server_error", "message": "full"}));
    assert_eq!(failed.1["response"]["status"], "failed");
}

#[test]
fn what_is_kept_is_bounded() {
    let limits = Limits { held: 600, ..Limits::default() };
    let text = |text: &str| chunk(json!({"content": text}), None);
    let long = "x".repeat(200);
    let stream = chunks(&[text(&long), text(&long), chunk(json!({}), Some("stop"))]);
    let fault = run_pieces(&state(Protocol::OpenaiChat), &[&stream], limits).result.unwrap_err();
    assert_eq!(fault, StreamFault::TooMuchHeld { limit: 600 });
    let stream = chunks(&[text(&long), chunk(json!({}), Some("stop"))]);
    assert!(run_pieces(&state(Protocol::OpenaiChat), &[&stream], limits).result.unwrap().done);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_is_said_the_pieces_and_the_wholes_agree(
        said in proptest::collection::vec((0u8..5, "[a-z \"\\\\\n北😀]{1,12}"), 0..12),
        finish in prop_oneof![Just("stop"), Just("length"), Just("tool_calls")],
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
        stream.push(chunk(json!({}), Some(finish)));
        let answer = of_chat(&stream);
        let of_kind = |wanted: &[u8]| -> String {
            said.iter().filter(|(kind, _)| wanted.contains(kind)).map(|(_, text)| text.as_str()).collect()
        };
        let items = answer["output"].as_array().unwrap();
        let parts = |list: &str, member: &str| -> String {
            let parts = items.iter().flat_map(|item| item[list].as_array().into_iter().flatten());
            parts.filter_map(|part| part[member].as_str()).collect()
        };
        prop_assert_eq!(parts("summary", "text"), of_kind(&[0]));
        prop_assert_eq!(parts("content", "refusal"), of_kind(&[1]));
        prop_assert_eq!(parts("content", "text"), of_kind(&[3, 4]));
        let called = items.iter().filter_map(|item| item["arguments"].as_str());
        let called: String = called.map(|text| serde_json::from_str::<Value>(text).unwrap()["t"].as_str().unwrap().to_owned()).collect();
        prop_assert_eq!(called, of_kind(&[2]));
    }
}
