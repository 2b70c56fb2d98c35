//! What would become of a request, told without asking any provider.

use std::io::Write as _;
use std::process::{Command, Stdio};

use busbar_tests::binary::busbar;
use busbar_tests::dialect::{self, Dialect};
use busbar_tests::gateway::{self, Gateway, PROVIDER_KEY, clean_environment};
use busbar_tests::http::{self, Message};
use busbar_tests::upstream::Upstream;
use serde_json::{Value, json};

/// The key that a caller shows, and repeats where it has no business.
const CALLER_KEY: &str = "sk-caller-5ecret-77aa";

/// A model of every protocol, and a pool of all of them.
fn everything(upstream: &Upstream, more: &str) -> Gateway {
    let members: Vec<_> =
        dialect::ALL.iter().map(|dialect| format!("{{ model: {} }}", gateway::model(*dialect))).collect();
    let pools = format!("pools:\n  all: {{ members: [{}]{more} }}\n", members.join(", "));
    Gateway::start(&gateway::config(upstream.address, &pools)).unwrap()
}

fn explain(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: &str) -> (Message, Value) {
    let target = format!("/busbar/explain{path}");
    let answer = http::post(gateway.admin(), &target, headers, body).unwrap();
    let told = answer.json().unwrap_or_else(|_| panic!("{}", answer.text()));
    (answer, told)
}

#[test]
fn what_is_told_of_each_lane_is_what_it_would_get() {
    let upstream = Upstream::fixed(500, &[], "{}");
    let gateway = everything(&upstream, "");
    for client in dialect::ALL {
        let path = client.path("all", false);
        let (answer, told) =
            explain(&gateway, &path, &[("x-api-key", CALLER_KEY)], &client.request("all", false));
        assert_eq!(answer.status(), 200);
        assert_eq!((&told["model"], &told["protocol"]), (&json!("all"), &json!(client.name())), "{told:#}");
        let candidates = told["candidates"].as_array().unwrap();
        assert_eq!(candidates.len(), 6, "{told:#}");
        for candidate in candidates {
            let is_home = candidate["protocol"] == client.name();
            assert_eq!(candidate["way"], if is_home { "forwarded" } else { "translated" }, "{candidate:#}");
            assert!(candidate["ledger"].is_array() && candidate["tokens"]["prompt"].as_u64() > Some(0));
            assert_eq!(candidate["state"], "closed");
        }
        let chosen: Vec<_> = candidates.iter().filter(|one| one["verdict"] == "chosen").collect();
        assert_eq!(chosen.len(), 1, "{told:#}");
        assert_eq!(chosen[0]["lane"], told["chosen"]);
        assert!(told["why"].as_str().unwrap().starts_with("weighted: "), "{told:#}");
    }
    assert!(upstream.untouched(), "a provider was called");

    // The same request, sent: the provider gets what was told of the model.
    for client in dialect::ALL {
        for backend in dialect::ALL {
            let model = gateway::model(backend);
            let (path, body) = (client.path(&model, false), client.request(&model, false));
            let (_, told) = explain(&gateway, &path, &[], &body);
            assert_eq!((&told["chosen"], &told["why"]), (&json!(model), &json!("the request names it")));
            http::post(gateway.address, &path, &[], &body).unwrap();
            let sent = upstream.next_request().unwrap();
            assert_eq!(upstream.requests(), 0, "one request was sent more than once");
            assert_eq!(told["request"]["body"], sent.json().unwrap(), "{client:?} to {backend:?}");
            let target = sent.line.split(' ').nth(1).unwrap();
            assert_eq!(told["request"]["url"], format!("http://{}{target}", upstream.address));
            let key = if backend == Dialect::Anthropic { "x-api-key" } else { "authorization" };
            let key = if backend == Dialect::Gemini { "x-goog-api-key" } else { key };
            assert_eq!(told["request"]["headers"][key], "***", "{told:#}");
            assert!(sent.header(key).unwrap().contains(PROVIDER_KEY));
        }
    }
}

#[test]
fn secrets_are_not_told() {
    let upstream = Upstream::fixed(500, &[], "{}");
    let gateway = everything(&upstream, "");
    let body = json!({
        "model": "anthropic-model", "max_tokens": 9,
        "system": format!("the key is {CALLER_KEY} and theirs {PROVIDER_KEY}"),
        "messages": [{"role": "user", "content": "hi"}],
        "mcp_servers": [{"type": "url", "name": "m", "url": "https://example.com", "authorization_token": "hush"}],
    });
    for model in ["anthropic-model", "openai-chat-model", "all"] {
        let mut body = body.clone();
        body["model"] = model.into();
        if model != "anthropic-model" {
            body.as_object_mut().unwrap().remove("mcp_servers");
        }
        let headers = [("x-api-key", CALLER_KEY), ("anthropic-beta", "mcp-client-2025-11-20")];
        let (answer, told) = explain(&gateway, "/v1/messages", &headers, &body.to_string());
        assert!(told["request"].is_object(), "{told:#}");
        for secret in [CALLER_KEY, PROVIDER_KEY, "hush"] {
            assert!(!answer.text().contains(secret), "{secret}: {told:#}");
        }
        assert!(answer.text().contains("the key is *** and theirs ***"), "{told:#}");
    }
}

#[test]
fn losses_refusals_and_lanes_that_are_out_are_told() {
    let upstream = Upstream::fixed(500, &[], r#"{"error":{"message":"broken","type":"server_error"}}"#);
    let gateway = everything(&upstream, ", policy: least_busy");
    let body = json!({
        "model": "all", "max_tokens": 9, "top_k": 5, "messages": [{"role": "user", "content": "hi"}],
    });
    let (_, told) = explain(&gateway, "/v1/messages", &[], &body.to_string());
    let of = |told: &Value, lane: &str| {
        let candidates = told["candidates"].as_array().unwrap();
        candidates.iter().find(|one| one["lane"] == lane).cloned().unwrap_or_else(|| panic!("{told:#}"))
    };
    assert!(told["why"].as_str().unwrap().starts_with("least_busy: "), "{told:#}");
    let chat = of(&told, "openai-chat-model");
    assert_eq!(
        (&chat["ledger"][0]["kind"], &chat["ledger"][0]["path"]),
        (&json!("dropped"), &json!("top_k"))
    );
    assert_eq!(chat["fidelity"], "dropped=top_k");
    assert_eq!(of(&told, "anthropic-model")["ledger"], json!([]));

    // Who may lose nothing goes elsewhere, or is refused in the caller's own words.
    let strict = [("busbar-fidelity", "strict")];
    let (_, told) = explain(&gateway, "/v1/messages", &strict, &body.to_string());
    let verdict = of(&told, "openai-chat-model")["verdict"].as_str().unwrap().to_owned();
    assert!(verdict.starts_with("refused: `top_k` would be lost"), "{told:#}");
    let mut one = body.clone();
    one["model"] = "openai-chat-model".into();
    let (_, told) = explain(&gateway, "/v1/messages", &strict, &one.to_string());
    assert_eq!((&told["chosen"], &told["refusal"]["status"]), (&Value::Null, &json!(400)), "{told:#}");
    assert_eq!(told["refusal"]["body"]["type"], "error");
    assert!(told["refusal"]["message"].as_str().unwrap().contains("the model `"), "{told:#}");
    one["model"] = "nobody".into();
    let (_, told) = explain(&gateway, "/v1/messages", &[], &one.to_string());
    assert_eq!((&told["chosen"], &told["refusal"]["status"]), (&Value::Null, &json!(404)));
    let (_, told) = explain(&gateway, "/v1/nothing", &[], "{}");
    assert_eq!(told["refusal"]["status"], 404);
    assert_eq!(
        http::send(gateway.admin(), &http::request("GET", "/busbar/explain/v1/messages", &[], b""))
            .unwrap()
            .status(),
        405
    );
    assert!(upstream.untouched(), "a provider was called");

    // A model that keeps failing is left alone, and that is told.
    one["model"] = "anthropic-model".into();
    for _ in 0..6 {
        http::post(gateway.address, "/v1/messages", &[], &one.to_string()).unwrap();
    }
    let (_, told) = explain(&gateway, "/v1/messages", &[], &body.to_string());
    assert_eq!(of(&told, "anthropic-model")["verdict"], "out: its breaker is open", "{told:#}");
    assert_ne!(told["chosen"], "anthropic-model");
}

#[test]
fn a_turn_is_not_taken_by_a_look() {
    let upstream = Upstream::fixed(200, &[], "{}");
    let gateway = everything(&upstream, "");
    let body = Dialect::OpenaiChat.request("all", false);
    let mut told: Vec<_> =
        (0..5).map(|_| explain(&gateway, "/v1/chat/completions", &[], &body).1["chosen"].clone()).collect();
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn sizes_and_prices_are_told_where_they_are_known() {
    let upstream = Upstream::fixed(200, &[], "{}");
    let config = gateway::config(upstream.address, "").replace(
        "upstream_model: vendor-2026-01-01 }",
        "upstream_model: vendor-2026-01-01, context_window: 50, max_output_tokens: 100, price: { input: 2, output: 10 } }",
    );
    let gateway = Gateway::start(&config).unwrap();
    let body = json!({"model": "gemini-model", "messages": [{"role": "user", "content": "word ".repeat(100)}], "max_completion_tokens": 40});
    let (_, told) = explain(&gateway, "/v1/chat/completions", &[], &body.to_string());
    let candidate = &told["candidates"][0];
    let prompt = candidate["tokens"]["prompt"].as_u64().unwrap();
    assert!((100..130).contains(&prompt), "{told:#}");
    assert_eq!(candidate["tokens"]["estimate_error_percent"], 15);
    assert_eq!(
        (&candidate["tokens"]["answer_at_most"], &candidate["tokens"]["fits"]),
        (&json!(40), &json!(false))
    );
    let dollars = candidate["price"]["with_answer_at_most"].as_f64().unwrap();
    assert!((dollars - (prompt as f64 * 2.0 + 400.0) / 1e6).abs() < 1e-9, "{told:#}");
}

#[test]
fn the_command_line_explains_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let config = "providers:\n  p: { protocol: openai_chat, base_url: \"http://127.0.0.1:9/v1\", api_key_env: K }\n\
                  models:\n  a: { provider: p, upstream_model: real }\n\
                  pools:\n  fast: { members: [{ model: a }] }\n";
    std::fs::write(folder.path().join("busbar.yaml"), config).unwrap();
    let run = |arguments: &[&str], body: &str| {
        let mut command = Command::new(busbar());
        clean_environment(&mut command, folder.path());
        let command = command.env("K", PROVIDER_KEY).arg("explain").args(arguments);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that is wrong ends without reading.
        drop(child.stdin.take().unwrap().write_all(body.as_bytes()));
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains(PROVIDER_KEY), "{text}");
        let told = serde_json::from_str::<Value>(&text).unwrap_or_default();
        (output.status.success(), told, String::from_utf8(output.stderr).unwrap())
    };
    let body = r#"{"max_tokens":5,"top_k":3,"messages":[{"role":"user","content":"hi"}]}"#;
    let (good, told, _) = run(&["--as", "anthropic", "--model", "fast", "--stream"], body);
    assert!(good, "{told:#}");
    assert_eq!((&told["chosen"], &told["stream"]), (&json!("a"), &json!(true)), "{told:#}");
    assert_eq!(told["why"], "weighted: the only one of its kind");
    assert_eq!(told["request"]["body"]["model"], "real");
    assert_eq!(told["candidates"][0]["fidelity"], "dropped=top_k");
    let (good, told, said) = run(&["--as", "anthropic", "--model", "fast", "--fidelity", "strict"], body);
    assert!(!good && said.contains("no model would serve the request"), "{said}");
    assert_eq!(told["refusal"]["status"], 400);
    let contents = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
    let (good, told, _) = run(&["--as", "gemini", "--model", "fast"], contents);
    assert!(good && told["chosen"] == "a", "{told:#}");
    let (good, _, said) = run(&["--as", "gemini"], contents);
    assert!(!good && said.contains("--model is missing"), "{said}");
    let (good, _, said) = run(&["--as", "latin"], contents);
    assert!(!good && said.contains("openai_responses"), "{said}");
}
