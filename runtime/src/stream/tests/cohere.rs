//! Cohere: its streams for other clients, and other streams for its clients.

use serde_json::{Value, json};

use super::fixtures::{ANTHROPIC_TEXT, ANTHROPIC_TOOLS, CHAT_TOOLS, COHERE_TEXT, COHERE_TOOLS, GEMINI_TOOLS};
use super::{Run, accumulate_anthropic, accumulate_chat, call, chunk, chunks, events, frames, run};
use crate::Protocol;
use crate::fault::Class;
use crate::stream::{Limits, StreamFault, Transcoder};
use crate::translate::{CallState, Carriage};

fn from_cohere(client: Protocol) -> CallState {
    call(client, Protocol::Cohere)
}

fn to_cohere(backend: Protocol) -> CallState {
    call(Protocol::Cohere, backend)
}

fn start() -> Value {
    json!({"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant"}}})
}

fn text(index: u64, words: &str) -> Vec<Value> {
    vec![
        json!({"type": "content-start", "index": index, "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
        json!({"type": "content-delta", "index": index, "delta": {"message": {"content": {"text": words}}}}),
        json!({"type": "content-end", "index": index}),
    ]
}

fn stop(reason: &str) -> Value {
    json!({"type": "message-end", "delta": {"finish_reason": reason}})
}

/// What a client makes of the events: the message as a buffered answer has it, and the last event's delta.
fn accumulate(run: &Run) -> (Value, Value) {
    assert!(run.result.is_ok(), "{run:?}");
    let all = frames(&run.text);
    assert_eq!((all[0].0.as_str(), all[all.len() - 1].0.as_str()), ("message-start", "message-end"));
    assert_eq!(all[0].1["id"], all[all.len() - 1].1["id"]);
    let mut message = all[0].1["delta"]["message"].clone();
    let mut open: Option<(&str, u64)> = None;
    let append = |text: &mut Value, more: &Value| {
        *text = json!(text.as_str().unwrap_or_default().to_owned() + more.as_str().unwrap());
    };
    for (name, event) in &all[1..all.len() - 1] {
        let said = &event["delta"]["message"];
        let index = event["index"].as_u64();
        let at = usize::try_from(index.unwrap_or(0)).unwrap();
        match name.as_str() {
            "content-start" | "tool-call-start" => {
                assert_eq!(open, None, "one block at a time: {}", run.text);
                let of = if name == "content-start" { "content" } else { "tool_calls" };
                open = Some((of, index.unwrap()));
                let list = message[of].as_array_mut().unwrap();
                assert_eq!(list.len(), at, "numbers without gaps");
                list.push(said[of].clone());
            }
            "content-delta" => {
                assert_eq!(open, Some(("content", index.unwrap())));
                for (kind, more) in said["content"].as_object().unwrap() {
                    append(&mut message["content"][at][kind], more);
                }
            }
            "tool-call-delta" => {
                assert_eq!(open, Some(("tool_calls", index.unwrap())));
                let more = &said["tool_calls"]["function"]["arguments"];
                append(&mut message["tool_calls"][at]["function"]["arguments"], more);
            }
            "content-end" => assert_eq!(open.take(), Some(("content", index.unwrap()))),
            "tool-call-end" => assert_eq!(open.take(), Some(("tool_calls", index.unwrap()))),
            "tool-plan-delta" => append(&mut message["tool_plan"], &said["tool_plan"]),
            "citation-start" => {
                assert_eq!(open.map(|(of, _)| of), Some("content"));
                message["citations"].as_array_mut().unwrap().push(said["citations"].clone());
            }
            "citation-end" => assert_eq!(message["citations"].as_array().unwrap().len(), at + 1),
            other => panic!("{other}"),
        }
    }
    assert_eq!(open, None);
    (message, all[all.len() - 1].1["delta"].clone())
}

#[test]
fn text_and_what_it_cites() {
    let run = run(&from_cohere(Protocol::OpenaiChat), COHERE_TEXT);
    let text: String = frames(&run.text)
        .iter()
        .filter_map(|(_, chunk)| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(text, "naïve 北京 😀\n\"q\" done");
    let annotations = frames(&run.text)
        .into_iter()
        .find_map(|(_, chunk)| chunk["choices"][0]["delta"]["annotations"].as_array().cloned());
    let cited = json!({"url": "https://e.x/", "title": "T", "start_index": 6, "end_index": 8});
    assert_eq!(annotations.unwrap(), [json!({"type": "url_citation", "index": 0, "url_citation": cited})]);
    assert_eq!((run.counts.input, run.counts.output, run.counts.cache_read), (Some(123), Some(7), Some(20)));
    let lost: Vec<_> = run.ledger.effects().iter().map(|effect| effect.path.as_str()).collect();
    assert_eq!(lost, ["content.citations", "usage.billed_units"]);
}

#[test]
fn thinking_text_a_plan_and_calls() {
    let message = accumulate_anthropic(&run(&from_cohere(Protocol::Anthropic), COHERE_TOOLS).text);
    let content = message["content"].as_array().unwrap();
    let kinds: Vec<_> = content.iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["thinking", "text", "thinking", "tool_use", "tool_use"]);
    assert_eq!(
        (&content[0]["thinking"], &content[2]["thinking"]),
        (&json!("Two cities."), &json!("Ask both."))
    );
    assert_eq!(content[1]["text"], "I'll look.");
    assert_eq!((&content[3]["id"], &content[3]["input"]), (&json!("weather_1"), &json!({"city": "Paris"})));
    assert_eq!((&content[4]["name"], &content[4]["input"]), (&json!("now"), &json!({})));
    assert_eq!(
        (&message["stop_reason"], &message["usage"]["output_tokens"]),
        (&json!("tool_use"), &json!(33))
    );
    let answer = accumulate_chat(&run(&from_cohere(Protocol::OpenaiChat), COHERE_TOOLS).text);
    assert_eq!(answer["finish_reason"], "tool_calls");
    assert_eq!(answer["message"]["tool_calls"][1]["function"], json!({"name": "now", "arguments": "{}"}));
}

#[test]
fn the_reasons_to_stop() {
    for (word, chat) in [("COMPLETE", "stop"), ("MAX_TOKENS", "length"), ("STOP_SEQUENCE", "stop")] {
        let stream = events(&[vec![start()], text(0, "a"), vec![stop(word)]].concat());
        assert_eq!(
            accumulate_chat(&run(&from_cohere(Protocol::OpenaiChat), &stream).text)["finish_reason"],
            chat
        );
    }
    for (word, status) in [("ERROR", 500), ("TIMEOUT", 504)] {
        let stream = events(&[vec![start()], text(0, "a"), vec![stop(word)]].concat());
        let run = run(&from_cohere(Protocol::OpenaiChat), &stream);
        assert_eq!(run.result.unwrap_err().fault().status, status, "{word}");
        assert!(!run.text.contains("[DONE]"));
    }
}

#[test]
fn the_end_and_failures() {
    for end in (0..COHERE_TOOLS.len() - 2).step_by(97) {
        let run = run(&from_cohere(Protocol::OpenaiChat), &COHERE_TOOLS[..end]);
        assert_eq!(run.result, Err(StreamFault::Cut), "cut at {end}");
    }
    let done = [COHERE_TEXT, b"data: [DONE]\n\n"].concat();
    assert!(run(&from_cohere(Protocol::OpenaiChat), &done).result.is_ok());
    let early = events(&[vec![start()], text(0, "a")].concat());
    let early = [&early[..], b"data: [DONE]\n\n"].concat();
    assert_eq!(run(&from_cohere(Protocol::OpenaiChat), &early).result, Err(StreamFault::Cut));
    // An error before content and in any place leaves its words.
    let ended = json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "it broke"}});
    let plain = b"data: {\"id\":\"x\",\"message\":\"it broke\"}\n\n".to_vec();
    let whole = b"{\"id\":\"x\",\"message\":\"it broke\"}".to_vec();
    for stream in [events(&[start(), ended]), plain, whole] {
        let run = run(&from_cohere(Protocol::Anthropic), &stream);
        assert_eq!(run.meaningful_after, None);
        let fault = run.result.unwrap_err().fault();
        assert_eq!((fault.class, &*fault.message), (Class::ServerError, "it broke"));
    }
    let lost = json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "a"}}}});
    assert!(matches!(
        run(&from_cohere(Protocol::Anthropic), &events(&[start(), lost])).result,
        Err(StreamFault::OutOfOrder(_))
    ));
}

#[test]
fn a_whole_answer_in_place_of_a_stream() {
    let cited = json!({"start": 0, "end": 1, "text": "a", "sources": [
        {"type": "document", "id": "doc:0", "document": {"url": "https://e.x/"}}], "content_index": 1});
    let whole = json!({"id": "c-1", "finish_reason": "TOOL_CALL", "message": {
        "role": "assistant", "tool_plan": "First.", "citations": [cited],
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}],
        "tool_calls": [{"id": "f_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}],
    }, "usage": {"tokens": {"input_tokens": 3, "output_tokens": 2}}});
    let message =
        accumulate_anthropic(&run(&from_cohere(Protocol::Anthropic), whole.to_string().as_bytes()).text);
    let content = message["content"].as_array().unwrap();
    assert_eq!((&content[0]["thinking"], &content[1]["thinking"]), (&json!("First."), &json!("hm")));
    assert_eq!(
        (&content[2]["text"], &content[2]["citations"][0]["url"]),
        (&json!("a"), &json!("https://e.x/"))
    );
    assert_eq!(content[3]["input"], json!({"a": 1}));
    assert_eq!((&message["stop_reason"], &message["usage"]["input_tokens"]), (&json!("tool_use"), &json!(3)));
}

#[test]
fn text_event_by_event() {
    let run = run(&to_cohere(Protocol::Anthropic), ANTHROPIC_TEXT);
    let event = |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\",{rest}}}\n\n");
    let delta = |text: &str| {
        event("content-delta", &format!(r#""index":0,"delta":{{"message":{{"content":{{"text":{text}}}}}}}"#))
    };
    let message = r#"{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}"#;
    let usage = r#"{"billed_units":{"input_tokens":123,"output_tokens":7},"cached_tokens":20,"tokens":{"input_tokens":123,"output_tokens":7}}"#;
    let expected = [
        event("message-start", &format!(r#""id":"msg_01A","delta":{{"message":{message}}}"#)),
        event("content-start", r#""index":0,"delta":{"message":{"content":{"type":"text","text":""}}}"#),
        delta(r#""naïve ""#),
        delta(r#""北京 😀\n\"q\"""#),
        delta(r#"" done""#),
        event("content-end", r#""index":0"#),
        event(
            "message-end",
            &format!(r#""id":"msg_01A","delta":{{"finish_reason":"COMPLETE","usage":{usage}}}"#),
        ),
    ];
    assert_eq!(run.text, expected.concat());
}

#[test]
fn streams_of_others_for_a_cohere_client() {
    for (backend, stream, thinking) in [
        (Protocol::Anthropic, ANTHROPIC_TOOLS, "Two cities: ask both."),
        (Protocol::OpenaiChat, CHAT_TOOLS, ""),
        (Protocol::Gemini, GEMINI_TOOLS, "Two cities: ask both."),
    ] {
        let (message, end) = accumulate(&run(&to_cohere(backend), stream));
        assert_eq!(message["content"][0]["type"], "thinking", "{backend}");
        assert!(thinking.is_empty() || message["content"][0]["thinking"] == thinking, "{backend}");
        let calls = message["tool_calls"].as_array().unwrap();
        assert_eq!(calls.len(), 2, "{backend}");
        for call in calls {
            assert_eq!(call["type"], "function");
            let arguments = call["function"]["arguments"].as_str().unwrap();
            assert!(serde_json::from_str::<Value>(arguments).unwrap().is_object(), "{backend}");
        }
        assert_eq!(end["finish_reason"], "TOOL_CALL", "{backend}");
        assert!(end["usage"]["tokens"]["output_tokens"].is_u64());
    }
}

#[test]
fn a_plan_comes_home_as_one() {
    let (message, end) = accumulate(&run(&from_cohere(Protocol::Cohere), COHERE_TOOLS));
    assert_eq!(message["tool_plan"], "Ask both.");
    assert_eq!(message["content"].as_array().unwrap().len(), 2);
    assert_eq!(end["finish_reason"], "TOOL_CALL");
}

#[test]
fn citations_come_within_their_text() {
    let cited = json!({"start_index": 1, "end_index": 3, "title": "T", "url": "https://e.x/"});
    let annotations = json!({"annotations": [{"type": "url_citation", "url_citation": cited}]});
    let stream =
        [chunk(json!({"content": "né é."}), None), chunk(annotations, None), chunk(json!({}), Some("stop"))];
    let (message, _) = accumulate(&run(&to_cohere(Protocol::OpenaiChat), &chunks(&stream)));
    let document = json!({"title": "T", "url": "https://e.x/"});
    let source = json!({"type": "document", "id": "https://e.x/", "document": document});
    assert_eq!(
        message["citations"],
        json!([{"start": 1, "end": 3, "text": "é ", "sources": [source], "content_index": 0, "type": "TEXT_CONTENT"}])
    );
    // And home again, where the words are those of the answer.
    let (message, _) = accumulate(&run(&from_cohere(Protocol::Cohere), COHERE_TEXT));
    let places: Vec<_> = message["citations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["start"].as_u64(), c["text"].as_str(), c["sources"][0]["id"].as_str()))
        .collect();
    let place = |id| (Some(6), Some("北京"), Some(id));
    assert_eq!(places, [place("doc:0"), place("look:0")]);
}

#[test]
fn signs_of_life_and_failures() {
    let mut transcoder =
        Transcoder::new(to_cohere(Protocol::Anthropic), Limits::default(), Carriage::default()).unwrap();
    let mut out = Vec::new();
    transcoder.push(&ANTHROPIC_TEXT[..ANTHROPIC_TEXT.len() * 3 / 4], &mut out).unwrap();
    let begun = out.len();
    transcoder.keep_alive(&mut out);
    assert_eq!(&out[begun..], b": ping\n");
    out.truncate(begun);
    let fault = transcoder.finish(&mut out).unwrap_err().fault();
    transcoder.fail(&fault, "r", &mut out);
    let all = frames(std::str::from_utf8(&out).unwrap());
    let (name, end) = all.last().unwrap();
    assert_eq!((name.as_str(), &end["delta"]["finish_reason"]), ("message-end", &json!("ERROR")));
    assert_eq!(end["delta"]["error"], fault.message.as_ref());
}
