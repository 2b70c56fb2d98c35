//! Bounds that are reached, and what an upstream can do to a request.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use busbar_tests::dialect::{self, Dialect};
use busbar_tests::gateway::{Gateway, config, model};
use busbar_tests::http::{self, Connection, READ_TIMEOUT};
use busbar_tests::upstream::{self, Event, Upstream};

#[test]
fn more_requests_than_allowed_are_told_when_to_come_back() {
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let upstream = Upstream::start(move |_, connection| {
        connection.wait_for_close_or(&gate.lock().unwrap())?;
        Ok(connection.write(&upstream::response(200, &[], "{}"))?)
    });
    let gateway = Gateway::start(&config(upstream.address, "limits: { concurrent_requests: 1 }")).unwrap();
    let request = chat_request(false);
    let mut first = Connection::open(gateway.address).unwrap();
    first.write(&request).unwrap();
    upstream.next_request().unwrap();
    for dialect in dialect::ALL {
        let model = model(dialect);
        let body = dialect.request(&model, false);
        let answer = http::post(gateway.address, &dialect.path(&model, false), &[], &body).unwrap();
        assert!(matches!(answer.status(), 429 | 503 | 529), "{dialect:?}: {} {}", answer.line, answer.text());
        let wait: u64 = answer.header("retry-after").expect("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        dialect.error(&answer).unwrap();
    }
    assert!(upstream.untouched());
    go.send(()).unwrap();
    assert_eq!(first.message().unwrap().status(), 200);

    // The place is free again, also after a client that left.
    let mut leaver = Connection::open(gateway.address).unwrap();
    leaver.write(&request).unwrap();
    upstream.next_request().unwrap();
    drop(leaver);
    assert!(matches!(upstream.next().unwrap(), Event::Closed));
    go.send(()).unwrap();
    let answer = http::send(gateway.address, &request).unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

/// A gateway in front of a model with these bounds that serves one request already: what lets that one go, and where
/// its answer comes.
fn full_model(bounds: &str) -> (Sender<()>, Upstream, Gateway, Connection) {
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let upstream = Upstream::start(move |request, connection| {
        if request.text().contains("hold") {
            gate.lock().unwrap().recv()?;
        }
        Ok(connection.write(&upstream::response(200, &[], "{}"))?)
    });
    let config = config(upstream.address, "").replace(
        "openai-chat-model: { provider: openai_chat,",
        &format!("openai-chat-model: {{ provider: openai_chat, {bounds},"),
    );
    let gateway = Gateway::start(&config).unwrap();
    let body = Dialect::OpenaiChat.request(&model(Dialect::OpenaiChat), false);
    let held = http::request("POST", "/v1/chat/completions", &[], body.replace("Hi", "hold").as_bytes());
    let mut first = Connection::open(gateway.address).unwrap();
    first.write(&held).unwrap();
    upstream.next_request().unwrap();
    (go, upstream, gateway, first)
}

#[test]
fn a_model_has_a_limit_of_its_own() {
    let (go, _upstream, gateway, mut first) = full_model("max_concurrent: 1");
    let second = http::send(gateway.address, &chat_request(false)).unwrap();
    assert!(matches!(second.status(), 429 | 503), "{}", second.text());
    assert!(second.header("retry-after").is_some());
    Dialect::OpenaiChat.error(&second).unwrap();
    let other = model(Dialect::Anthropic);
    let answer =
        http::post(gateway.address, "/v1/messages", &[], &Dialect::Anthropic.request(&other, false)).unwrap();
    assert_eq!(answer.status(), 200);
    go.send(()).unwrap();
    assert_eq!(first.message().unwrap().status(), 200);
}

#[test]
fn a_full_model_is_waited_for_in_turn_by_as_many_as_may() {
    let (go, upstream, gateway, mut first) = full_model("max_concurrent: 1, max_waiting: 1, max_wait: 20s");
    let mut second = Connection::open(gateway.address).unwrap();
    second.write(&chat_request(false)).unwrap();
    let lane = |field: &str| {
        let lanes = http::send(gateway.admin(), &http::request("GET", "/busbar/lanes", &[], b"")).unwrap();
        let lanes = lanes.json().unwrap();
        let lane = lanes["lanes"].as_array().unwrap().iter().find(|lane| lane["lane"] == "openai-chat-model");
        lane.unwrap()[field].clone()
    };
    let until = |field: &str, count: u64| {
        let begun = Instant::now();
        while lane(field) != count {
            assert!(begun.elapsed() < Duration::from_secs(20), "{field} is not {count}");
        }
    };
    until("waiting", 1);
    let third = http::send(gateway.address, &chat_request(false)).unwrap();
    assert_eq!(third.status(), 429, "{}", third.text());
    // One that leaves makes room for another.
    drop(second);
    until("waiting", 0);
    let mut fourth = Connection::open(gateway.address).unwrap();
    fourth.write(&chat_request(false)).unwrap();
    until("waiting", 1);
    assert!(upstream.untouched());
    go.send(()).unwrap();
    assert_eq!(first.message().unwrap().status(), 200);
    assert_eq!(fourth.message().unwrap().status(), 200);
    until("waiting", 0);
    until("in_flight", 0);
}

#[test]
fn the_model_of_a_pool_that_is_free_first_serves_who_waits() {
    let held = |gate: std::sync::mpsc::Receiver<()>, name: &'static str| {
        let gate = Mutex::new(gate);
        Upstream::start(move |request, connection| {
            if request.text().contains("hold") {
                gate.lock().unwrap().recv()?;
            }
            Ok(connection.write(&upstream::response(200, &[("x-served-by", name)], "{}"))?)
        })
    };
    let (first_goes, gate) = channel::<()>();
    let first = held(gate, "first");
    let (second_goes, gate) = channel::<()>();
    let second = held(gate, "second");
    let gateway = Gateway::start(&format!(
        "listen: 127.0.0.1:0\nproviders:\n  \
           one: {{ protocol: openai_chat, base_url: \"http://{}/v1\", api_key_env: TEST_PROVIDER_KEY }}\n  \
           two: {{ protocol: openai_chat, base_url: \"http://{}/v1\", api_key_env: TEST_PROVIDER_KEY }}\n\
         models:\n  \
           a: {{ provider: one, max_concurrent: 1, max_waiting: 1 }}\n  \
           b: {{ provider: two, max_concurrent: 1, max_waiting: 1 }}\n\
         pools:\n  p: {{ members: [{{ model: a }}, {{ model: b, standby: true }}] }}\n",
        first.address, second.address
    ))
    .unwrap();
    let ask = |words: &str| {
        let body = Dialect::OpenaiChat.request("p", false).replace("Hi", words);
        let mut connection = Connection::open(gateway.address).unwrap();
        let request = http::request("POST", "/v1/chat/completions", &[], body.as_bytes());
        connection.write(&request).unwrap();
        connection
    };
    let mut on_first = ask("hold");
    first.next_request().unwrap();
    let mut on_second = ask("hold");
    second.next_request().unwrap();
    let mut waits = ask("Hi");
    second_goes.send(()).unwrap();
    assert_eq!(waits.message().unwrap().header("x-busbar-lane"), Some("b"));
    assert_eq!(on_second.message().unwrap().status(), 200);
    first_goes.send(()).unwrap();
    assert_eq!(on_first.message().unwrap().header("x-busbar-lane"), Some("a"));
}

#[test]
fn an_upstream_that_is_not_there_is_502() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let gateway = Gateway::start(&config(free, "")).unwrap();
    for dialect in dialect::ALL {
        let model = model(dialect);
        let body = dialect.request(&model, false);
        let answer = http::post(gateway.address, &dialect.path(&model, false), &[], &body).unwrap();
        assert_eq!(answer.status(), 502, "{dialect:?}: {}", answer.text());
        let error = dialect.error(&answer).unwrap();
        assert!(!error.message.contains(&free.to_string()), "an upstream's address is told: {error:?}");
        assert!(!error.message.contains("127.0.0.1"), "an upstream's address is told: {error:?}");
    }
}

#[test]
fn an_upstream_that_says_nothing_is_504() {
    let (hold, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let upstream = Upstream::start(move |_, _| Ok(gate.lock().unwrap().recv()?));
    let gateway = Gateway::start(&config(upstream.address, "limits: { first_byte: 300ms }")).unwrap();
    for dialect in dialect::ALL {
        let model = model(dialect);
        let body = dialect.request(&model, false);
        let answer = http::post(gateway.address, &dialect.path(&model, false), &[], &body).unwrap();
        assert_eq!(answer.status(), 504, "{dialect:?}: {}", answer.text());
        dialect.error(&answer).unwrap();
    }
    drop(hold);
}

#[test]
fn an_upstream_that_talks_nonsense_is_502() {
    for nonsense in [&b"SSH-2.0-OpenSSH_9\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", b""]
    {
        let upstream = Upstream::start(move |_, connection| {
            connection.write(nonsense)?;
            anyhow::bail!("closes")
        });
        let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
        let answer = http::send(gateway.address, &chat_request(false)).unwrap();
        assert_eq!(answer.status(), 502, "{:?}: {}", String::from_utf8_lossy(nonsense), answer.text());
        Dialect::OpenaiChat.error(&answer).unwrap();
    }
}

#[test]
fn a_stream_that_is_cut_does_not_look_finished() {
    // Closed in the middle, and ended in all form though the answer is not complete.
    for last in [&b""[..], b"0\r\n\r\n"] {
        for dialect in dialect::ALL {
            let upstream = Upstream::start(move |_, connection| {
                connection.write(&dialect.stream_head())?;
                connection.write(&upstream::chunk(&dialect.words("begun")))?;
                connection.write(last)?;
                anyhow::bail!("closes")
            });
            let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
            let model = model(dialect);
            let body = dialect.request(&model, true);
            let mut client = Connection::open(gateway.address).unwrap();
            client.write(&http::request("POST", &dialect.path(&model, true), &[], body.as_bytes())).unwrap();
            assert_eq!(client.head().unwrap().status(), 200, "{dialect:?}");
            let (body, finished) = client.chunks();
            assert!(body.starts_with(&dialect.words("begun")), "{dialect:?}: {body:?}");
            let is_told = |word: &str| memchr::memmem::find(&body, word.as_bytes()).is_some();
            let told = is_told("rror") || is_told("xception");
            assert!(told && finished, "{dialect:?}: {}", String::from_utf8_lossy(&body));
            assert!(memchr::memmem::find(&body, b"[DONE]").is_none(), "{dialect:?}");
        }
    }
}

#[test]
fn a_stream_that_ends_before_it_says_anything_is_502() {
    let upstream = Upstream::start(|_, connection| {
        connection.write(&upstream::stream_head())?;
        let start = r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]}"#;
        connection.write(&upstream::chunk(format!("data: {start}\n\n").as_bytes()))?;
        connection.write(b"0\r\n\r\n")?;
        Ok(())
    });
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    let answer = http::send(gateway.address, &chat_request(true)).unwrap();
    assert_eq!(answer.status(), 502, "{}", answer.text());
    Dialect::OpenaiChat.error(&answer).unwrap();
}

#[test]
fn a_failure_whose_words_break_off_keeps_its_status() {
    let upstream = Upstream::start(|_, connection| {
        connection.write(b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\n")?;
        connection.write(b"retry-after: 7\r\ncontent-length: 500\r\n\r\n{\"error\":{\"message\":\"slow")?;
        anyhow::bail!("closes")
    });
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    let mut client = Connection::open(gateway.address).unwrap();
    client.write(&chat_request(false)).unwrap();
    let head = client.head().unwrap();
    assert_eq!(head.status(), 429);
    assert_eq!(head.header("retry-after"), Some("7"));
}

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    const ENOUGH: usize = 64 << 20;
    let upstream = Upstream::start(|_, connection| {
        connection.write(&upstream::stream_head())?;
        let event = upstream::chunk(format!("data: {}\n\n", "x".repeat(64 << 10)).as_bytes());
        // More than all sockets between here and there can hold.
        for _ in 0..ENOUGH / event.len() {
            connection.write(&event)?;
        }
        Ok(())
    });
    let gateway = Gateway::start(&config(upstream.address, "limits: { client_stall: 500ms }")).unwrap();
    let mut client = Connection::open(gateway.address).unwrap();
    client.write(&chat_request(true)).unwrap();
    upstream.next_request().unwrap();
    let begun = Instant::now();
    assert!(matches!(upstream.next().unwrap(), Event::Closed));
    assert!(begun.elapsed() < READ_TIMEOUT / 2, "the provider gave up, not the gateway");
}

#[test]
fn a_stale_connection_is_replaced_once() {
    // Closes after each answer without saying so, as an idle timeout does.
    let upstream = Upstream::start(|_, connection| {
        connection.write(&upstream::response(200, &[], "{}"))?;
        anyhow::bail!("closes")
    });
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    for turn in 0..10 {
        let answer = http::send(gateway.address, &chat_request(false)).unwrap();
        assert_eq!(answer.status(), 200, "turn {turn}: {}", answer.text());
    }
}

fn chat_request(stream: bool) -> Vec<u8> {
    let body = Dialect::OpenaiChat.request(&model(Dialect::OpenaiChat), stream);
    http::request("POST", "/v1/chat/completions", &[], body.as_bytes())
}
