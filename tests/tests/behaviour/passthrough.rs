//! Calls beside generation: handed to a provider of the same API as they are.

use std::time::Duration;

use busbar_tests::dialect::Dialect;
use busbar_tests::gateway::{Gateway, PROVIDER_KEY, UPSTREAM_MODEL, config, model};
use busbar_tests::http::{self, Connection, Message};
use busbar_tests::upstream::{self, Upstream};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);
const OWN_KEY: &str = "caller-key-77d0";

/// Spelling that a parser and printer would not keep.
const ODD: &str = r#""x" : [1.0, 1e2, -0, 12345678901234567890, "\u00e9\/é"]"#;

/// A call: the caller's dialect, the path with `{}` for the model, and where it stands.
const CALLS: [(Dialect, &str, bool); 16] = [
    (Dialect::OpenaiChat, "/v1/embeddings", true),
    (Dialect::OpenaiChat, "/embeddings", true),
    (Dialect::OpenaiChat, "/v1/moderations", true),
    (Dialect::OpenaiChat, "/v1/completions", true),
    (Dialect::OpenaiChat, "/v1/images/generations", true),
    (Dialect::OpenaiChat, "/v1/audio/speech", true),
    (Dialect::Cohere, "/v2/embed", true),
    (Dialect::Cohere, "/v2/rerank", true),
    (Dialect::Cohere, "/v1/embed", true),
    (Dialect::Cohere, "/v1/rerank", true),
    (Dialect::Cohere, "/v1/classify", true),
    (Dialect::Cohere, "/v1/tokenize", true),
    (Dialect::Gemini, "/v1beta/models/{}:embedContent", false),
    (Dialect::Gemini, "/v1beta/models/{}:batchEmbedContents", false),
    (Dialect::Gemini, "/v1/models/{}:predict", false),
    (Dialect::Bedrock, "/model/{}/invoke", false),
];

#[test]
fn a_call_changes_in_its_model_alone_and_an_answer_not_at_all() {
    const ANSWER: &str = "{ \"n\":1.50e+3,\t\"s\":\"\\/\" , \"message\":\"no error\", \"error\":null}\n";
    let upstream = Upstream::fixed(200, &[("x-request-id", "req_up"), ("set-cookie", "a=b")], ANSWER);
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    for (dialect, path, in_body) in CALLS {
        let asked = model(dialect);
        let body =
            if in_body { format!(r#"{{ {ODD}, "model" : "{asked}" }}"#) } else { format!("{{ {ODD} }}") };
        let headers = [("authorization", "Bearer caller-key-77d0"), ("x-api-key", OWN_KEY)];
        let answer = http::post(gateway.address, &path.replace("{}", &asked), &headers, &body).unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (200, ANSWER), "{path}");
        assert_eq!(answer.header("x-request-id"), Some("req_up"), "{path}");
        assert_eq!(answer.header("x-busbar-lane"), Some(asked.as_str()), "{path}");
        assert_eq!(answer.header("set-cookie"), None, "{path}");

        let seen = upstream.next_request().unwrap();
        let mut expected = path.replace("{}", UPSTREAM_MODEL);
        if !expected.starts_with("/v1") && dialect == Dialect::OpenaiChat {
            expected = format!("/v1{expected}");
        }
        assert_eq!(seen.line, format!("POST {expected} HTTP/1.1"));
        assert_eq!(seen.text(), body.replace(&asked, UPSTREAM_MODEL), "{path}");
        assert_no_key_of_the_caller(&seen);
    }
}

fn assert_no_key_of_the_caller(seen: &Message) {
    let said = format!("{} {:?}", seen.line, seen.headers);
    assert!(!said.contains(OWN_KEY), "{said}");
    assert!(said.contains(PROVIDER_KEY), "{said}");
}

#[test]
fn sound_comes_back_as_it_is_made() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let upstream = Upstream::start(move |_, connection| {
        connection
            .write(b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n")?;
        connection.write(&upstream::chunk(b"ID3\x00\xff first"))?;
        gate.lock().unwrap().recv()?;
        connection.write(&upstream::chunk(&[0xff, 0x00, 0xfb]))?;
        Ok(connection.write(b"0\r\n\r\n")?)
    });
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    let mut client = Connection::open(gateway.address).unwrap();
    let body = r#"{"model":"openai-chat-model","input":"hi","voice":"alloy"}"#;
    client.write(&http::request("POST", "/v1/audio/speech", &[], body.as_bytes())).unwrap();
    let head = client.head().unwrap();
    assert_eq!((head.status(), head.header("content-type")), (200, Some("audio/mpeg")));
    client.read_until("first").unwrap();
    go.send(()).unwrap();
    // The first chunk was read up to its data.
    client.read_until("\r\n").unwrap();
    assert_eq!(client.chunks(), (vec![0xff, 0x00, 0xfb], true));
}

#[test]
fn what_streams_comes_back_event_by_event() {
    let frames = "\u{0}\u{0}binary frames";
    for (dialect, path, kind, sent) in [
        (
            Dialect::OpenaiChat,
            "/v1/completions",
            "text/event-stream",
            "data: {\"choices\":[{\"text\":\"a\"}]}\n\n",
        ),
        (
            Dialect::Bedrock,
            "/model/{}/invoke-with-response-stream",
            "application/vnd.amazon.eventstream",
            frames,
        ),
    ] {
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let gate = std::sync::Mutex::new(gate);
        let upstream = Upstream::start(move |_, connection| {
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
            connection.write(head.as_bytes())?;
            connection.write(&upstream::chunk(sent.as_bytes()))?;
            gate.lock().unwrap().recv()?;
            connection.write(&upstream::chunk(b"data: [DONE]\n\n"))?;
            Ok(connection.write(b"0\r\n\r\n")?)
        });
        let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
        let asked = model(dialect);
        let body = match dialect {
            Dialect::Bedrock => "{\"inputText\":\"hi\"}".to_owned(),
            _ => format!(r#"{{"model":"{asked}","prompt":"hi","stream":true}}"#),
        };
        let mut client = Connection::open(gateway.address).unwrap();
        client.write(&http::request("POST", &path.replace("{}", &asked), &[], body.as_bytes())).unwrap();
        client.read_until(sent).unwrap();
        go.send(()).unwrap();
        client.read_until("[DONE]").unwrap();
    }
}

#[test]
fn a_call_that_fails_is_another_models_to_answer() {
    let broken = Upstream::fixed(500, &[], r#"{"error":{"message":"down"}}"#);
    let cut = Upstream::start(|_, connection| {
        connection.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{\"data\":[",
        )?;
        anyhow::bail!("cut")
    });
    let well = Upstream::fixed(200, &[], r#"{"data":[],"usage":{"prompt_tokens":4,"total_tokens":4}}"#);
    let mut config = String::from("listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\nproviders:\n");
    for (name, upstream) in [("a", &broken), ("b", &cut), ("c", &well)] {
        config.push_str(&format!(
            "  {name}: {{ protocol: openai_chat, base_url: \"http://{}/v1\", api_key_env: TEST_PROVIDER_KEY }}\n",
            upstream.address
        ));
    }
    // A member that cannot serve the call at all costs no attempt.
    config.push_str(&format!(
        "  d: {{ protocol: anthropic, base_url: \"http://{}\", api_key_env: TEST_PROVIDER_KEY }}\n",
        well.address
    ));
    config.push_str("models:\n");
    for name in ["a", "b", "c", "d"] {
        config.push_str(&format!("  m-{name}: {{ provider: {name}, upstream_model: up-{name} }}\n"));
    }
    config.push_str(
        "pools:\n  p:\n    members:\n      - { model: m-d }\n      - { model: m-a, tier: 1 }\n      \
         - { model: m-b, tier: 2 }\n      - { model: m-c, tier: 3 }\n",
    );
    let gateway = Gateway::start(&config).unwrap();
    let body = r#"{"model":"p","input":"hi"}"#;
    let answer = http::post(gateway.address, "/v1/embeddings", &[], body).unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.header("x-busbar-lane"), Some("m-c"));
    assert_eq!(answer.header("x-busbar-attempts"), Some("3"));
    assert_eq!(well.next_request().unwrap().json().unwrap()["model"], "up-c");
}

#[test]
fn a_model_whose_provider_has_no_such_call_says_who_has() {
    let upstream = Upstream::fixed(200, &[], "{}");
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    let body = r#"{"model":"anthropic-model","query":"q","documents":["d"]}"#;
    let answer = http::post(gateway.address, "/v2/rerank", &[], body).unwrap();
    assert_eq!(answer.status(), 404, "{}", answer.text());
    let message = answer.json().unwrap()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("rerank") && message.contains("the model `cohere-model` would serve it"),
        "{message}"
    );
    assert!(upstream.untouched());
}

#[test]
fn a_call_that_names_no_model_goes_where_it_is_told() {
    let (first, second) = (Upstream::fixed(200, &[], "{}"), Upstream::fixed(200, &[], "{}"));
    let config = |more: &str| {
        format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\n{more}providers:\n  \
             one: {{ protocol: openai_chat, base_url: \"http://{}/v1\", api_key_env: TEST_PROVIDER_KEY }}\n  \
             two: {{ protocol: openai_chat, base_url: \"http://{}/v1\", api_key_env: TEST_PROVIDER_KEY }}\n",
            first.address, second.address
        )
    };
    let post = |gateway: &Gateway, headers: &[(&str, &str)]| {
        http::post(gateway.address, "/v1/moderations", headers, r#"{"input":"hi"}"#).unwrap()
    };
    let gateway = Gateway::start(&config("")).unwrap();
    let answer = post(&gateway, &[]);
    assert_eq!(answer.status(), 404);
    assert!(answer.text().contains("x-busbar-provider"), "{}", answer.text());
    assert_eq!(post(&gateway, &[("x-busbar-provider", "three")]).status(), 404);
    assert_eq!(post(&gateway, &[("x-busbar-provider", "two")]).status(), 200);
    let seen = second.next_request().unwrap();
    assert_eq!((seen.text().as_str(), seen.header("x-busbar-provider")), (r#"{"input":"hi"}"#, None));
    let gateway = Gateway::start(&config("default_providers: { openai_chat: one }\n")).unwrap();
    assert_eq!(post(&gateway, &[]).status(), 200);
    assert_eq!(first.next_request().unwrap().line, "POST /v1/moderations HTTP/1.1");
}

#[test]
fn tokens_of_such_calls_are_recorded() {
    for (dialect, path, headers, answer, counts) in [
        (
            Dialect::OpenaiChat,
            "/v1/embeddings",
            vec![],
            r#"{"data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}"#,
            (8, None),
        ),
        (
            Dialect::Cohere,
            "/v2/embed",
            vec![],
            r#"{"embeddings":{},"meta":{"billed_units":{"input_tokens":9}}}"#,
            (9, None),
        ),
        (
            Dialect::Bedrock,
            "/model/bedrock-model/invoke",
            vec![("x-amzn-bedrock-input-token-count", "5"), ("x-amzn-bedrock-output-token-count", "2")],
            r#"{"embedding":[0.5]}"#,
            (5, Some(2)),
        ),
    ] {
        let upstream = Upstream::fixed(200, &headers, answer);
        let mut gateway = Gateway::start(&config(upstream.address, "log: { format: json }")).unwrap();
        let body = format!(r#"{{"model":"{}"}}"#, model(dialect));
        assert_eq!(http::post(gateway.address, path, &[], &body).unwrap().status(), 200, "{path}");
        gateway.process.terminate().unwrap();
        gateway.process.wait_exit(PATIENCE).unwrap();
        let output = gateway.process.output();
        let record = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let record = record.filter(|record| record["request_id"].is_string());
        let record = record.collect::<Vec<_>>().pop().expect("a record");
        assert_eq!(record["input_tokens"], counts.0, "{record}");
        assert_eq!(record["output_tokens"].as_u64(), counts.1, "{record}");
        assert_eq!(record["outcome"], "complete", "{record}");
    }
}
