//! Starting, stopping, and clients that leave.

use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use busbar_tests::dialect::{self, Dialect};
use busbar_tests::gateway::{Gateway, PROVIDER_KEY, config, model};
use busbar_tests::http::{self, Connection};
use busbar_tests::upstream::{self, Event, Upstream};

/// More than any bounded end may take here.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_client_that_leaves_a_stream_cancels_the_upstream() {
    for dialect in dialect::ALL {
        let (_go, upstream) = gated_stream(dialect);
        let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
        let model = model(dialect);
        let body = dialect.request(&model, true);
        let mut client = Connection::open(gateway.address).unwrap();
        client.write(&http::request("POST", &dialect.path(&model, true), &[], body.as_bytes())).unwrap();
        upstream.next_request().unwrap();
        client.read_until("first").unwrap();
        drop(client);
        assert!(matches!(upstream.next().unwrap(), Event::Closed), "{dialect:?}");
    }
}

#[test]
fn a_client_that_leaves_before_the_answer_cancels_the_upstream() {
    let upstream = Upstream::start(|_, _| Ok(()));
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    for dialect in dialect::ALL {
        let model = model(dialect);
        let body = dialect.request(&model, false);
        let mut client = Connection::open(gateway.address).unwrap();
        client.write(&http::request("POST", &dialect.path(&model, false), &[], body.as_bytes())).unwrap();
        upstream.next_request().unwrap();
        drop(client);
        assert!(matches!(upstream.next().unwrap(), Event::Closed), "{dialect:?}");
    }
}

#[test]
fn sigterm_lets_an_open_stream_finish() {
    let (go, upstream) = gated_stream(Dialect::OpenaiChat);
    let mut gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    let mut idle = Connection::open(gateway.address).unwrap();
    idle.write(&http::request("GET", "/healthz", &[], b"")).unwrap();
    assert_eq!(idle.message().unwrap().status(), 200);
    let mut client = Connection::open(gateway.address).unwrap();
    client.write(&stream_request()).unwrap();
    client.read_until("first").unwrap();
    gateway.process.terminate().unwrap();
    // An idle connection is closed at once, which also says that the signal has arrived.
    assert!(idle.closed().unwrap());
    go.send(()).unwrap();
    client.read_until("last").unwrap();
    client.read_until("0\r\n\r\n").unwrap();
    assert!(gateway.process.wait_exit(PATIENCE).unwrap().success(), "{}", gateway.process.output());
}

#[test]
fn a_drain_is_bounded() {
    let (_go, upstream) = gated_stream(Dialect::OpenaiChat);
    let mut gateway = Gateway::start(&config(upstream.address, "limits: { drain: 500ms }")).unwrap();
    let mut client = Connection::open(gateway.address).unwrap();
    client.write(&stream_request()).unwrap();
    client.read_until("first").unwrap();
    let begun = Instant::now();
    gateway.process.terminate().unwrap();
    gateway.process.wait_exit(PATIENCE).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(400), "did not wait at all");
    let rest = String::from_utf8(client.rest().unwrap()).unwrap();
    assert!(!rest.ends_with("0\r\n\r\n") || rest.contains("error"), "cut, but looks whole: {rest:?}");
}

#[test]
fn an_idle_gateway_ends_at_once() {
    let upstream = Upstream::fixed(200, &[], "{}");
    let mut gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    gateway.process.terminate().unwrap();
    assert!(gateway.process.wait_exit(PATIENCE).unwrap().success());
}

#[test]
fn health_and_readiness_are_open() {
    let upstream = Upstream::fixed(200, &[], "{}");
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    for path in ["/healthz", "/readyz"] {
        let answer = http::send(gateway.address, &http::request("GET", path, &[], b"")).unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}

#[test]
fn nothing_secret_is_ever_logged() {
    const CLIENT_KEY: &str = "sk-client-5ecret-41cc";
    const PROMPT: &str = "tell-nobody-about-this";
    const ANSWER: &str = "nor-about-that";
    let upstream = Upstream::start(|request, connection| {
        // A provider's error may be logged in part, even when it repeats the key that it was given.
        let (status, words) = if request.text().contains("fail") {
            (401, format!("bad key {PROVIDER_KEY}"))
        } else {
            (200, ANSWER.into())
        };
        Ok(connection.write(&upstream::response(status, &[], &format!("{{\"message\":\"{words}\"}}")))?)
    });
    for format in ["text", "json"] {
        let more = format!("log: {{ level: debug, format: {format} }}");
        let gateway = Gateway::start(&config(upstream.address, &more)).unwrap();
        for dialect in dialect::ALL {
            for fail in ["fail", "work"] {
                let model = model(dialect);
                let body = dialect.request(&model, false).replace("Hi", &format!("{PROMPT} {fail}"));
                let path = format!("{}?key={CLIENT_KEY}", dialect.path(&model, false));
                let bearer = format!("Bearer {CLIENT_KEY}");
                let headers = [("authorization", bearer.as_str()), ("x-api-key", CLIENT_KEY)];
                let answer = http::post(gateway.address, &path, &headers, &body).unwrap();
                assert!(
                    !answer.text().contains(PROVIDER_KEY),
                    "{dialect:?} repeats the key: {}",
                    answer.text()
                );
                assert_eq!(answer.text().contains("bad key ****"), fail == "fail", "{}", answer.text());
            }
        }
        gateway.process.terminate().unwrap();
        let mut gateway = gateway;
        gateway.process.wait_exit(PATIENCE).unwrap();
        let output = gateway.process.output();
        for secret in [CLIENT_KEY, PROVIDER_KEY, PROMPT, ANSWER] {
            assert!(!output.contains(secret), "{format}: {secret} is in the log:\n{output}");
        }
        let records = output.lines().filter(|line| line.contains("anthropic")).count();
        assert!(records >= 2, "{format}: requests leave no record:\n{output}");
    }
}

#[test]
fn without_a_provider_the_simulator_answers_the_line_that_is_printed() {
    let gateway = Gateway::start("listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\n").unwrap();
    let line = gateway
        .process
        .wait_output(PATIENCE, |output| {
            let start = output.find("curl ")?;
            // The command may go over several lines, each but the last ending in a backslash.
            let mut command = String::new();
            for line in output[start..].split_inclusive('\n') {
                command.push_str(line);
                if line.ends_with('\n') && !line.trim_end().ends_with('\\') {
                    return Some(command);
                }
            }
            None
        })
        .unwrap();
    assert!(gateway.process.output().contains("simulator"), "{}", gateway.process.output());
    let output = Command::new("sh").args(["-c", line.trim()]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{line}: {error}: {}", String::from_utf8_lossy(&output.stdout)));
    assert!(answer.get("error").is_none(), "{line}: {answer}");
    let text = answer["choices"][0]["message"]["content"].as_str().or(answer["content"][0]["text"].as_str());
    assert!(text.is_some_and(|text| !text.is_empty()), "{line}: {answer}");
}

/// An upstream that sends the beginning of a stream and the rest when told.
fn gated_stream(dialect: Dialect) -> (Sender<()>, Upstream) {
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let upstream = Upstream::start(move |_, connection| {
        connection.write(&dialect.stream_head())?;
        connection.write(&upstream::chunk(&dialect.words("first")))?;
        connection.wait_for_close_or(&gate.lock().unwrap())?;
        connection.write(&upstream::chunk(&dialect.words("last")))?;
        connection.write(&upstream::chunk(&dialect.end()))?;
        Ok(connection.write(b"0\r\n\r\n")?)
    });
    (go, upstream)
}

fn stream_request() -> Vec<u8> {
    let body = Dialect::OpenaiChat.request(&model(Dialect::OpenaiChat), true);
    http::request("POST", "/v1/chat/completions", &[], body.as_bytes())
}
