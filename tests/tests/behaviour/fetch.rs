//! Pictures and documents by address, for backends that take bytes alone.

use std::sync::mpsc::channel;

use busbar_tests::gateway::Gateway;
use busbar_tests::http::{self, Message};
use busbar_tests::simulator::Simulator;
use busbar_tests::upstream::Upstream;
use serde_json::{Value, json};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest of a picture";

/// A gateway whose backend is Bedrock, which takes no address of the web.
fn start(fetch: &str) -> (Simulator, Gateway) {
    let simulator = Simulator::start().unwrap();
    let config = format!(
        r#"
listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0 }}
fetch: {fetch}
providers:
  converse: {{ protocol: bedrock, base_url: "http://{0}", api_key_env: TEST_PROVIDER_KEY, region: us-east-1 }}
  chat: {{ protocol: openai_chat, base_url: "http://{0}/v1", api_key_env: TEST_PROVIDER_KEY }}
models:
  converse: {{ provider: converse, upstream_model: sim-text }}
  chat: {{ provider: chat, upstream_model: sim-text }}
"#,
        simulator.address
    );
    let gateway = Gateway::start(&config).unwrap();
    (simulator, gateway)
}

const LOOPBACK: &str = r#"{ allow: ["127.0.0.0/8"], size: 64KiB, time: 2s }"#;

fn ask(gateway: &Gateway, addresses: &[String]) -> Message {
    let images = addresses.iter().map(|address| json!({"type": "image_url", "image_url": {"url": address}}));
    let content: Vec<Value> = images.chain([json!({"type": "text", "text": "What is it?"})]).collect();
    let body = json!({"model": "converse", "messages": [{"role": "user", "content": content}]});
    http::post(gateway.address, "/v1/chat/completions", &[], &body.to_string()).unwrap()
}

fn refused(answer: &Message, words: &str) {
    assert_eq!(answer.status(), 400, "{}", answer.text());
    let error = answer.json().unwrap()["error"].clone();
    assert_eq!(error["type"], "invalid_request_error", "{error}");
    assert!(error["message"].as_str().unwrap_or_default().contains(words), "{words}: {error}");
    assert_eq!(error["param"], "messages[0].content[0].image_url.url", "{error}");
}

fn serve(body: &[u8], kind: &str) -> Upstream {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
    let bytes = [head.as_bytes(), body].concat();
    Upstream::start(move |_, connection| Ok(connection.write(&bytes)?))
}

#[test]
fn a_picture_goes_to_the_backend_as_bytes_and_nothing_of_the_caller_goes_to_its_server() {
    let (_simulator, gateway) = start(LOOPBACK);
    let (calls, seen) = channel();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", PNG.len());
    let server = Upstream::start(move |request, connection| {
        calls.send(request.clone())?;
        Ok(connection.write(&[head.as_bytes(), PNG].concat())?)
    });
    let address = format!("http://{}/a%20b.png?x=1", server.address);
    let answer = ask(&gateway, &[address.clone(), address]);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(answer.text().contains("images=2"), "{}", answer.text());
    let fidelity = answer.header("busbar-fidelity").unwrap_or_default();
    assert!(fidelity.contains("emulated=messages.content"), "{fidelity}");
    let calls: Vec<Message> = seen.try_iter().collect();
    let [seen] = calls.as_slice() else { panic!("one address is fetched once: {calls:?}") };
    assert_eq!(seen.line, "GET /a%20b.png?x=1 HTTP/1.1");
    for (name, value) in &seen.headers {
        assert!(["host", "accept", "user-agent"].contains(&name.as_str()), "{name}: {value}");
    }
}

#[test]
fn redirects_are_followed_and_judged_each() {
    let (_simulator, gateway) = start(LOOPBACK);
    let server = serve(PNG, "image/png");
    let there = format!("http://{}/a.png", server.address);
    let to = |location: &str| Upstream::fixed(302, &[("location", location)], "");
    let first = to(&there);
    assert_eq!(ask(&gateway, &[format!("http://{}/", first.address)]).status(), 200);
    for (location, words) in [
        ("http://10.0.0.1/a.png", "not on the public network"),
        ("http://[::ffff:169.254.169.254]/latest", "not on the public network"),
        ("file:///etc/passwd", "not of http"),
        ("/again", "redirects more than"),
    ] {
        let first = to(location);
        refused(&ask(&gateway, &[format!("http://{}/", first.address)]), words);
    }
}

#[test]
fn what_is_too_large_too_slow_or_no_picture_is_refused_by_name() {
    let (_simulator, gateway) = start(LOOPBACK);
    let address = |server: &Upstream| format!("http://{}/a", server.address);
    let large = [PNG, &vec![0; 64 << 10]].concat();
    refused(&ask(&gateway, &[address(&serve(&large, "image/png"))]), "more than may be fetched");
    // Without a length it is counted.
    let endless = Upstream::start(|_, connection| {
        connection.write(b"HTTP/1.1 200 OK\r\n\r\n")?;
        for _ in 0..100 {
            connection.write(&[PNG, &[0; 4096]].concat())?;
        }
        Ok(())
    });
    refused(&ask(&gateway, &[address(&endless)]), "more than may be fetched");
    let slow = Upstream::start(|_, connection| {
        connection.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n\x89PNG")?;
        connection.closed().map(drop)
    });
    refused(&ask(&gateway, &[address(&slow)]), "longer than 2s");
    refused(&ask(&gateway, &[address(&serve(b"\x00\x01", "image/png"))]), "no picture");
    refused(&ask(&gateway, &[address(&Upstream::fixed(404, &[], "secret words"))]), "answered 404");
    let gone = ask(&gateway, &["http://127.0.0.1:1/a.png".to_owned()]);
    refused(&gone, "cannot be reached");
    let secret = format!("http://user:pass@{}/", Upstream::fixed(200, &[], "").address);
    refused(&ask(&gateway, &[secret]), "name or a password");
}

#[test]
fn no_address_leads_inside_by_default() {
    let (_simulator, gateway) = start("{ time: 5s }");
    let server = serve(PNG, "image/png");
    let port = server.address.port();
    for host in
        ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0", "[64:ff9b::7f00:1]"]
    {
        refused(&ask(&gateway, &[format!("http://{host}:{port}/a.png")]), "not on the public network");
    }
    assert!(server.untouched());
}

#[test]
fn without_fetching_the_refusal_names_a_model_that_takes_addresses() {
    let (_simulator, gateway) = start("{ enabled: false }");
    let answer = ask(&gateway, &["https://example.com/a.png".to_owned()]);
    assert_eq!(answer.status(), 400);
    let message = answer.json().unwrap()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("messages[0].content[0]"), "{message}");
    assert!(message.contains("the model `chat` would keep it"), "{message}");
}
