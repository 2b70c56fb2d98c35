//! What servers and clients in the field do, beyond what their protocols say.

use serde_json::{Value, json};

use super::{
    Limits, accumulate_anthropic, accumulate_chat, chunk, chunks, events, frames, run, run_pieces,
    to_anthropic, to_chat,
};
use crate::fault::Class;
use crate::stream::{StreamFault, Transcoder};
use crate::translate::{CallState, Carriage};

fn start() -> Value {
    json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-1", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 1},
    }})
}

fn block(index: u64, content: Value, deltas: &[Value]) -> Vec<Value> {
    let mut all = vec![json!({"type": "content_block_start", "index": index, "content_block": content})];
    let delta = |delta: &Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    all.extend(deltas.iter().map(delta));
    all.push(json!({"type": "content_block_stop", "index": index}));
    all
}

fn stop(reason: &str) -> Vec<Value> {
    vec![
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
               "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ]
}

fn messages(blocks: &[Vec<Value>], reason: &str) -> Vec<u8> {
    events(&[&[vec![start()]], blocks, &[stop(reason)]].concat().concat())
}

fn text(text: &str) -> [Value; 1] {
    [json!({"type": "text_delta", "text": text})]
}

fn told(stream: &[Value]) -> Value {
    let run = run(&to_anthropic(), &chunks(stream));
    assert!(run.result.is_ok(), "{run:?}");
    accumulate_anthropic(&run.text)
}

fn call(index: u64, id: &str, name: &str, arguments: Value) -> Value {
    let function = json!({"name": name, "arguments": arguments});
    json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]})
}

fn more(index: u64, arguments: &str) -> Value {
    json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})
}

#[test]
fn reasoning_under_any_of_its_names_comes_before_the_text() {
    for member in ["reasoning_content", "reasoning"] {
        let stream = [
            chunk(json!({member: "hm"}), None),
            chunk(json!({"content": "4"}), None),
            chunk(json!({}), Some("stop")),
        ];
        let content = told(&stream)["content"].clone();
        assert_eq!(content[0]["type"], "thinking");
        assert_eq!(content[0]["thinking"], "hm");
        assert_eq!(content[1], json!({"type": "text", "text": "4"}));
    }
    let both =
        [chunk(json!({"reasoning_content": "hm", "reasoning": "hm"}), None), chunk(json!({}), Some("stop"))];
    assert_eq!(told(&both)["content"][0]["thinking"], "hm", "told twice, it is one");
}

#[test]
fn interleaved_thinking_keeps_its_order_and_its_signatures() {
    let thinking = |index, words: &str, signature: &str| {
        let deltas = [
            json!({"type": "thinking_delta", "thinking": words}),
            json!({"type": "signature_delta", "signature": signature}),
        ];
        block(index, json!({"type": "thinking", "thinking": "", "signature": ""}), &deltas)
    };
    let plain = json!({"type": "text", "text": ""});
    let blocks = [
        thinking(0, "one", "S1"),
        block(1, plain.clone(), &text("a")),
        thinking(2, "two", "S2"),
        block(3, plain, &text("b")),
    ];
    let run = run(&to_chat(), &messages(&blocks, "end_turn"));
    let message = &accumulate_chat(&run.text)["message"];
    assert_eq!(message["reasoning_content"], "one\n\ntwo");
    assert_eq!(message["content"], "ab");
    let details = message["reasoning_details"].as_array().unwrap();
    assert_eq!(details.iter().map(|item| &item["text"]).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(details.iter().map(|item| item["index"].as_u64()).collect::<Vec<_>>(), [Some(0), Some(1)]);
}

#[test]
fn a_call_known_at_once_gets_its_arguments_in_a_delta() {
    let stream = [chunk(call(0, "c1", "f", json!("{\"a\":1}")), None), chunk(json!({}), Some("tool_calls"))];
    let run = run(&to_anthropic(), &chunks(&stream));
    let begun = frames(&run.text).into_iter().find(|(name, _)| name == "content_block_start").unwrap().1;
    assert_eq!(begun["content_block"], json!({"type": "tool_use", "id": "c1", "name": "f", "input": {}}));
    assert_eq!(accumulate_anthropic(&run.text)["content"][0]["input"], json!({"a": 1}));
    // Also when a messages backend gives them where a call begins, which SDKs do not read.
    let begun = json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1.0}});
    let run = super::run(&to_chat(), &messages(&[block(0, begun, &[])], "tool_use"));
    let call = &accumulate_chat(&run.text)["message"]["tool_calls"][0];
    assert_eq!(call["function"]["arguments"], "{\"a\":1.0}");
}

#[test]
fn calls_without_order_or_numbers() {
    // The start comes before everything, also when the first chunk has a call.
    let stream = [chunk(call(0, "c1", "f", json!("{}")), None), chunk(json!({"content": ""}), Some("stop"))];
    let run = run(&to_anthropic(), &chunks(&stream));
    assert!(run.text.starts_with("event: message_start\n"));
    assert_eq!(accumulate_anthropic(&run.text)["stop_reason"], "tool_use", "said to stop, it calls");
    // All calls numbered 0, each with an id of its own.
    let same = [
        chunk(call(0, "c1", "f", json!("{\"a\":1}")), None),
        chunk(call(0, "c2", "g", json!("{\"b\":2}")), None),
        chunk(json!({}), Some("tool_calls")),
    ];
    let content = told(&same)["content"].clone();
    assert_eq!((&content[0]["input"], &content[1]["input"]), (&json!({"a": 1}), &json!({"b": 2})));
    // No number and no id: each gets one, and they differ.
    let bare = json!({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]});
    let named = json!({"tool_calls": [{"index": 1, "function": {"name": "g", "arguments": "{}"}}]});
    let content =
        told(&[chunk(bare, None), chunk(named, None), chunk(json!({}), Some("stop"))])["content"].clone();
    let ids: Vec<_> = content.as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.starts_with("call_")), "{ids:?}");
    // The older form.
    let older = [
        chunk(json!({"function_call": {"name": "f", "arguments": ""}}), None),
        chunk(json!({"function_call": {"arguments": "{\"a\":1}"}}), None),
        chunk(json!({}), Some("function_call")),
    ];
    let message = told(&older);
    assert_eq!(
        (&message["content"][0]["input"], &message["stop_reason"]),
        (&json!({"a": 1}), &json!("tool_use"))
    );
}

#[test]
fn arguments_as_an_object_or_as_a_string_in_a_string() {
    let object =
        [chunk(call(0, "c", "f", json!({"b": 1, "a": 2})), None), chunk(json!({}), Some("tool_calls"))];
    assert_eq!(told(&object)["content"][0]["input"], json!({"b": 1, "a": 2}));
    let twice = [
        chunk(call(0, "c", "f", json!("\"{\\\"a\\\"")), None),
        chunk(more(0, ":1}\""), None),
        chunk(json!({}), Some("tool_calls")),
    ];
    assert_eq!(told(&twice)["content"][0]["input"], json!({"a": 1}));
    let list = [chunk(call(0, "c", "f", json!("[1]")), None), chunk(json!({}), Some("tool_calls"))];
    assert_eq!(told(&list)["content"][0]["input"], json!({"raw_arguments": "[1]"}));
}

#[test]
fn a_reason_that_is_not_true_is_not_passed_on() {
    let plain = json!({"type": "text", "text": ""});
    let run = run(&to_chat(), &messages(&[block(0, plain, &text("[f()]"))], "tool_use"));
    assert_eq!(accumulate_chat(&run.text)["finish_reason"], "stop");
    let claimed = [chunk(json!({"content": "[f()]"}), None), chunk(json!({}), Some("tool_calls"))];
    assert_eq!(told(&claimed)["stop_reason"], "end_turn");
}

#[test]
fn a_call_that_is_cut_short_ends_in_length() {
    let begun = json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}});
    let cut = [json!({"type": "input_json_delta", "partial_json": "{\"city"})];
    let run = run(&to_chat(), &messages(&[block(0, begun, &cut)], "max_tokens"));
    let answer = accumulate_chat(&run.text);
    assert_eq!(answer["finish_reason"], "length");
    assert_eq!(answer["message"]["tool_calls"][0]["function"]["arguments"], "{\"city");
    let cut = [chunk(call(0, "c", "f", json!("{\"city")), None), chunk(json!({}), Some("length"))];
    let message = told(&cut);
    assert_eq!(
        (&message["stop_reason"], &message["content"][0]["input"]),
        (&json!("max_tokens"), &json!("{\"city"))
    );
}

#[test]
fn usage_beside_the_last_reason_gets_a_chunk_of_its_own() {
    let mut last = chunk(json!({"content": "a"}), Some("stop"));
    last["usage"] = json!({"prompt_tokens": 1000, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 800}});
    let message = told(&[last]);
    assert_eq!(message["usage"]["input_tokens"], 200);
    assert_eq!(message["usage"]["cache_read_input_tokens"], 800);
    assert_eq!(message["usage"]["output_tokens"], 7);
}

#[test]
fn the_end_of_a_chat_stream() {
    let full = chunks(&[chunk(json!({"content": "a"}), None), chunk(json!({}), Some("stop"))]);
    let without = full.strip_suffix(b"data: [DONE]\n\n").unwrap();
    assert!(run(&to_anthropic(), without).text.ends_with("data: {\"type\":\"message_stop\"}\n\n"));
    // Only signs of life after the last chunk: the stream ends by itself.
    let mut transcoder = Transcoder::new(to_anthropic(), Limits::default(), Carriage::default()).unwrap();
    let mut out = Vec::new();
    assert!(transcoder.push(without, &mut out).unwrap().stopped);
    for _ in 0..8 {
        assert!(!transcoder.progress().done);
        transcoder.push(b": keep-alive\n\n", &mut out).unwrap();
    }
    assert!(transcoder.progress().done && out.ends_with(b"data: {\"type\":\"message_stop\"}\n\n"));
    // No reason: never a shorter answer.
    let cut = [&chunks(&[chunk(json!({"content": "a"}), None)])[..], b""].concat();
    for stream in [&cut[..], cut.strip_suffix(b"data: [DONE]\n\n").unwrap()] {
        let run = run(&to_anthropic(), stream);
        assert_eq!(run.result, Err(StreamFault::Cut));
        assert!(!run.text.contains("message_stop") && !run.text.contains("message_delta"));
    }
}

#[test]
fn the_end_of_a_messages_stream() {
    let full = messages(&[block(0, json!({"type": "text", "text": ""}), &text("a"))], "end_turn");
    for end in (0..full.len() - 2).step_by(13) {
        let run = run(&to_chat(), &full[..end]);
        assert_eq!(run.result, Err(StreamFault::Cut), "cut at {end}");
        assert!(!run.text.contains("[DONE]") && !run.text.contains("\"finish_reason\":\"stop\""));
    }
}

#[test]
fn an_error_before_content_leaves_the_choice_of_another_lane() {
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let run = run(&to_chat(), &events(&[start(), json!({"type": "ping"}), error]));
    assert_eq!(run.meaningful_after, None);
    let fault = run.result.unwrap_err().fault();
    assert_eq!((fault.class, fault.status, fault.retry_safe), (Class::Overloaded, 529, true));
    assert!(fault.message.contains("Overloaded"));
    let named = b"event: error\ndata: {\"message\":\"busy\",\"code\":503}\n\n";
    assert_eq!(super::run(&to_anthropic(), named).result.unwrap_err().fault().class, Class::Overloaded);
    let error = json!({"error": {"message": "slow", "type": "requests", "param": null, "code": "rate_limit_exceeded"}});
    let role = chunk(json!({"role": "assistant", "content": ""}), None);
    let run = super::run(&to_anthropic(), &chunks(&[role, error]));
    assert_eq!(run.meaningful_after, None);
    assert_eq!(run.result.unwrap_err().fault().class, Class::RateLimited);
}

#[test]
fn an_error_after_content_is_told_in_the_clients_form() {
    for (state, stream, end) in [
        (
            to_chat(),
            events(&[&[start()][..], &block(0, json!({"type": "text", "text": ""}), &text("a"))].concat()),
            "data: {\"error\":{",
        ),
        (to_anthropic(), chunks(&[chunk(json!({"content": "a"}), None)]), "event: error\ndata: {"),
    ] {
        let stream = stream.strip_suffix(b"data: [DONE]\n\n").unwrap_or(&stream);
        let mut transcoder = Transcoder::new(state, Limits::default(), Carriage::default()).unwrap();
        let mut out = Vec::new();
        assert!(transcoder.push(stream, &mut out).unwrap().meaningful);
        let fault = transcoder.finish(&mut out).unwrap_err().fault();
        transcoder.fail(&fault, "req_1", &mut out);
        let text = String::from_utf8(out).unwrap();
        let (_, last) = text.strip_suffix("\n\n").unwrap().rsplit_once("\n\n").unwrap();
        assert!(last.starts_with(end), "{last}");
        assert!(transcoder.progress().done);
    }
}

#[test]
fn forms_that_are_not_quite_a_stream() {
    // Several values in one event, spaces at its end.
    let two = format!(
        "data: {} {}  \n\ndata: [DONE] \n\n",
        chunk(json!({"content": "a"}), None),
        chunk(json!({"content": "b"}), Some("stop"))
    );
    assert_eq!(accumulate_anthropic(&run(&to_anthropic(), two.as_bytes()).text)["content"][0]["text"], "ab");
    // No JSON.
    let html = b"data: <html>\n\n";
    assert_eq!(run(&to_anthropic(), html).result, Err(StreamFault::NotJson));
    // Another kind of JSON.
    let odd = b"data: {\"choices\":[{\"delta\":{\"content\":5}}]}\n\n";
    let Err(StreamFault::Malformed { path, .. }) = run(&to_anthropic(), odd).result else { panic!() };
    assert_eq!(path, "choices[0].delta.content");
    // A plain body.
    let whole = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": "a",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}],
        }}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    });
    let message = accumulate_anthropic(&run(&to_anthropic(), whole.to_string().as_bytes()).text);
    assert_eq!(message["content"][0], json!({"type": "text", "text": "a"}));
    assert_eq!(message["content"][1]["input"], json!({"a": 1}));
    assert_eq!((&message["stop_reason"], &message["usage"]["input_tokens"]), (&json!("tool_use"), &json!(3)));
    let failed = run(&to_anthropic(), br#"{"error":{"message":"m","type":"server_error"}}"#);
    assert_eq!(failed.result.unwrap_err().fault().class, Class::ServerError);
}

#[test]
fn stop_sequences_that_the_backend_was_not_told() {
    let state = CallState { stops: vec!["</sev".into()], ..to_anthropic() };
    let stream = [
        chunk(json!({"content": "high</"}), None),
        chunk(json!({"content": "sev> and more"}), None),
        chunk(call(0, "c", "f", json!("{}")), None),
        chunk(json!({}), Some("tool_calls")),
    ];
    let mut stream = chunks(&stream);
    stream.truncate(stream.len() - b"data: [DONE]\n\n".len());
    let mut last = chunk(json!({}), None);
    (last["choices"], last["usage"]) = (json!([]), json!({"prompt_tokens": 3, "completion_tokens": 20}));
    stream.extend_from_slice(&chunks(&[last]));
    let message = accumulate_anthropic(&run(&state, &stream).text);
    assert_eq!(message["content"], json!([{"type": "text", "text": "high"}]));
    assert_eq!(
        (&message["stop_reason"], &message["stop_sequence"]),
        (&json!("stop_sequence"), &json!("</sev"))
    );
    assert_eq!(message["usage"]["output_tokens"], 20);
}

#[test]
fn several_answers_for_a_client_of_one() {
    let mut second = chunk(json!({"content": "B"}), Some("stop"));
    second["choices"][0]["index"] = json!(1);
    let run = run(&to_anthropic(), &chunks(&[chunk(json!({"content": "a"}), Some("stop")), second]));
    assert_eq!(accumulate_anthropic(&run.text)["content"], json!([{"type": "text", "text": "a"}]));
    assert_eq!(run.ledger.effects()[0].path, "choices[1]");
}

#[test]
fn tools_get_back_the_names_and_the_kind_that_the_caller_gave() {
    let mut state = to_chat();
    state.custom_tools.insert("tool_1".into());
    state.tool_names.insert("tool_1".into(), "run sql".into());
    let begun = json!({"type": "tool_use", "id": "toolu_1", "name": "tool_1", "input": {}});
    let deltas = ["{\"inp", "ut\":\"select\\n1\"}"]
        .map(|text| json!({"type": "input_json_delta", "partial_json": text}));
    let run = run(&state, &messages(&[block(0, begun, &deltas)], "tool_use"));
    let made = &accumulate_chat(&run.text)["message"]["tool_calls"][0];
    assert_eq!(made["type"], "custom");
    assert_eq!(made["custom"], json!({"name": "run sql", "input": "select\n1"}));
}

#[test]
fn refusals_are_reasons_for_some_and_content_for_others() {
    let mut end = stop("refusal");
    end[0]["delta"]["stop_details"] = json!({"type": "refusal", "category": "bio", "explanation": "No."});
    let run = run(&to_chat(), &events(&[vec![start()], end].concat()));
    let answer = accumulate_chat(&run.text);
    assert_eq!(
        (&answer["finish_reason"], &answer["message"]["refusal"]),
        (&json!("content_filter"), &json!("No."))
    );
    let filtered = told(&[chunk(json!({}), Some("content_filter"))]);
    assert_eq!((&filtered["stop_reason"], &filtered["content"]), (&json!("refusal"), &json!([])));
}

#[test]
fn what_waits_is_bounded() {
    let limits = Limits { held: 600, blocks: 4, ..Limits::default() };
    let mut stream = vec![
        chunk(call(0, "c0", "f", json!("{\"a\":\"")), None),
        chunk(call(1, "c1", "f", json!("{")), None),
    ];
    stream.extend((0..60).map(|_| chunk(more(1, "\"0123456789\""), None)));
    let fault = run_pieces(&to_anthropic(), &[&chunks(&stream)], limits).result.unwrap_err();
    assert_eq!(fault, StreamFault::TooMuchHeld { limit: 600 });
    let calls: Vec<_> = (0..6).map(|n| chunk(call(n, &format!("c{n}"), "f", json!("{}")), None)).collect();
    let fault = run_pieces(&to_anthropic(), &[&chunks(&calls)], limits).result.unwrap_err();
    assert_eq!(fault, StreamFault::TooManyBlocks { limit: 4 });
}

#[test]
fn signs_of_life_suit_the_client() {
    let mut out = Vec::new();
    Transcoder::new(to_chat(), Limits::default(), Carriage::default()).unwrap().keep_alive(&mut out);
    assert_eq!(out, b": ping\n", "a blank line would be an event without data to some");
    out.clear();
    Transcoder::new(to_anthropic(), Limits::default(), Carriage::default()).unwrap().keep_alive(&mut out);
    assert_eq!(out, b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

#[test]
fn what_only_one_provider_has_is_reported() {
    let server = json!({"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}});
    let mut stream = [vec![start()], block(0, server, &[])].concat();
    stream.push(json!({"type": "weather_report", "sky": "blue"}));
    stream.extend(stop("end_turn"));
    let run = run(&to_chat(), &events(&stream));
    assert!(run.result.is_ok());
    let lost: Vec<_> = run.ledger.effects().iter().map(|effect| effect.path.as_str()).collect();
    assert_eq!(lost, ["content.native", "event.weather_report"]);
}

#[test]
fn addresses_that_a_text_cites() {
    let citation = json!({"start_index": 0, "end_index": 1, "title": "T", "url": "https://e.x/"});
    let annotations = json!({"annotations": [{"type": "url_citation", "url_citation": citation}]});
    let stream =
        [chunk(json!({"content": "a"}), None), chunk(annotations, None), chunk(json!({}), Some("stop"))];
    let said = told(&stream)["content"][0].clone();
    assert_eq!(said["text"], "a");
    assert_eq!(said["citations"][0]["type"], "web_search_result_location");
    assert_eq!(
        (&said["citations"][0]["url"], &said["citations"][0]["title"]),
        (&json!("https://e.x/"), &json!("T"))
    );
    // And the other way: where in the answer, and what else is not an address.
    let found = json!({"type": "web_search_result_location", "url": "https://e.x/", "title": "T",
                       "encrypted_index": "E", "cited_text": "c"});
    let page = json!({"type": "char_location", "cited_text": "c", "document_index": 0, "document_title": "D",
                      "start_char_index": 0, "end_char_index": 1});
    let mut deltas = text("b\u{e9}").to_vec();
    deltas.extend([found, page].map(|citation| json!({"type": "citations_delta", "citation": citation})));
    let plain = json!({"type": "text", "text": ""});
    let run = run(&to_chat(), &messages(&[block_of("a"), block(1, plain, &deltas)], "end_turn"));
    let annotation = frames(&run.text).into_iter().find_map(|(_, chunk)| {
        let list = chunk["choices"][0]["delta"]["annotations"].as_array()?;
        assert_eq!(list.len(), 1);
        list.first().cloned()
    });
    let cited = json!({"url": "https://e.x/", "title": "T", "start_index": 1, "end_index": 3});
    assert_eq!(annotation, Some(json!({"type": "url_citation", "index": 0, "url_citation": cited})));
    assert!(run.ledger.effects().iter().any(|effect| effect.path == "content.citations"));
}

fn block_of(words: &str) -> Vec<Value> {
    block(0, json!({"type": "text", "text": ""}), &text(words))
}
