//! Gemini: its streams for other clients, and other streams for its clients.

use serde_json::{Value, json};

use super::fixtures::{ANTHROPIC_TEXT, ANTHROPIC_TOOLS, CHAT_TOOLS, GEMINI_TEXT, GEMINI_TOOLS};
use super::{Run, accumulate_anthropic, accumulate_chat, call, chunk, chunks, events, run, run_pieces};
use crate::Protocol;
use crate::fault::Class;
use crate::stream::{Limits, StreamFault, Transcoder};
use crate::translate::{CallState, Carriage};

fn from_gemini(client: Protocol) -> CallState {
    call(client, Protocol::Gemini)
}

fn to_gemini(backend: Protocol) -> CallState {
    call(Protocol::Gemini, backend)
}

/// Events as Google frames them.
fn responses(list: &[Value]) -> Vec<u8> {
    list.iter().map(|response| format!("data: {response}\r\n\r\n")).collect::<String>().into_bytes()
}

/// A response with these parts.
fn parts(parts: Value, finish: Option<&str>) -> Value {
    let mut response = json!({
        "candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}],
        "modelVersion": "gemini-x", "responseId": "r-1_A",
    });
    if let Some(finish) = finish {
        response["candidates"][0]["finishReason"] = json!(finish);
    }
    response
}

/// The responses of some output.
fn told(text: &str) -> Vec<Value> {
    let frames = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n\r\n");
    frames.map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap()).collect()
}

/// All parts of the first candidate, texts of a kind joined as Google's SDKs do, and the last response.
pub(super) fn gathered(responses: &[Value]) -> (Vec<Value>, Value) {
    let mut all: Vec<Value> = Vec::new();
    for response in responses {
        assert_eq!(response["modelVersion"], responses[0]["modelVersion"]);
        for part in response["candidates"][0]["content"]["parts"].as_array().unwrap() {
            let joins = |last: &Value| {
                last["text"].is_string() && part["text"].is_string() && last["thought"] == part["thought"]
            };
            match all.last_mut().filter(|last| joins(last)) {
                Some(last) if last.get("thoughtSignature").is_none() => {
                    let joined =
                        format!("{}{}", last["text"].as_str().unwrap(), part["text"].as_str().unwrap());
                    last["text"] = json!(joined);
                    if let Some(signature) = part.get("thoughtSignature") {
                        last["thoughtSignature"] = signature.clone();
                    }
                }
                _ => all.push(part.clone()),
            }
        }
    }
    all.retain(|part| part["text"] != "" || part.get("thoughtSignature").is_some());
    (all, responses.last().unwrap().clone())
}

fn chat(run: &Run) -> Value {
    assert!(run.result.is_ok(), "{run:?}");
    accumulate_chat(&run.text)
}

#[test]
fn text_for_a_chat_client() {
    let run = run(&from_gemini(Protocol::OpenaiChat), GEMINI_TEXT);
    let answer = chat(&run);
    assert_eq!(answer["message"]["content"], "naïve 北京 😀\n\"q\" done");
    assert_eq!(answer["finish_reason"], "stop");
    let usage = json!({
        "prompt_tokens": 100, "completion_tokens": 196, "total_tokens": 296,
        "prompt_tokens_details": {"cached_tokens": 90}, "completion_tokens_details": {"reasoning_tokens": 190},
    });
    assert_eq!(answer["usage"], usage);
    assert!(run.text.contains("\"id\":\"vX8a-1\"") && run.text.contains("\"model\":\"gemini-x\""));
}

#[test]
fn thoughts_text_and_parallel_calls() {
    let message = accumulate_anthropic(&run(&from_gemini(Protocol::Anthropic), GEMINI_TOOLS).text);
    let content = message["content"].as_array().unwrap();
    let kinds: Vec<_> = content.iter().map(|block| block["type"].as_str().unwrap()).collect();
    let own: Vec<_> = kinds.into_iter().filter(|kind| *kind != "redacted_thinking").collect();
    assert_eq!(own, ["thinking", "text", "tool_use", "tool_use"]);
    assert_eq!(content[0]["thinking"], "Two cities: ask both.");
    let calls: Vec<_> = content.iter().filter(|block| block["type"] == "tool_use").collect();
    assert_eq!(calls[0]["input"], json!({"city": "Paris", "n": 1.50}));
    assert_eq!((&calls[1]["name"], &calls[1]["input"]), (&json!("now"), &json!({})));
    assert_eq!(calls[1]["id"], "fc-2");
    assert_eq!(message["stop_reason"], "tool_use", "said to stop, it calls");
    assert_eq!(
        (&message["usage"]["input_tokens"], &message["usage"]["output_tokens"]),
        (&json!(40), &json!(33))
    );
    // An id of its own for a call without one, the same each time.
    let chat = chat(&run(&from_gemini(Protocol::OpenaiChat), GEMINI_TOOLS));
    assert_eq!(chat["message"]["tool_calls"].as_array().unwrap().len(), 2);
    assert_eq!(chat["finish_reason"], "tool_calls");
}

#[test]
fn the_reasons_to_stop() {
    for (word, text, chat_word, anthropic_word) in [
        ("STOP", "a", "stop", "end_turn"),
        ("MAX_TOKENS", "a", "length", "max_tokens"),
        ("SAFETY", "a", "content_filter", "refusal"),
        ("RECITATION", "", "content_filter", "refusal"),
        ("MALFORMED_FUNCTION_CALL", "", "length", "max_tokens"),
    ] {
        let stream = responses(&[parts(json!([{"text": text}]), Some(word))]);
        assert_eq!(
            chat(&run(&from_gemini(Protocol::OpenaiChat), &stream))["finish_reason"],
            chat_word,
            "{word}"
        );
        let message = accumulate_anthropic(&run(&from_gemini(Protocol::Anthropic), &stream).text);
        assert_eq!(message["stop_reason"], anthropic_word, "{word}");
    }
    // Without content.
    let bare = json!({"candidates": [{"finishReason": "MAX_TOKENS", "index": 0}], "usageMetadata": {"promptTokenCount": 7}});
    let answer = chat(&run(&from_gemini(Protocol::OpenaiChat), &responses(&[bare])));
    assert_eq!((&answer["finish_reason"], &answer["message"]["content"]), (&json!("length"), &json!("")));
    // The prompt was blocked.
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 7}});
    let message = accumulate_anthropic(&run(&from_gemini(Protocol::Anthropic), &responses(&[blocked])).text);
    assert_eq!(message["stop_reason"], "refusal");
    assert_eq!(message["stop_details"]["explanation"], "the prompt was blocked: PROHIBITED_CONTENT");
    // A reason in a response behind the call, and usage behind that.
    let mut last =
        json!({"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2}, "responseId": "r-1_A"});
    last["modelVersion"] = json!("gemini-x");
    let called = [
        parts(json!([{"functionCall": {"name": "f", "args": {"a": 1}}}]), None),
        parts(json!([{"text": ""}]), Some("STOP")),
        last,
    ];
    let answer = chat(&run(&from_gemini(Protocol::OpenaiChat), &responses(&called)));
    assert_eq!(answer["finish_reason"], "tool_calls");
    assert_eq!(answer["message"]["tool_calls"][0]["id"], "call_r_1_A_0_0");
    assert_eq!(answer["usage"]["completion_tokens"], 2);
}

#[test]
fn the_end_and_failures() {
    let full = responses(&[parts(json!([{"text": "a"}]), None), parts(json!([{"text": "b"}]), Some("STOP"))]);
    let first = full.len() / 2;
    for end in [first, full.len() - 40] {
        let run = run(&from_gemini(Protocol::OpenaiChat), &full[..end]);
        assert_eq!(run.result, Err(StreamFault::Cut), "cut at {end}");
        assert!(!run.text.contains("\"finish_reason\":\"stop\""));
    }
    let mut transcoder =
        Transcoder::new(from_gemini(Protocol::OpenaiChat), Limits::default(), Carriage::default()).unwrap();
    let progress = transcoder.push(&full, &mut Vec::new()).unwrap();
    assert!(progress.stopped && !progress.done, "usage may follow");
    let error = json!({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}});
    for stream in [
        responses(std::slice::from_ref(&error)),
        format!("[{error}]").into_bytes(),
        error.to_string().into_bytes(),
    ] {
        let run = run(&from_gemini(Protocol::Anthropic), &stream);
        assert_eq!(run.meaningful_after, None);
        let fault = run.result.unwrap_err().fault();
        assert_eq!((fault.class, fault.status, &*fault.message), (Class::Overloaded, 503, "overloaded"));
    }
}

#[test]
fn an_array_or_one_body_is_read_like_a_stream() {
    let list = [parts(json!([{"text": "a"}]), None), parts(json!([{"text": "b"}]), Some("STOP"))];
    let array = format!("[{}\n,\r\n{}\n]", list[0], list[1]);
    let one = parts(json!([{"text": "ab"}]), Some("STOP")).to_string();
    for body in [array, one] {
        let answer = chat(&run(&from_gemini(Protocol::OpenaiChat), body.as_bytes()));
        assert_eq!((&answer["message"]["content"], &answer["finish_reason"]), (&json!("ab"), &json!("stop")));
    }
    assert_eq!(run(&from_gemini(Protocol::OpenaiChat), b"[]").result, Err(StreamFault::Cut));
}

#[test]
fn what_search_found_is_cited_in_characters() {
    let web = |n: u8| json!({"web": {"uri": format!("https://e.x/{n}"), "title": "T"}});
    let support = |start: u64, end: u64, chunks: Value| json!({"segment": {"startIndex": start, "endIndex": end, "text": "…"}, "groundingChunkIndices": chunks});
    let mut last = parts(json!([{"text": "é."}]), Some("STOP"));
    last["candidates"][0]["groundingMetadata"] = json!({
        "webSearchQueries": ["q"], "groundingChunks": [web(0), web(1)],
        "groundingSupports": [support(0, 3, json!([0])), support(4, 7, json!([0, 1])), support(0, 99, json!([1]))],
    });
    // Told twice, it is cited once.
    let mut early = parts(json!([{"text": "né "}]), None);
    early["candidates"][0]["groundingMetadata"] =
        json!({"groundingChunks": [web(0)], "groundingSupports": [support(0, 3, json!([0]))]});
    let run = run(&from_gemini(Protocol::OpenaiChat), &responses(&[early, last]));
    let annotations = super::frames(&run.text)
        .into_iter()
        .find_map(|(_, chunk)| chunk["choices"][0]["delta"]["annotations"].as_array().cloned());
    let places: Vec<_> = annotations
        .unwrap()
        .iter()
        .map(|item| {
            let cited = &item["url_citation"];
            (
                cited["url"].as_str().unwrap().to_owned(),
                cited["start_index"].as_u64(),
                cited["end_index"].as_u64(),
            )
        })
        .collect();
    let place = |n: u8, start, end| (format!("https://e.x/{n}"), Some(start), Some(end));
    assert_eq!(places, [place(0, 0, 2), place(0, 3, 5), place(1, 3, 5), place(1, 0, 5)]);
}

#[test]
fn what_google_alone_has_is_reported() {
    let stream = [
        parts(json!([{"executableCode": {"language": "PYTHON", "code": "1"}}]), None),
        parts(
            json!([{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, {"text": "a"}]),
            Some("STOP"),
        ),
    ];
    let run = run(&from_gemini(Protocol::OpenaiChat), &responses(&stream));
    assert_eq!(chat(&run)["message"]["content"], "a");
    let lost: Vec<_> = run.ledger.effects().iter().map(|effect| effect.path.as_str()).collect();
    assert_eq!(lost, ["content.native", "content.image"]);
}

#[test]
fn several_candidates() {
    let mut both = parts(json!([{"text": "a"}]), None);
    let second = json!({"content": {"parts": [{"text": "B"}], "role": "model"}, "index": 1, "finishReason": "MAX_TOKENS"});
    both["candidates"].as_array_mut().unwrap().push(second);
    let stream = responses(&[both, parts(json!([{"text": "b"}]), Some("STOP"))]);
    let run = run(&from_gemini(Protocol::Gemini), &stream);
    let list = told(&run.text);
    let last = list.last().unwrap()["candidates"].as_array().unwrap();
    assert_eq!(last.iter().map(|c| &c["finishReason"]).collect::<Vec<_>>(), ["STOP", "MAX_TOKENS"]);
    assert_eq!(last.iter().map(|c| c["index"].as_u64()).collect::<Vec<_>>(), [Some(0), Some(1)]);
}

#[test]
fn a_messages_stream_for_a_gemini_client() {
    let list = told(&run(&to_gemini(Protocol::Anthropic), ANTHROPIC_TOOLS).text);
    let (parts, last) = gathered(&list);
    assert_eq!((&parts[0]["text"], &parts[0]["thought"]), (&json!("Two cities: ask both."), &json!(true)));
    assert!(parts[0]["thoughtSignature"].is_string());
    let text = parts.iter().find(|part| part.get("thought").is_none() && part["text"].is_string()).unwrap();
    assert_eq!(text["text"], "I'll look.");
    let calls: Vec<_> = parts.iter().filter_map(|part| part.get("functionCall")).collect();
    assert_eq!((&calls[0]["name"], &calls[0]["args"]), (&json!("weather"), &json!({"city": "Paris"})));
    assert_eq!((&calls[1]["name"], &calls[1]["args"]), (&json!("now"), &json!({})));
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    let usage = &last["usageMetadata"];
    assert_eq!((&usage["thoughtsTokenCount"], &usage["candidatesTokenCount"]), (&json!(12), &json!(77)));
    for response in &list {
        assert_eq!(response["responseId"], list[0]["responseId"]);
        assert_eq!(response.get("usageMetadata").is_some(), response == list.last().unwrap());
    }
}

#[test]
fn text_response_by_response() {
    let run = run(&to_gemini(Protocol::Anthropic), ANTHROPIC_TEXT);
    let tail = r#""modelVersion":"claude-sonnet-4-5-20250929","responseId":"msg_01A"}"#;
    let text = |text: &str| {
        format!(
            r#"data: {{"candidates":[{{"content":{{"parts":[{{"text":{text}}}],"role":"model"}},"index":0}}],{tail}"#
        ) + "\r\n\r\n"
    };
    let last = format!(
        "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"\"}}],\"role\":\"model\"}},\"index\":0,\
         \"finishReason\":\"STOP\"}}],\"usageMetadata\":{{\"cachedContentTokenCount\":20,\"candidatesTokenCount\":7,\
         \"promptTokenCount\":123,\"totalTokenCount\":130}},{tail}\r\n\r\n"
    );
    let expected = [text(r#""naïve ""#), text(r#""北京 😀\n\"q\"""#), text(r#"" done""#), last];
    assert_eq!(run.text, expected.concat());
}

#[test]
fn a_chat_stream_for_a_gemini_client() {
    let (parts, _) = gathered(&told(&run(&to_gemini(Protocol::OpenaiChat), CHAT_TOOLS).text));
    let calls: Vec<_> = parts.iter().filter_map(|part| part.get("functionCall")).collect();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call["args"].is_object() && call["id"].is_string()));
    assert_eq!(parts[0]["thought"], true);
    // Arguments over several lines stay on the event's one line; cut short, they stand in an object.
    let begun = |arguments: &str| {
        let function = json!({"name": "f", "arguments": arguments});
        chunk(
            json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": function}]}),
            None,
        )
    };
    for (arguments, args) in [
        ("{\n  \"a\": 1.50\r\n}", json!({"a": 1.50})),
        ("{\"city", json!({"raw_arguments": "{\"city"})),
        ("[1]", json!({"raw_arguments": "[1]"})),
        ("", json!({})),
    ] {
        let stream = [begun(arguments), chunk(json!({}), Some("tool_calls"))];
        let (parts, _) = gathered(&told(&run(&to_gemini(Protocol::OpenaiChat), &chunks(&stream)).text));
        assert_eq!(parts[0]["functionCall"]["args"], args);
    }
    let limits = Limits { held: 600, ..Limits::default() };
    let long = [begun(&"x".repeat(601))];
    let fault = run_pieces(&to_gemini(Protocol::OpenaiChat), &[&chunks(&long)], limits).result.unwrap_err();
    assert_eq!(fault, StreamFault::TooMuchHeld { limit: 600 });
}

#[test]
fn citations_come_with_the_end_in_bytes() {
    let found = json!({"type": "web_search_result_location", "url": "https://e.x/", "title": "T",
                       "encrypted_index": "E", "cited_text": "c"});
    let page = json!({"type": "char_location", "cited_text": "c", "document_index": 0, "document_title": "D",
                      "start_char_index": 0, "end_char_index": 1});
    let mut stream = vec![json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null,
        "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 1},
    }})];
    for (index, words, cited) in [(0, "né ", None), (1, "é.", Some([&found, &page]))] {
        stream.push(json!({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}));
        for citation in cited.into_iter().flatten() {
            let delta = json!({"type": "citations_delta", "citation": citation});
            stream.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        let delta = json!({"type": "text_delta", "text": words});
        stream.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        stream.push(json!({"type": "content_block_stop", "index": index}));
    }
    stream.push(
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}),
    );
    stream.push(json!({"type": "message_stop"}));
    let run = run(&to_gemini(Protocol::Anthropic), &events(&stream));
    let list = told(&run.text);
    let segment = json!({"startIndex": 4, "endIndex": 7, "text": "é."});
    let expected = json!({
        "groundingChunks": [{"web": {"uri": "https://e.x/", "title": "T"}}, {"retrievedContext": {"title": "D", "text": "c"}}],
        "groundingSupports": [
            {"segment": segment, "groundingChunkIndices": [0]}, {"segment": segment, "groundingChunkIndices": [1]},
        ],
    });
    assert_eq!(list.last().unwrap()["candidates"][0]["groundingMetadata"], expected);
    // Where a provider says which characters, these are meant.
    let cited = json!({"start_index": 1, "end_index": 3, "title": "T", "url": "https://e.x/"});
    let annotations = json!({"annotations": [{"type": "url_citation", "url_citation": cited}]});
    let stream =
        [chunk(json!({"content": "né é."}), None), chunk(annotations, None), chunk(json!({}), Some("stop"))];
    let list = told(&super::run(&to_gemini(Protocol::OpenaiChat), &chunks(&stream)).text);
    let support = &list.last().unwrap()["candidates"][0]["groundingMetadata"]["groundingSupports"][0];
    assert_eq!(support["segment"], json!({"startIndex": 1, "endIndex": 4, "text": "é "}));
}

#[test]
fn one_array_for_a_client_that_asks_for_no_events() {
    let state = CallState { json_array: true, ..to_gemini(Protocol::Anthropic) };
    let events = told(&run(&CallState { json_array: false, ..state.clone() }, ANTHROPIC_TOOLS).text);
    let text = run(&state, ANTHROPIC_TOOLS).text;
    assert_eq!(serde_json::from_str::<Vec<Value>>(&text).unwrap(), events);
    assert!(text.starts_with("[{") && text.contains("}\n,\r\n{") && text.ends_with("}\n]"));
    // Signs of life and a failure leave it an array.
    let mut transcoder = Transcoder::new(state, Limits::default(), Carriage::default()).unwrap();
    let mut out = Vec::new();
    transcoder.push(&ANTHROPIC_TEXT[..ANTHROPIC_TEXT.len() * 3 / 4], &mut out).unwrap();
    assert!(transcoder.is_array());
    transcoder.keep_alive(&mut out);
    let fault = transcoder.finish(&mut out).unwrap_err().fault();
    transcoder.fail(&fault, "r", &mut out);
    let list: Vec<Value> = serde_json::from_slice(&out).unwrap();
    assert_eq!(list.last().unwrap()["error"]["status"], "UNAVAILABLE");
    assert!(list.len() > 1);
}

#[test]
fn signs_of_life_and_failures_are_responses() {
    let mut transcoder =
        Transcoder::new(to_gemini(Protocol::Anthropic), Limits::default(), Carriage::default()).unwrap();
    let mut out = Vec::new();
    transcoder.push(&ANTHROPIC_TEXT[..ANTHROPIC_TEXT.len() * 3 / 4], &mut out).unwrap();
    transcoder.keep_alive(&mut out);
    let fault = transcoder.finish(&mut out).unwrap_err().fault();
    transcoder.fail(&fault, "r", &mut out);
    let list = told(std::str::from_utf8(&out).unwrap());
    let [.., sign, error] = &list[..] else { panic!() };
    assert_eq!(sign["candidates"][0]["content"]["parts"], json!([{"text": ""}]));
    assert_eq!(error["error"]["code"], 502);
}

#[test]
fn signatures_come_home_to_their_parts() {
    let signed = |part: Value| parts(json!([part]), None);
    let stream = [
        signed(json!({"text": "hm", "thought": true, "thoughtSignature": "QQ=="})),
        signed(json!({"text": "more", "thought": true})),
        signed(json!({"text": "a"})),
        signed(json!({"text": "", "thoughtSignature": "Qg=="})),
        signed(json!({"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "Qw=="})),
        parts(json!([{"text": "", "thoughtSignature": "RA=="}]), Some("STOP")),
    ];
    let run = run(&from_gemini(Protocol::Gemini), &responses(&stream));
    let (parts, _) = gathered(&told(&run.text));
    let seen: Vec<_> =
        parts.iter().map(|part| (part["text"].as_str(), part["thoughtSignature"].as_str())).collect();
    let expected = [
        (Some("hm"), Some("QQ==")),
        (Some("more"), None),
        (Some("a"), Some("Qg==")),
        (None, Some("Qw==")),
        (Some(""), Some("RA==")),
    ];
    assert_eq!(seen, expected);
}
