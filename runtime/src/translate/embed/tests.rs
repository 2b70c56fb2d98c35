use serde_json::{Value, json};

use super::*;

fn to(caller: Form, backend: Form, body: Value) -> (Value, Outbound) {
    let outbound = request(caller, backend, body.to_string().as_bytes(), "up").unwrap();
    (serde_json::from_slice(&outbound.body).unwrap(), outbound)
}

fn refused(caller: Form, backend: Form, body: Value) -> Refused {
    request(caller, backend, body.to_string().as_bytes(), "up").unwrap_err()
}

fn back(outbound: &Outbound, body: Value) -> (Value, Option<u64>, String) {
    let (made, tokens, ledger) = response(&outbound.reply, body.to_string().as_bytes()).unwrap();
    (serde_json::from_slice(&made).unwrap(), tokens, ledger.summary(200))
}

#[test]
fn openai_over_gemini() {
    let asked =
        json!({"model": "m", "input": ["a", "b"], "dimensions": 2, "encoding_format": "base64", "user": "u"});
    let (sent, outbound) = to(Form::Openai, Form::GeminiBatch, asked);
    let one = |text: &str| json!({"model": "models/up", "content": {"parts": [{"text": text}]}, "outputDimensionality": 2});
    assert_eq!(sent, json!({"requests": [one("a"), one("b")]}));
    assert_eq!(outbound.ledger.summary(200), "dropped=user");
    let answer = json!({"embeddings": [{"values": [0.5, -1.0]}, {"values": [0.25, 2]}],
        "usageMetadata": {"promptTokenCount": 7}});
    let (made, tokens, lost) = back(&outbound, answer);
    // 0.5 and -1.0, and 0.25 and 2.0, as floats of four bytes.
    assert_eq!(made["data"][0]["embedding"], "AAAAPwAAgL8=");
    assert_eq!(made["data"][1], json!({"object": "embedding", "index": 1, "embedding": "AACAPgAAAEA="}));
    assert_eq!(made["usage"], json!({"prompt_tokens": 7, "total_tokens": 7}));
    assert_eq!((made["model"].as_str(), tokens, lost.as_str()), (Some("up"), Some(7), ""));
    let (made, tokens, lost) = back(&outbound, json!({"embeddings": [{"values": [1]}, {"values": [2]}]}));
    assert_eq!(
        (made["usage"]["prompt_tokens"].as_u64(), tokens, lost.as_str()),
        (Some(0), None, "dropped=usage")
    );
}

#[test]
fn openai_over_cohere() {
    let (sent, outbound) = to(Form::Openai, Form::Cohere, json!({"model": "m", "input": "a"}));
    let expected =
        json!({"model": "up", "texts": ["a"], "input_type": "search_document", "embedding_types": ["float"]});
    assert_eq!(sent, expected);
    assert_eq!(outbound.ledger.summary(200), "injected=input_type");
    let answer = json!({"id": "x", "embeddings": {"float": [[0.1, 1e-7]]}, "meta": {"billed_units": {"input_tokens": 3}}});
    let (made, tokens, _) = back(&outbound, answer);
    assert_eq!(made["data"][0]["embedding"], json!([0.1, 1e-7]));
    assert_eq!(tokens, Some(3));
}

#[test]
fn gemini_over_both() {
    let asked = json!({"model": "models/m", "taskType": "QUESTION_ANSWERING", "title": "t",
        "content": {"parts": [{"text": "a"}, {"text": "b"}]}, "outputDimensionality": 256});
    let (sent, outbound) = to(Form::Gemini, Form::Openai, asked.clone());
    assert_eq!(
        sent,
        json!({"model": "up", "input": ["a\nb"], "encoding_format": "float", "dimensions": 256})
    );
    assert_eq!(outbound.ledger.summary(200), "dropped=title,taskType; adapted=content");
    let answer = json!({"data": [{"index": 0, "embedding": [1, 2]}], "usage": {"prompt_tokens": 2}});
    let (made, ..) = back(&outbound, answer);
    assert_eq!(
        made,
        json!({"embedding": {"values": [1, 2]}, "usageMetadata": {"promptTokenCount": 2, "totalTokenCount": 2}})
    );
    let (sent, outbound) = to(Form::Gemini, Form::Cohere, asked);
    let content = json!([{"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]);
    assert_eq!((&sent["inputs"], &sent["input_type"]), (&content, &json!("search_query")));
    assert_eq!(sent["output_dimension"], 256);
    assert_eq!(outbound.ledger.summary(200), "dropped=title; adapted=taskType");
}

#[test]
fn a_batch_of_gemini_is_of_one_kind_elsewhere() {
    let one = |task: &str| json!({"content": {"parts": [{"text": "a"}]}, "taskType": task});
    let (sent, outbound) =
        to(Form::GeminiBatch, Form::Cohere, json!({"requests": [one("CLUSTERING"), one("CLUSTERING")]}));
    assert_eq!((&sent["texts"], &sent["input_type"]), (&json!(["a", "a"]), &json!("clustering")));
    let (made, ..) = back(&outbound, json!({"embeddings": {"float": [[1], [2]]}}));
    assert_eq!(made, json!({"embeddings": [{"values": [1]}, {"values": [2]}]}));
    let mixed = json!({"requests": [one("CLUSTERING"), one("RETRIEVAL_QUERY")]});
    let refusal = refused(Form::GeminiBatch, Form::Cohere, mixed);
    assert_eq!((refusal.path.as_str(), refusal.elsewhere), ("requests[1].", true));
}

#[test]
fn cohere_over_both() {
    let asked = json!({"model": "m", "texts": ["a"], "input_type": "search_query", "truncate": "START",
        "embedding_types": ["float", "base64"], "output_dimension": 512, "max_tokens": 5});
    let (sent, outbound) = to(Form::Cohere, Form::Openai, asked.clone());
    assert_eq!(sent, json!({"model": "up", "input": ["a"], "encoding_format": "float", "dimensions": 512}));
    assert_eq!(outbound.ledger.summary(200), "dropped=max_tokens,input_type,truncate");
    let answer = json!({"data": [{"index": 0, "embedding": "AAAAPwAAgL8="}], "usage": {"prompt_tokens": 4}});
    let (made, ..) = back(&outbound, answer);
    assert_eq!(made["embeddings"], json!({"float": [[0.5, -1.0]], "base64": ["AAAAPwAAgL8="]}));
    assert_eq!(made["meta"]["billed_units"]["input_tokens"], 4);
    assert_eq!((&made["texts"], &made["response_type"]), (&json!(["a"]), &json!("embeddings_by_type")));
    assert_eq!(made["id"].as_str().unwrap().len(), 36);
    let (sent, _) = to(Form::Cohere, Form::GeminiBatch, asked);
    assert_eq!(sent["requests"][0]["taskType"], "RETRIEVAL_QUERY");
}

#[test]
fn pictures_go_where_they_are_seen() {
    let asked = json!({"images": ["data:image/png;base64,QUJD"], "input_type": "image"});
    let (sent, _) = to(Form::Cohere, Form::GeminiBatch, asked.clone());
    assert_eq!(
        sent["requests"][0]["content"]["parts"],
        json!([{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}])
    );
    let refusal = refused(Form::Cohere, Form::Openai, asked);
    assert_eq!((refusal.path.as_str(), refusal.elsewhere), ("images[0]", true));
}

#[test]
fn what_would_give_other_vectors_is_refused() {
    for (caller, body, path) in [
        (Form::Openai, json!({"input": [1, 2]}), "input"),
        (Form::Openai, json!({"input": [[1], [2]]}), "input"),
        (Form::Openai, json!({"input": []}), ""),
        (Form::Openai, json!({"input": "a", "encoding_format": "hex"}), "encoding_format"),
        (Form::Cohere, json!({"texts": ["a"], "embedding_types": ["int8"]}), "embedding_types"),
        (Form::Cohere, json!({"texts": "a"}), "texts"),
        (Form::Gemini, json!({"content": {"parts": [{"fileData": {"fileUri": "f"}}]}}), "content.parts[0]"),
    ] {
        assert_eq!(refused(caller, Form::GeminiBatch, body.clone()).path, path, "{body}");
    }
}

#[test]
fn answers_that_are_none_are_told() {
    let (_, outbound) = to(Form::Openai, Form::Cohere, json!({"input": ["a", "b"]}));
    for body in ["", "{}", r#"{"embeddings":{"float":[[1]]}}"#, r#"{"embeddings":{"float":[1,2]}}"#] {
        assert!(response(&outbound.reply, body.as_bytes()).is_err(), "{body}");
    }
    let (_, outbound) = to(Form::Gemini, Form::Openai, json!({"content": {"parts": [{"text": "a"}]}}));
    assert!(response(&outbound.reply, br#"{"data":[{"embedding":"?"}]}"#).is_err());
}

#[test]
fn vectors_are_put_in_the_order_of_the_request() {
    let (_, outbound) = to(Form::Cohere, Form::Openai, json!({"texts": ["a", "b"]}));
    let answer = json!({"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}]});
    assert_eq!(back(&outbound, answer).0["embeddings"]["float"], json!([[1], [2]]));
}
