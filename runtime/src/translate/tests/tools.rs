use super::*;
use crate::Protocol::{Bedrock, Cohere, Gemini, OpenaiResponses};

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } })
}

fn tool_use(id: &str, name: &str, input: Value) -> Value {
    json!({ "type": "tool_use", "id": id, "name": name, "input": input })
}

fn function(name: &str) -> Value {
    json!({ "type": "function", "function": { "name": name, "parameters": { "type": "object" } } })
}

fn tool(name: &str) -> Value {
    json!({ "name": name, "input_schema": { "type": "object" } })
}

#[test]
fn parallel_results_are_one_turn_in_call_order_and_text_follows() {
    let up = chat(json!({ "messages": [
        user("go"),
        { "role": "assistant", "tool_calls": [call("a", "f", "{\"x\": 1.0}"), call("b", "g", "{}")] },
        { "role": "tool", "tool_call_id": "b", "content": "two" },
        { "role": "tool", "tool_call_id": "a", "content": "one" },
        user("and then?"),
    ] }));
    assert_eq!(
        up.body["messages"],
        json!([
            user("go"),
            { "role": "assistant", "content": [tool_use("a", "f", json!({ "x": 1.0 })), tool_use("b", "g", json!({}))] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "a", "content": "one" },
                { "type": "tool_result", "tool_use_id": "b", "content": "two" },
                { "type": "text", "text": "and then?" },
            ] },
        ])
    );
    assert_eq!(up.effects, Vec::<String>::new());
}

#[test]
fn results_among_text_are_parted_and_follow_their_calls() {
    let up = messages(json!({ "messages": [
        user("go"),
        { "role": "assistant", "content": [tool_use("a", "f", json!({})), tool_use("b", "g", json!({ "k": [] }))] },
        { "role": "user", "content": [
            { "type": "text", "text": "before" },
            { "type": "tool_result", "tool_use_id": "b", "content": "two" },
            { "type": "text", "text": "between" },
            { "type": "tool_result", "tool_use_id": "a" },
        ] },
    ] }));
    assert_eq!(
        up.body["messages"],
        json!([
            user("go"),
            { "role": "assistant", "tool_calls": [call("a", "f", "{}"), call("b", "g", "{\"k\":[]}")] },
            { "role": "tool", "tool_call_id": "a", "content": "" },
            { "role": "tool", "tool_call_id": "b", "content": "two" },
            { "role": "user", "content": [{ "type": "text", "text": "before" }, { "type": "text", "text": "between" }] },
        ])
    );
}

#[test]
fn pictures_in_results_follow_in_a_user_turn() {
    let picture =
        json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "QUJD" } });
    let up = messages(json!({ "messages": [
        user("go"),
        { "role": "assistant", "content": [tool_use("a", "shot", json!({})), tool_use("b", "shot", json!({}))] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "a", "content": [picture, { "type": "text", "text": "done" }] },
            { "type": "tool_result", "tool_use_id": "b", "content": [picture] },
        ] },
    ] }));
    let url = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,QUJD" } });
    let says = json!({ "type": "text", "text": "Result of `shot`:" });
    assert_eq!(
        up.body["messages"].as_array().unwrap()[2..],
        [
            json!({ "role": "tool", "tool_call_id": "a", "content": [{ "type": "text", "text": "done" }] }),
            json!({ "role": "tool", "tool_call_id": "b", "content": [{ "type": "text", "text": "The result follows in the next message." }] }),
            json!({ "role": "user", "content": [says, url, says, url] }),
        ]
    );
    assert_eq!(
        up.effects,
        ["adapted messages[2].content[0].content[0]", "adapted messages[2].content[1].content[0]"]
    );
}

#[test]
fn a_picture_in_a_tool_message_stays_in_its_result() {
    let up = chat(json!({ "messages": [
        user("go"),
        { "role": "assistant", "tool_calls": [call("a", "shot", "{}")] },
        { "role": "tool", "tool_call_id": "a", "content": [
            { "type": "text", "text": "see" }, { "type": "image_url", "image_url": { "url": "data:image/png;base64,QUJD" } },
        ] },
    ] }));
    assert_eq!(
        up.body["messages"][2]["content"][0]["content"],
        json!([
            { "type": "text", "text": "see" },
            { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "QUJD" } },
        ])
    );
}

#[test]
fn a_failed_result_says_so_in_words() {
    let up = messages(json!({ "messages": [
        user("go"),
        { "role": "assistant", "content": [tool_use("a", "f", json!({})), tool_use("b", "f", json!({}))] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "a", "is_error": true, "content": "no such file" },
            { "type": "tool_result", "tool_use_id": "b", "is_error": true },
        ] },
    ] }));
    assert_eq!(up.body["messages"][2]["content"][0]["text"], "[tool error] no such file");
    assert_eq!(up.body["messages"][3]["content"][0]["text"], "[tool error]");
    assert_eq!(
        up.effects,
        ["emulated messages[2].content[0].is_error", "emulated messages[2].content[1].is_error"]
    );
}

#[test]
fn orphans_of_either_kind_are_no_reason_to_fail() {
    let up = chat(json!({ "messages": [
        user("go"),
        { "role": "tool", "tool_call_id": "lost", "content": "late" },
        { "role": "assistant", "tool_calls": [call("a", "f", "{}"), call("b", "g", "{}")] },
        { "role": "tool", "tool_call_id": "b", "content": "two" },
        user("never mind"),
    ] }));
    assert_eq!(
        up.body["messages"],
        json!([
            { "role": "user", "content": [
                { "type": "text", "text": "go" },
                { "type": "text", "text": "<tool_result>\nlate\n</tool_result>" },
            ] },
            { "role": "assistant", "content": [tool_use("a", "f", json!({})), tool_use("b", "g", json!({}))] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "a", "is_error": true, "content": [
                    { "type": "text", "text": "No result was given for this call." },
                ] },
                { "type": "tool_result", "tool_use_id": "b", "content": "two" },
                { "type": "text", "text": "never mind" },
            ] },
        ])
    );
    assert_eq!(up.effects, ["adapted messages[1]", "injected messages[2].tool_calls[0]"]);
}

#[test]
fn ids_that_do_not_fit_are_mapped_and_two_never_become_one() {
    let made = |raw: &str| {
        let up = chat(json!({ "messages": [
            user("go"),
            { "role": "assistant", "tool_calls": [call(raw, "f", "{}"), call("fits-1", "f", "{}")] },
            { "role": "tool", "tool_call_id": raw, "content": "x" },
            { "role": "tool", "tool_call_id": "fits-1", "content": "y" },
        ] }));
        let id = up.body["messages"][1]["content"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(up.body["messages"][2]["content"][0]["tool_use_id"], id.as_str());
        assert_eq!(up.body["messages"][1]["content"][1]["id"], "fits-1");
        assert!(
            id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'),
            "{id}"
        );
        id
    };
    assert_eq!(made("functions.Bash:0"), made("functions.Bash:0"));
    assert_ne!(made("functions.Bash:0"), made("functions_Bash:0"));
    assert_ne!(made(&"a".repeat(65)), made(&format!("{}b", "a".repeat(64))));
    assert_eq!(made(&"a".repeat(64)), "a".repeat(64));

    let taken = made("functions.Bash:0");
    let up = chat(json!({ "messages": [
        user("go"),
        { "role": "assistant", "tool_calls": [call("functions.Bash:0", "f", "{}"), call(&taken, "f", "{}")] },
        { "role": "tool", "tool_call_id": "functions.Bash:0", "content": "x" },
        { "role": "tool", "tool_call_id": taken, "content": "y" },
    ] }));
    let ids = &up.body["messages"][1]["content"];
    assert_eq!(ids[1]["id"], taken.as_str());
    assert_ne!(ids[0]["id"], ids[1]["id"]);
    assert_eq!(up.body["messages"][2]["content"][0]["tool_use_id"], ids[0]["id"]);
}

#[test]
fn names_that_do_not_fit_come_back_as_the_caller_knows_them() {
    let up = chat(json!({
        "tools": [function("files.read"), function("files_read")],
        "tool_choice": { "type": "function", "function": { "name": "files.read" } },
    }));
    let sent = up.body["tools"][0]["name"].as_str().unwrap().to_owned();
    assert!(sent.starts_with("files_read_") && sent != "files_read", "{sent}");
    assert_eq!(up.body["tools"][1]["name"], "files_read");
    assert_eq!(up.body["tool_choice"], json!({ "type": "tool", "name": sent }));
    let answer = message(json!([tool_use("t", &sent, json!({}))]), "tool_use");
    let (body, _) = back(&up.state, &answer, &Carriage::default());
    assert_eq!(body["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "files.read");
}

#[test]
fn arguments_that_are_no_object_stand_in_one() {
    let inputs = |arguments: &str| {
        let up = chat(json!({ "messages": [
            user("go"),
            { "role": "assistant", "tool_calls": [call("a", "f", arguments)] },
            { "role": "tool", "tool_call_id": "a", "content": "x" },
        ] }));
        (up.body["messages"][1]["content"][0]["input"].clone(), up.effects)
    };
    let path = ["adapted messages[1].tool_calls[0].function.arguments"];
    for (arguments, input) in [
        ("", json!({})),
        ("null", json!({})),
        ("{\"a\":\"trunc", json!({ "raw_arguments": "{\"a\":\"trunc" })),
        ("[1]", json!({ "raw_arguments": "[1]" })),
    ] {
        assert_eq!(inputs(arguments), (input, path.map(str::to_owned).to_vec()), "{arguments}");
    }
    assert_eq!(inputs("{\"b\":1,\"a\":\"\"}"), (json!({ "b": 1, "a": "" }), Vec::new()));
}

#[test]
fn every_choice_has_its_word() {
    let tools = json!([function("f"), function("g")]);
    for (chat_word, anthropic_word) in [
        (json!("auto"), json!({ "type": "auto" })),
        (json!("required"), json!({ "type": "any" })),
        (json!("none"), json!({ "type": "none" })),
        (json!({ "type": "function", "function": { "name": "f" } }), json!({ "type": "tool", "name": "f" })),
    ] {
        let up = chat(json!({ "tools": tools, "tool_choice": chat_word }));
        assert_eq!(up.body["tool_choice"], anthropic_word);
        assert_eq!(up.effects, Vec::<String>::new());
        let up = messages(json!({ "tools": [tool("f"), tool("g")], "tool_choice": anthropic_word }));
        assert_eq!(up.body["tool_choice"], chat_word);
        assert_eq!(up.effects, Vec::<String>::new());
    }
}

#[test]
fn one_call_at_a_time_is_said_in_the_targets_way() {
    let up = chat(json!({ "tools": [function("f")], "parallel_tool_calls": false }));
    assert_eq!(up.body["tool_choice"], json!({ "type": "auto", "disable_parallel_tool_use": true }));
    let up = chat(json!({ "tools": [function("f")], "parallel_tool_calls": true }));
    assert_eq!(up.body.get("tool_choice"), None);
    let up = messages(
        json!({ "tools": [tool("f")], "tool_choice": { "type": "any", "disable_parallel_tool_use": true } }),
    );
    assert_eq!(
        (&up.body["tool_choice"], &up.body["parallel_tool_calls"]),
        (&json!("required"), &json!(false))
    );
}

#[test]
fn allowed_tools_are_offered_alone() {
    let up = chat(json!({
        "tools": [function("f"), function("g"), function("h")],
        "tool_choice": { "type": "allowed_tools", "allowed_tools": { "mode": "required", "tools": [
            { "type": "function", "function": { "name": "h" } }, { "type": "function", "function": { "name": "f" } },
        ] } },
    }));
    let names: Vec<_> =
        up.body["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(names, ["f", "h"]);
    assert_eq!(up.body["tool_choice"], json!({ "type": "any" }));
    assert_eq!(up.effects, ["emulated tools[1]", "emulated tool_choice.allowed_tools.tools"]);
}

#[test]
fn a_tool_with_free_text_is_a_function_and_comes_back_as_itself() {
    let up = chat(json!({
        "tools": [{ "type": "custom", "custom": { "name": "patch", "description": "Apply", "format": { "type": "text" } } }],
        "tool_choice": { "type": "custom", "custom": { "name": "patch" } },
        "messages": [
            user("go"),
            { "role": "assistant", "tool_calls": [{ "id": "a", "type": "custom", "custom": { "name": "patch", "input": "*** \"x\"" } }] },
            { "role": "tool", "tool_call_id": "a", "content": "ok" },
        ],
    }));
    assert_eq!(up.body["tools"][0]["name"], "patch");
    assert_eq!(up.body["tools"][0]["input_schema"]["required"], json!(["input"]));
    assert_eq!(up.body["tool_choice"], json!({ "type": "tool", "name": "patch" }));
    assert_eq!(
        up.body["messages"][1]["content"],
        json!([tool_use("a", "patch", json!({ "input": "*** \"x\"" }))])
    );
    let answer = message(json!([tool_use("t", "patch", json!({ "input": "new" }))]), "tool_use");
    let (body, _) = back(&up.state, &answer, &Carriage::default());
    assert_eq!(
        body["choices"][0]["message"]["tool_calls"],
        json!([{ "id": "t", "type": "custom", "custom": { "name": "patch", "input": "new" } }])
    );
}

#[test]
fn the_older_form_of_calls_goes_up_and_comes_back() {
    let up = chat(json!({
        "functions": [{ "name": "f", "parameters": { "type": "object" } }],
        "function_call": { "name": "f" },
        "messages": [
            user("go"),
            { "role": "assistant", "content": null, "function_call": { "name": "f", "arguments": "{\"x\":1}" } },
            { "role": "function", "name": "f", "content": "one" },
        ],
    }));
    assert_eq!(up.body["tools"][0]["name"], "f");
    assert_eq!(up.body["tool_choice"], json!({ "type": "tool", "name": "f" }));
    assert_eq!(
        up.body["messages"],
        json!([
            user("go"),
            { "role": "assistant", "content": [tool_use("call_1", "f", json!({ "x": 1 }))] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "call_1", "content": "one" }] },
        ])
    );
    let answer = message(json!([tool_use("t", "f", json!({ "x": 2 }))]), "tool_use");
    let (body, _) = back(&up.state, &answer, &Carriage::default());
    let choice = &body["choices"][0];
    assert_eq!(choice["message"]["function_call"], json!({ "name": "f", "arguments": "{\"x\":2}" }));
    assert_eq!(
        (choice["message"].get("tool_calls"), &choice["finish_reason"]),
        (None, &json!("function_call"))
    );
}

#[test]
fn a_tool_of_one_providers_own_is_refused_by_name() {
    let body = json!({ "model": "x", "max_tokens": 9, "messages": [user("a")], "tools": [{ "type": "code_execution_20250522", "name": "code_execution" }] });
    let refusal = try_up(Anthropic, &body, &facts(), &Carriage::default()).err().unwrap();
    assert_eq!((refusal.path.as_str(), refusal.semantic), ("tools[0]", true));
    let allowed = TargetFacts { allow_semantic_loss: true, ..facts() };
    let up = try_up(Anthropic, &body, &allowed, &Carriage::default()).unwrap();
    assert_eq!((up.body.get("tools"), up.effects), (None, vec!["dropped tools[0]".to_owned()]));
}

#[test]
fn tools_without_parameters_get_an_empty_schema() {
    let up = chat(json!({ "tools": [{ "type": "function", "function": { "name": "f" } }] }));
    assert_eq!(up.body["tools"][0]["input_schema"], json!({ "type": "object", "properties": {} }));
}

#[test]
fn schemas_keep_their_order_and_spelling() {
    let body = br#"{"model":"x","max_tokens":9,"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"z":{"type":"number","maximum":1.0},"a":{"$ref":"/x"}},"required":[]}}}]}"#;
    let out = request(OpenaiChat, Anthropic, body, &facts(), &Carriage::default()).unwrap();
    let text = String::from_utf8(out.body).unwrap();
    assert!(text.contains(r#""input_schema":{"type":"object","properties":{"z":{"type":"number","maximum":1.0},"a":{"$ref":"/x"}},"required":[]}"#), "{text}");
}

#[test]
fn tools_of_a_group_come_back_in_it_whatever_their_names() {
    let long = "x".repeat(70);
    for (group, name) in [("mcp__files", "read"), ("a.b", "c/d"), ("g", long.as_str())] {
        let body = json!({
            "model": "x",
            "max_output_tokens": 99,
            "input": [
                user("a"),
                { "type": "function_call", "call_id": "c", "namespace": group, "name": name, "arguments": "{}" },
                { "type": "function_call_output", "call_id": "c", "namespace": group, "output": "b" },
            ],
            "tools": [{ "type": "namespace", "name": group, "description": "About.", "tools": [
                { "type": "function", "name": name, "parameters": { "type": "object", "properties": {} } },
                { "type": "custom", "name": "free" },
            ] }],
        });
        for target in [OpenaiChat, Anthropic, Gemini, Bedrock, Cohere] {
            let out =
                request(OpenaiResponses, target, body.to_string().as_bytes(), &facts(), &Carriage::default())
                    .unwrap_or_else(|refusal| panic!("{target}: {refusal}"));
            let sent = String::from_utf8(out.body).unwrap();
            let names: Vec<String> = out.state.groups.keys().cloned().collect();
            assert_eq!(names.len(), 2, "{names:?}");
            for (flat, grouped) in &out.state.groups {
                let fitted = out.state.tool_names.iter().find(|(_, own)| *own == flat);
                let sent_name = fitted.map_or(flat, |(fitted, _)| fitted);
                let times = sent.matches(&format!("\"{sent_name}\"")).count();
                assert!(times >= if grouped.name == name { 2 } else { 1 }, "{target}: {sent_name} in {sent}");
                let mut call = busbar_protocols::ir::ToolCallBlock {
                    name: Some(sent_name.clone().into()),
                    ..Default::default()
                };
                let free = out.state.restore_name(&mut call);
                assert_eq!(free, grouped.name == "free" && target != OpenaiChat);
                let told = (call.namespace.unwrap(), call.name.unwrap());
                assert_eq!((&*told.0.decode(), &*told.1.decode()), (group, grouped.name.as_str()));
            }
        }
    }
}
