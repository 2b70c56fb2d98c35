//! What Gemini takes less of than others, and what it says in fewer words.

use std::collections::HashMap;

use super::super::Fetched;
use super::*;
use crate::Protocol::Gemini;

fn to_gemini(from: Protocol, body: Value, facts: &TargetFacts<'_>) -> Result<(Value, Vec<String>), String> {
    let body = with(body, json!({ "model": "x", "max_tokens": 100_000 })).to_string();
    match request(from, Gemini, body.as_bytes(), facts, &Carriage::default()) {
        Ok(sent) => Ok((serde_json::from_slice(&sent.body).expect("a body is JSON"), effects(&sent.ledger))),
        Err(refusal) => Err(refusal.to_string()),
    }
}

fn chat(body: Value) -> (Value, Vec<String>) {
    to_gemini(OpenaiChat, body, &facts()).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn from_gemini(to: Protocol, body: &Value) -> (Value, Vec<String>) {
    let sent = request(Gemini, to, body.to_string().as_bytes(), &facts(), &Carriage::default())
        .unwrap_or_else(|refusal| panic!("{refusal}"));
    (serde_json::from_slice(&sent.body).expect("a body is JSON"), effects(&sent.ledger))
}

#[test]
fn a_budget_above_the_highest_is_lowered_to_it() {
    for (asked, budget, said) in
        [(40_000, 32_768, &["adapted thinking.budget_tokens"][..]), (32_768, 32_768, &[]), (2000, 2000, &[])]
    {
        let body = json!({ "thinking": { "type": "enabled", "budget_tokens": asked } });
        let (sent, effects) = to_gemini(Anthropic, body, &facts()).unwrap();
        assert_eq!(sent["generationConfig"]["thinkingConfig"]["thinkingBudget"], budget, "{asked}");
        assert_eq!(effects, said, "{asked}");
    }
}

#[test]
fn numbers_stay_in_the_ranges_that_google_takes() {
    let (sent, effects) =
        chat(json!({ "presence_penalty": 2.0, "frequency_penalty": -2, "seed": 5_000_000_000_u64 }));
    let config = &sent["generationConfig"];
    assert_eq!((&config["presencePenalty"], &config["frequencyPenalty"]), (&json!(1.99), &json!(-2)));
    assert_eq!(config["seed"], 5_000_000_000_u64 % (1 << 31));
    assert_eq!(effects, ["adapted seed", "adapted presence_penalty"]);
    let (sent, effects) = chat(json!({ "seed": -7 }));
    assert_eq!((&sent["generationConfig"]["seed"], effects), (&json!(-7), Vec::new()));
    for (asked, sent, said) in [(0, None, &["dropped top_k"][..]), (1, Some(json!(1)), &[])] {
        let (up, effects) = to_gemini(Anthropic, json!({ "top_k": asked }), &facts()).unwrap();
        assert_eq!(
            (up["generationConfig"].get("topK"), effects),
            (sent.as_ref(), said.iter().map(|s| (*s).to_owned()).collect())
        );
    }
}

#[test]
fn more_answers_than_google_gives_are_refused_by_name() {
    assert_eq!(chat(json!({ "n": 8 })).0["generationConfig"]["candidateCount"], 8);
    let refusal = to_gemini(OpenaiChat, json!({ "n": 12 }), &facts()).unwrap_err();
    assert!(refusal.contains("this protocol gives 8 answers at most"), "{refusal}");
}

#[test]
fn tools_say_that_their_arguments_are_an_object_and_begin_with_a_letter() {
    let tool = |name: &str, parameters: Value| json!({ "type": "function", "function": { "name": name, "parameters": parameters } });
    let (sent, effects) = chat(json!({ "tools": [
        tool("f", json!({})),
        tool("9f", json!({ "type": "object" })),
        tool("-g", json!({ "type": "object" })),
        tool("h-1", json!({ "type": ["object", "null"] })),
    ] }));
    let functions = &sent["tools"][0]["functionDeclarations"];
    let said = |place: usize| {
        (functions[place]["name"].as_str().unwrap(), &functions[place]["parametersJsonSchema"])
    };
    let object = json!({ "type": "object" });
    assert_eq!(said(0), ("f", &object));
    assert!(said(1).0.starts_with("_9f_") && said(2).0.starts_with("_-g_"), "{functions}");
    assert_eq!(said(3), ("h-1", &object));
    assert_eq!(
        effects,
        [
            "adapted tools[1]",
            "adapted tools[2]",
            "adapted tools[0].parameters",
            "adapted tools[3].parameters",
        ]
    );
}

#[test]
fn what_is_at_an_address_is_told_by_its_ending_or_fetched() {
    let picture = |url: &str| json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": url } }] }] });
    let (sent, effects) = chat(picture("https://e.org/a.png?size=1"));
    assert_eq!(
        sent["contents"][0]["parts"][0]["fileData"],
        json!({ "fileUri": "https://e.org/a.png?size=1", "mimeType": "image/png" })
    );
    assert_eq!(effects, ["injected messages[0].content[0].image_url.url"]);
    let refusal = to_gemini(OpenaiChat, picture("https://e.org/a"), &facts()).unwrap_err();
    assert!(refusal.contains("the media type of what is at an address"), "{refusal}");
    let file = Fetched { media_type: "image/png".into(), base64: "iVBORw0KGgo=".into() };
    let fetched = HashMap::from([("https://e.org/a".to_owned(), file)]);
    let knows = TargetFacts { fetched: Some(&fetched), ..facts() };
    let (sent, effects) = to_gemini(OpenaiChat, picture("https://e.org/a"), &knows).unwrap();
    assert_eq!(sent["contents"][0]["parts"][0]["inlineData"]["mimeType"], "image/png");
    assert_eq!(effects, ["emulated messages[0].content[0].image_url.url"]);
}

#[test]
fn documents_of_messages_are_pdfs_wherever_they_are() {
    let document = json!({ "type": "document", "source": { "type": "url", "url": "https://e.org/a" } });
    let body = json!({ "messages": [{ "role": "user", "content": [document] }] });
    let (sent, effects) = to_gemini(Anthropic, body, &facts()).unwrap();
    assert_eq!(
        sent["contents"][0]["parts"][0]["fileData"],
        json!({ "fileUri": "https://e.org/a", "mimeType": "application/pdf" })
    );
    assert_eq!(effects, Vec::<String>::new());
}

#[test]
fn a_picture_that_google_cannot_read_is_refused_by_name() {
    for (kind, head, taken) in [("png", "iVBORw0KGgoAAAAN", true), ("gif", "R0lGODlhAQABAAAA", false)] {
        let url = format!("data:image/{kind};base64,{head}");
        let picture = json!({ "type": "image_url", "image_url": { "url": url } });
        let body = json!({ "messages": [{ "role": "user", "content": [picture] }] });
        let sent = to_gemini(OpenaiChat, body, &facts());
        assert_eq!(sent.is_ok(), taken, "{kind}");
        if let Err(refusal) = sent {
            assert!(refusal.contains("no pictures of this media type"), "{refusal}");
        }
    }
}

#[test]
fn a_call_without_arguments_has_none_of_them() {
    let body = json!({
        "contents": [
            { "role": "user", "parts": [{ "text": "q" }] },
            { "role": "model", "parts": [{ "functionCall": { "name": "f" } }] },
            { "role": "user", "parts": [{ "functionResponse": { "name": "f", "response": { "output": "one" } } }] },
        ],
        "generationConfig": { "maxOutputTokens": 10 },
        "tools": [{ "functionDeclarations": [{ "name": "f", "parametersJsonSchema": { "type": "object" } }] }],
    });
    let (sent, effects) = from_gemini(OpenaiChat, &body);
    assert_eq!(sent["messages"][1]["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(effects, Vec::<String>::new());
    let (sent, effects) = from_gemini(Anthropic, &body);
    assert_eq!(sent["messages"][1]["content"][0]["input"], json!({}));
    assert_eq!(effects, Vec::<String>::new());
}

#[test]
fn an_answer_counts_what_googles_tools_found_and_a_call_has_arguments() {
    let body = with(json!({}), json!({ "model": "x" })).to_string();
    let asked = request(OpenaiChat, Gemini, body.as_bytes(), &facts(), &Carriage::default())
        .unwrap_or_else(|refusal| panic!("{refusal}"));
    let answer = json!({
        "candidates": [{
            "content": { "role": "model", "parts": [{ "functionCall": { "id": "c", "name": "f" } }] },
            "finishReason": "STOP",
        }],
        "usageMetadata": {
            "promptTokenCount": 10, "toolUsePromptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 17,
        },
        "responseId": "r", "modelVersion": "m",
    });
    let (said, effects) = back(&asked.state, &answer, &Carriage::default());
    assert_eq!(said["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}");
    let count = |name: &str| said["usage"][name].as_u64();
    assert_eq!(
        ["prompt_tokens", "completion_tokens", "total_tokens"].map(count),
        [Some(15), Some(2), Some(17)]
    );
    assert_eq!(effects, Vec::<String>::new());
}
