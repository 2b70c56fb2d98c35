//! What the gateway says to requests it does not take, in each dialect, and what it keeps to itself.

use busbar_tests::dialect::{self, Dialect};
use busbar_tests::gateway::{Gateway, PROVIDER_KEY, config, model};
use busbar_tests::http::{self, Connection, Message};
use busbar_tests::upstream::Upstream;

/// A key that a client sends along with every bad request.
const CLIENT_KEY: &str = "sk-client-5ecret-77ab";

/// A prompt that nobody but the provider is to read.
const PROMPT: &str = "the-merger-is-on-friday";

#[test]
fn a_body_that_is_not_json_is_refused_by_place() {
    let (upstream, gateway) = start("");
    for dialect in named_in_body() {
        let model = model(dialect);
        let whole = dialect.request(&model, false);
        let bodies = [
            String::new(),
            "{".into(),
            whole[..whole.len() - 1].to_owned(),
            format!("{whole}}}"),
            whole.replace(':', " "),
            "model=x&messages=y".into(),
            "[]".into(),
            "\"text\"".into(),
            "null".into(),
        ];
        for body in bodies {
            let error = refused(&gateway, dialect, &dialect.path(&model, false), body.as_bytes(), 400);
            assert!(!error.message.is_empty(), "{dialect:?} {body}");
        }
    }
    assert!(upstream.untouched());
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    let (upstream, gateway) = start("");
    for dialect in named_in_body() {
        let model = model(dialect);
        let whole = dialect.request(&model, false);
        let named = format!("\"{model}\"");
        for wrong in ["5", "null", "[\"a\"]", "{\"a\":1}", "true"] {
            let body = whole.replace(&named, wrong);
            let error = refused(&gateway, dialect, &dialect.path(&model, false), body.as_bytes(), 400);
            assert!(error.message.contains("model"), "{dialect:?} {wrong}: {error:?}");
            if matches!(dialect, Dialect::OpenaiChat | Dialect::OpenaiResponses) {
                assert_eq!(error.param.as_deref(), Some("model"), "{dialect:?} {wrong}");
            }
        }
        let absent = whole.replacen("\"model\"", "\"other\"", 1);
        let error = refused(&gateway, dialect, &dialect.path(&model, false), absent.as_bytes(), 400);
        assert!(error.message.contains("model"), "{dialect:?}: {error:?}");
        for wrong in ["\"yes\"", "1", "{}"] {
            let body = format!("{{\"stream\":{wrong},{}", &whole[1..].replace(",\"stream\":false", ""));
            let error = refused(&gateway, dialect, &dialect.path(&model, false), body.as_bytes(), 400);
            assert!(error.message.contains("stream"), "{dialect:?} {wrong}: {error:?}");
        }
    }
    assert!(upstream.untouched());
}

#[test]
fn an_unknown_model_is_a_native_404_that_names_no_other() {
    let (upstream, gateway) = start("");
    let kinds = [
        "model_not_found",
        "model_not_found",
        "not_found_error",
        "NOT_FOUND",
        "ResourceNotFoundException",
        "",
    ];
    for (dialect, kind) in dialect::ALL.into_iter().zip(kinds) {
        let body = dialect.request("no-such-model", false);
        let answer = post(&gateway, &dialect.path("no-such-model", false), body.as_bytes());
        assert_eq!(answer.status(), 404, "{dialect:?}: {}", answer.text());
        let error = dialect.error(&answer).unwrap();
        assert_eq!(error.kind, kind, "{dialect:?}");
        for other in dialect::ALL {
            assert!(!answer.text().contains(&model(other)), "{dialect:?}: {}", answer.text());
        }
    }
    assert!(upstream.untouched());
}

#[test]
fn a_body_over_the_limit_is_refused_before_and_while_it_comes() {
    let (upstream, gateway) = start("limits: { body: 1KiB }");
    let kinds = [
        "invalid_request_error",
        "invalid_request_error",
        "request_too_large",
        "INVALID_ARGUMENT",
        "ValidationException",
        "",
    ];
    for (dialect, kind) in dialect::ALL.into_iter().zip(kinds) {
        let model = model(dialect);
        let path = dialect.path(&model, false);
        let large = dialect.request(&model, false).replace("Hi", &"x".repeat(2048));
        let error = refused(&gateway, dialect, &path, large.as_bytes(), 413);
        assert_eq!(error.kind, kind, "{dialect:?}");

        // Announced, and not even sent.
        let mut client = Connection::open(gateway.address).unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1073741824\r\n\r\n");
        client.write(head.as_bytes()).unwrap();
        assert_eq!(client.message().unwrap().status(), 413, "{dialect:?}");

        // Without a length there is only the counting.
        let mut client = Connection::open(gateway.address).unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n400\r\n");
        client.write(head.as_bytes()).unwrap();
        client.write(&[b' '; 0x400]).unwrap();
        client.write(b"\r\n1\r\n \r\n").unwrap();
        assert_eq!(client.message().unwrap().status(), 413, "{dialect:?}");
    }
    // At the limit it passes.
    let dialect = Dialect::OpenaiChat;
    let small = dialect.request(&model(dialect), false);
    let padded = format!("{small}{}", " ".repeat(1024 - small.len()));
    assert_eq!(http::post(gateway.address, &dialect.path("", false), &[], &padded).unwrap().status(), 200);
    assert_eq!(upstream.next_request().unwrap().text().trim_end().len(), small.len());
    assert!(upstream.untouched());
}

#[test]
fn unknown_paths_and_wrong_methods() {
    let (upstream, gateway) = start("");
    for path in [
        "/",
        "/v1",
        "/v1/chats",
        "/v1/chat/completions/",
        "/v1//messages",
        "/v2/chats",
        "/%761/messages",
        "/v1/../v1/messages",
        "/v1/messages/extra",
        "/model//converse",
        "/v1beta/models/x:other",
        "/metrics",
    ] {
        let answer = post(&gateway, path, b"{}");
        assert_eq!(answer.status(), 404, "{path}: {}", answer.text());
        assert!(answer.json().is_ok(), "{path}: {}", answer.text());
    }
    for dialect in dialect::ALL {
        let path = dialect.path(&model(dialect), false);
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let answer = http::send(gateway.address, &http::request(method, &path, &[], b"")).unwrap();
            assert_eq!(answer.status(), 405, "{dialect:?} {method}: {}", answer.text());
            assert_eq!(answer.header("allow"), Some("POST"), "{dialect:?} {method}");
            dialect.error(&answer).unwrap();
        }
    }
    assert!(upstream.untouched());
}

#[test]
fn a_host_header_takes_no_part() {
    let (upstream, gateway) = start("");
    let model = model(Dialect::OpenaiChat);
    let body = Dialect::OpenaiChat.request(&model, false);
    for (target, host, status) in [
        ("/v1/chat/completions", "evil.example/healthz?", 200),
        ("http://evil.example/v1/chat/completions", "evil.example", 200),
        ("http://evil.example/v1/other", "x/v1/chat/completions", 404),
    ] {
        let head =
            format!("POST {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n", body.len());
        let answer = http::send(gateway.address, format!("{head}{body}").as_bytes()).unwrap();
        // What cannot be a host at all may be refused as such.
        assert!(answer.status() == status || answer.status() == 400, "{target}: {}", answer.text());
        if answer.status() == 200 {
            assert_eq!(upstream.next_request().unwrap().header("host"), Some(&*upstream.address.to_string()));
        }
    }
}

#[test]
fn half_a_request_reaches_nobody() {
    let (upstream, gateway) = start("");
    let model = model(Dialect::OpenaiChat);
    let body = Dialect::OpenaiChat.request(&model, false);
    let whole = http::request("POST", "/v1/chat/completions", &[], body.as_bytes());
    for cut in [1, 20, whole.len() - body.len() - 1, whole.len() - body.len(), whole.len() - 1] {
        let mut client = Connection::open(gateway.address).unwrap();
        client.write(&whole[..cut]).unwrap();
        client.finish_writing().unwrap();
        let said = String::from_utf8(client.rest().unwrap()).unwrap();
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "cut at {cut}: {said}");
    }
    assert!(upstream.untouched());
    still_serves(&gateway, &upstream);
}

#[test]
fn what_is_not_http_is_turned_away() {
    let (upstream, gateway) = start("");
    let smuggled = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\
                    transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    let twice = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\n{}{}{}";
    let size = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n";
    for bytes in
        ["\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}", "hello\r\n\r\n", "GET\r\n\r\n", smuggled, twice, size]
    {
        let mut client = Connection::open(gateway.address).unwrap();
        client.write(bytes.as_bytes()).unwrap();
        client.finish_writing().unwrap();
        let said = String::from_utf8_lossy(&client.rest().unwrap()).into_owned();
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{bytes:?}: {said}");
        assert!(!said.contains("HTTP/1.1 2"), "{bytes:?}: {said}");
    }
    assert!(upstream.untouched());
    still_serves(&gateway, &upstream);
}

#[test]
fn a_head_over_the_limit_is_431() {
    let (upstream, gateway) = start("limits: { headers: 8KiB }");
    let long = "x".repeat(16 * 1024);
    let answer = post_with(&gateway, "/v1/chat/completions", &[("x-long", &long)], b"{}");
    assert_eq!(answer.status(), 431, "{}", answer.text());
    let target = format!("/v1/chat/completions?{long}");
    let answer = post(&gateway, &target, b"{}");
    assert!(matches!(answer.status(), 414 | 431), "{}", answer.text());
    assert!(upstream.untouched());
    still_serves(&gateway, &upstream);
}

#[test]
fn a_slow_client_is_let_go() {
    let (upstream, gateway) = start("limits: { header_read: 300ms, body_read: 300ms }");
    // Never finishes its head.
    let mut client = Connection::open(gateway.address).unwrap();
    client.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n").unwrap();
    let said = String::from_utf8(client.rest().unwrap()).unwrap();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    for dialect in dialect::ALL {
        let model = model(dialect);
        let body = dialect.request(&model, false);
        let whole = http::request("POST", &dialect.path(&model, false), &[], body.as_bytes());
        let mut client = Connection::open(gateway.address).unwrap();
        client.write(&whole[..whole.len() - 5]).unwrap();
        let answer = client.message().unwrap();
        assert_eq!(answer.status(), 408, "{dialect:?}: {}", answer.text());
        dialect.error(&answer).unwrap();
        assert!(client.closed().unwrap(), "{dialect:?}");
    }
    assert!(upstream.untouched());
    still_serves(&gateway, &upstream);
}

#[test]
fn depth_is_no_danger() {
    let (upstream, gateway) = start("");
    for dialect in dialect::ALL {
        let model = model(dialect);
        let deep = format!("\"deep\":{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let body = format!("{{{deep},{}", &dialect.request(&model, false)[1..]);
        let status = post(&gateway, &dialect.path(&model, false), body.as_bytes()).status();
        // A scanner need not count brackets; what it may not do is fall over.
        assert!(matches!(status, 200 | 400), "{dialect:?}: {status}");
        if status == 200 {
            upstream.next_request().unwrap();
        }
    }
    still_serves(&gateway, &upstream);
}

/// A gateway whose upstream answers everything, and the upstream, to see that it was never asked.
fn start(more: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::fixed(200, &[], "{}");
    let gateway = Gateway::start(&config(upstream.address, more)).unwrap();
    (upstream, gateway)
}

/// The protocols whose body the gateway has to look into.
fn named_in_body() -> impl Iterator<Item = Dialect> {
    dialect::ALL.into_iter().filter(|dialect| dialect.names_model_in_body())
}

/// Sends a bad body with a prompt and a key in it and checks the refusal, and that neither is repeated.
fn refused(
    gateway: &Gateway,
    dialect: Dialect,
    path: &str,
    body: &[u8],
    status: u16,
) -> dialect::NativeError {
    let answer = post(gateway, path, body);
    assert_eq!(answer.status(), status, "{dialect:?} {}: {}", String::from_utf8_lossy(body), answer.text());
    dialect.error(&answer).unwrap()
}

fn post(gateway: &Gateway, path: &str, body: &[u8]) -> Message {
    post_with(gateway, path, &[], body)
}

fn post_with(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Message {
    let bearer = format!("Bearer {CLIENT_KEY}");
    let mut headers = headers.to_vec();
    headers.push(("authorization", &bearer));
    let body = String::from_utf8_lossy(body).replace("Hi", PROMPT);
    let answer =
        http::send(gateway.address, &http::request("POST", path, &headers, body.as_bytes())).unwrap();
    for secret in [CLIENT_KEY, PROVIDER_KEY, PROMPT] {
        assert!(!answer.text().contains(secret), "an answer repeats {secret}: {}", answer.text());
        assert!(!gateway.process.output().contains(secret), "a log repeats {secret}");
    }
    answer
}

fn still_serves(gateway: &Gateway, upstream: &Upstream) {
    let dialect = Dialect::OpenaiChat;
    let body = dialect.request(&model(dialect), false);
    assert_eq!(post(gateway, &dialect.path("", false), body.as_bytes()).status(), 200);
    upstream.next_request().unwrap();
}
