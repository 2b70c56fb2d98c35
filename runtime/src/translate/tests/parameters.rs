use super::*;

#[test]
fn the_bound_of_the_answer_reaches_each_target_under_its_own_name() {
    let send = |body: Value, facts: &TargetFacts<'_>, from| {
        try_up(from, &with(body, json!({ "model": "x" })), facts, &Carriage::default()).unwrap()
    };
    for body in [json!({ "max_tokens": 50 }), json!({ "max_completion_tokens": 50 })] {
        assert_eq!(send(body, &facts(), OpenaiChat).body["max_tokens"], 50);
    }
    let up = send(json!({ "max_tokens": 50 }), &facts(), Anthropic);
    assert_eq!((&up.body["max_completion_tokens"], up.body.get("max_tokens")), (&json!(50), None));
    let legacy = TargetFacts { max_tokens_field_legacy: true, ..facts() };
    let up = send(json!({ "max_tokens": 50 }), &legacy, Anthropic);
    assert_eq!((&up.body["max_tokens"], up.body.get("max_completion_tokens")), (&json!(50), None));
}

#[test]
fn a_missing_bound_is_the_models_own_or_the_documented_one() {
    let known = TargetFacts { max_output_tokens: Some(64_000), ..facts() };
    for (facts, bound) in [(facts(), 8192), (known, 64_000)] {
        let up = try_up(OpenaiChat, &with(json!({}), json!({ "model": "x" })), &facts, &Carriage::default())
            .unwrap();
        assert_eq!(up.body["max_tokens"], bound);
        assert_eq!(up.effects, ["injected max_tokens"]);
    }
    let small = TargetFacts { max_output_tokens: Some(10), ..facts() };
    let up = try_up(
        OpenaiChat,
        &with(json!({ "max_tokens": 50 }), json!({ "model": "x" })),
        &small,
        &Carriage::default(),
    );
    assert_eq!(up.unwrap().body["max_tokens"], 10);
}

#[test]
fn temperature_is_brought_into_range() {
    let up = chat(json!({ "temperature": 1.7 }));
    assert_eq!(
        (up.body["temperature"].to_string(), up.effects),
        ("1".to_owned(), vec!["adapted temperature".to_owned()])
    );
    let up = chat(json!({ "temperature": 0.30, "top_p": 0.9 }));
    assert_eq!((up.body["temperature"].to_string(), up.effects), ("0.3".to_owned(), Vec::new()));
    let strict = TargetFacts { sampling: false, ..facts() };
    let body = with(json!({ "temperature": 0.3, "top_p": 0.9 }), json!({ "model": "x", "max_tokens": 9 }));
    let up = try_up(OpenaiChat, &body, &strict, &Carriage::default()).unwrap();
    assert_eq!(up.effects, ["dropped temperature", "dropped top_p"]);
    assert_eq!((up.body.get("temperature"), up.body.get("top_p")), (None, None));
}

#[test]
fn what_has_no_form_is_reported_by_name() {
    let up = chat(
        json!({ "seed": 1, "logit_bias": { "5": 1 }, "presence_penalty": 0.5, "logprobs": true, "n": 1, "verbosity": "low" }),
    );
    let mut effects = up.effects;
    effects.sort();
    assert_eq!(
        effects,
        [
            "dropped logit_bias",
            "dropped logprobs",
            "dropped presence_penalty",
            "dropped seed",
            "dropped verbosity"
        ]
    );
    let up = messages(json!({ "top_k": 5 }));
    assert_eq!(up.effects, ["dropped top_k"]);
}

#[test]
fn so_many_answers_are_refused() {
    let body = with(json!({ "n": 9 }), json!({ "model": "x", "max_tokens": 9 }));
    let refusal = try_up(OpenaiChat, &body, &facts(), &Carriage::default()).err().unwrap();
    assert_eq!((refusal.path.as_str(), refusal.semantic), ("n", true));
    let body = with(json!({ "n": 8 }), json!({ "model": "x", "max_tokens": 9 }));
    let up = try_up(OpenaiChat, &body, &facts(), &Carriage::default()).unwrap();
    assert_eq!((up.state.choices, up.body.get("n")), (8, None));
}

#[test]
fn stop_texts_that_the_target_refuses_are_the_gateways_to_find() {
    let up = chat(json!({ "stop": ["", "\n", "END"] }));
    assert_eq!((&up.body["stop_sequences"], &up.state.stops[..]), (&json!(["END"]), &["\n".to_owned()][..]));
    assert_eq!(up.effects, ["adapted stop", "emulated stop"]);
    let up = chat(json!({ "stop": "\n\n" }));
    assert_eq!((up.body.get("stop_sequences"), &up.state.stops[..]), (None, &["\n\n".to_owned()][..]));
    let up = messages(json!({ "stop_sequences": ["1", "2", "3", "4", "5"] }));
    assert_eq!(
        (&up.body["stop"], &up.state.stops[..]),
        (&json!(["1", "2", "3", "4"]), &["5".to_owned()][..])
    );
}

#[test]
fn a_stop_text_cuts_the_answer() {
    let up = messages(json!({ "stop_sequences": ["1", "2", "3", "4", "</s>"] }));
    let answer = completion(json!({ "content": "<s>low</s> and more" }), "stop");
    let (body, _) = back(&up.state, &answer, &Carriage::default());
    assert_eq!(body["content"], json!([{ "type": "text", "text": "<s>low" }]));
    assert_eq!((&body["stop_reason"], &body["stop_sequence"]), (&json!("stop_sequence"), &json!("</s>")));
    let up = chat(json!({ "stop": "\n" }));
    let answer = message(
        json!([{ "type": "text", "text": "one\ntwo" }, { "type": "text", "text": "three" }]),
        "end_turn",
    );
    let (body, _) = back(&up.state, &answer, &Carriage::default());
    assert_eq!(body["choices"][0]["message"]["content"], "one");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
}

#[test]
fn an_output_schema_goes_over_both_ways() {
    let closed = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false });
    let open = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] });
    let up = chat(
        json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "n", "schema": open, "strict": true } } }),
    );
    assert_eq!(up.body["output_config"]["format"], json!({ "type": "json_schema", "schema": closed }));
    assert_eq!(up.effects, ["adapted response_format.json_schema.schema"]);
    let up = messages(json!({ "output_config": { "format": { "type": "json_schema", "schema": closed } } }));
    assert_eq!(
        up.body["response_format"],
        json!({ "type": "json_schema", "json_schema": { "name": "answer", "schema": closed, "strict": true } })
    );
    let up = messages(json!({ "output_config": { "format": { "type": "json_schema", "schema": open } } }));
    assert_eq!(up.body["response_format"]["json_schema"]["strict"], false);
}

#[test]
fn json_without_a_schema_is_asked_for_in_words_and_comes_bare() {
    let up = chat(
        json!({ "response_format": { "type": "json_object" }, "messages": [{ "role": "system", "content": "S" }, user("a")] }),
    );
    assert_eq!(up.body["system"][0]["text"], "S");
    assert!(up.body["system"][1]["text"].as_str().unwrap().contains("JSON object"));
    assert_eq!(up.effects, ["emulated response_format.type"]);
    let answer =
        message(json!([{ "type": "text", "text": "Here:\n```json\n{\"a\": 1.0}\n```\n" }]), "end_turn");
    let (body, effects) = back(&up.state, &answer, &Carriage::default());
    assert_eq!(body["choices"][0]["message"]["content"], "{\"a\": 1.0}");
    assert_eq!(effects, ["emulated content[0].text"]);
}

#[test]
fn the_end_user_and_the_tier_have_a_word_each() {
    let up = chat(json!({ "user": "u1", "service_tier": "default" }));
    assert_eq!(
        (&up.body["metadata"], &up.body["service_tier"]),
        (&json!({ "user_id": "u1" }), &json!("standard_only"))
    );
    let up = messages(json!({ "metadata": { "user_id": "u1" }, "service_tier": "auto" }));
    assert_eq!((&up.body["user"], &up.body["service_tier"]), (&json!("u1"), &json!("auto")));
}

#[test]
fn a_stream_always_counts_and_the_state_knows_who_asked() {
    let up = messages(json!({ "stream": true }));
    assert_eq!(up.body["stream_options"], json!({ "include_usage": true }));
    assert!(up.state.stream && !up.state.include_usage);
    let up = chat(json!({ "stream": true, "stream_options": { "include_usage": true } }));
    assert!(up.state.stream && up.state.include_usage);
    assert_eq!(
        (&up.body["stream"], up.body.get("stream_options"), up.effects),
        (&json!(true), None, Vec::new())
    );
}

#[test]
fn what_the_path_says_counts_like_what_the_body_says() {
    let asked = TargetFacts { asked_model: Some("by-path"), asked_stream: true, ..facts() };
    let up = try_up(Anthropic, &with(json!({}), json!({ "max_tokens": 5 })), &asked, &Carriage::default());
    let up = up.unwrap();
    assert_eq!((up.state.model.as_str(), up.state.stream), ("by-path", true));
    assert_eq!((&up.body["model"], &up.body["stream"]), (&json!("m"), &json!(true)));
}
