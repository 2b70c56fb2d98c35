use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Options, Simulator};

mod faults;

/// Sends one request on a connection of its own; status, head and body, or what of them came.
fn send(simulator: &Simulator, path: &str, headers: &str, body: &Value) -> (u16, String, String) {
    let mut stream = TcpStream::connect(simulator.address()).expect("the simulator listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout is set");
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).expect("the request is sent");
    let mut bytes = Vec::new();
    // A scenario may break the connection; what came before counts.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_owned(), body.to_owned())
}

fn chat(simulator: &Simulator, model: &str, stream: bool) -> (u16, String, String) {
    let body = json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
    send(simulator, "/v1/chat/completions", "authorization: Bearer k\r\n", &body)
}

#[test]
fn scenarios_decide_status_headers_and_ends() {
    let simulator = Simulator::start(Options::default()).expect("it starts");
    let (status, head, body) = chat(&simulator, "gpt-5", false);
    assert_eq!(status, 200);
    assert!(head.contains("x-request-id: req_sim"), "{head}");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "Simulated answer to: hi (messages=1 system=0 tools=0 images=0 documents=0)"
    );
    let (status, head, body) = chat(&simulator, "sim-error-429", false);
    assert_eq!(status, 429);
    assert!(head.contains("retry-after: 2"), "{head}");
    assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON")["error"]["code"], "rate_limit_exceeded");
    assert_eq!(chat(&simulator, "sim-nothing", false).0, 404);
    assert!(chat(&simulator, "sim-text", true).2.contains("data: [DONE]"));
    let cut = chat(&simulator, "sim-cut", true).2;
    assert!(cut.contains("\"content\":\"Simulated \"") && !cut.contains("[DONE]"), "{cut}");
    assert!(!cut.ends_with("0\r\n\r\n"), "the body ends as if it were whole");
    let early = chat(&simulator, "sim-error-early", true).2;
    assert!(early.contains("server_error") && !early.contains("Simulated"), "{early}");
    assert_eq!(chat(&simulator, "sim-garbage", false).2, "<html>this is not JSON</html>");
}

#[test]
fn credentials_are_asked_for_and_forgotten() {
    let simulator = Simulator::start(Options::default()).expect("it starts");
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let version = "anthropic-version: 2023-06-01\r\n";
    let (status, _, said) = send(&simulator, "/v1/messages", version, &body);
    assert_eq!(status, 401);
    assert_eq!(serde_json::from_str::<Value>(&said).expect("JSON")["error"]["type"], "authentication_error");
    let bad = format!("{version}x-api-key: bad-key\r\n");
    assert_eq!(send(&simulator, "/v1/messages", &bad, &body).0, 401);
    let good = format!("{version}x-api-key: hush-hush\r\n");
    assert_eq!(send(&simulator, "/v1/messages", &good, &body).0, 200);
    let (_, _, remembered) = send(&simulator, "/__sim/requests", "", &json!({}));
    assert!(remembered.contains("/v1/messages") && remembered.contains("(hidden)"), "{remembered}");
    assert!(!remembered.contains("hush-hush"), "{remembered}");
}

#[test]
fn gemini_errors_are_statuses_with_details() {
    let simulator = Simulator::start(Options::default()).expect("it starts");
    let body = json!({"contents": [{"parts": [{"text": "hi"}]}]});
    let key = "x-goog-api-key: k\r\n";
    let path = |model: &str, verb: &str| format!("/v1beta/models/{model}:{verb}");
    let answer = |path: &str, headers: &str| -> (u16, Value) {
        let (status, _, body) = send(&simulator, path, headers, &body);
        (status, serde_json::from_str(&body).expect("JSON"))
    };
    let (status, limited) = answer(&path("sim-error-429", "streamGenerateContent?alt=sse"), key);
    assert_eq!((status, &limited["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    assert_eq!(
        limited["error"]["details"],
        json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}])
    );
    let (status, listed) = answer(&path("sim-error-503", "streamGenerateContent"), key);
    assert_eq!((status, &listed[0]["error"]["status"]), (503, &json!("UNAVAILABLE")));
    let text = path("sim-text", "generateContent");
    let (status, missing) = answer(&text, "");
    assert_eq!((status, &missing["error"]["status"]), (403, &json!("PERMISSION_DENIED")));
    let (status, wrong) = answer(&text, "x-goog-api-key: bad-key\r\n");
    assert_eq!((status, &wrong["error"]["details"][0]["reason"]), (400, &json!("API_KEY_INVALID")));
}

#[test]
fn silence_ends_by_itself() {
    let options = Options { silent: Duration::from_millis(50), ..Options::default() };
    let simulator = Simulator::start(options).expect("it starts");
    let (status, _, body) = chat(&simulator, "sim-silent", true);
    assert_eq!((status, body.as_str()), (200, ""));
}
