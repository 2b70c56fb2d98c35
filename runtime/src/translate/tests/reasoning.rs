use super::super::ReasoningForm;
use super::*;

fn tool() -> Value {
    json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }])
}

#[test]
fn an_effort_becomes_a_budget_that_leaves_room() {
    for (effort, bound, budget) in [
        ("low", 20_000, 2048),
        ("medium", 20_000, 8192),
        ("high", 20_000, 16_384),
        ("minimal", 20_000, 1024),
        ("max", 100_000, 65_536),
        ("high", 10_000, 8976),
        ("high", 2000, 1500),
    ] {
        let up = chat(json!({ "reasoning_effort": effort, "max_tokens": bound }));
        assert_eq!(
            up.body["thinking"],
            json!({ "type": "enabled", "budget_tokens": budget }),
            "{effort} {bound}"
        );
        assert_eq!(up.effects, ["adapted reasoning_effort"]);
    }
}

#[test]
fn a_small_answer_goes_without_reasoning_and_says_so() {
    let up = chat(json!({ "reasoning_effort": "high", "max_tokens": 50 }));
    assert_eq!((up.body.get("thinking"), up.effects), (None, vec!["dropped reasoning_effort".to_owned()]));
    assert_eq!(up.body["max_tokens"], 50);
}

#[test]
fn no_effort_at_all_turns_it_off() {
    let up = chat(json!({ "reasoning_effort": "none" }));
    assert_eq!((&up.body["thinking"], up.effects), (&json!({ "type": "disabled" }), Vec::new()));
}

#[test]
fn a_model_that_decides_itself_gets_the_word() {
    let adaptive = TargetFacts { reasoning: ReasoningForm::Adaptive, ..facts() };
    let send = |effort: &str| {
        let body = with(json!({ "reasoning_effort": effort }), json!({ "model": "x", "max_tokens": 50 }));
        try_up(OpenaiChat, &body, &adaptive, &Carriage::default()).unwrap()
    };
    let up = send("xhigh");
    assert_eq!(
        (&up.body["thinking"], &up.body["output_config"]),
        (&json!({ "type": "adaptive" }), &json!({ "effort": "xhigh" }))
    );
    assert_eq!(up.effects, Vec::<String>::new());
    let up = send("minimal");
    assert_eq!(up.body["output_config"], json!({ "effort": "low" }));
    assert_eq!(up.effects, ["adapted reasoning_effort"]);
    let none = TargetFacts { reasoning: ReasoningForm::None, ..facts() };
    let body = with(json!({ "reasoning_effort": "high" }), json!({ "model": "x", "max_tokens": 50 }));
    let up = try_up(OpenaiChat, &body, &none, &Carriage::default()).unwrap();
    assert_eq!((up.body.get("thinking"), up.effects), (None, vec!["dropped reasoning_effort".to_owned()]));
}

#[test]
fn a_budget_becomes_an_effort() {
    for (budget, effort) in [(1024, "low"), (4000, "medium"), (10_000, "high"), (60_000, "high")] {
        let up = messages(json!({ "thinking": { "type": "enabled", "budget_tokens": budget } }));
        assert_eq!(up.body["reasoning_effort"], effort);
        assert_eq!(up.effects, ["adapted thinking.budget_tokens"]);
    }
    let up = messages(json!({ "thinking": { "type": "adaptive" }, "output_config": { "effort": "max" } }));
    assert_eq!((&up.body["reasoning_effort"], up.effects), (&json!("max"), Vec::new()));
    let up = messages(json!({ "thinking": { "type": "adaptive" } }));
    assert_eq!(
        (up.body.get("reasoning_effort"), up.effects),
        (None, vec!["adapted thinking.type".to_owned()])
    );
    let up = messages(json!({ "thinking": { "type": "disabled" } }));
    assert_eq!(
        (up.body.get("reasoning_effort"), up.effects),
        (None, vec!["dropped thinking.type".to_owned()])
    );
    let knows = TargetFacts { reasoning_off: true, ..facts() };
    let body = with(json!({ "thinking": { "type": "disabled" } }), json!({ "model": "x", "max_tokens": 50 }));
    assert_eq!(
        try_up(Anthropic, &body, &knows, &Carriage::default()).unwrap().body["reasoning_effort"],
        "none"
    );
}

#[test]
fn a_forced_tool_counts_more_than_reasoning() {
    let up = chat(
        json!({ "reasoning_effort": "low", "max_tokens": 9000, "tools": tool(), "tool_choice": "required" }),
    );
    assert_eq!((up.body.get("thinking"), &up.body["tool_choice"]), (None, &json!({ "type": "any" })));
    assert_eq!(up.effects, ["dropped reasoning_effort"]);
}

#[test]
fn sampling_that_does_not_go_with_reasoning_is_left_out() {
    let up = chat(json!({ "reasoning_effort": "low", "max_tokens": 9000, "temperature": 0.2, "top_p": 0.5 }));
    assert_eq!((up.body.get("temperature"), up.body.get("top_p")), (None, None));
    assert_eq!(up.effects, ["adapted reasoning_effort", "dropped temperature", "dropped top_p"]);
    let up = chat(json!({ "reasoning_effort": "low", "max_tokens": 9000, "temperature": 1, "top_p": 0.97 }));
    assert_eq!((&up.body["temperature"], &up.body["top_p"]), (&json!(1), &json!(0.97)));
}

#[test]
fn a_tool_loop_that_began_without_reasoning_goes_on_without() {
    let call = json!({ "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let history = json!([
        user("go"),
        { "role": "assistant", "tool_calls": [call] },
        { "role": "tool", "tool_call_id": "a", "content": "x" },
    ]);
    let up =
        chat(json!({ "reasoning_effort": "low", "max_tokens": 9000, "tools": tool(), "messages": history }));
    assert_eq!((up.body.get("thinking"), up.effects), (None, vec!["dropped reasoning_effort".to_owned()]));
    let mut over = history;
    over.as_array_mut().unwrap().extend([json!({ "role": "assistant", "content": "done" }), user("again")]);
    let up =
        chat(json!({ "reasoning_effort": "low", "max_tokens": 9000, "tools": tool(), "messages": over }));
    assert_eq!(up.body["thinking"]["type"], "enabled");
}

#[test]
fn a_loop_that_another_provider_began_goes_on_without_reasoning_at_home() {
    let began = json!([
        { "role": "user", "content": [{ "text": "go" }] },
        { "role": "assistant", "content": [{ "toolUse": { "toolUseId": "a", "name": "f", "input": {} } }] },
        { "role": "user", "content": [{ "toolResult": { "toolUseId": "a", "content": [{ "text": "x" }] } }] },
    ]);
    let ask = json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 }, "top_k": 5 });
    let body = |history: &Value| json!({ "messages": history, "additionalModelRequestFields": ask });
    let sent = |body: &Value| {
        let outbound = request(
            Protocol::Bedrock,
            Protocol::Bedrock,
            body.to_string().as_bytes(),
            &facts(),
            &Carriage::default(),
        )
        .unwrap();
        (serde_json::from_slice::<Value>(&outbound.body).unwrap(), effects(&outbound.ledger))
    };
    // Its own history is as it is: what is wrong with it, the provider says.
    assert_eq!(sent(&body(&began)), (body(&began), Vec::new()));
    // A thought without a signature came from elsewhere.
    let mut carried = began.clone();
    let thought = json!({ "reasoningContent": { "reasoningText": { "text": "hm" } } });
    carried[1]["content"].as_array_mut().unwrap().insert(0, thought);
    let (up, effects) = sent(&body(&carried));
    assert_eq!(up["additionalModelRequestFields"], json!({ "top_k": 5 }), "{effects:?}");
    assert!(effects.contains(&"dropped additionalModelRequestFields".to_owned()), "{effects:?}");
}

#[test]
fn reasoning_of_another_provider_is_text() {
    let up = chat(json!({ "messages": [
        user("a"), { "role": "assistant", "content": "b", "reasoning_content": "hm" }, user("c"),
    ] }));
    assert_eq!(
        up.body["messages"][1]["content"],
        json!([{ "type": "text", "text": "<reasoning>\nhm\n</reasoning>" }, { "type": "text", "text": "b" }])
    );
    assert_eq!(up.effects, ["adapted messages[1]"]);
    let history = json!([
        user("a"),
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "one", "signature": "SIG=" },
            { "type": "redacted_thinking", "data": "R" },
            { "type": "thinking", "thinking": "two", "signature": "" },
            { "type": "text", "text": "b" },
        ] },
        user("c"),
    ]);
    let up = messages(json!({ "messages": history }));
    assert_eq!(
        up.body["messages"][1],
        json!({ "role": "assistant", "content": [{ "type": "text", "text": "b" }], "reasoning_content": "one\n\ntwo" })
    );
    assert_eq!(
        up.effects,
        [
            "dropped messages[1].content[0].signature",
            "dropped messages[1].content[1]",
            "dropped messages[1].content[2].signature",
        ]
    );
    let deaf = TargetFacts { reasoning_history: false, ..facts() };
    let body = json!({ "model": "x", "max_tokens": 9, "messages": history });
    let up = try_up(Anthropic, &body, &deaf, &Carriage::default()).unwrap();
    assert_eq!(up.body["messages"][1].get("reasoning_content"), None);
}

#[test]
fn what_always_reasons_is_not_told_to_stop() {
    let always = TargetFacts { reasoning: ReasoningForm::Always, ..facts() };
    let send = |effort: &str| {
        let body = with(json!({ "reasoning_effort": effort }), json!({ "model": "x", "max_tokens": 50 }));
        try_up(OpenaiChat, &body, &always, &Carriage::default()).unwrap()
    };
    let up = send("none");
    assert_eq!((up.body.get("thinking"), up.effects), (None, vec!["dropped reasoning_effort".to_owned()]));
    assert_eq!(send("low").body["thinking"], json!({ "type": "adaptive" }));
}

#[test]
fn what_cannot_be_made_to_call_a_tool_is_not_asked_to() {
    let free = TargetFacts { forced_tools: false, ..facts() };
    let body = json!({ "model": "x", "max_tokens": 50, "tools": tool(), "tool_choice": "required" });
    let refusal =
        try_up(OpenaiChat, &with(body.clone(), json!({})), &free, &Carriage::default()).err().unwrap();
    assert!(refusal.semantic && refusal.path == "tool_choice.type", "{refusal:?}");
    let allowed = TargetFacts { allow_semantic_loss: true, ..free };
    let up = try_up(OpenaiChat, &with(body, json!({})), &allowed, &Carriage::default()).unwrap();
    assert_eq!(
        (&up.body["tool_choice"]["type"], up.effects),
        (&json!("auto"), vec!["dropped tool_choice.type".to_owned()])
    );
}

#[test]
fn signatures_that_the_target_refused_are_left_out() {
    let refused = TargetFacts { signatures: false, ..facts() };
    let send = |protocol, body: Value, facts: &TargetFacts<'_>| {
        let sent = request(protocol, protocol, body.to_string().as_bytes(), facts, &Carriage::default());
        let Outbound { body, ledger, .. } = sent.unwrap();
        (serde_json::from_slice::<Value>(&body).unwrap(), effects(&ledger))
    };
    let history = json!({ "model": "x", "max_tokens": 9, "messages": [
        user("a"),
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "one", "signature": "SIG=" },
            { "type": "redacted_thinking", "data": "R" },
            { "type": "text", "text": "b" },
        ] },
        user("c"),
    ] });
    let (kept, _) = send(Anthropic, history.clone(), &facts());
    assert_eq!(kept["messages"][1]["content"][0]["signature"], "SIG=");
    let (up, effects) = send(Anthropic, history, &refused);
    assert_eq!(
        up["messages"][1]["content"],
        json!([{ "type": "text", "text": "<reasoning>\none\n</reasoning>" }, { "type": "text", "text": "b" }])
    );
    let lost = ["dropped messages[1].content[0].signature", "dropped messages[1].content[1]"];
    assert!(lost.iter().all(|lost| effects.iter().any(|effect| effect == lost)), "{effects:?}");

    let call = json!({ "functionCall": { "name": "f", "args": {} }, "thoughtSignature": "U0lH" });
    let result = json!({ "functionResponse": { "name": "f", "response": { "a": 1 } } });
    let history = json!({ "contents": [
        { "role": "user", "parts": [{ "text": "a" }] },
        { "role": "model", "parts": [call] },
        { "role": "user", "parts": [result] },
    ] });
    let (kept, _) = send(Protocol::Gemini, history.clone(), &facts());
    assert_eq!(kept["contents"][1]["parts"][0]["thoughtSignature"], "U0lH");
    let (up, _) = send(Protocol::Gemini, history, &refused);
    assert_eq!(up["contents"][1]["parts"][0]["thoughtSignature"], "skip_thought_signature_validator");
}
