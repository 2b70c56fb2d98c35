//! Documents of a request, and the citations of its answer.

use serde_json::json;

use super::*;
use crate::Protocol::{Bedrock, Cohere};

fn up(from: Protocol, to: Protocol, body: &Value) -> Up {
    let Outbound { body, ledger, state } =
        request(from, to, body.to_string().as_bytes(), &facts(), &Carriage::default())
            .unwrap_or_else(|refusal| panic!("{refusal}"));
    let body = serde_json::from_slice(&body).expect("a body is JSON");
    Up { body, effects: effects(&ledger), state }
}

fn cited_by_anthropic(citation: Value) -> Value {
    message(json!([{ "type": "text", "text": "Rock.", "citations": [citation] }]), "end_turn")
}

#[test]
fn documents_are_cited_by_the_ids_that_the_client_gave() {
    let asked = json!({
        "model": "x",
        "messages": [
            { "role": "user", "content": "first" },
            { "role": "assistant", "content": "yes" },
            { "role": "user", "content": "Is it?" },
        ],
        "documents": ["The sun is hot.", { "id": "moon", "data": { "title": "Moon", "text": "Rock." } }],
    });
    let up = up(Cohere, Anthropic, &asked);
    assert_eq!(up.body["messages"][2]["content"][1]["citations"], json!({ "enabled": true }));
    let body = cited_by_anthropic(json!({
        "type": "char_location", "cited_text": "Rock", "document_index": 1, "document_title": "Moon",
        "start_char_index": 0, "end_char_index": 4,
    }));
    let (answer, _) = back(&up.state, &body, &Carriage::default());
    let source = json!({ "type": "document", "id": "moon", "document": { "title": "Moon", "text": "Rock" } });
    assert_eq!(answer["message"]["citations"][0]["sources"], json!([source]));
}

fn answer_of_cohere(sources: Value) -> Value {
    json!({
        "id": "c1", "finish_reason": "COMPLETE",
        "message": {
            "role": "assistant",
            "content": [{ "type": "text", "text": "Rock." }],
            "citations": [
                { "start": 0, "end": 4, "text": "Rock", "sources": sources, "type": "TEXT_CONTENT" },
            ],
        },
        "usage": { "tokens": { "input_tokens": 3, "output_tokens": 2 } },
    })
}

#[test]
fn documents_are_cited_by_the_numbers_that_the_client_knows() {
    let text = |text: &str| json!({ "type": "text", "media_type": "text/plain", "data": text });
    let asked = json!({
        "model": "x", "max_tokens": 100,
        "messages": [{ "role": "user", "content": [
            { "type": "search_result", "source": "https://e.x/", "title": "Sun", "content": [{ "type": "text", "text": "Hot." }] },
            { "type": "document", "source": text("One.") },
            { "type": "document", "source": text("Rock."), "title": "Moon", "citations": { "enabled": true } },
            { "type": "text", "text": "Is it?" },
        ] }],
    });
    let up = up(Anthropic, Cohere, &asked);
    assert_eq!(up.body["documents"][2]["id"], "doc:2");
    assert!(up.body.get("citation_options").is_none());
    let source =
        |id: &str| json!({ "type": "document", "id": id, "document": { "id": id, "text": "Rock." } });
    let body = answer_of_cohere(json!([source("doc:2"), source("doc:0")]));
    let (answer, _) = back(&up.state, &body, &Carriage::default());
    assert_eq!(
        answer["content"][0]["citations"],
        json!([
            {
                "type": "content_block_location", "cited_text": "Rock.", "document_index": 1,
                "document_title": "Moon", "start_block_index": 0, "end_block_index": 1,
            },
            {
                "type": "search_result_location", "cited_text": "Rock.", "search_result_index": 0,
                "source": "https://e.x/", "title": "Sun", "start_block_index": 0, "end_block_index": 1,
            },
        ])
    );
}

#[test]
fn what_nobody_asked_to_cite_is_not_cited() {
    let asked = json!({
        "model": "x", "max_tokens": 100,
        "messages": [{ "role": "user", "content": [
            { "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "One." } },
        ] }],
    });
    assert_eq!(up(Anthropic, Cohere, &asked).body["citation_options"], json!({ "mode": "OFF" }));
    let asked = json!({
        "model": "x",
        "messages": [{ "role": "user", "content": "Is it?" }],
        "documents": ["One."],
        "citation_options": { "mode": "DISABLED" },
    });
    let up = up(Cohere, Bedrock, &asked);
    assert!(up.body["messages"][0]["content"][0]["document"].get("citations").is_none());
    assert!(!up.effects.iter().any(|effect| effect.contains("citation_options")), "{:?}", up.effects);
}
