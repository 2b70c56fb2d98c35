//! Other settings without a restart.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use busbar_tests::dialect::Dialect;
use busbar_tests::gateway::Gateway;
use busbar_tests::http::{self, Connection};
use busbar_tests::upstream::{self, Upstream};

/// More than a change may take here.
const PATIENCE: Duration = Duration::from_secs(20);

fn config(upstream: &Upstream, models: &str) -> String {
    format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nproviders:\n  p: {{ protocol: openai_chat, base_url: \"http://{}/v1\", api_key_env: TEST_PROVIDER_KEY }}\nmodels:\n{models}",
        upstream.address
    )
}

fn status(gateway: &Gateway, model: &str) -> u16 {
    let body = Dialect::OpenaiChat.request(model, false);
    http::post(gateway.address, "/v1/chat/completions", &[], &body).unwrap().status()
}

/// Waits until a model is served, or is not.
fn wait(gateway: &Gateway, model: &str, expected: u16) {
    let begun = Instant::now();
    while status(gateway, model) != expected {
        assert!(begun.elapsed() < PATIENCE, "`{model}` never was {expected}: {}", gateway.process.output());
    }
}

fn reload(gateway: &Gateway) -> (u16, String) {
    let answer = http::send(gateway.admin(), &http::request("POST", "/busbar/reload", &[], b"")).unwrap();
    (answer.status(), answer.text())
}

#[test]
fn a_changed_file_a_signal_and_an_operator_are_heeded() {
    let upstream = Upstream::fixed(200, &[], r#"{"choices":[]}"#);
    let gateway = Gateway::start(&config(&upstream, "  a: { provider: p }\n")).unwrap();
    assert_eq!((status(&gateway, "a"), status(&gateway, "b")), (200, 404));
    gateway.configure(&config(&upstream, "  b: { provider: p }\n")).unwrap();
    wait(&gateway, "b", 200);
    assert_eq!(status(&gateway, "a"), 404);
    assert_eq!(reload(&gateway).0, 200);
    gateway.process.signal("HUP").unwrap();
    let heeded = |output: &str| output.contains("why=\"a signal\"").then_some(());
    gateway.process.wait_output(PATIENCE, heeded).unwrap();
    assert_eq!(status(&gateway, "b"), 200);
}

#[test]
fn what_is_wrong_changes_nothing_and_is_said() {
    let upstream = Upstream::fixed(200, &[], r#"{"choices":[]}"#);
    let gateway = Gateway::start(&config(&upstream, "  a: { provider: p }\n")).unwrap();
    for (wrong, said) in [
        (config(&upstream, "  a: { provider: q }\n"), "there is no provider `q`"),
        (config(&upstream, "  a: { provider: p, colour: red }\n"), "colour"),
        (
            config(&upstream, "  a: { provider: p }\n")
                .replace("api_key_env", "ca_file: none.pem, api_key_env")
                .replace("http:", "https:"),
            "none.pem",
        ),
    ] {
        gateway.configure(&wrong).unwrap();
        let (status_of_reload, text) = reload(&gateway);
        assert_eq!(status_of_reload, 422, "{text}");
        assert!(text.contains(said), "{text}");
        assert_eq!(status(&gateway, "a"), 200);
    }
}

#[test]
fn what_runs_keeps_its_settings_and_a_lane_its_standing() {
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let upstream = Upstream::start(move |request, connection| {
        if !request.text().contains("stream") {
            return Ok(connection.write(&upstream::response(
                429,
                &[("retry-after", "60")],
                r#"{"error":{"message":"slow"}}"#,
            ))?);
        }
        connection.write(&Dialect::OpenaiChat.stream_head())?;
        connection.write(&upstream::chunk(&Dialect::OpenaiChat.words("first")))?;
        gate.lock().unwrap().recv()?;
        connection.write(&upstream::chunk(&Dialect::OpenaiChat.words("last")))?;
        connection.write(&upstream::chunk(&Dialect::OpenaiChat.end()))?;
        Ok(connection.write(b"0\r\n\r\n")?)
    });
    let gateway = Gateway::start(&config(&upstream, "  a: { provider: p }\n")).unwrap();
    let mut client = Connection::open(gateway.address).unwrap();
    let body = Dialect::OpenaiChat.request("a", true);
    client.write(&http::request("POST", "/v1/chat/completions", &[], body.as_bytes())).unwrap();
    client.read_until("first").unwrap();
    assert_eq!(status(&gateway, "a"), 429);
    gateway.configure(&config(&upstream, "  a: { provider: p, max_concurrent: 1 }\n")).unwrap();
    assert_eq!(reload(&gateway).0, 200);
    let lanes = http::send(gateway.admin(), &http::request("GET", "/busbar/lanes", &[], b"")).unwrap();
    let lane = &lanes.json().unwrap()["lanes"][0];
    assert_eq!((&lane["state"], &lane["in_flight"]), (&"cooling".into(), &1.into()), "{lane}");
    // The new bound counts what was begun under the old.
    let full =
        http::post(gateway.address, "/v1/chat/completions", &[], &Dialect::OpenaiChat.request("a", false))
            .unwrap();
    assert!(full.text().contains("as many requests as it may"), "{}", full.text());
    go.send(()).unwrap();
    client.read_until("last").unwrap();
}
