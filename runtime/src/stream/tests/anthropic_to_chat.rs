//! A chat client of a messages backend.

use serde_json::json;

use super::fixtures::{ANTHROPIC_TEXT, ANTHROPIC_TOOLS};
use super::{Run, accumulate_chat, frames, run, to_chat};
use crate::translate::CallState;

#[test]
fn text_chunk_by_chunk() {
    let run = run(&to_chat(), ANTHROPIC_TEXT);
    let chunk = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"msg_01A\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
             \"model\":\"claude-sonnet-4-5-20250929\",\"choices\":[{{\"index\":0,\"delta\":{{{delta}}},\"logprobs\":null,\
             \"finish_reason\":{finish}}}],\"usage\":null}}\n\n"
        )
    };
    let expected = [
        chunk(r#""role":"assistant","content":"""#, "null"),
        chunk(r#""content":"naïve ""#, "null"),
        chunk(r#""content":"北京 😀\n\"q\"""#, "null"),
        chunk(r#""content":" done""#, "null"),
        chunk("", "\"stop\""),
    ];
    let (chunks, rest) = run.text.split_at(expected.concat().len());
    assert_eq!(chunks, expected.concat());
    let last = frames(rest);
    assert_eq!(last[0].1["choices"], json!([]));
    assert_eq!(
        last[0].1["usage"],
        json!({
            "prompt_tokens": 123, "completion_tokens": 7, "total_tokens": 130,
            "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 3},
        })
    );
    assert_eq!(last[1].1, "[DONE]");
    let lost: Vec<_> = run.ledger.effects().iter().map(|effect| effect.path.as_str()).collect();
    let split = "usage.cache_creation.ephemeral";
    assert_eq!(lost, [format!("{split}_5m_input_tokens")]);
}

#[test]
fn usage_is_told_only_when_asked() {
    let call = CallState { include_usage: false, ..to_chat() };
    let run = run(&call, ANTHROPIC_TEXT);
    assert!(!run.text.contains("\"usage\""), "{}", run.text);
    assert!(run.text.ends_with("\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"));
    assert_eq!((run.counts.input, run.counts.output), (Some(123), Some(7)));
}

#[test]
fn thinking_text_and_calls() {
    let run = run(&to_chat(), ANTHROPIC_TOOLS);
    let answer = accumulate_chat(&run.text);
    assert_eq!(answer["finish_reason"], "tool_calls");
    let message = &answer["message"];
    assert_eq!(message["reasoning_content"], "Two cities: ask both.");
    assert_eq!(message["content"], "I'll look.");
    let calls = message["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0]["function"], json!({"name": "weather", "arguments": "{\"city\": \"Paris\"}"}));
    assert_eq!(calls[1]["function"], json!({"name": "now", "arguments": "{}"}));
    assert_eq!(calls[1]["id"], "toolu_02");
    assert_eq!(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 12);
    assert_eq!(answer["usage"]["completion_tokens"], 89);
}

#[test]
fn of_several_calls_the_first_is_handed_on_to_a_caller_of_one_at_a_time() {
    let all = run(&to_chat(), ANTHROPIC_TOOLS);
    let one = run(&CallState { one_call: true, ..to_chat() }, ANTHROPIC_TOOLS);
    let calls = |run: &Run| {
        accumulate_chat(&run.text)["message"]["tool_calls"].as_array().cloned().unwrap_or_default()
    };
    let (all, some) = (calls(&all), calls(&one));
    assert!(all.len() > 1);
    assert_eq!((some.len(), &some[0]["function"]), (1, &all[0]["function"]));
    assert!(one.ledger.effects().iter().any(|effect| effect.path == "tool_calls"), "{:?}", one.ledger);
}
