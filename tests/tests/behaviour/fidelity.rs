//! What may be lost, and where a request goes that would lose what it is about.

use busbar_tests::gateway::Gateway;
use busbar_tests::http::{self, Message};
use busbar_tests::simulator::Simulator;
use serde_json::{Value, json};

/// A gateway with a model of chat completions and one of messages, alone and in pools.
fn start(more: &str) -> (Simulator, Gateway) {
    let simulator = Simulator::start().unwrap();
    let config = format!(
        r#"
listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0 }}
fetch: {{ enabled: false }}
{more}
providers:
  chat: {{ protocol: openai_chat, base_url: "http://{0}/v1", api_key_env: TEST_PROVIDER_KEY }}
  messages: {{ protocol: anthropic, base_url: "http://{0}", api_key_env: TEST_PROVIDER_KEY }}
models:
  one-chat: {{ provider: chat, upstream_model: sim-text }}
  two-chat: {{ provider: chat, upstream_model: sim-text }}
  messages: {{ provider: messages, upstream_model: sim-text }}
pools:
  mixed: {{ members: [{{ model: one-chat, weight: 1000000 }}, {{ model: messages, standby: true }}] }}
  chats: {{ members: [{{ model: one-chat }}, {{ model: two-chat }}] }}
  exact: {{ fidelity: strict, members: [{{ model: one-chat }}] }}
  loose: {{ fidelity: allow, members: [{{ model: one-chat }}] }}
"#,
        simulator.address
    );
    let gateway = Gateway::start(&config).unwrap();
    (simulator, gateway)
}

/// A question about a document at an address, which chat completions have no form for.
fn about_a_document(model: &str) -> Value {
    let document = json!({"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}});
    let content = json!([document, {"type": "text", "text": "What does it say?"}]);
    json!({"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": content}]})
}

fn plain(model: &str) -> Value {
    json!({"model": model, "max_tokens": 100, "top_k": 5, "messages": [{"role": "user", "content": "Hi"}]})
}

fn post(gateway: &Gateway, body: &Value, fidelity: Option<&str>) -> Message {
    let headers: Vec<_> = fidelity.map(|word| ("busbar-fidelity", word)).into_iter().collect();
    http::post(gateway.address, "/v1/messages", &headers, &body.to_string()).unwrap()
}

/// Whether the answer says that this was lost.
fn drops(answer: &Message, name: &str) -> bool {
    let said = answer.header("busbar-fidelity").unwrap_or_default();
    let dropped = said.split("; ").find_map(|part| part.strip_prefix("dropped="));
    dropped.is_some_and(|dropped| dropped.split(',').any(|lost| lost == name))
}

fn refused(answer: &Message, words: &[&str]) {
    assert_eq!(answer.status(), 400, "{}", answer.text());
    let error = answer.json().unwrap()["error"].clone();
    assert_eq!(error["type"], "invalid_request_error");
    let message = error["message"].as_str().unwrap_or_default();
    for word in words {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn what_a_request_is_about_is_lost_nowhere_unless_it_is_allowed() {
    let (_simulator, gateway) = start("");
    // A pool has a member that keeps it, even if another one's turn it is.
    for _ in 0..3 {
        let answer = post(&gateway, &about_a_document("mixed"), None);
        assert_eq!(
            (answer.status(), answer.header("x-busbar-lane")),
            (200, Some("messages")),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("busbar-fidelity"), None);
        let answer = post(&gateway, &plain("mixed"), None);
        assert_eq!(answer.header("x-busbar-lane"), Some("one-chat"));
    }
    // A pool of one kind has none; the refusal says what it is about and which model would keep it.
    for model in ["chats", "one-chat", "exact"] {
        refused(
            &post(&gateway, &about_a_document(model), None),
            &["messages[0].content[0]", "the model `messages` would keep it"],
        );
    }
    for answer in [
        post(&gateway, &about_a_document("loose"), None),
        post(&gateway, &about_a_document("chats"), Some("allow")),
    ] {
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(drops(&answer, "messages.content"), "{:?}", answer.headers);
    }
    refused(&post(&gateway, &about_a_document("loose"), Some("report")), &["messages[0].content[0]"]);
}

#[test]
fn a_pool_or_the_gateway_is_strict_where_the_caller_says_nothing() {
    let (_simulator, gateway) = start("");
    refused(
        &post(&gateway, &plain("exact"), None),
        &["`top_k` would be lost", "strict", "the model `messages` would keep it"],
    );
    let answer = post(&gateway, &plain("exact"), Some("report"));
    assert!(drops(&answer, "top_k"), "{}", answer.text());
    // Strict is also a reason to take another member.
    let answer = post(&gateway, &plain("mixed"), Some("strict"));
    assert_eq!((answer.status(), answer.header("x-busbar-lane")), (200, Some("messages")));

    let (_simulator, strict) = start("fidelity: strict");
    refused(&post(&strict, &plain("one-chat"), None), &["`top_k` would be lost"]);
    assert!(drops(&post(&strict, &plain("loose"), None), "top_k"));
    assert_eq!(post(&strict, &plain("messages"), None).status(), 200);
}
