use super::*;

#[test]
fn leading_system_and_developer_turns_become_the_system_text() {
    let up = chat(json!({ "messages": [
        { "role": "system", "content": "A" },
        { "role": "developer", "content": [{ "type": "text", "text": "B", "cache_control": { "type": "ephemeral", "ttl": "1h" } }] },
        user("hi"),
    ] }));
    assert_eq!(
        up.body["system"],
        json!([
            { "type": "text", "text": "A" },
            { "type": "text", "text": "B", "cache_control": { "type": "ephemeral", "ttl": "1h" } },
        ])
    );
    assert_eq!(up.body["messages"], json!([user("hi")]));
    assert_eq!(up.effects, Vec::<String>::new());
}

#[test]
fn one_system_string_stays_a_string() {
    let up = chat(json!({ "messages": [{ "role": "system", "content": "A" }, user("hi")] }));
    assert_eq!(up.body["system"], "A");
    let up = messages(json!({ "system": "A" }));
    assert_eq!(up.body["messages"], json!([{ "role": "system", "content": "A" }, user("hi")]));
}

#[test]
fn system_blocks_are_one_text_where_there_is_room_for_one() {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let marked = json!({ "type": "text", "text": "B", "cache_control": { "type": "ephemeral" } });
    let system = json!([text("x-anthropic-billing-header: a"), text("A"), marked, text("C")]);
    let body = json!({ "model": "x", "max_tokens": 100, "system": system, "messages": [user("hi")] });
    let outbound = request(
        Anthropic,
        Protocol::OpenaiResponses,
        body.to_string().as_bytes(),
        &facts(),
        &Carriage::default(),
    )
    .unwrap();
    let sent: Value = serde_json::from_slice(&outbound.body).unwrap();
    assert_eq!(sent["instructions"], "A\n\nB\n\nC");
    assert_eq!(
        effects(&outbound.ledger),
        [
            "dropped system[0]",
            "dropped system[2].cache_control",
            "injected store",
            "adapted system[2]",
            "adapted system[3]"
        ]
    );
}

#[test]
fn a_system_turn_in_mid_conversation_stays_in_its_place() {
    let up = chat(json!({ "messages": [
        user("a"), { "role": "assistant", "content": "b" }, { "role": "developer", "content": "now this" }, user("c"),
    ] }));
    assert_eq!(
        up.body["messages"],
        json!([
            user("a"), { "role": "assistant", "content": "b" }, { "role": "system", "content": "now this" }, user("c"),
        ])
    );
    let up =
        messages(json!({ "messages": [user("a"), { "role": "system", "content": "now this" }, user("b")] }));
    assert_eq!(
        up.body["messages"],
        json!([user("a"), { "role": "system", "content": "now this" }, user("b")])
    );
}

#[test]
fn a_note_to_the_clients_own_provider_is_left_out() {
    let up = messages(json!({ "system": [
        { "type": "text", "text": "x-anthropic-billing-header: cc_version=1; cch=ab" },
        { "type": "text", "text": "Be brief." },
    ] }));
    assert_eq!(
        up.body["messages"][0],
        json!({ "role": "system", "content": [{ "type": "text", "text": "Be brief." }] })
    );
    assert_eq!(up.effects, ["dropped system[0]"]);
}

#[test]
fn neighbours_of_one_role_are_joined() {
    let up = chat(
        json!({ "messages": [user("a"), user("b"), { "role": "assistant", "content": "c" }, { "role": "assistant", "content": "d" }] }),
    );
    assert_eq!(
        up.body["messages"],
        json!([
            { "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] },
            { "role": "assistant", "content": [{ "type": "text", "text": "c" }, { "type": "text", "text": "d" }] },
        ])
    );
}

#[test]
fn empty_messages_are_left_out_and_their_neighbours_joined() {
    let up = chat(json!({ "messages": [
        user("a"), { "role": "assistant", "content": "", "tool_calls": [] }, user(" \n"), user("b"), { "role": "assistant", "content": null }, user("c"),
    ] }));
    assert_eq!(
        up.body["messages"],
        json!([{ "role": "user", "content": [
            { "type": "text", "text": "a" }, { "type": "text", "text": "b" }, { "type": "text", "text": "c" },
        ] }])
    );
    assert_eq!(up.effects, ["adapted messages[1]", "adapted messages[2]", "adapted messages[4]"]);
}

#[test]
fn empty_content_beside_calls_becomes_no_text_block() {
    let call = json!({ "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let up = chat(json!({ "messages": [
        user("a"), { "role": "assistant", "content": "", "tool_calls": [call] }, { "role": "tool", "tool_call_id": "c1", "content": "" },
    ] }));
    assert_eq!(
        up.body["messages"][1],
        json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": "c1", "name": "f", "input": {} }] })
    );
    assert_eq!(up.body["messages"][2]["content"][0]["tool_use_id"], "c1");
}

#[test]
fn a_participants_name_stands_in_front() {
    let up = chat(json!({ "messages": [{ "role": "user", "name": "Ann", "content": "hi" }] }));
    assert_eq!(up.body["messages"], json!([user("Ann: hi")]));
    assert_eq!(up.effects, ["adapted messages[0].name"]);
}

#[test]
fn cache_marks_reach_the_matching_block_or_are_reported() {
    let mark = json!({ "type": "ephemeral" });
    let up = chat(json!({
        "messages": [
            { "role": "user", "content": [{ "type": "text", "text": "a", "cache_control": mark }, { "type": "text", "text": "b" }] },
            { "role": "assistant", "content": "c" },
            { "role": "user", "content": "d", "cache_control": mark },
        ],
        "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } }, "cache_control": mark }],
    }));
    assert_eq!(up.body["messages"][0]["content"][0]["cache_control"], mark);
    assert_eq!(up.body["messages"][0]["content"][1].get("cache_control"), None);
    assert_eq!(up.body["messages"][2]["content"][0]["cache_control"], mark);
    assert_eq!(up.body["tools"][0]["cache_control"], mark);
    assert_eq!(up.effects, Vec::<String>::new());

    let up = messages(
        json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "a", "cache_control": mark }] }] }),
    );
    assert_eq!(
        up.body["messages"][0],
        json!({ "role": "user", "content": [{ "type": "text", "text": "a" }] })
    );
    assert_eq!(up.effects, ["dropped messages[0].content[0].cache_control"]);
}

#[test]
fn a_message_of_an_unknown_role_is_refused_by_name() {
    let body = json!({ "model": "x", "messages": [user("a"), { "role": "robot", "content": "b" }] });
    let refusal = try_up(OpenaiChat, &body, &facts(), &Carriage::default()).err().unwrap();
    assert_eq!((refusal.path.as_str(), refusal.semantic), ("messages[1]", false));
}

#[test]
fn a_wrong_type_is_refused_with_its_path() {
    let body = json!({ "model": "x", "messages": [{ "role": "user", "content": 5 }] });
    let refusal = try_up(OpenaiChat, &body, &facts(), &Carriage::default()).err().unwrap();
    assert_eq!(refusal.path, "messages[0].content");
    assert!(!refusal.semantic);
}

#[test]
fn the_user_speaks_first_where_the_target_wants_it() {
    let up = chat(json!({ "messages": [{ "role": "system", "content": "S" }] }));
    assert_eq!(
        up.body["messages"],
        json!([{ "role": "user", "content": [{ "type": "text", "text": "Begin." }] }])
    );
    assert_eq!(up.effects, ["injected messages"]);
    let up = chat(json!({ "messages": [{ "role": "assistant", "content": "Hello!" }, user("hi")] }));
    assert_eq!(up.body["messages"][1], json!({ "role": "assistant", "content": "Hello!" }));
    assert_eq!(up.body["messages"].as_array().unwrap().len(), 3);
}

#[test]
fn a_begun_answer_goes_up_trimmed_or_as_a_question() {
    let history = json!([user("a"), { "role": "assistant", "content": "It is \n" }]);
    let up = chat(json!({ "messages": history }));
    assert_eq!(up.body["messages"][1], json!({ "role": "assistant", "content": "It is" }));
    assert_eq!(up.effects, ["adapted messages[1].content"]);
    let cannot = TargetFacts { prefill: false, ..facts() };
    let body = json!({ "model": "x", "max_tokens": 9, "messages": history });
    let up = try_up(OpenaiChat, &body, &cannot, &Carriage::default()).unwrap();
    assert_eq!(up.body["messages"][2]["role"], "user");
    assert_eq!(up.effects, ["adapted messages[1].content", "emulated messages[1]"]);
}

#[test]
fn a_mark_or_a_name_at_a_system_message_is_not_lost_in_silence() {
    let mark = json!({ "type": "ephemeral" });
    let up = chat(
        json!({ "messages": [{ "role": "system", "name": "s", "content": "A", "cache_control": mark }, user("hi")] }),
    );
    assert_eq!(up.body["system"], json!([{ "type": "text", "text": "A", "cache_control": mark }]));
    assert_eq!(up.effects, ["dropped messages[0].name"]);
}

#[test]
fn an_earlier_refusal_stands_as_text() {
    let up = chat(json!({ "messages": [
        user("a"), { "role": "assistant", "content": null, "refusal": "No." },
        user("b"), { "role": "assistant", "content": [{ "type": "refusal", "refusal": "Never." }] }, user("c"),
    ] }));
    let text = |text: &str| json!({ "role": "assistant", "content": [{ "type": "text", "text": text }] });
    assert_eq!((&up.body["messages"][1], &up.body["messages"][3]), (&text("No."), &text("Never.")));
    assert_eq!(up.effects, ["adapted messages[1]", "adapted messages[3].content[0]"]);
}

#[test]
fn a_turn_of_nothing_but_reasoning_has_a_text() {
    let up = messages(json!({ "messages": [
        user("a"), { "role": "assistant", "content": [{ "type": "thinking", "thinking": "hm", "signature": "S" }] }, user("b"),
    ] }));
    assert_eq!(
        up.body["messages"][1],
        json!({ "role": "assistant", "content": "", "reasoning_content": "hm" })
    );
}
