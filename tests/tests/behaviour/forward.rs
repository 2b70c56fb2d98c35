//! The forward lane: what passes untouched, and what may not pass.

use std::process::Command;

use busbar_tests::dialect::{self, Dialect};
use busbar_tests::gateway::{Gateway, PROVIDER_KEY, UPSTREAM_MODEL, config, model};
use busbar_tests::http::{self, Connection};
use busbar_tests::upstream::{self, Upstream};

/// Spelling that a parser and printer would not keep.
const ODD: &str = r#""x_new" : [1.0, 1e2, -0, 12345678901234567890, "\u00e9\/é", {} , null ]"#;

/// An answer with the same kind of spelling.
const ODD_ANSWER: &str = "{ \"id\":\"a\\u0041\",\n\t\"n\": 1.50e+3, \"new\":{\"k\":[ ]}, \"s\":\"\\/\" }\n";

#[test]
fn a_request_changes_in_its_model_alone_and_an_answer_not_at_all() {
    let upstream = Upstream::fixed(200, &[("request-id", "req_up"), ("set-cookie", "a=b")], ODD_ANSWER);
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    for dialect in dialect::ALL {
        let model = model(dialect);
        let body = dialect.request(&model, false);
        let body = format!("{{ {ODD} ,\n {}", &body[1..]);
        let answer = http::post(gateway.address, &dialect.path(&model, false), &[], &body).unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (200, ODD_ANSWER), "{dialect:?}");
        assert_eq!(answer.header("request-id"), Some("req_up"), "{dialect:?}");
        assert_eq!(answer.header("set-cookie"), None, "{dialect:?}");

        let seen = upstream.next_request().unwrap();
        let path = dialect.path(UPSTREAM_MODEL, false);
        assert_eq!(seen.line, format!("POST {path} HTTP/1.1"), "{dialect:?}");
        assert_eq!(seen.text(), body.replace(&model, UPSTREAM_MODEL), "{dialect:?}");
        assert_eq!(seen.body.len(), seen.header("content-length").unwrap().parse::<usize>().unwrap());
    }
}

#[test]
fn a_stream_passes_byte_by_byte() {
    for dialect in dialect::ALL {
        // Comments, carriage returns, a blank line too many, characters cut in two by the chunks.
        let around: [&[u8]; 2] =
            if dialect == Dialect::Bedrock { [b"", b""] } else { [b": hi\r\n\r\n", b"\n\n: bye"] };
        let words = [dialect.words("\u{5317} \u{1f600}"), dialect.words("more"), dialect.end()].concat();
        let whole = [around[0], &words, around[1]].concat();
        let sent = whole.clone();
        let upstream = Upstream::start(move |_, connection| {
            connection.write(&dialect.stream_head())?;
            for piece in sent.chunks(7) {
                connection.write(&upstream::chunk(piece))?;
            }
            Ok(connection.write(b"0\r\n\r\n")?)
        });
        let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
        let model = model(dialect);
        let body = dialect.request(&model, true);
        let answer = http::post(gateway.address, &dialect.path(&model, true), &[], &body).unwrap();
        assert_eq!(answer.status(), 200, "{dialect:?}: {}", answer.text());
        assert_eq!(answer.body, whole, "{dialect:?}");
        assert_eq!(upstream.next_request().unwrap().text(), body.replace(&model, UPSTREAM_MODEL));
    }
}

#[test]
fn an_event_is_passed_on_before_the_next_one_exists() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let upstream = Upstream::start(move |_, connection| {
        connection.write(&upstream::stream_head())?;
        connection.write(&upstream::chunk(&Dialect::OpenaiChat.words("first")))?;
        gate.lock().unwrap().recv()?;
        connection.write(&upstream::chunk(b"data: [DONE]\n\n"))?;
        Ok(connection.write(b"0\r\n\r\n")?)
    });
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    let chat = model(Dialect::OpenaiChat);
    let body = Dialect::OpenaiChat.request(&chat, true);
    let mut client = Connection::open(gateway.address).unwrap();
    client.write(&http::request("POST", "/v1/chat/completions", &[], body.as_bytes())).unwrap();
    client.read_until("first").unwrap();
    go.send(()).unwrap();
    client.read_until("[DONE]").unwrap();
}

#[test]
fn errors_of_a_provider_pass_as_they_are() {
    for status in [400_u16, 401, 403, 404, 413, 429, 500, 503, 529] {
        let body = format!("{{\"error\": {{\"message\":\"no {status}\"  , \"type\":\"t\", \"new\":1}}}}");
        let headers = [("retry-after", "17"), ("x-ratelimit-remaining-requests", "0"), ("server", "edge")];
        let upstream = Upstream::fixed(status, &headers, &body);
        let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
        for dialect in dialect::ALL {
            let model = model(dialect);
            let request = dialect.request(&model, false);
            let answer = http::post(gateway.address, &dialect.path(&model, false), &[], &request).unwrap();
            assert_eq!((answer.status(), answer.text()), (status, body.clone()), "{dialect:?}");
            assert_eq!(answer.header("retry-after"), Some("17"), "{dialect:?}");
            assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"), "{dialect:?}");
            assert_eq!(answer.header("server"), None, "{dialect:?}");
        }
    }
}

#[test]
fn every_key_carrier_is_accepted_and_none_goes_up() {
    const OWN: &str = "caller-key-8c1d";
    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=caller-key-8c1d/20260101/us-east-1/bedrock/aws4_request, \
                          SignedHeaders=host, Signature=00";
    let upstream = Upstream::fixed(200, &[], "{}");
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    let bearer = format!("Bearer {OWN}");
    let carriers: [(&str, &str, &str); 6] = [
        ("authorization", &bearer, ""),
        ("x-api-key", OWN, ""),
        ("x-goog-api-key", OWN, ""),
        ("api-key", OWN, ""),
        ("authorization", SIGNED, ""),
        ("x-nothing", "1", "key=caller-key-8c1d"),
    ];
    for dialect in dialect::ALL {
        for (name, value, query) in carriers {
            let model = model(dialect);
            let mut path = dialect.path(&model, false);
            if !query.is_empty() {
                path = format!("{path}?{query}");
            }
            let answer =
                http::post(gateway.address, &path, &[(name, value)], &dialect.request(&model, false))
                    .unwrap();
            assert_eq!(answer.status(), 200, "{dialect:?} {name} {query}: {}", answer.text());
            let seen = upstream.next_request().unwrap();
            let said = format!("{} {:?}", seen.line, seen.headers);
            assert!(!said.contains(OWN), "{dialect:?} {name}: {said}");
            let carrier = match dialect {
                Dialect::Anthropic => seen.header("x-api-key"),
                Dialect::Gemini => seen.header("x-goog-api-key"),
                _ => seen.header("authorization").and_then(|value| value.strip_prefix("Bearer ")),
            };
            assert_eq!(carrier, Some(PROVIDER_KEY), "{dialect:?} {name}: {said}");
        }
    }
}

#[test]
fn vendor_headers_go_up_and_the_rest_stays() {
    let upstream = Upstream::fixed(200, &[], "{}");
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    let up = [
        ("anthropic-beta", "a-2026,b-2026"),
        ("anthropic-version", "2023-06-01"),
        ("openai-organization", "org-1"),
        ("idempotency-key", "idem-1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    let not_up =
        [("cookie", "session=1"), ("x-forwarded-for", "10.0.0.1"), ("x-own-secret", "s"), ("te", "gzip")];
    let headers: Vec<(&str, &str)> = up.iter().chain(&not_up).copied().collect();
    let model = model(Dialect::Anthropic);
    let body = Dialect::Anthropic.request(&model, false);
    http::post(gateway.address, "/v1/messages?beta=true", &headers, &body).unwrap();
    let seen = upstream.next_request().unwrap();
    assert_eq!(seen.line, "POST /v1/messages?beta=true HTTP/1.1");
    for (name, value) in up {
        assert_eq!(seen.header(name), Some(value));
    }
    for (name, _) in not_up {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.header("host"), Some(upstream.address.to_string().as_str()));
}

#[test]
fn curl_needs_no_content_type_and_either_chat_path() {
    let upstream = Upstream::fixed(200, &[], ODD_ANSWER);
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    let body = Dialect::OpenaiChat.request(&model(Dialect::OpenaiChat), false);
    for path in ["/v1/chat/completions", "/chat/completions"] {
        // Plain `-d` says it is a form.
        assert_eq!(curl(&["-d", &body, &format!("{}{path}", gateway.url())]), ODD_ANSWER);
        assert_eq!(upstream.next_request().unwrap().line, "POST /v1/chat/completions HTTP/1.1");
    }
    let bare = http::post(gateway.address, "/v1/chat/completions", &[], &body).unwrap();
    assert_eq!(bare.text(), ODD_ANSWER);
}

#[test]
fn http2_without_tls_serves_buffered_and_streamed() {
    let words = String::from_utf8(Dialect::OpenaiChat.words("hi")).unwrap();
    let end = String::from_utf8(Dialect::OpenaiChat.end()).unwrap() + "data: [DONE]\n\n";
    for asked in [false, true] {
        let upstream = match asked {
            true => Upstream::streaming(&[&words, &end]),
            false => Upstream::fixed(200, &[], ODD_ANSWER),
        };
        let expected = if asked { words.clone() + &end } else { ODD_ANSWER.to_owned() };
        let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
        let body = Dialect::OpenaiChat.request(&model(Dialect::OpenaiChat), asked);
        let url = format!("{}/v1/chat/completions", gateway.url());
        let out = curl(&["--http2-prior-knowledge", "-w", "%{http_version} %{http_code}", "-d", &body, &url]);
        assert_eq!(out, format!("{expected}2 200"));
        assert_eq!(
            upstream.next_request().unwrap().text(),
            body.replace(&model(Dialect::OpenaiChat), UPSTREAM_MODEL)
        );
    }
}

#[test]
fn a_chunked_request_arrives_whole() {
    let upstream = Upstream::fixed(200, &[], "{}");
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    let body = Dialect::OpenaiChat.request(&model(Dialect::OpenaiChat), false);
    let mut client = Connection::open(gateway.address).unwrap();
    client
        .write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        .unwrap();
    for byte in body.as_bytes() {
        client.write(&upstream::chunk(&[*byte])).unwrap();
    }
    client.write(b"0\r\n\r\n").unwrap();
    assert_eq!(client.message().unwrap().status(), 200);
    assert_eq!(
        upstream.next_request().unwrap().text(),
        body.replace(&model(Dialect::OpenaiChat), UPSTREAM_MODEL)
    );
}

#[test]
fn one_connection_carries_many_requests() {
    let upstream = Upstream::fixed(200, &[], "{\"a\":1}");
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    let body = Dialect::OpenaiChat.request(&model(Dialect::OpenaiChat), false);
    let request = http::request("POST", "/v1/chat/completions", &[], body.as_bytes());
    let mut client = Connection::open(gateway.address).unwrap();
    // Sent ahead, answered in order.
    client.write(&request.repeat(20)).unwrap();
    for _ in 0..20 {
        assert_eq!(client.message().unwrap().text(), "{\"a\":1}");
    }
}

#[test]
fn a_pool_spreads_by_weight_and_names_its_members_upstream() {
    let upstream = Upstream::fixed(200, &[], "{}");
    let base = config(upstream.address, "");
    let pooled = format!(
        "{base}  second: {{ provider: openai_chat, upstream_model: vendor-second }}\n\
         pools:\n  fast:\n    members:\n      - {{ model: {}, weight: 3 }}\n      - {{ model: second, weight: 1 }}\n",
        model(Dialect::OpenaiChat)
    );
    let gateway = Gateway::start(&pooled).unwrap();
    let body = Dialect::OpenaiChat.request("fast", false);
    let mut second = 0;
    for _ in 0..40 {
        assert_eq!(http::post(gateway.address, "/v1/chat/completions", &[], &body).unwrap().status(), 200);
        let seen = upstream.next_request().unwrap().json().unwrap();
        second += usize::from(seen["model"] == "vendor-second");
    }
    assert_eq!(second, 10);
}

fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").args(["-sS", "--max-time", "20"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
