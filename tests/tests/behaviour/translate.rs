//! The translate lane between chat completions and messages, as a client and a provider see it on their sockets.
//!
//! What each field becomes is judged elsewhere, on fixtures; here it is statuses, headers, cuts and bounds.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use busbar_tests::dialect::Dialect::{self, Anthropic, OpenaiChat};
use busbar_tests::gateway::{Gateway, PROVIDER_KEY, UPSTREAM_MODEL, config, model};
use busbar_tests::http::{self, Connection, Message};
use busbar_tests::upstream::{self, Event, Upstream};
use serde_json::{Value, json};

/// The two directions: whom the client takes the gateway for, and what the provider speaks.
const PAIRS: [(Dialect, Dialect); 2] = [(OpenaiChat, Anthropic), (Anthropic, OpenaiChat)];

/// Letters of two, three and four bytes.
const TEXT: &str = "naïve 北京 😀 done";

#[test]
fn a_request_and_its_answer_change_dialect() {
    for (client, backend) in PAIRS {
        let (upstream, gateway) = start(&buffered(backend), "");
        let answer = post(&gateway, client, &request(client, backend, false));
        assert_eq!(answer.status(), 200, "{client:?}: {}", answer.text());
        assert_eq!(text(client, &answer.json().unwrap()), TEXT);
        let seen = upstream.next_request().unwrap();
        assert_eq!(seen.line, format!("POST {} HTTP/1.1", backend.path("", false)));
        let body = seen.json().unwrap();
        assert_eq!(body["model"], UPSTREAM_MODEL);
        match backend {
            Anthropic => {
                assert_eq!(seen.header("x-api-key"), Some(PROVIDER_KEY));
                assert!(seen.header("anthropic-version").is_some(), "{:?}", seen.headers);
                assert!(body["max_tokens"].as_u64().is_some_and(|most| most > 0), "{body}");
                let usage = &answer.json().unwrap()["usage"];
                assert_eq!(usage["prompt_tokens"], 100 + 20 + 3);
                assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 20);
                assert_eq!(usage["completion_tokens"], 7);
                assert_eq!(usage["total_tokens"], 130);
            }
            _ => {
                assert_eq!(seen.header("authorization"), Some(format!("Bearer {PROVIDER_KEY}").as_str()));
                let usage = &answer.json().unwrap()["usage"];
                assert_eq!(usage["input_tokens"], 80);
                assert_eq!(usage["cache_read_input_tokens"], 20);
                assert_eq!(usage["output_tokens"], 7);
            }
        }
    }
}

#[test]
fn a_loss_is_told_and_strict_refuses_it_before_any_call() {
    let cases = [
        (OpenaiChat, Anthropic, "logit_bias", json!({"50256": -100})),
        (Anthropic, OpenaiChat, "top_k", json!(5)),
    ];
    for (client, backend, field, value) in cases {
        let (upstream, gateway) = start(&buffered(backend), "");
        let mut body: Value = serde_json::from_str(&request(client, backend, false)).unwrap();
        body[field] = value;
        let body = body.to_string();
        let target = client.path("", false);

        let told = http::post(gateway.address, &target, &[], &body).unwrap();
        assert_eq!(told.status(), 200, "{}", told.text());
        let fidelity = told.header("busbar-fidelity").expect("busbar-fidelity");
        let dropped = fidelity.split("; ").find_map(|part| part.strip_prefix("dropped=")).expect(fidelity);
        assert!(dropped.split(',').any(|name| name == field), "{fidelity}");
        let sent = upstream.next_request().unwrap().json().unwrap();
        assert!(sent.get(field).is_none(), "{sent}");

        let refused = http::post(gateway.address, &target, &[("busbar-fidelity", "strict")], &body).unwrap();
        assert_eq!(refused.status(), 400, "{}", refused.text());
        let error = client.error(&refused).unwrap();
        assert_eq!(error.kind, "invalid_request_error");
        assert!(error.message.contains(field) && error.message.contains("strict"), "{error:?}");
        assert!(upstream.untouched());

        let unknown = http::post(gateway.address, &target, &[("busbar-fidelity", "stric")], &body).unwrap();
        assert_eq!(unknown.status(), 400, "{}", unknown.text());
        assert!(client.error(&unknown).unwrap().message.contains("busbar-fidelity"), "{}", unknown.text());
        assert!(upstream.untouched());

        let plain = request(client, backend, false);
        let kept = http::post(gateway.address, &target, &[("busbar-fidelity", "strict")], &plain).unwrap();
        assert_eq!(kept.status(), 200, "{}", kept.text());
    }
}

#[test]
fn a_field_of_the_wrong_type_is_named_by_its_path() {
    let five = json!(5);
    let part = json!([{"type": "text", "text": "a"}, {"type": "text", "text": 5}]);
    let cases = [
        (OpenaiChat, "messages", five.clone(), "messages"),
        (OpenaiChat, "messages", json!([{"role": "user", "content": five}]), "messages[0].content"),
        (OpenaiChat, "messages", json!([{"role": "user", "content": part}]), "messages[0].content[1].text"),
        (OpenaiChat, "temperature", json!("warm"), "temperature"),
        (Anthropic, "messages", json!([{"role": "user", "content": part}]), "messages[0].content[1].text"),
        (Anthropic, "max_tokens", json!("many"), "max_tokens"),
        (Anthropic, "tools", json!([{"name": 7, "input_schema": {"type": "object"}}]), "tools[0].name"),
    ];
    for (client, field, value, path) in cases {
        let backend = if client == OpenaiChat { Anthropic } else { OpenaiChat };
        let (upstream, gateway) = start(&buffered(backend), "");
        let mut body: Value = serde_json::from_str(&request(client, backend, false)).unwrap();
        body[field] = value;
        let answer = post(&gateway, client, &body.to_string());
        assert_eq!(answer.status(), 400, "{path}: {}", answer.text());
        let error = client.error(&answer).unwrap();
        assert!(error.message.contains(path), "{path}: {error:?}");
        if client == OpenaiChat {
            assert_eq!(error.param.as_deref(), Some(path));
        }
        assert!(upstream.untouched());
    }
}

#[test]
fn an_error_of_the_provider_is_told_in_the_clients_words() {
    let anthropic = |kind: &str, message: &str| {
        json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
            .to_string()
    };
    let openai = |kind: &str, code: Value, message: &str| {
        json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string()
    };
    let long = "prompt is too long: 250000 tokens > 200000 maximum";
    let cases = [
        (
            OpenaiChat,
            400,
            anthropic("invalid_request_error", "no such field"),
            400,
            "invalid_request_error",
            "no such field",
        ),
        (OpenaiChat, 400, anthropic("invalid_request_error", long), 400, "context_length_exceeded", "250000"),
        (
            OpenaiChat,
            403,
            anthropic("permission_error", "not yours"),
            403,
            "permission_error",
            "the gateway's own credential, not the caller's: not yours",
        ),
        (
            OpenaiChat,
            401,
            anthropic("authentication_error", "invalid x-api-key"),
            401,
            "invalid_api_key",
            "the gateway's own credential, not the caller's: invalid x-api-key",
        ),
        (OpenaiChat, 404, anthropic("not_found_error", "model: x"), 404, "", ""),
        (
            OpenaiChat,
            429,
            anthropic("rate_limit_error", "slow down"),
            429,
            "rate_limit_exceeded",
            "slow down",
        ),
        (OpenaiChat, 500, anthropic("api_error", "oops"), 500, "server_error", "oops"),
        (OpenaiChat, 529, anthropic("overloaded_error", "Overloaded"), 529, "", "Overloaded"),
        (
            Anthropic,
            400,
            openai("invalid_request_error", Value::Null, "bad tool"),
            400,
            "invalid_request_error",
            "bad tool",
        ),
        (
            Anthropic,
            400,
            openai("invalid_request_error", json!("context_length_exceeded"), "maximum context"),
            400,
            "invalid_request_error",
            "prompt is too long",
        ),
        (
            Anthropic,
            429,
            openai("requests", json!("rate_limit_exceeded"), "slow"),
            429,
            "rate_limit_error",
            "slow",
        ),
        (Anthropic, 500, openai("server_error", Value::Null, "oops"), 500, "api_error", "oops"),
        (Anthropic, 503, openai("server_error", Value::Null, "full"), 529, "overloaded_error", "full"),
    ];
    for (client, status, body, expected, kind, words) in cases {
        let backend = if client == OpenaiChat { Anthropic } else { OpenaiChat };
        for stream in [false, true] {
            let id = if backend == Anthropic { "request-id" } else { "x-request-id" };
            let upstream = Upstream::fixed(status, &[("retry-after", "9"), (id, "req_theirs")], &body);
            let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
            let answer = post(&gateway, client, &request(client, backend, stream));
            assert_eq!(answer.status(), expected, "{body}: {}", answer.text());
            assert_eq!(answer.header(id), Some("req_theirs"), "{body}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{body}");
            let error = client.error(&answer).unwrap();
            assert!(kind.is_empty() || error.kind == kind, "{body}: {error:?}");
            assert!(error.message.contains(words), "{body}: {error:?}");
            if matches!(status, 429 | 503 | 529) {
                assert_eq!(answer.header("retry-after"), Some("9"), "{body}");
            }
        }
    }
}

#[test]
fn a_stream_is_the_same_however_it_is_cut() {
    for (client, backend) in PAIRS {
        let whole = events(backend).concat();
        let mut outputs = Vec::new();
        for size in [whole.len(), 1, 7] {
            let bytes = whole.clone().into_bytes();
            let upstream = Upstream::start(move |_, connection| {
                connection.write(&upstream::stream_head())?;
                for piece in bytes.chunks(size) {
                    connection.write(&upstream::chunk(piece))?;
                }
                Ok(connection.write(b"0\r\n\r\n")?)
            });
            let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
            let answer = post(&gateway, client, &request(client, backend, true));
            assert_eq!(answer.status(), 200, "{}", answer.text());
            assert_eq!(
                answer.header("content-type").map(|value| value.split(';').next()),
                Some(Some("text/event-stream"))
            );
            assert_eq!(streamed_text(client, &answer.text()), TEXT, "cut by {size}");
            outputs.push(stable(&answer.text()));
        }
        assert_eq!(outputs[0], outputs[1], "{client:?}");
        assert_eq!(outputs[0], outputs[2], "{client:?}");
        let last = if client == OpenaiChat { "data: [DONE]\n\n" } else { "{\"type\":\"message_stop\"}\n\n" };
        assert!(outputs[0].ends_with(last), "{}", outputs[0]);
    }
}

#[test]
fn usage_comes_in_a_chunk_of_its_own_and_only_when_asked() {
    let (_upstream, gateway) = start_stream(Anthropic);
    let plain = post(&gateway, OpenaiChat, &request(OpenaiChat, Anthropic, true)).text();
    for event in data(&plain) {
        assert!(event["usage"].is_null(), "{event}");
        assert_eq!(event["choices"].as_array().map(Vec::len), Some(1), "{event}");
    }
    let mut body: Value = serde_json::from_str(&request(OpenaiChat, Anthropic, true)).unwrap();
    body["stream_options"] = json!({"include_usage": true});
    let asked = post(&gateway, OpenaiChat, &body.to_string()).text();
    let last = data(&asked).pop().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["prompt_tokens"], 123);
    assert_eq!(last["usage"]["total_tokens"], 130);
    let finishes: Vec<_> = data(&asked)
        .into_iter()
        .filter_map(|event| Some(event["choices"][0]["finish_reason"].as_str()?.to_owned()))
        .collect();
    assert_eq!(finishes, ["stop"]);
}

#[test]
fn an_error_before_any_content_is_a_real_status() {
    let start = events(Anthropic)[0].clone();
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let upstream = Upstream::streaming(&[&start, error]);
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    let answer = post(&gateway, OpenaiChat, &request(OpenaiChat, Anthropic, true));
    assert_eq!(answer.status(), 529, "{}", answer.text());
    assert!(OpenaiChat.error(&answer).unwrap().message.contains("Overloaded"));
}

#[test]
fn a_cut_or_failed_stream_ends_with_a_native_error() {
    for (client, backend) in PAIRS {
        let kept: String = events(backend)[..3].concat();
        let failure = match backend {
            Anthropic => {
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"oops\"}}\n\n"
            }
            _ => {
                "data: {\"error\":{\"message\":\"oops\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n"
            }
        };
        let after = events(backend)[3..].concat();
        // Closed in the middle, ended cleanly but too early, failed by an event.
        for (rest, clean) in [("", false), ("", true), (failure, true), (&*format!("{failure}{after}"), true)]
        {
            let bytes = format!("{kept}{rest}").into_bytes();
            let upstream = Upstream::start(move |_, connection| {
                connection.write(&upstream::stream_head())?;
                connection.write(&upstream::chunk(&bytes))?;
                if clean {
                    connection.write(b"0\r\n\r\n")?;
                }
                anyhow::bail!("closes")
            });
            let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
            let mut connection = Connection::open(gateway.address).unwrap();
            connection.write(&raw(client, &request(client, backend, true))).unwrap();
            assert_eq!(connection.head().unwrap().status(), 200);
            let (said, _) = connection.chunks();
            let said = String::from_utf8(said).unwrap();
            assert!(said.contains("naïve"), "what came is passed on: {said}");
            let kept: Vec<Value> = data(&said);
            let last = kept.last().unwrap();
            assert!(last["error"]["message"].is_string(), "{said}");
            assert!(!said.contains("[DONE]") && !said.contains("message_stop"), "{said}");
            assert!(!said.contains("done"), "{said}");
            assert_eq!(said.contains("event: error\n"), client == Anthropic, "{said}");
        }
    }
}

#[test]
fn a_silent_provider_does_not_cost_the_client_its_connection() {
    for (client, backend) in PAIRS {
        let (go, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let (begin, after) = (events(backend)[..3].concat(), events(backend)[3..].concat());
        let upstream = Upstream::start(move |_, connection| {
            connection.write(&upstream::stream_head())?;
            gate.lock().unwrap().recv()?;
            connection.write(&upstream::chunk(begin.as_bytes()))?;
            gate.lock().unwrap().recv()?;
            connection.write(&upstream::chunk(after.as_bytes()))?;
            Ok(connection.write(b"0\r\n\r\n")?)
        });
        let gateway = Gateway::start(&config(upstream.address, "limits: { keep_alive: 50ms }")).unwrap();
        let mut connection = Connection::open(gateway.address).unwrap();
        connection.write(&raw(client, &request(client, backend, true))).unwrap();
        upstream.next_request().unwrap();
        let ping =
            if client == Anthropic { "event: ping\ndata: {\"type\":\"ping\"}\n\n" } else { ": ping\n" };
        // Before there is content, and within it.
        let said = connection.read_until(ping).unwrap();
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && !said.contains("data: {\"id\""), "{said}");
        connection.read_until(ping).unwrap();
        go.send(()).unwrap();
        connection.read_until("na").unwrap();
        connection.read_until(ping).unwrap();
        go.send(()).unwrap();
        let last = if client == OpenaiChat { "data: [DONE]\n\n" } else { "{\"type\":\"message_stop\"}\n\n" };
        connection.read_until(last).unwrap();
    }
}

#[test]
fn signs_of_life_do_not_stretch_a_deadline() {
    for (client, backend) in PAIRS {
        let begin = events(backend)[..3].concat().into_bytes();
        let (_go, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let upstream = Upstream::start(move |_, connection| {
            connection.write(&upstream::stream_head())?;
            connection.write(&upstream::chunk(&begin))?;
            connection.wait_for_close_or(&gate.lock().unwrap())
        });
        let limits = "limits: { keep_alive: 50ms, idle: 400ms }";
        let gateway = Gateway::start(&config(upstream.address, limits)).unwrap();
        let answer = post(&gateway, client, &request(client, backend, true));
        assert!(answer.text().matches("ping").count() >= 2, "{}", answer.text());
        let last = data(&answer.text()).pop().unwrap();
        assert_eq!(last["error"]["message"], "the provider fell silent within its answer");
    }
}

#[test]
fn a_client_that_leaves_cancels_the_upstream() {
    for (client, backend) in PAIRS {
        let begin = events(backend)[..3].concat().into_bytes();
        let upstream = Upstream::start(move |_, connection| {
            connection.write(&upstream::stream_head())?;
            Ok(connection.write(&upstream::chunk(&begin))?)
        });
        let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
        let mut connection = Connection::open(gateway.address).unwrap();
        connection.write(&raw(client, &request(client, backend, true))).unwrap();
        upstream.next_request().unwrap();
        connection.read_until("na").unwrap();
        drop(connection);
        assert!(matches!(upstream.next().unwrap(), Event::Closed), "{client:?}");
    }
}

#[test]
fn a_line_or_an_answer_over_the_limit_is_a_native_error() {
    for (client, backend) in PAIRS {
        let long = "x".repeat(8192);
        let events: Vec<String> = events(backend).iter().map(|event| event.replace("naïve", &long)).collect();
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let upstream = Upstream::streaming(&events);
        let gateway = Gateway::start(&config(upstream.address, "limits: { stream_line: 4KiB }")).unwrap();
        let answer = post(&gateway, client, &request(client, backend, true));
        assert!(answer.text().contains("error"), "{}", answer.text());
        assert!(!answer.text().contains(&long), "{client:?}");

        let (_upstream, gateway) =
            start(&buffered(backend).replace(TEXT, &long), "limits: { response: 4KiB }");
        let answer = post(&gateway, client, &request(client, backend, false));
        assert_eq!(answer.status(), 502, "{}", answer.text());
        assert!(client.error(&answer).unwrap().message.contains("`response` limit"), "{}", answer.text());
    }
}

#[test]
fn a_limit_that_is_reached_within_a_stream_ends_it_with_a_native_error() {
    for (client, backend) in PAIRS {
        let long = "x".repeat(8192);
        let events: Vec<String> = events(backend).iter().map(|event| event.replace("done", &long)).collect();
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let upstream = Upstream::streaming(&events);
        for limit in ["stream_line", "stream_event"] {
            let limits = format!("limits: {{ {limit}: 4KiB }}");
            let gateway = Gateway::start(&config(upstream.address, &limits)).unwrap();
            let answer = post(&gateway, client, &request(client, backend, true));
            assert_eq!(answer.status(), 200, "{}", answer.text());
            assert!(answer.text().contains("naïve"), "{}", answer.text());
            let last = data(&answer.text()).pop().unwrap();
            let message = last["error"]["message"].as_str().expect("an error at the end");
            assert!(message.contains("more than 4096 bytes"), "{message}");
            assert!(!answer.text().contains("[DONE]") && !answer.text().contains("message_stop"));
        }
    }
}

#[test]
fn an_answer_that_is_not_one_is_a_native_502() {
    for (client, backend) in PAIRS {
        for nonsense in ["", "<html>", "{}", "[]", "{\"id\":1}", &buffered(backend)[..40]] {
            let (_upstream, gateway) = start(nonsense, "");
            for stream in [false, true] {
                let answer = post(&gateway, client, &request(client, backend, stream));
                assert_eq!(answer.status(), 502, "{client:?} {nonsense}: {}", answer.text());
                client.error(&answer).unwrap();
            }
        }
    }
}

#[test]
fn an_error_under_a_good_status_is_still_one() {
    for (client, backend) in PAIRS {
        let error = match backend {
            Anthropic => json!({"type": "error", "error": {"type": "overloaded_error", "message": "full"}}),
            _ => json!({"error": {"message": "full", "type": "server_error", "code": "overloaded"}}),
        };
        for stream in [false, true] {
            let (_upstream, gateway) = start(&error.to_string(), "");
            let answer = post(&gateway, client, &request(client, backend, stream));
            assert!(matches!(answer.status(), 503 | 529), "{client:?} {stream}: {}", answer.text());
            assert_eq!(client.error(&answer).unwrap().message, "full");
        }
    }
}

#[test]
fn a_whole_answer_to_a_streaming_call_is_a_stream_and_the_other_way_a_fault() {
    for (client, backend) in PAIRS {
        let (_upstream, gateway) = start(&buffered(backend), "");
        let answer = post(&gateway, client, &request(client, backend, true));
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        assert_eq!(streamed_text(client, &answer.text()), TEXT);
        let last = if client == OpenaiChat { "data: [DONE]\n\n" } else { "{\"type\":\"message_stop\"}\n\n" };
        assert!(answer.text().ends_with(last), "{}", answer.text());

        let (_upstream, gateway) = start_stream(backend);
        let answer = post(&gateway, client, &request(client, backend, false));
        assert_eq!(answer.status(), 502, "{}", answer.text());
        let error = client.error(&answer).unwrap();
        assert_eq!(error.message, "the provider sent a stream where a whole answer was asked for");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    for (client, backend) in PAIRS {
        let (upstream, gateway) = start(&buffered(backend), "");
        let body = request(client, backend, false);
        let mut bytes = raw(client, &body);
        let at = bytes.len() - body.len() + body.find("Hi").unwrap();
        bytes[at] = 0xff;
        let answer = http::send(gateway.address, &bytes).unwrap();
        assert_eq!(answer.status(), 400, "{client:?}: {}", answer.text());
        client.error(&answer).unwrap();
        assert!(upstream.untouched());
    }
}

/// A provider with one buffered answer, and a gateway in front of it.
fn start(answer: &str, more: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::fixed(200, &[("request-id", "req_up")], answer);
    let gateway = Gateway::start(&config(upstream.address, more)).unwrap();
    (upstream, gateway)
}

fn start_stream(backend: Dialect) -> (Upstream, Gateway) {
    let events = events(backend);
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let upstream = Upstream::streaming(&events);
    let gateway = Gateway::start(&config(upstream.address, "")).unwrap();
    (upstream, gateway)
}

/// A small request in the client's dialect for the backend's model.
fn request(client: Dialect, backend: Dialect, stream: bool) -> String {
    client.request(&model(backend), stream)
}

fn raw(client: Dialect, body: &str) -> Vec<u8> {
    http::request("POST", &client.path("", false), &[], body.as_bytes())
}

fn post(gateway: &Gateway, client: Dialect, body: &str) -> Message {
    http::send(gateway.address, &raw(client, body)).unwrap()
}

pub(super) fn buffered(protocol: Dialect) -> String {
    let answer = match protocol {
        Anthropic => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": UPSTREAM_MODEL,
            "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 100, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 3,
                      "output_tokens": 7}
        }),
        _ => json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1767225600, "model": UPSTREAM_MODEL,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT, "refusal": null},
                         "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107,
                      "prompt_tokens_details": {"cached_tokens": 20}}
        }),
    };
    answer.to_string()
}

/// A stream of the protocol whose third event holds the beginning of the text.
pub(super) fn events(protocol: Dialect) -> Vec<String> {
    let (first, second) = TEXT.split_at(TEXT.find("done").unwrap());
    match protocol {
        Anthropic => [
            json!({"type": "message_start", "message": {
                "id": "msg_1", "type": "message", "role": "assistant", "model": UPSTREAM_MODEL, "content": [],
                "stop_reason": null, "stop_sequence": null,
                "usage": {"input_tokens": 100, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 3,
                          "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": first}}),
            json!({"type": "ping"}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": second}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                   "usage": {"output_tokens": 7}}),
            json!({"type": "message_stop"}),
        ]
        .into_iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
        .collect(),
        _ => {
            let chunk = |delta: Value, finish: Value| {
                json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1767225600,
                       "model": UPSTREAM_MODEL,
                       "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]})
            };
            let mut events: Vec<String> = [
                chunk(json!({"role": "assistant", "content": ""}), Value::Null),
                chunk(json!({"content": ""}), Value::Null),
                chunk(json!({"content": first}), Value::Null),
                chunk(json!({"content": second}), Value::Null),
                chunk(json!({}), json!("stop")),
                json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1767225600,
                       "model": UPSTREAM_MODEL, "choices": [],
                       "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}}),
            ]
            .into_iter()
            .map(|event| format!("data: {event}\n\n"))
            .collect();
            events.push("data: [DONE]\n\n".into());
            events
        }
    }
}

fn text(protocol: Dialect, answer: &Value) -> String {
    let text = match protocol {
        Anthropic => &answer["content"][0]["text"],
        _ => &answer["choices"][0]["message"]["content"],
    };
    text.as_str().unwrap_or_default().to_owned()
}

fn streamed_text(protocol: Dialect, stream: &str) -> String {
    data(stream)
        .iter()
        .filter_map(|event| match protocol {
            Anthropic => event["delta"]["text"].as_str(),
            _ => event["choices"][0]["delta"]["content"].as_str(),
        })
        .collect()
}

/// The JSON of each event.
fn data(stream: &str) -> Vec<Value> {
    let lines = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// A stream without what differs from one request to the next.
fn stable(stream: &str) -> String {
    let mut stable = String::new();
    for line in stream.split_inclusive('\n') {
        match line.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok()) {
            Some(mut event) => {
                for own in ["id", "created"] {
                    if let Some(event) = event.as_object_mut() {
                        event.remove(own);
                    }
                }
                if let Some(message) = event.get_mut("message").and_then(Value::as_object_mut) {
                    message.remove("id");
                }
                stable.push_str(&format!("data: {event}\n"));
            }
            None => stable.push_str(line),
        }
    }
    stable
}
