//! A messages client of a chat backend.

use serde_json::json;

use super::fixtures::{CHAT_TEXT, CHAT_TOOLS};
use super::{accumulate_anthropic, frames, run, to_anthropic};

#[test]
fn text_event_by_event() {
    let run = run(&to_anthropic(), CHAT_TEXT);
    let expected = concat!(
        "event: message_start\n",
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"chatcmpl-AbC\",\"type\":\"message\",",
        "\"role\":\"assistant\",\"model\":\"gpt-4o-2024-08-06\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,",
        "\"usage\":{\"input_tokens\":0,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,",
        "\"output_tokens\":0,\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,",
        "\"ephemeral_1h_input_tokens\":0}}}}\n\n",
        "event: content_block_start\n",
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0,",
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"naïve \"}}\n\n",
        "event: content_block_delta\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0,",
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"北京 😀\\n\\\"q\\\"\"}}\n\n",
        "event: content_block_delta\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0,",
        "\"delta\":{\"type\":\"text_delta\",\"text\":\" done\"}}\n\n",
        "event: content_block_stop\n",
        "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_delta\n",
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},",
        "\"usage\":{\"input_tokens\":200,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":800,",
        "\"output_tokens\":50,\"output_tokens_details\":{\"thinking_tokens\":0}}}\n\n",
        "event: message_stop\n",
        "data: {\"type\":\"message_stop\"}\n\n",
    );
    assert_eq!(run.text, expected);
}

#[test]
fn reasoning_text_and_parallel_calls_one_block_at_a_time() {
    let run = run(&to_anthropic(), CHAT_TOOLS);
    let message = accumulate_anthropic(&run.text);
    assert_eq!(message["stop_reason"], "tool_use");
    let content = message["content"].as_array().unwrap();
    assert_eq!(content[0]["thinking"], "Two cities: ask both.");
    assert_eq!(content[1], json!({"type": "text", "text": "I'll look."}));
    let call = |id: &str, city: &str| json!({"type": "tool_use", "id": id, "name": "weather", "input": {"city": city}});
    assert_eq!(content[2], call("call_a", "Paris"));
    assert_eq!(content[3], call("call_b", "Rome"));
    assert_eq!(content.len(), 4);
    assert_eq!(message["usage"]["output_tokens_details"]["thinking_tokens"], 30);
    assert!(frames(&run.text).iter().all(|(name, _)| !name.is_empty()));
}
