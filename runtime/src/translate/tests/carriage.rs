use super::super::carriage::{self, CarriageLimits};
use super::*;

fn tools() -> Value {
    json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }])
}

/// An anthropic answer with two blocks of reasoning around a text, and two calls.
fn thought() -> Value {
    message(
        json!([
            { "type": "thinking", "thinking": "first, \"this\"", "signature": "Eq+/=A" },
            { "type": "text", "text": "Let me look." },
            { "type": "thinking", "thinking": "", "signature": "Eq+/=B" },
            { "type": "redacted_thinking", "data": "opaque==" },
            { "type": "tool_use", "id": "toolu_1", "name": "f", "input": { "x": 1.0 } },
            { "type": "tool_use", "id": "toolu_2", "name": "f", "input": {} },
        ]),
        "tool_use",
    )
}

/// The second request of a tool loop, by a client that keeps only what plain SDKs keep.
fn second(answer: &Value) -> Value {
    let calls = &answer["choices"][0]["message"]["tool_calls"];
    json!({
        "model": "x", "max_tokens": 9000, "reasoning_effort": "low", "tools": tools(),
        "messages": [
            user("go"),
            { "role": "assistant", "content": answer["choices"][0]["message"]["content"], "tool_calls": calls },
            { "role": "tool", "tool_call_id": calls[0]["id"], "content": "one" },
            { "role": "tool", "tool_call_id": calls[1]["id"], "content": "two" },
        ],
    })
}

fn first() -> Up {
    chat(json!({ "reasoning_effort": "low", "max_tokens": 9000, "tools": tools() }))
}

#[test]
fn a_thinking_tool_loop_works_through_a_plain_chat_client() {
    let carriage = Carriage::default();
    let (answer, effects) = back(&first().state, &thought(), &carriage);
    let said = &answer["choices"][0]["message"];
    assert_eq!(
        (&said["content"], &said["reasoning_content"]),
        (&json!("Let me look."), &json!("first, \"this\""))
    );
    assert_eq!(said["tool_calls"][1]["id"], "toolu_2");
    assert_eq!(effects, ["carried content[0]", "carried content[2]", "carried content[3]"]);
    // Another process, which has nothing in store.
    let up = try_up(OpenaiChat, &second(&answer), &facts(), &Carriage::default()).unwrap();
    assert_eq!(up.body["messages"][1]["content"], thought()["content"]);
    assert_eq!(up.body["messages"][2]["content"][0]["tool_use_id"], "toolu_1");
    assert_eq!(up.body["messages"][2]["content"][1]["tool_use_id"], "toolu_2");
    assert_eq!(up.body["thinking"], json!({ "type": "enabled", "budget_tokens": 2048 }));
    assert_eq!(up.effects, ["carried messages[1].tool_calls[0]", "adapted reasoning_effort"]);
}

#[test]
fn what_does_not_fit_into_an_id_waits_in_the_store() {
    let small = || Carriage::new(CarriageLimits { inline: 64, ..CarriageLimits::default() });
    let carriage = small();
    let (answer, _) = back(&first().state, &thought(), &carriage);
    assert_eq!(answer["choices"][0]["message"]["tool_calls"][0]["id"], "bb1s-toolu_1");
    let up = try_up(OpenaiChat, &second(&answer), &facts(), &carriage).unwrap();
    assert_eq!(up.body["messages"][1]["content"], thought()["content"]);
    // The entry is gone: the turn goes on as plain text, with reasoning off.
    for (carriage, scope) in [(small(), "key"), (carriage, "another key")] {
        let facts = TargetFacts { scope, ..facts() };
        let up = try_up(OpenaiChat, &second(&answer), &facts, &carriage).unwrap();
        assert_eq!(
            up.body["messages"][1]["content"],
            json!([
                { "type": "text", "text": "Let me look." },
                { "type": "tool_use", "id": "toolu_1", "name": "f", "input": { "x": 1.0 } },
                { "type": "tool_use", "id": "toolu_2", "name": "f", "input": {} },
            ])
        );
        assert_eq!(up.body.get("thinking"), None);
        assert_eq!(up.effects, ["dropped messages[1].tool_calls[0]", "dropped reasoning_effort"]);
    }
}

#[test]
fn a_client_that_gives_the_whole_message_back_needs_no_call() {
    let answer = message(
        json!([{ "type": "thinking", "thinking": "hm", "signature": "SIG=" }, { "type": "redacted_thinking", "data": "R" }, { "type": "text", "text": "b" }]),
        "end_turn",
    );
    let (answer, _) = back(&first().state, &answer, &Carriage::default());
    let up = chat(json!({ "messages": [user("a"), answer["choices"][0]["message"], user("c")] }));
    assert_eq!(
        up.body["messages"][1]["content"],
        json!([
            { "type": "thinking", "thinking": "hm", "signature": "SIG=" },
            { "type": "redacted_thinking", "data": "R" },
            { "type": "text", "text": "b" },
        ])
    );
}

#[test]
fn another_target_gets_the_text_and_the_providers_own_ids() {
    let (answer, _) = back(&first().state, &thought(), &Carriage::default());
    // The same client, now served by a chat backend: the ids must not go up sealed.
    let body = second(&answer).to_string();
    assert!(carriage::mentions(body.as_bytes()));
    let out = request(OpenaiChat, OpenaiChat, body.as_bytes(), &facts(), &Carriage::default()).unwrap();
    let up: Value = serde_json::from_slice(&out.body).unwrap();
    assert_eq!(up["messages"][1]["tool_calls"][0]["id"], "toolu_1");
    assert_eq!(up["messages"][2]["tool_call_id"], "toolu_1");
    assert!(!String::from_utf8(out.body).unwrap().contains("Eq+"));
}

#[test]
fn reasoning_of_a_chat_server_comes_back_to_it_alone() {
    let up = messages(json!({}));
    let answer = completion(json!({ "content": "4", "reasoning_content": "2+2" }), "stop");
    let (answer, effects) = back(&up.state, &answer, &Carriage::default());
    let content = &answer["content"];
    assert_eq!(
        (&content[0]["type"], &content[0]["thinking"], &content[1]["text"]),
        (&json!("thinking"), &json!("2+2"), &json!("4"))
    );
    assert!(content[0]["signature"].as_str().unwrap().starts_with("bb1-"));
    assert_eq!(effects[0], "carried choices[0].message");
    let history = json!({ "model": "x", "max_tokens": 9, "messages": [user("a"), { "role": "assistant", "content": content }, user("b")] });
    let up = try_up(Anthropic, &history, &facts(), &Carriage::default()).unwrap();
    assert_eq!(
        up.body["messages"][1],
        json!({ "role": "assistant", "content": [{ "type": "text", "text": "4" }], "reasoning_content": "2+2" })
    );
    assert_eq!(up.effects, Vec::<String>::new());
    // Towards an anthropic backend the envelope is no signature.
    let out = request(Anthropic, Anthropic, history.to_string().as_bytes(), &facts(), &Carriage::default())
        .unwrap();
    let up: Value = serde_json::from_slice(&out.body).unwrap();
    assert_eq!(
        up["messages"][1]["content"],
        json!([{ "type": "text", "text": "<reasoning>\n2+2\n</reasoning>" }, { "type": "text", "text": "4" }])
    );
}

#[test]
fn an_id_that_was_cut_or_forged_is_an_id_and_nothing_else() {
    let (answer, _) = back(&first().state, &thought(), &Carriage::default());
    let mut body = second(&answer);
    let cut = answer["choices"][0]["message"]["tool_calls"][0]["id"].as_str().unwrap()[..60].to_owned();
    body["messages"][1]["tool_calls"][0]["id"] = json!(cut);
    body["messages"][2]["tool_call_id"] = json!(cut);
    let up = try_up(OpenaiChat, &body, &facts(), &Carriage::default()).unwrap();
    assert_eq!(up.body["messages"][1]["content"][1]["id"], cut.as_str());
    assert_eq!(up.body["messages"][2]["content"][0]["tool_use_id"], cut.as_str());
    assert_eq!(up.body.get("thinking"), None);
}

#[test]
fn an_empty_signed_block_of_the_own_provider_stays() {
    let content =
        json!([{ "type": "thinking", "thinking": "", "signature": "S" }, { "type": "text", "text": "b" }]);
    let history = json!({ "model": "x", "max_tokens": 9, "messages": [user("a"), { "role": "assistant", "content": content }, user("b")] });
    let out = request(Anthropic, Anthropic, history.to_string().as_bytes(), &facts(), &Carriage::default())
        .unwrap();
    let up: Value = serde_json::from_slice(&out.body).unwrap();
    assert_eq!(up["messages"][1]["content"], content);
    let content =
        json!([{ "type": "thinking", "thinking": "t", "signature": "" }, { "type": "text", "text": "b" }]);
    let history = json!({ "model": "x", "max_tokens": 9, "messages": [user("a"), { "role": "assistant", "content": content }, user("b")] });
    let out = request(Anthropic, Anthropic, history.to_string().as_bytes(), &facts(), &Carriage::default())
        .unwrap();
    let up: Value = serde_json::from_slice(&out.body).unwrap();
    assert_eq!(
        up["messages"][1]["content"][0],
        json!({ "type": "text", "text": "<reasoning>\nt\n</reasoning>" })
    );
}
