//! Scripted lanes over a socket: what the peer of each fault sees, in every protocol, buffered and streamed.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::simulator::{Options, Script, Simulator};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Closed,
    Reset,
    /// Still open when the test's patience was at its end.
    Open,
}

const WIRES: [&str; 6] = ["chat", "responses", "anthropic", "gemini", "bedrock", "cohere"];

/// Longest wait for the rest of what a silent lane sends.
const PATIENCE: Duration = Duration::from_millis(300);

fn start(lanes: &[&str]) -> Simulator {
    let mut script = Script::default();
    for lane in lanes {
        script.read_lane(lane).expect("a lane");
    }
    Simulator::start(Options { script, ..Options::default() }).expect("it starts")
}

/// Asks a model of a protocol and returns all that came, and how it ended.
fn ask(simulator: &Simulator, wire: &str, model: &str, stream: bool) -> (Vec<u8>, Ended) {
    let text = json!([{"role": "user", "content": "hi"}]);
    let (path, key, body) = match wire {
        "chat" => (
            "/v1/chat/completions".to_owned(),
            "authorization: Bearer k",
            json!({"model": model, "messages": text, "stream": stream}),
        ),
        "responses" => (
            "/v1/responses".to_owned(),
            "authorization: Bearer k",
            json!({"model": model, "input": "hi", "stream": stream}),
        ),
        "anthropic" => (
            "/v1/messages".to_owned(),
            "x-api-key: k\r\nanthropic-version: 2023-06-01",
            json!({"model": model, "max_tokens": 99, "messages": text, "stream": stream}),
        ),
        "gemini" => {
            let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            (
                format!("/v1beta/models/{model}:{verb}"),
                "x-goog-api-key: k",
                json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
            )
        }
        "bedrock" => (
            format!("/model/{model}/converse{}", if stream { "-stream" } else { "" }),
            "authorization: Bearer k",
            json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}),
        ),
        _ => (
            "/v2/chat".to_owned(),
            "authorization: Bearer k",
            json!({"model": model, "messages": text, "stream": stream}),
        ),
    };
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\n{key}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    send(simulator, request.as_bytes())
}

fn send(simulator: &Simulator, request: &[u8]) -> (Vec<u8>, Ended) {
    let mut stream = TcpStream::connect(simulator.address()).expect("the simulator listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is set");
    stream.write_all(request).expect("the request is sent");
    let mut got = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return (got, Ended::Closed),
            Ok(count) => got.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return (got, Ended::Reset),
            Err(_) => return (got, Ended::Open),
        }
    }
}

/// Status and body of an answer, chunks still in their framing.
fn parts(got: &[u8]) -> (u16, String, String) {
    let text = String::from_utf8_lossy(got).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_owned(), body.to_owned())
}

/// Runs a check over every protocol, buffered and streamed.
fn everywhere(lane: &str, check: impl Fn(&str, bool, &[u8], Ended)) {
    let simulator = start(&[lane]);
    for wire in WIRES {
        for stream in [false, true] {
            let (got, ended) = ask(&simulator, wire, "lane-1", stream);
            check(wire, stream, &got, ended);
        }
    }
}

/// Whether the streamed body has come to its end as a body.
fn whole(body: &str) -> bool {
    body.ends_with("0\r\n\r\n")
}

#[test]
fn statuses_have_the_native_form_and_what_the_script_adds() {
    everywhere("lane-*=then=status:429:retry-after=77", |wire, _, got, _| {
        let (status, head, body) = parts(got);
        assert_eq!(status, 429, "{wire}");
        assert!(head.contains("retry-after: 77"), "{wire}: {head}");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let told = match wire {
            "bedrock" | "cohere" => &body["message"],
            _ => &body["error"]["message"],
        };
        assert!(told.is_string(), "{wire}: {body}");
    });
    let mut script = Script::default();
    let text = "[[lane]]\nname = 'lane-1'\nfaults = [{ status = 502, body = '<html>bad gateway</html>' }]";
    script.read(text).expect("a script");
    let simulator = Simulator::start(Options { script, ..Options::default() }).expect("it starts");
    let (status, head, body) = parts(&ask(&simulator, "chat", "lane-1", true).0);
    assert_eq!((status, body.as_str()), (502, "<html>bad gateway</html>"));
    assert!(head.contains("content-type: text/html"), "{head}");
    assert_eq!(parts(&ask(&simulator, "chat", "lane-1", true).0).0, 200, "the script is over");
}

#[test]
fn cuts_leave_a_body_short_of_what_it_promised() {
    everywhere("lane-*=then=cut:40", |wire, stream, got, ended| {
        let (status, head, body) = parts(got);
        assert_eq!((status, ended), (200, Ended::Closed), "{wire}");
        if stream {
            assert!(head.contains("transfer-encoding: chunked") && !whole(&body), "{wire}: {body}");
        } else {
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            let length: usize = length.and_then(|length| length.parse().ok()).expect("a length");
            assert!(length > 40 && body.len() == 40, "{wire}: {length}: {body}");
        }
    });
    everywhere("lane-*=then=cut:head", |wire, _, got, ended| {
        assert_eq!((got.len(), ended), (0, Ended::Closed), "{wire}");
    });
}

#[test]
fn resets_are_resets() {
    everywhere("lane-*=then=reset:head", |wire, _, got, ended| {
        assert_eq!((got.len(), ended), (0, Ended::Reset), "{wire}");
    });
    everywhere("lane-*=then=reset:middle", |wire, stream, got, ended| {
        assert_eq!(ended, Ended::Reset, "{wire}");
        let body = parts(got).2;
        assert!(!stream || body.contains("Simulated"), "{wire}: {body}");
        assert!(!stream || !body.contains("documents=0"), "{wire}: {body}");
    });
}

#[test]
fn points_are_where_they_say() {
    everywhere("lane-*=then=end:start", |wire, stream, got, _| {
        let body = parts(got).2;
        assert!(!body.contains("Simulated"), "{wire}: {body}");
        assert!(!stream || whole(&body) || body.is_empty(), "{wire}: {body}");
        let opened = match wire {
            "chat" => "\"role\":\"assistant\"",
            "responses" => "response.created",
            "anthropic" => "message_start",
            "bedrock" => "messageStart",
            "cohere" => "message-start",
            _ => "",
        };
        assert!(!stream || body.contains(opened), "{wire}: {body}");
    });
    everywhere("lane-*=then=end:last", |wire, stream, got, _| {
        let body = parts(got).2;
        // The last words of gemini come with the end itself.
        assert!(body.contains(if wire == "gemini" { "images=0" } else { "documents=0" }), "{wire}: {body}");
        for terminal in [
            "[DONE]",
            "message_stop",
            "response.completed",
            "finishReason\":\"STOP",
            "messageStop",
            "message-end",
        ] {
            assert!(!stream || !body.contains(terminal), "{wire}: {body}");
        }
    });
    everywhere("lane-*=then=end:middle", |wire, stream, got, _| {
        let body = parts(got).2;
        assert!(!stream || (body.contains("Simulated") && whole(&body)), "{wire}: {body}");
        assert!(stream || serde_json::from_str::<Value>(&body).is_err(), "{wire}: {body}");
    });
}

#[test]
fn errors_inside_an_answer_are_native() {
    everywhere("lane-*=then=error:start:529", |wire, stream, got, _| {
        let (status, _, body) = parts(got);
        assert_eq!(status, 200, "{wire}");
        assert!(!body.contains("Simulated"), "{wire}: {body}");
        let told = match (wire, stream) {
            ("anthropic", _) => "overloaded_error",
            ("gemini", _) => "UNAVAILABLE",
            ("bedrock", true) => "serviceUnavailableException",
            ("responses", true) => "server_is_overloaded",
            ("responses", false) => "\"status\":\"failed\"",
            ("cohere", true) => "\"finish_reason\":\"ERROR\"",
            _ => "Overloaded",
        };
        assert!(body.contains(told), "{wire}: {body}");
    });
    everywhere("lane-*=then=error:middle", |wire, stream, got, _| {
        let body = parts(got).2;
        assert_eq!(body.contains("Simulated"), stream, "{wire}: {body}");
    });
}

#[test]
fn silence_is_kept_until_the_peer_leaves() {
    everywhere("lane-*=then=silence:start", |wire, stream, got, ended| {
        assert_eq!(ended, Ended::Open, "{wire}");
        let body = parts(got).2;
        assert!(!body.contains("Simulated") && (!stream || !whole(&body)), "{wire}: {body}");
    });
    let mut script = Script::default();
    script.read_lane("lane-1=then=silence:head").expect("a lane");
    let silent = Duration::from_millis(30);
    let simulator = Simulator::start(Options { script, silent, ..Options::default() }).expect("it starts");
    assert_eq!(ask(&simulator, "chat", "lane-1", false).1, Ended::Closed, "a silence ends by itself");
}

#[test]
fn pauses_and_drips_bring_the_whole_answer_late() {
    for lane in [
        "lane-*=then=wait:60ms",
        "lane-*=then=hold:60ms",
        "lane-*=then=wait:30ms+hold:30ms",
        "lane-*=then=drip:1ms:16",
    ] {
        let simulator = start(&[lane]);
        for stream in [false, true] {
            let begun = Instant::now();
            let (got, ended) = ask(&simulator, "chat", "lane-1", stream);
            assert!(begun.elapsed() >= Duration::from_millis(15), "{lane}");
            let (status, _, body) = parts(&got);
            assert_eq!((status, ended), (200, Ended::Closed), "{lane}");
            assert!(
                if stream { whole(&body) } else { serde_json::from_str::<Value>(&body).is_ok() },
                "{lane}"
            );
        }
    }
}

#[test]
fn wrong_labels_pages_and_noise() {
    everywhere("lane-*=then=html", |wire, _, got, _| {
        let (status, head, body) = parts(got);
        assert_eq!(status, 200, "{wire}");
        assert!(head.contains("content-type: text/html") && body.contains("<html>"), "{wire}: {head}");
    });
    everywhere("lane-*=then=json", |wire, _, got, _| {
        assert!(serde_json::from_str::<Value>(&parts(got).2).is_ok(), "{wire}");
    });
    everywhere("lane-*=then=mislabel", |wire, _, got, _| {
        assert!(parts(got).1.contains("content-type: text/plain"), "{wire}");
    });
    everywhere("lane-*=then=garbage:head", |wire, _, got, _| {
        assert!(!got.is_empty() && !got.starts_with(b"HTTP/"), "{wire}");
    });
    everywhere("lane-*=then=garbage:middle", |wire, stream, got, _| {
        let (status, _, body) = parts(got);
        assert_eq!(status, 200, "{wire}");
        assert!(!stream || whole(&body), "{wire}: {body}");
        assert!(
            body.contains(if stream && wire == "bedrock" { "garbage" } else { "no JSON" }),
            "{wire}: {body}"
        );
    });
    everywhere("lane-*=then=headers:100000", |wire, _, got, _| {
        assert!(parts(got).1.len() > 100_000, "{wire}");
    });
    everywhere("lane-*=then=half:body", |wire, _, got, ended| {
        assert_eq!((parts(got).0, ended), (200, Ended::Closed), "{wire}");
    });
}

#[test]
fn handshakes_fail_as_the_script_says() {
    let hello = [0x16, 0x03, 0x01, 0x00, 0x02, 0x01, 0x00];
    let simulator = start(&["tls=alert,cut:head,reset:head,garbage:head,then=silence:head"]);
    assert_eq!(send(&simulator, &hello).0[..2], [0x15, 0x03]);
    assert!(send(&simulator, &hello).0.is_empty());
    assert!(send(&simulator, &hello).0.is_empty());
    assert!(!send(&simulator, &hello).0.is_empty());
    assert_eq!(send(&simulator, &hello), (Vec::new(), Ended::Open));
    let counts =
        parts(&send(&simulator, b"GET /__sim/lanes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").0).2;
    let counts: Value = serde_json::from_str(&counts).expect("JSON");
    assert_eq!(counts["lanes"]["tls"]["requests"], 5);
    assert_eq!(counts["lanes"]["tls"]["played"]["alert"], 1);
}
