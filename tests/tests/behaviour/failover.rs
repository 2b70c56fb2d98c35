//! Failover: what another model of a pool makes good before the caller has seen anything, and what it cannot.

use busbar_tests::dialect::{self, Dialect};
use busbar_tests::gateway::Gateway;
use busbar_tests::http::{self, Connection, Message};
use busbar_tests::upstream::{self, Upstream};
use serde_json::Value;

/// What a provider of the protocol answers to everything.
fn healthy(dialect: Dialect) -> Upstream {
    Upstream::start(move |request, connection| {
        if !is_stream(dialect, request) {
            return Ok(connection.write(&upstream::response(200, &[], &whole(dialect, "well")))?);
        }
        connection.write(&dialect.stream_head())?;
        connection.write(&upstream::chunk(&dialect.words("well")))?;
        connection.write(&upstream::chunk(&dialect.end()))?;
        Ok(connection.write(b"0\r\n\r\n")?)
    })
}

pub(super) fn is_stream(dialect: Dialect, request: &Message) -> bool {
    match dialect.names_model_in_body() {
        true => request.json().is_ok_and(|body| body["stream"] == Value::Bool(true)),
        false => request.line.contains("tream"),
    }
}

pub(super) fn whole(dialect: Dialect, words: &str) -> String {
    match dialect {
        Dialect::OpenaiChat => format!(
            r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{words}"}},"finish_reason":"stop"}}]}}"#
        ),
        Dialect::OpenaiResponses => format!(
            r#"{{"id":"r","object":"response","created_at":1,"model":"m","status":"completed","error":null,"output":[{{"type":"message","id":"i","role":"assistant","status":"completed","content":[{{"type":"output_text","text":"{words}","annotations":[]}}]}}]}}"#
        ),
        Dialect::Anthropic => format!(
            r#"{{"id":"a","type":"message","role":"assistant","model":"m","content":[{{"type":"text","text":"{words}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":1,"output_tokens":1}}}}"#
        ),
        Dialect::Gemini => format!(
            r#"{{"candidates":[{{"content":{{"role":"model","parts":[{{"text":"{words}"}}]}},"finishReason":"STOP","index":0}}]}}"#
        ),
        Dialect::Bedrock => format!(
            r#"{{"output":{{"message":{{"role":"assistant","content":[{{"text":"{words}"}}]}}}},"stopReason":"end_turn","usage":{{"inputTokens":1,"outputTokens":1,"totalTokens":2}},"metrics":{{"latencyMs":1}}}}"#
        ),
        Dialect::Cohere => format!(
            r#"{{"id":"c","finish_reason":"COMPLETE","message":{{"role":"assistant","content":[{{"type":"text","text":"{words}"}}]}}}}"#
        ),
    }
}

/// A pool `p` of two models of one protocol, at two providers, the second on standby.
pub(super) fn pool(dialect: Dialect, first: &Upstream, second: &Upstream, more: &str) -> Gateway {
    let provider = |name: &str, upstream: &Upstream| {
        format!(
            "  {name}: {{ protocol: {}, base_url: \"http://{}{}\", api_key_env: TEST_PROVIDER_KEY, region: us-east-1 }}\n",
            dialect.name(),
            upstream.address,
            dialect.base()
        )
    };
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nlimits: {{ first_byte: 400ms }}\nproviders:\n{}{}\
         models:\n  a: {{ provider: one }}\n  b: {{ provider: two }}\npools:\n  p: {{ members: [{{ model: a }}, {{ model: b, standby: true }}]{more} }}\n",
        provider("one", first),
        provider("two", second),
    );
    Gateway::start(&config).unwrap()
}

fn ask(gateway: &Gateway, dialect: Dialect, streamed: bool) -> Message {
    http::post(gateway.address, &dialect.path("p", streamed), &[], &dialect.request("p", streamed)).unwrap()
}

/// Something a provider does in place of an answer; `true` closes the connection after it.
type Fault = (&'static str, fn(Dialect, bool) -> Vec<u8>, bool);

const FAULTS: [Fault; 9] = [
    ("a failure", |_, _| upstream::response(500, &[], r#"{"error":{"message":"no"},"message":"no"}"#), false),
    ("overload", |_, _| upstream::response(503, &[], "<html>busy</html>"), false),
    ("a limit", |_, _| upstream::response(429, &[("retry-after", "9")], r#"{"message":"slow"}"#), false),
    ("nothing but a close", |_, _| Vec::new(), true),
    ("nonsense", |_, _| b"SSH-2.0-OpenSSH_9\r\n\r\n".to_vec(), true),
    (
        "a web page",
        |_, _| upstream::response(200, &[("content-type", "text/html")], "<html>log in</html>"),
        false,
    ),
    (
        "half an answer",
        |dialect, streamed| match streamed {
            true => [dialect.stream_head(), upstream::chunk(&start(dialect))].concat(),
            false => {
                let mut answer = upstream::response(200, &[], &whole(dialect, "half"));
                answer.truncate(answer.len() - 9);
                answer
            }
        },
        true,
    ),
    (
        "an answer that ends too early",
        |dialect, streamed| match streamed {
            true => [dialect.stream_head(), upstream::chunk(&start(dialect)), b"0\r\n\r\n".to_vec()].concat(),
            false => upstream::response(200, &[], &whole(dialect, "half")[..30]),
        },
        false,
    ),
    (
        "an error under a status that says the contrary",
        |dialect, streamed| {
            let error = error(dialect);
            match streamed {
                true => {
                    let error = match dialect {
                        Dialect::Bedrock => exception(&error),
                        _ => format!("event: error\ndata: {error}\n\n").into_bytes(),
                    };
                    [
                        dialect.stream_head(),
                        upstream::chunk(&start(dialect)),
                        upstream::chunk(&error),
                        b"0\r\n\r\n".to_vec(),
                    ]
                    .concat()
                }
                false => upstream::response(200, &[], &error),
            }
        },
        false,
    ),
];

/// What begins a stream and says nothing.
pub(super) fn start(dialect: Dialect) -> Vec<u8> {
    let data = match dialect {
        Dialect::OpenaiChat => {
            r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#
        }
        Dialect::OpenaiResponses => {
            r#"{"type":"response.created","sequence_number":0,"response":{"id":"r","object":"response","created_at":1,"model":"m","status":"in_progress","output":[]}}"#
        }
        Dialect::Anthropic => {
            r#"{"type":"message_start","message":{"id":"a","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}"#
        }
        Dialect::Gemini => r#"{"modelVersion":"m","usageMetadata":{"promptTokenCount":1}}"#,
        Dialect::Bedrock => return dialect::frame("messageStart", br#"{"role":"assistant"}"#),
        Dialect::Cohere => {
            r#"{"type":"message-start","id":"c","delta":{"message":{"role":"assistant","content":[]}}}"#
        }
    };
    format!("data: {data}\n\n").into_bytes()
}

fn error(dialect: Dialect) -> String {
    match dialect {
        Dialect::OpenaiChat => r#"{"error":{"message":"busy","type":"server_error","code":"server_overloaded"}}"#,
        Dialect::OpenaiResponses => r#"{"type":"error","error":{"code":"server_error","message":"busy"},"code":"server_error","message":"busy"}"#,
        Dialect::Anthropic => r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#,
        Dialect::Gemini => r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#,
        Dialect::Bedrock => r#"{"Output":{"__type":"com.amazon.coral.service#InternalFailure"},"message":"busy"}"#,
        Dialect::Cohere => r#"{"id":"c","message":"busy"}"#,
    }
    .to_owned()
}

fn exception(data: &str) -> Vec<u8> {
    dialect::exception("serviceUnavailableException", data.as_bytes())
}

#[test]
fn whatever_fails_before_the_first_words_is_made_good() {
    for dialect in dialect::ALL {
        for (name, fault, closes) in FAULTS {
            let first = Upstream::start(move |request, connection| {
                connection.write(&fault(dialect, is_stream(dialect, request)))?;
                anyhow::ensure!(!closes, "closes");
                Ok(())
            });
            let second = healthy(dialect);
            for streamed in [false, true] {
                let gateway = pool(dialect, &first, &second, "");
                let answer = ask(&gateway, dialect, streamed);
                let said = (dialect, name, streamed);
                assert_eq!(answer.status(), 200, "{said:?}: {}", answer.text());
                let words =
                    if streamed { dialect.words("well") } else { whole(dialect, "well").into_bytes() };
                assert!(answer.body.starts_with(&words), "{said:?}: {}", answer.text());
                assert_eq!(answer.header("x-busbar-lane"), Some("b"), "{said:?}");
                assert_eq!(answer.header("x-busbar-attempts"), Some("2"), "{said:?}");
            }
        }
    }
}

#[test]
fn silence_is_left_behind() {
    let (hold, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let first = Upstream::start(move |_, _| Ok(gate.lock().unwrap().recv()?));
    let second = healthy(Dialect::OpenaiChat);
    let gateway = pool(Dialect::OpenaiChat, &first, &second, "");
    for streamed in [false, true] {
        let answer = ask(&gateway, Dialect::OpenaiChat, streamed);
        assert_eq!((answer.status(), answer.header("x-busbar-lane")), (200, Some("b")), "{}", answer.text());
    }
    drop(hold);
}

#[test]
fn a_stream_that_goes_on_about_nothing_is_left_behind() {
    let (hold, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let first = Upstream::start(move |_, connection| {
        connection.write(&Dialect::Anthropic.stream_head())?;
        connection.write(&upstream::chunk(&start(Dialect::Anthropic)))?;
        Ok(gate.lock().unwrap().recv()?)
    });
    let second = healthy(Dialect::Anthropic);
    let gateway = pool(Dialect::Anthropic, &first, &second, ", timeouts: { first_content: 300ms }");
    let answer = ask(&gateway, Dialect::Anthropic, true);
    assert_eq!((answer.status(), answer.header("x-busbar-lane")), (200, Some("b")), "{}", answer.text());
    assert!(answer.body.starts_with(&Dialect::Anthropic.words("well")), "{}", answer.text());
    drop(hold);
}

#[test]
fn what_the_request_is_to_blame_for_is_told_at_once_and_as_it_is() {
    let words =
        r#"{"error":{"message":"no such field","type":"invalid_request_error","param":"x","code":null}}"#;
    let first = Upstream::fixed(400, &[("x-request-id", "up")], words);
    let second = healthy(Dialect::OpenaiChat);
    let gateway = pool(Dialect::OpenaiChat, &first, &second, "");
    let answer = ask(&gateway, Dialect::OpenaiChat, false);
    assert_eq!((answer.status(), answer.text().as_str()), (400, words));
    assert_eq!(answer.header("x-request-id"), Some("up"));
    assert!(second.untouched());
}

#[test]
fn after_the_first_words_nobody_else_can_go_on() {
    let first = Upstream::start(|_, connection| {
        connection.write(&Dialect::OpenaiChat.stream_head())?;
        connection.write(&upstream::chunk(&Dialect::OpenaiChat.words("begun")))?;
        anyhow::bail!("closes")
    });
    let second = healthy(Dialect::OpenaiChat);
    let gateway = pool(Dialect::OpenaiChat, &first, &second, "");
    let mut client = Connection::open(gateway.address).unwrap();
    let body = Dialect::OpenaiChat.request("p", true);
    client.write(&http::request("POST", "/v1/chat/completions", &[], body.as_bytes())).unwrap();
    assert_eq!(client.head().unwrap().header("x-busbar-lane"), Some("a"));
    let (body, finished) = client.chunks();
    let body = String::from_utf8(body).unwrap();
    assert!(finished && body.contains("begun") && body.contains("\"error\""), "{body}");
    assert!(second.untouched());
}

#[test]
fn when_all_fail_the_cause_that_tells_most_is_told() {
    let limited = Upstream::fixed(
        429,
        &[("retry-after", "7")],
        r#"{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
    );
    let broken = Upstream::start(|_, _| anyhow::bail!("closes"));
    let gateway = pool(Dialect::OpenaiChat, &limited, &broken, "");
    let answer = ask(&gateway, Dialect::OpenaiChat, true);
    assert_eq!((answer.status(), answer.header("retry-after")), (429, Some("7")));
    assert!(answer.text().contains("slow down"), "{}", answer.text());
    assert_eq!(answer.header("x-busbar-lane"), Some("a"));
    assert_eq!(answer.header("x-busbar-attempts"), Some("2"));
    Dialect::OpenaiChat.error(&answer).unwrap();
}

#[test]
fn attempts_and_fallback_pools_are_bounded_by_the_configuration() {
    let first = Upstream::fixed(500, &[], r#"{"error":{"message":"no"}}"#);
    let second = healthy(Dialect::OpenaiChat);
    let gateway = pool(Dialect::OpenaiChat, &first, &second, ", attempts: 1");
    assert_eq!(ask(&gateway, Dialect::OpenaiChat, false).status(), 500);
    assert!(second.untouched());
    let gateway = pool(
        Dialect::OpenaiChat,
        &first,
        &second,
        ", attempts: 1, fallback: q }\n  q: { members: [{ model: a }, { model: b }]",
    );
    let answer = ask(&gateway, Dialect::OpenaiChat, false);
    assert_eq!((answer.status(), answer.header("x-busbar-lane")), (200, Some("b")));
}

/// How the lanes stand, by name.
fn lanes(gateway: &Gateway) -> std::collections::BTreeMap<String, Value> {
    let answer = http::send(gateway.admin(), &http::request("GET", "/busbar/lanes", &[], b"")).unwrap();
    let body = answer.json().unwrap();
    let lanes = body["lanes"].as_array().unwrap().iter();
    lanes.map(|lane| (lane["lane"].as_str().unwrap().to_owned(), lane.clone())).collect()
}

#[test]
fn a_lane_that_keeps_failing_is_left_alone_until_it_is_back() {
    let is_back = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let back = std::sync::Arc::clone(&is_back);
    let first = Upstream::start(move |_, connection| {
        let answer = match back.load(std::sync::atomic::Ordering::Relaxed) {
            true => upstream::response(200, &[], &whole(Dialect::OpenaiChat, "back")),
            false => upstream::response(500, &[], r#"{"error":{"message":"no"}}"#),
        };
        Ok(connection.write(&answer)?)
    });
    let second = healthy(Dialect::OpenaiChat);
    let gateway = pool(
        Dialect::OpenaiChat,
        &first,
        &second,
        "} \nbreaker: { consecutive: 3, cooldown: 700ms, ramp: 100ms",
    );
    for _ in 0..10 {
        assert_eq!(ask(&gateway, Dialect::OpenaiChat, false).header("x-busbar-lane"), Some("b"));
    }
    assert_eq!(first.requests(), 3, "each failure costs the caller a hop");
    let lane = &lanes(&gateway)["a"];
    assert_eq!((&lane["state"], &lane["reason"]), (&"open".into(), &"consecutive_failures".into()), "{lane}");
    is_back.store(true, std::sync::atomic::Ordering::Relaxed);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while ask(&gateway, Dialect::OpenaiChat, false).header("x-busbar-lane") != Some("a") {
        assert!(std::time::Instant::now() < deadline, "never tried again: {:?}", lanes(&gateway));
    }
    assert_ne!(lanes(&gateway)["a"]["state"], "open");
}

#[test]
fn a_limit_is_waited_for_and_told_and_says_nothing_of_health() {
    let words =
        r#"{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    let limited = || Upstream::fixed(429, &[("retry-after", "50")], words);
    let (first, second) = (limited(), healthy(Dialect::OpenaiChat));
    let gateway = pool(Dialect::OpenaiChat, &first, &second, "");
    for _ in 0..4 {
        assert_eq!(ask(&gateway, Dialect::OpenaiChat, false).header("x-busbar-lane"), Some("b"));
    }
    assert_eq!(first.requests(), 1);
    assert_eq!(lanes(&gateway)["a"]["state"], "cooling");

    let (first, second) = (limited(), limited());
    let gateway = pool(Dialect::OpenaiChat, &first, &second, "");
    for _ in 0..3 {
        let answer = ask(&gateway, Dialect::OpenaiChat, false);
        assert_eq!(answer.status(), 429, "{}", answer.text());
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((40..=50).contains(&wait), "{wait}");
        Dialect::OpenaiChat.error(&answer).unwrap();
    }
    assert_eq!((first.requests(), second.requests()), (1, 1));
}

#[test]
fn a_refused_key_benches_its_lanes_and_a_lone_lane_is_always_tried() {
    let first = Upstream::fixed(
        401,
        &[],
        r#"{"error":{"message":"no such key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
    );
    let second = healthy(Dialect::OpenaiChat);
    let gateway = pool(Dialect::OpenaiChat, &first, &second, "");
    for _ in 0..3 {
        assert_eq!(ask(&gateway, Dialect::OpenaiChat, false).header("x-busbar-lane"), Some("b"));
    }
    assert_eq!(first.requests(), 1);
    assert_eq!(lanes(&gateway)["a"]["credential"], "benched");
    // Named by itself it is asked each time, and its provider's words come back.
    for _ in 0..3 {
        let answer = http::post(
            gateway.address,
            "/v1/chat/completions",
            &[],
            &Dialect::OpenaiChat.request("a", false),
        )
        .unwrap();
        assert_eq!((answer.status(), answer.text().contains("no such key")), (401, true));
    }
    assert_eq!(first.requests(), 3);
}

#[test]
fn a_dead_pool_costs_one_attempt_a_request_and_what_the_caller_broke_harms_nobody() {
    let dead = || Upstream::fixed(503, &[], r#"{"error":{"message":"down"}}"#);
    let (first, second) = (dead(), dead());
    let gateway = pool(Dialect::OpenaiChat, &first, &second, "} \nbreaker: { consecutive: 2, cooldown: 60s");
    for _ in 0..12 {
        assert_eq!(ask(&gateway, Dialect::OpenaiChat, false).status(), 503);
    }
    assert_eq!(first.requests() + second.requests(), 4 + 10);

    let wrong = Upstream::fixed(
        400,
        &[],
        r#"{"error":{"message":"no such field","type":"invalid_request_error","param":"x","code":null}}"#,
    );
    let gateway = pool(Dialect::OpenaiChat, &wrong, &second, "} \nbreaker: { consecutive: 2, cooldown: 60s");
    for _ in 0..6 {
        assert_eq!(ask(&gateway, Dialect::OpenaiChat, false).status(), 400);
    }
    assert_eq!(wrong.requests(), 6);
    assert_eq!(lanes(&gateway)["a"]["state"], "closed");
}

#[test]
fn what_the_gateway_put_wrong_is_put_right_once_and_remembered() {
    let refusals = [
        (
            "max_tokens",
            r#"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."#,
        ),
        (
            "temperature",
            r#"Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is supported."#,
        ),
    ];
    for (field, words) in refusals {
        let upstream = Upstream::start(move |request, connection| {
            let answer = match request.json()?.get(field) {
                Some(_) => {
                    let error = serde_json::json!({"error": {"message": words, "type": "invalid_request_error", "param": field,
                        "code": if field == "max_tokens" { "unsupported_parameter" } else { "unsupported_value" }}});
                    upstream::response(400, &[], &error.to_string())
                }
                None => upstream::response(200, &[], &whole(Dialect::OpenaiChat, "well")),
            };
            Ok(connection.write(&answer)?)
        });
        let gateway = pool(Dialect::OpenaiChat, &upstream, &upstream, "");
        let body =
            r#"{"model":"a","max_tokens":64,"temperature":0.5,"messages":[{"role":"user","content":"Hi"}]}"#;
        for expected in [2, 1] {
            let answer = http::post(gateway.address, "/v1/messages", &[], body).unwrap();
            assert_eq!(answer.status(), 200, "{field}: {}", answer.text());
            assert_eq!(upstream.requests(), expected, "{field}");
            assert_eq!(answer.header("busbar-fidelity").is_some(), field == "temperature", "{field}");
        }
        let lane = &lanes(&gateway)["a"];
        assert_eq!(
            (lane["learnt"].as_array().map(Vec::len), &lane["state"]),
            (Some(1), &"closed".into()),
            "{lane}"
        );
        // What the caller itself put wrong is the caller's.
        let own = format!(r#"{{"model":"a","{field}":1,"messages":[{{"role":"user","content":"Hi"}}]}}"#);
        assert_eq!(http::post(gateway.address, "/v1/chat/completions", &[], &own).unwrap().status(), 400);
        assert_eq!(upstream.requests(), 1);
    }
}
