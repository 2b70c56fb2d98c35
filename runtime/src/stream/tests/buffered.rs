//! A stream, put together again, says what the buffered answer says.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{accumulate_anthropic, accumulate_chat, chunk, chunks, events, run, to_anthropic, to_chat};
use crate::translate::{self, CallState, Carriage};

/// What a model may say, for both protocols to tell.
#[derive(Clone, Debug)]
struct Said {
    thinking: Option<(String, String)>,
    text: String,
    calls: Vec<(String, Value)>,
    stop: &'static str,
    usage: [u32; 5],
}

fn said() -> impl Strategy<Value = Said> {
    let words = "[a-z \"\\\\\n北😀]{1,20}";
    let value = prop_oneof![Just(json!(1.50)), Just(json!(null)), words.prop_map(|text| json!(text))];
    let arguments = proptest::collection::btree_map("[a-z]{1,4}", value, 0..3);
    (
        proptest::option::of((words, "[A-Za-z0-9+/]{8,24}={0,2}")),
        proptest::option::of(words),
        proptest::collection::vec(("[a-z]{1,6}", arguments), 0..4),
        prop_oneof![Just("end"), Just("length"), Just("calls"), Just("refusal")],
        proptest::array::uniform5(0u32..5000),
    )
        .prop_map(|(thinking, text, calls, stop, usage)| Said {
            thinking,
            text: text.unwrap_or_default(),
            calls: calls.into_iter().map(|(name, arguments)| (name, json!(arguments))).collect(),
            stop,
            usage,
        })
}

/// Cuts a text into pieces of at most three characters.
fn pieces(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(3).map(|piece| piece.iter().collect()).collect()
}

/// The buffered answer and the stream of a messages backend.
fn messages(said: &Said) -> (Value, Vec<u8>) {
    let mut content = Vec::new();
    let mut stream = Vec::new();
    let mut block = |mut begun: Value, whole: Value, deltas: Vec<Value>| {
        let index = content.len();
        begun["index"] = json!(index);
        stream.push(json!({"type": "content_block_start", "index": index, "content_block": begun}));
        stream.last_mut().unwrap()["content_block"].as_object_mut().unwrap().remove("index");
        for delta in deltas {
            stream.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        stream.push(json!({"type": "content_block_stop", "index": index}));
        content.push(whole);
    };
    if let Some((thinking, signature)) = &said.thinking {
        let mut deltas: Vec<Value> =
            pieces(thinking).iter().map(|text| json!({"type": "thinking_delta", "thinking": text})).collect();
        deltas.push(json!({"type": "signature_delta", "signature": signature}));
        block(
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            json!({"type": "thinking", "thinking": thinking, "signature": signature}),
            deltas,
        );
    }
    if !said.text.is_empty() {
        let deltas =
            pieces(&said.text).iter().map(|text| json!({"type": "text_delta", "text": text})).collect();
        block(json!({"type": "text", "text": ""}), json!({"type": "text", "text": said.text}), deltas);
    }
    for (place, (name, input)) in said.calls.iter().enumerate() {
        let id = format!("toolu_{place}");
        let deltas = pieces(&input.to_string())
            .iter()
            .map(|text| json!({"type": "input_json_delta", "partial_json": text}))
            .collect();
        block(
            json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
            json!({"type": "tool_use", "id": id, "name": name, "input": input}),
            deltas,
        );
    }
    let stop = match said.stop {
        "length" => "max_tokens",
        "calls" => "tool_use",
        "refusal" => "refusal",
        _ => "end_turn",
    };
    let [input, read, write, output, thought] = said.usage;
    let usage = json!({
        "input_tokens": input, "cache_read_input_tokens": read, "cache_creation_input_tokens": write,
        "cache_creation": {"ephemeral_5m_input_tokens": write, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output, "output_tokens_details": {"thinking_tokens": thought},
    });
    let message = |content: Value, stop: Value, usage: Value| {
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-1", "content": content,
            "stop_reason": stop, "stop_sequence": null, "usage": usage,
        })
    };
    let mut early = usage.clone();
    early["output_tokens"] = json!(1);
    let mut all = vec![json!({"type": "message_start", "message": message(json!([]), json!(null), early)})];
    all.append(&mut stream);
    let late = json!({"output_tokens": output, "output_tokens_details": {"thinking_tokens": thought}});
    all.push(json!({
        "type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": late,
    }));
    all.push(json!({"type": "message_stop"}));
    (message(json!(content), json!(stop), usage), events(&all))
}

/// The buffered answer and the stream of a chat backend.
fn completion(said: &Said) -> (Value, Vec<u8>) {
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    let mut stream = vec![chunk(json!({"role": "assistant", "content": ""}), None)];
    if let Some((thinking, _)) = &said.thinking {
        message["reasoning_content"] = json!(thinking);
        stream.extend(pieces(thinking).iter().map(|text| chunk(json!({"reasoning_content": text}), None)));
    }
    if !said.text.is_empty() {
        let member = if said.stop == "refusal" { "refusal" } else { "content" };
        message[member] = json!(said.text);
        stream.extend(pieces(&said.text).iter().map(|text| chunk(json!({member: text}), None)));
    }
    let mut calls = Vec::new();
    for (place, (name, input)) in said.calls.iter().enumerate() {
        let (id, arguments) = (format!("call_{place}"), input.to_string());
        let call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        let mut begun = call.clone();
        (begun["index"], begun["function"]["arguments"]) = (json!(place), json!(""));
        stream.push(chunk(json!({"tool_calls": [begun]}), None));
        calls.push(call);
    }
    // The arguments of all calls come by turns.
    let mut fragments: Vec<_> =
        said.calls.iter().map(|(_, input)| pieces(&input.to_string()).into_iter()).collect();
    loop {
        let mut any = false;
        for (place, rest) in fragments.iter_mut().enumerate() {
            if let Some(text) = rest.next() {
                any = true;
                let fragment = json!({"index": place, "function": {"arguments": text}});
                stream.push(chunk(json!({"tool_calls": [fragment]}), None));
            }
        }
        if !any {
            break;
        }
    }
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    let finish = match said.stop {
        "length" => "length",
        "calls" => "tool_calls",
        "refusal" => "content_filter",
        _ => "stop",
    };
    stream.push(chunk(json!({}), Some(finish)));
    let [input, read, _, output, thought] = said.usage;
    let usage = json!({
        "prompt_tokens": input + read, "completion_tokens": output, "total_tokens": input + read + output,
        "prompt_tokens_details": {"cached_tokens": read},
        "completion_tokens_details": {"reasoning_tokens": thought},
    });
    let mut last = chunk(json!({}), None);
    (last["choices"], last["usage"]) = (json!([]), usage.clone());
    stream.push(last);
    let whole = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_699_999_999, "model": "m-1",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}],
        "usage": usage,
    });
    (whole, chunks(&stream))
}

fn buffered(call: &CallState, body: &Value) -> Value {
    let (body, _) = translate::response(body.to_string().as_bytes(), call, &Carriage::default()).unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// Calls' arguments as what they say: their spelling is the backend's own in both forms.
fn chat_message(message: &Value) -> Value {
    let mut message = message.clone();
    let members = message.as_object_mut().unwrap();
    members.remove("role");
    members.retain(|_, value| !value.is_null() && *value != json!(""));
    for call in members.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
        call.as_object_mut().unwrap().remove("index");
    }
    message
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn messages_for_a_chat_client(said in said()) {
        let (body, stream) = messages(&said);
        let whole = buffered(&to_chat(), &body);
        let run = run(&to_chat(), &stream);
        prop_assert!(run.result.is_ok(), "{:?}", run);
        let told = accumulate_chat(&run.text);
        prop_assert_eq!(&told["finish_reason"], &whole["choices"][0]["finish_reason"]);
        prop_assert_eq!(&told["usage"], &whole["usage"]);
        prop_assert_eq!(chat_message(&told["message"]), chat_message(&whole["choices"][0]["message"]));
    }

    #[test]
    fn completions_for_a_messages_client(said in said()) {
        let (body, stream) = completion(&said);
        let mut whole = buffered(&to_anthropic(), &body);
        let run = run(&to_anthropic(), &stream);
        prop_assert!(run.result.is_ok(), "{:?}", run);
        let mut told = accumulate_anthropic(&run.text);
        // The stream's first event has a split of cache writes, whether known or not.
        told["usage"].as_object_mut().unwrap().remove("cache_creation");
        for message in [&mut told, &mut whole] {
            message["usage"].as_object_mut().unwrap().remove("service_tier");
            if let Some(details) = message["stop_details"].as_object_mut() {
                details.retain(|_, value| !value.is_null());
            }
        }
        prop_assert_eq!(told, whole);
    }
}
