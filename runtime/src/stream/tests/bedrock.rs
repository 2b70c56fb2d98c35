//! Streams of Converse events, from a backend and to a client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::fixtures::{ANTHROPIC_TEXT, ANTHROPIC_TOOLS, CHAT_TEXT, CHAT_TOOLS};
use super::{Run, accumulate_anthropic, accumulate_chat, call, events, run, run_pieces};
use crate::Protocol;
use crate::fault::{Class, Fault};
use crate::stream::event_stream::{Decoder, write_event, write_exception};
use crate::stream::{Frame, Limits, StreamFault, Transcoder};
use crate::translate::carriage::Envelope;
use crate::translate::{CallState, Carriage};

fn from_bedrock(client: Protocol) -> CallState {
    call(client, Protocol::Bedrock)
}

fn to_bedrock(backend: Protocol) -> CallState {
    call(Protocol::Bedrock, backend)
}

/// A stream of Bedrock's, as real ones are: with padding beside the members that mean something.
fn converse(events: &[(&'static str, Value)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, payload) in events {
        let mut payload = payload.clone();
        payload["p"] = json!("abcdefgh");
        write_event(&mut out, name, |out| out.extend_from_slice(payload.to_string().as_bytes()));
    }
    out
}

fn begin() -> (&'static str, Value) {
    ("messageStart", json!({"role": "assistant"}))
}

fn delta(index: u64, delta: Value) -> (&'static str, Value) {
    ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}))
}

fn reasoning(index: u64, reasoning: Value) -> (&'static str, Value) {
    delta(index, json!({"reasoningContent": reasoning}))
}

fn tool(index: u64, id: &str, name: &str) -> (&'static str, Value) {
    let start = json!({"toolUse": {"toolUseId": id, "name": name}});
    ("contentBlockStart", json!({"contentBlockIndex": index, "start": start}))
}

fn close(index: u64) -> (&'static str, Value) {
    ("contentBlockStop", json!({"contentBlockIndex": index}))
}

fn stop(reason: &str) -> (&'static str, Value) {
    ("messageStop", json!({"stopReason": reason}))
}

fn metadata() -> (&'static str, Value) {
    let usage = json!({
        "inputTokens": 10, "outputTokens": 5, "totalTokens": 22, "cacheReadInputTokens": 4, "cacheWriteInputTokens": 3,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 1}, {"ttl": "5m", "inputTokens": 2}],
    });
    ("metadata", json!({"usage": usage, "metrics": {"latencyMs": 77}}))
}

fn everything() -> Vec<u8> {
    converse(&[
        begin(),
        reasoning(0, json!({"text": "Two "})),
        reasoning(0, json!({"text": "cities."})),
        reasoning(0, json!({"signature": "EqQB"})),
        close(0),
        reasoning(1, json!({"redactedContent": STANDARD.encode("first,")})),
        reasoning(1, json!({"redactedContent": STANDARD.encode("then")})),
        close(1),
        delta(2, json!({"text": "I'll "})),
        delta(2, json!({"text": "look."})),
        close(2),
        tool(3, "tooluse_1", "weather"),
        delta(3, json!({"toolUse": {"input": "{\"city\":"}})),
        delta(3, json!({"toolUse": {"input": "\"Paris\"}"}})),
        close(3),
        tool(4, "tooluse_2", "now"),
        close(4),
        stop("tool_use"),
        metadata(),
    ])
}

/// The messages of an event stream: name and payload; an exception's name begins with `!`.
fn messages(bytes: &[u8]) -> Vec<(String, Value)> {
    let mut seen = Vec::new();
    let mut sink = |frame: Frame<'_>| {
        seen.push(match frame {
            Frame::Event { name, data } => {
                (String::from_utf8(name.to_vec()).unwrap(), serde_json::from_slice(data).unwrap())
            }
            Frame::Exception { kind, data } => (format!("!{kind}"), serde_json::from_slice(data).unwrap()),
            other => panic!("{other:?}"),
        });
        Ok(())
    };
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(bytes, &mut sink).and_then(|()| decoder.finish(&mut sink)).unwrap();
    seen
}

/// What a client makes of an event stream: the message, why it ended, and the last event.
fn accumulate(bytes: &[u8]) -> (Vec<Value>, Value, Value) {
    let messages = messages(bytes);
    assert_eq!(messages[0], ("messageStart".to_owned(), json!({"role": "assistant"})));
    let mut content: Vec<Value> = Vec::new();
    let mut open = false;
    let (mut end, mut last) = (Value::Null, Value::Null);
    for (name, event) in &messages[1..] {
        let index = event["contentBlockIndex"].as_u64().map(|index| usize::try_from(index).unwrap());
        if let Some(index) = index {
            if !open {
                assert_eq!(index, content.len(), "numbers without gaps, one block at a time");
                content.push(json!({}));
                open = true;
            }
            assert_eq!(index + 1, content.len());
        }
        match name.as_str() {
            "contentBlockStart" => {
                *content.last_mut().unwrap() = event["start"].clone();
                assert!(event["start"]["toolUse"].is_object(), "no other block is announced");
            }
            "contentBlockDelta" => {
                let delta = event["delta"].as_object().unwrap();
                assert_eq!(delta.len(), 1);
                merge(content.last_mut().unwrap(), &event["delta"]);
            }
            "contentBlockStop" => {
                assert_ne!(content.last().unwrap(), &json!({}), "a block of no kind");
                open = false;
            }
            "messageStop" => end = event.clone(),
            "metadata" => last = event.clone(),
            other => panic!("{other}"),
        }
    }
    assert_eq!(messages.last().unwrap().0, "metadata");
    (content, end, last)
}

fn merge(into: &mut Value, more: &Value) {
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::String(text) => {
                into[name] = json!(into[name].as_str().unwrap_or_default().to_owned() + text)
            }
            _ if name == "citation" => {
                if into[name].is_null() {
                    into[name] = json!([]);
                }
                into[name].as_array_mut().unwrap().push(value.clone());
            }
            _ => {
                if into[name].is_null() {
                    into[name] = json!({});
                }
                merge(&mut into[name], value);
            }
        }
    }
}

fn fault(run: &Run) -> Fault {
    run.result.as_ref().unwrap_err().fault()
}

fn lost(run: &Run) -> Vec<&str> {
    run.ledger.effects().iter().map(|effect| effect.path.as_str()).collect()
}

#[test]
fn an_answer_reaches_a_messages_client() {
    let run = run(&from_bedrock(Protocol::Anthropic), &everything());
    let message = accumulate_anthropic(&run.text);
    assert_eq!(message["stop_reason"], "tool_use");
    let content = message["content"].as_array().unwrap();
    assert_eq!(content[0]["thinking"], "Two cities.");
    let sealed = Envelope::open(content[0]["signature"].as_str().unwrap()).unwrap();
    assert_eq!((sealed.issuer, sealed.blocks[0].signature.as_deref()), (Protocol::Bedrock, Some("EqQB")));
    assert_eq!(content[1]["type"], "redacted_thinking");
    assert!(content[1]["data"].as_str().unwrap().len() > "first,then".len());
    assert_eq!(content[2], json!({"type": "text", "text": "I'll look."}));
    assert_eq!(
        content[3],
        json!({"type": "tool_use", "id": "tooluse_1", "name": "weather", "input": {"city": "Paris"}})
    );
    assert_eq!(content[4], json!({"type": "tool_use", "id": "tooluse_2", "name": "now", "input": {}}));
    assert_eq!(content.len(), 5);
    let usage = &message["usage"];
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(10), &json!(5)));
    assert_eq!(
        (&usage["cache_read_input_tokens"], &usage["cache_creation_input_tokens"]),
        (&json!(4), &json!(3))
    );
    assert_eq!((run.counts.input, run.counts.total), (Some(17), Some(22)));
    assert_eq!((run.counts.cache_write_5m, run.counts.cache_write_1h), (Some(2), Some(1)));
    assert_eq!(lost(&run), ["metrics"]);
}

#[test]
fn an_answer_reaches_a_chat_client() {
    let run = run(&from_bedrock(Protocol::OpenaiChat), &everything());
    let answer = accumulate_chat(&run.text);
    assert_eq!(answer["finish_reason"], "tool_calls");
    let message = &answer["message"];
    assert_eq!(message["reasoning_content"], "Two cities.");
    assert_eq!(message["content"], "I'll look.");
    let calls = message["tool_calls"].as_array().unwrap();
    assert_eq!(calls[0]["function"], json!({"name": "weather", "arguments": "{\"city\":\"Paris\"}"}));
    assert_eq!(calls[1]["function"], json!({"name": "now", "arguments": "{}"}));
    assert_eq!(answer["usage"]["prompt_tokens"], 17);
    assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 4);
}

#[test]
fn any_pieces_of_it_give_the_same() {
    let stream = everything();
    // Its answers have no id; the gateway makes one, and never the same one twice.
    let same = |text: &str| {
        let id = text.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        text.replace(id, "ID")
    };
    for client in [Protocol::OpenaiChat, Protocol::Anthropic] {
        let call = from_bedrock(client);
        let whole = run(&call, &stream);
        for size in [1, 2, 13, 100] {
            let pieces: Vec<&[u8]> = stream.chunks(size).collect();
            let cut = run_pieces(&call, &pieces, Limits::default());
            assert_eq!(same(&cut.text), same(&whole.text));
            assert_eq!((cut.result, cut.counts), (whole.result.clone(), whole.counts));
        }
    }
}

#[test]
fn damage_is_a_fault_and_never_a_shorter_answer() {
    let stream = everything();
    let call = from_bedrock(Protocol::OpenaiChat);
    for place in (0..stream.len()).step_by(7) {
        let mut damaged = stream.clone();
        damaged[place] ^= 1;
        let run = run(&call, &damaged);
        assert_eq!(run.result, Err(StreamFault::BadFrame), "byte {place}");
        assert!(!run.text.contains("[DONE]"), "byte {place}");
    }
}

#[test]
fn it_is_complete_without_counts_and_cut_without_a_reason() {
    let said = [begin(), delta(0, json!({"text": "hi"})), close(0), stop("end_turn")];
    let call = from_bedrock(Protocol::OpenaiChat);
    let complete = run(&call, &converse(&said));
    assert!(complete.result.as_ref().is_ok_and(|progress| progress.done && progress.stopped));
    assert_eq!(accumulate_chat(&complete.text)["message"]["content"], "hi");
    assert_eq!(run(&call, &converse(&said[..3])).result, Err(StreamFault::Cut));
    assert_eq!(run(&call, b"").result, Err(StreamFault::Cut));
    let early = [said[0].clone(), metadata(), said[1].clone(), said[2].clone(), said[3].clone()];
    assert!(run(&call, &converse(&early)).result.is_ok_and(|progress| progress.done));
}

#[test]
fn why_it_stops() {
    for (reason, expected) in [
        ("end_turn", "end_turn"),
        ("max_tokens", "max_tokens"),
        // Without a call there is none to answer.
        ("tool_use", "end_turn"),
        ("guardrail_intervened", "refusal"),
        ("model_context_window_exceeded", "model_context_window_exceeded"),
    ] {
        let stream =
            converse(&[begin(), delta(0, json!({"text": "hi"})), close(0), stop(reason), metadata()]);
        let run = run(&from_bedrock(Protocol::Anthropic), &stream);
        assert_eq!(accumulate_anthropic(&run.text)["stop_reason"], expected, "{reason}");
    }
    let end = json!({"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": "END", "x": 1}});
    let stream =
        converse(&[begin(), delta(0, json!({"text": "hi"})), close(0), ("messageStop", end), metadata()]);
    let run = run(&from_bedrock(Protocol::Anthropic), &stream);
    let message = accumulate_anthropic(&run.text);
    assert_eq!(
        (&message["stop_reason"], &message["stop_sequence"]),
        (&json!("stop_sequence"), &json!("END"))
    );
    assert!(lost(&run).contains(&"additionalModelResponseFields"));
}

#[test]
fn what_no_other_protocol_has_is_reported() {
    let result = json!({"toolResult": {"toolUseId": "t", "type": "x"}});
    let stream = converse(&[
        begin(),
        ("contentBlockStart", json!({"contentBlockIndex": 0, "start": result})),
        delta(0, json!({"toolResult": [{"text": "found"}]})),
        close(0),
        delta(1, json!({"hologram": {}})),
        delta(1, json!({"text": "hi"})),
        // The same number, another form.
        reasoning(1, json!({"text": "hm"})),
        close(1),
        close(2),
        ("weather", json!({})),
        stop("end_turn"),
        metadata(),
    ]);
    let run = run(&from_bedrock(Protocol::Anthropic), &stream);
    let content = accumulate_anthropic(&run.text)["content"].clone();
    assert_eq!((&content[0]["text"], &content[1]["thinking"]), (&json!("hi"), &json!("hm")));
    assert_eq!(content.as_array().unwrap().len(), 2);
    assert_eq!(lost(&run), ["content.toolResult", "delta.hologram", "event.weather", "metrics"]);
}

#[test]
fn citations_go_both_ways() {
    let location = json!({"documentChar": {"documentIndex": 0, "start": 2, "end": 9}});
    let citation = json!({"title": "Doc", "sourceContent": [{"text": "so it"}, {"text": " says"}], "location": location});
    let stream = converse(&[
        begin(),
        delta(0, json!({"text": "It does."})),
        delta(0, json!({"citation": citation})),
        close(0),
        stop("end_turn"),
        metadata(),
    ]);
    let up = run(&from_bedrock(Protocol::Anthropic), &stream);
    let message = accumulate_anthropic(&up.text);
    let cited = &message["content"][0]["citations"][0];
    assert_eq!(
        (&cited["type"], &cited["cited_text"], &cited["start_char_index"], &cited["document_title"]),
        (&json!("char_location"), &json!("so it says"), &json!(2), &json!("Doc"))
    );
    let down = run(&to_bedrock(Protocol::Anthropic), up.text.as_bytes());
    let (content, ..) = accumulate(&down.bytes);
    assert_eq!(
        content[0]["citation"],
        json!([{"title": "Doc", "sourceContent": [{"text": "so it says"}], "location": location}])
    );
}

#[test]
fn exceptions_have_their_class_and_status() {
    for (kind, class, status) in [
        ("throttlingException", Class::RateLimited, 429),
        ("serviceUnavailableException", Class::Overloaded, 503),
        ("modelTimeoutException", Class::Timeout, 408),
        ("internalServerException", Class::ServerError, 500),
        ("validationException", Class::InvalidRequest, 400),
        ("modelStreamErrorException", Class::ServerError, 424),
    ] {
        let mut stream = converse(&[begin()]);
        write_exception(&mut stream, kind, br#"{"message":"no"}"#.to_vec());
        let fault = fault(&run(&from_bedrock(Protocol::OpenaiChat), &stream));
        assert_eq!((fault.class, fault.status, fault.message.as_ref()), (class, status, "no"), "{kind}");
        assert_eq!(fault.retry_safe, class.verdict().elsewhere, "{kind}");
    }
}

#[test]
fn a_body_in_place_of_a_stream() {
    let call = from_bedrock(Protocol::OpenaiChat);
    let body =
        br#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#;
    let unknown = fault(&run(&call, body));
    assert_eq!((unknown.class, unknown.status), (Class::NotFound, 500));
    let slow = fault(&run(&call, br#"{"__type":"ThrottlingException","message":"slow"}"#));
    assert_eq!((slow.class, slow.status, slow.message.as_ref()), (Class::RateLimited, 429, "slow"));
    let answer = json!({
        "output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "S"}}},
            {"text": "hi"},
            {"toolUse": {"toolUseId": "t", "name": "f", "input": {"b": 1.0, "a": 2}}},
        ]}},
        "stopReason": "tool_use", "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    });
    let run = run(&call, answer.to_string().as_bytes());
    let message = &accumulate_chat(&run.text)["message"];
    assert_eq!((&message["content"], &message["reasoning_content"]), (&json!("hi"), &json!("hm")));
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{\"b\":1.0,\"a\":2}");
    assert_eq!(run.counts.output, Some(2));
}

#[test]
fn text_message_by_message() {
    let run = run(&to_bedrock(Protocol::OpenaiChat), CHAT_TEXT);
    let text = |text: &str| ("contentBlockDelta", json!({"delta": {"text": text}, "contentBlockIndex": 0}));
    let usage =
        json!({"inputTokens": 200, "outputTokens": 50, "totalTokens": 1050, "cacheReadInputTokens": 800});
    let expected = [
        begin(),
        text("naïve "),
        text("北京 😀\n\"q\""),
        text(" done"),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
        stop("end_turn"),
        (
            "metadata",
            json!({"usage": usage, "metrics": {"latencyMs": 0}, "serviceTier": {"type": "default"}}),
        ),
    ];
    assert_eq!(messages(&run.bytes), expected.map(|(name, event)| (name.to_owned(), event)));
    let from_messages = super::run(&to_bedrock(Protocol::Anthropic), ANTHROPIC_TEXT);
    let (content, end, last) = accumulate(&from_messages.bytes);
    assert_eq!(
        (content, end),
        (vec![json!({"text": "naïve 北京 😀\n\"q\" done"})], json!({"stopReason": "end_turn"}))
    );
    assert_eq!(
        last["usage"],
        json!({
            "inputTokens": 100, "outputTokens": 7, "totalTokens": 130, "cacheReadInputTokens": 20,
            "cacheWriteInputTokens": 3, "cacheDetails": [{"ttl": "5m", "inputTokens": 3}],
        })
    );
}

#[test]
fn reasoning_and_parallel_calls_one_block_at_a_time() {
    for (backend, stream) in [(Protocol::Anthropic, ANTHROPIC_TOOLS), (Protocol::OpenaiChat, CHAT_TOOLS)] {
        let run = run(&to_bedrock(backend), stream);
        let (content, end, _) = accumulate(&run.bytes);
        assert_eq!(end["stopReason"], "tool_use");
        assert_eq!(content.len(), 4);
        let reasoning = &content[0]["reasoningContent"];
        assert_eq!(reasoning["text"], "Two cities: ask both.");
        assert_eq!(Envelope::open(reasoning["signature"].as_str().unwrap()).unwrap().issuer, backend);
        assert_eq!(content[1], json!({"text": "I'll look."}));
        assert_eq!(content[2]["toolUse"]["name"], "weather");
        if backend == Protocol::Anthropic {
            assert_eq!(
                (&content[3]["toolUse"]["name"], &content[3]["toolUse"]["input"]),
                (&json!("now"), &json!("{}"))
            );
        }
        let input: Value = serde_json::from_str(content[2]["toolUse"]["input"].as_str().unwrap()).unwrap();
        assert_eq!(input, json!({"city": "Paris"}));
    }
}

#[test]
fn hidden_reasoning_is_bytes_for_the_client() {
    let block = |index: u64, content: Value| {
        [
            json!({"type": "content_block_start", "index": index, "content_block": content}),
            json!({"type": "content_block_stop", "index": index}),
        ]
    };
    let start = json!({"type": "message_start", "message": {
        "id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": {"input_tokens": 1},
    }});
    let stream = [
        vec![start],
        block(0, json!({"type": "redacted_thinking", "data": "not/base64!"})).to_vec(),
        block(1, json!({"type": "thinking", "thinking": "", "signature": "S"})).to_vec(),
        block(2, json!({"type": "text", "text": ""})).to_vec(),
        vec![
            json!({"type": "message_delta", "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"},
                   "usage": {"output_tokens": 1}}),
            json!({"type": "message_stop"}),
        ],
    ];
    let run = run(&to_bedrock(Protocol::Anthropic), &events(&stream.concat()));
    let (content, end, _) = accumulate(&run.bytes);
    let hidden = content[0]["reasoningContent"]["redactedContent"].as_str().unwrap();
    let hidden = String::from_utf8(STANDARD.decode(hidden).unwrap()).unwrap();
    let sealed = Envelope::open(&hidden).unwrap();
    assert!(serde_json::to_string(&sealed.blocks).unwrap().contains("not/base64!"));
    assert_eq!(content[1]["reasoningContent"]["text"], "");
    assert!(content[1]["reasoningContent"]["signature"].is_string());
    assert_eq!(content[2], json!({"text": ""}));
    assert_eq!(
        end,
        json!({"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": "END"}})
    );
}

#[test]
fn a_failure_is_an_exception_and_silence_an_unknown_event() {
    let call = to_bedrock(Protocol::OpenaiChat);
    let mut transcoder = Transcoder::new(call, Limits::default(), Carriage::default()).unwrap();
    let mut out = Vec::new();
    transcoder.push(&CHAT_TEXT[..CHAT_TEXT.len() / 2], &mut out).unwrap();
    transcoder.keep_alive(&mut out);
    transcoder.fail(&Fault::upstream(Class::Overloaded, "full"), "r", &mut out);
    let seen = messages(&out);
    let [.., ping, exception] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(*ping, ("ping".to_owned(), json!({})));
    assert_eq!(*exception, ("!serviceUnavailableException".to_owned(), json!({"message": "full"})));
}
