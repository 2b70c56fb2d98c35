//! The server: connections, requests, and what is remembered of them.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::answer::{Answer, Seen, answer};
use super::faulty::{self, Reply, Whole};
use super::frames::Frames;
use super::play::Play;
use super::raw;
use super::refusal::{Refusal, unknown_model};
use super::route::{Route, Task, authorise, route};
use super::scenario::{self, Scenario};
use super::{Options, Wire, anthropic, bedrock, cohere, count, gemini, openai_chat, openai_responses};

const MAX_CONNECTIONS: usize = 4096;
const MAX_BODY: usize = 32 << 20;
/// Requests that are remembered, and how much of each body.
const MAX_REMEMBERED: usize = 64;
const MAX_REMEMBERED_BODY: usize = 256 << 10;
/// The lane that handshakes of TLS are counted under.
const TLS_LANE: &str = "tls";
/// The first byte of such a handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// How a connection of HTTP/2 begins.
const HTTP2: &[u8] = b"PRI";
/// Headers whose values are never remembered.
const SECRET_HEADERS: &[&str] = &[
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "cookie",
    "proxy-authorization",
    "x-amz-security-token",
];

struct State {
    options: Options,
    counter: AtomicU64,
    remembered: Mutex<VecDeque<Value>>,
}

/// Accepts connections until `shutdown` is done.
pub(super) async fn accept(listener: TcpListener, options: Options, shutdown: impl Future<Output = ()>) {
    let state = Arc::new(State {
        options,
        counter: AtomicU64::new(1),
        remembered: Mutex::new(VecDeque::with_capacity(MAX_REMEMBERED)),
    });
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = &mut shutdown => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        // What accept reports is about one connection, or passes: the listener stays good.
        let Ok((stream, _)) = accepted else { continue };
        // Small frames are to leave at once; without it they only come later.
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        connections.spawn(async move {
            // A connection that breaks is the caller's affair, or the scenario's will.
            let _ = connection(state, stream).await;
            drop(permit);
        });
    }
}

/// Where a request leaves what is to be written past the server.
type Slot = Mutex<Option<raw::Script>>;

async fn connection(state: Arc<State>, stream: TcpStream) -> io::Result<()> {
    let mut first = [0; HTTP2.len()];
    let count = stream.peek(&mut first).await?;
    if first[..count].first() == Some(&TLS_HANDSHAKE)
        && let Some(fault) = state.options.script.next(TLS_LANE)
    {
        return faulty::handshake(&fault).play(stream, state.options.silent).await;
    }
    let slot = Arc::new(Slot::default());
    let service = {
        let (state, slot) = (Arc::clone(&state), Arc::clone(&slot));
        service_fn(move |request| {
            let (state, slot) = (Arc::clone(&state), Arc::clone(&slot));
            // What the server is polled through has to stay where it is.
            Box::pin(async move { handle(&state, &slot, request).await })
        })
    };
    if &first[..count] == HTTP2 {
        let served = auto::Builder::new(TokioExecutor::new());
        return served.serve_connection(TokioIo::new(stream), service).await.map_err(io::Error::other);
    }
    let mut served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = poll_fn(|context| served.poll_without_shutdown(context)).await;
    let script = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    let stream = served.into_parts().io.into_inner();
    match script {
        Some(script) => script.play(stream, state.options.silent).await,
        None => ended.map_err(io::Error::other),
    }
}

async fn handle(state: &State, slot: &Slot, request: Request<Incoming>) -> io::Result<Response<Play>> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    match &*path {
        "/__sim/requests" => {
            let remembered = state.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(respond(StatusCode::OK, &json!({"requests": &*remembered})));
        }
        "/__sim/lanes" => return Ok(respond(StatusCode::OK, &state.options.script.counts())),
        "/" => return Ok(respond(StatusCode::OK, &json!({"simulator": "busbar"}))),
        _ => {}
    }
    let number = state.counter.fetch_add(1, Ordering::Relaxed);
    let Some(route) = route(&path, &query) else {
        let said = format!("Invalid URL ({} {path})", parts.method);
        return Ok(refuse(Wire::OpenaiChat, number, &Refusal { status: 404, ..Refusal::invalid(said) }));
    };
    let wire = route.wire;
    if parts.method != Method::POST {
        let said = format!(
            "Not allowed to {} on {path} (HINT: Perhaps you meant to use a different HTTP method?)",
            parts.method
        );
        return Ok(refuse(wire, number, &Refusal { status: 405, ..Refusal::invalid(said) }));
    }
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return Ok(refuse(
                wire,
                number,
                &Refusal::status(wire, 413, "Request exceeds the maximum size."),
            ));
        }
    };
    state.remember(number, &path, &parts.headers, &body);
    let request = Heard { route: &route, headers: &parts.headers, query: &query, body: &body, number };
    match exchange(state, request).await {
        Ok(Reply::Plain(mut response)) => {
            response.headers_mut().extend(vendor_headers(wire, number));
            Ok(response)
        }
        Ok(Reply::Raw(script)) => {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(script);
            // The server gives the connection up and writes nothing.
            Err(io::Error::other("the script takes the connection over"))
        }
        Err(refusal) if route.task == Task::Array => Ok(refuse_listed(wire, number, &refusal)),
        Err(refusal) => Ok(refuse(wire, number, &refusal)),
    }
}

/// A request as it was received.
struct Heard<'a> {
    route: &'a Route,
    headers: &'a HeaderMap,
    query: &'a str,
    body: &'a Bytes,
    number: u64,
}

async fn exchange(state: &State, request: Heard<'_>) -> Result<Reply, Refusal> {
    let Heard { route, headers, query, body, number } = request;
    let wire = route.wire;
    authorise(wire, headers, query)?;
    let json: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::invalid(format!("The request body is not valid JSON: {error}")))?;
    if route.task == Task::Count {
        let asked = count::asked(wire, route.model.as_deref(), &json)?;
        validate(route, headers, &asked)?;
        return Ok(Reply::Plain(respond(StatusCode::OK, &count::answer(wire, &asked))));
    }
    let mut seen = validate(route, headers, &json)?;
    seen.stream |= matches!(route.task, Task::Stream | Task::Array);
    if let Some(words) = scenario::spelt(&json) {
        // Agents put other words of the user's after those that they were given.
        words.clone_into(&mut seen.user);
    }
    let scenario = Scenario::choose(&seen.model, &seen.user)
        .ok_or_else(|| Refusal::status(wire, 404, unknown_model(wire, &seen.model)))?;
    if let Scenario::Error(status, class) = scenario {
        return Err(Refusal::scripted(wire, status, class, &seen.model));
    }
    let answer = answer(scenario, &seen, body, state.options.slow);
    let fault = state.options.script.next(seen.model.rsplit('/').next().unwrap_or_default());
    match fault {
        Some(fault) if !fault.is_ok() => {
            let headers = vendor_headers(wire, number);
            let whole = Whole { route, seen: &seen, answer: &answer, number, headers };
            let reply = faulty::reply(&fault, whole);
            if matches!(reply, Reply::Plain(_)) && !fault.wait.is_zero() {
                sleep(fault.wait).await;
            }
            Ok(reply)
        }
        _ => Ok(Reply::Plain(perform(&state.options, scenario, route, &seen, &answer))),
    }
}

/// Plays the answer, or what the scenario does to it on its way.
fn perform(
    options: &Options,
    scenario: Scenario,
    route: &Route,
    seen: &Seen,
    answer: &Answer,
) -> Response<Play> {
    let wire = route.wire;
    let kind = content_type(wire, route.task, seen.stream);
    let body = match scenario {
        Scenario::Silent => Play::silent(options.silent),
        Scenario::Garbage => Play::whole(Bytes::from_static(b"<html>this is not JSON</html>")),
        _ if !seen.stream => {
            let whole = Bytes::from(buffered(wire, seen, answer).to_string());
            match scenario {
                Scenario::Cut => Play::broken(vec![whole.slice(..whole.len() / 2)]),
                Scenario::Failed if wire == Wire::OpenaiResponses => {
                    Play::whole(Bytes::from(openai_responses::failed(seen, answer).to_string()))
                }
                Scenario::Failed if wire == Wire::Bedrock => {
                    return refuse(wire, 0, &Refusal::status(wire, 424, "The model failed."));
                }
                Scenario::ErrorMid | Scenario::ErrorEarly | Scenario::Failed => {
                    let refusal = Refusal::status(wire, 500, "Internal server error");
                    return refuse(wire, 0, &refusal);
                }
                Scenario::Unicode => Play::shredded(&[whole]),
                Scenario::Slow(_) => Play::stream(vec![Bytes::new(), whole], answer.pace),
                _ => Play::whole(whole),
            }
        }
        _ => {
            let Frames { start, mut all } = frames(wire, route.task, seen, answer);
            match scenario {
                Scenario::Cut => {
                    all.truncate(start + all.len().saturating_sub(start) / 2);
                    Play::broken(all)
                }
                Scenario::ErrorMid | Scenario::ErrorEarly | Scenario::Failed => {
                    let content = all.len().saturating_sub(start) / 2;
                    all.truncate(start + if scenario == Scenario::ErrorEarly { 0 } else { content });
                    let before = all.len();
                    all.push(match (wire, scenario) {
                        (Wire::OpenaiResponses, Scenario::Failed) => {
                            openai_responses::failed_frame(seen, answer, before)
                        }
                        (Wire::Bedrock, Scenario::Failed) => bedrock::failed_frame(),
                        _ => error_frame(wire, route.task, before),
                    });
                    Play::stream(all, None)
                }
                Scenario::Unicode => Play::shredded(&all),
                _ => Play::stream(all, answer.pace),
            }
        }
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// What a body is labelled as.
pub(super) fn content_type(wire: Wire, task: Task, streamed: bool) -> &'static str {
    match (wire, streamed) {
        (_, false) => "application/json",
        (Wire::Gemini, true) if task == Task::Array => "application/json",
        (Wire::Bedrock, true) => "application/vnd.amazon.eventstream",
        (_, true) => "text/event-stream; charset=utf-8",
    }
}

fn validate(route: &Route, headers: &HeaderMap, body: &Value) -> Result<Seen, Refusal> {
    let model = route.model.as_deref().unwrap_or_default();
    match route.wire {
        Wire::OpenaiChat => openai_chat::validate(body),
        Wire::OpenaiResponses => openai_responses::validate(body),
        Wire::Anthropic => anthropic::validate(headers, body, route.task == Task::Count),
        Wire::Gemini => gemini::validate(model, body, route.task == Task::Count),
        Wire::Bedrock => bedrock::validate(model, body, route.task == Task::Stream),
        Wire::Cohere => cohere::validate(body),
    }
}

pub(super) fn buffered(wire: Wire, seen: &Seen, answer: &Answer) -> Value {
    match wire {
        Wire::OpenaiChat => openai_chat::buffered(seen, answer),
        Wire::OpenaiResponses => openai_responses::buffered(seen, answer),
        Wire::Anthropic => anthropic::buffered(&seen.model, answer),
        Wire::Gemini => gemini::buffered(seen, answer),
        Wire::Bedrock => bedrock::buffered(seen, answer),
        Wire::Cohere => cohere::buffered(seen, answer),
    }
}

pub(super) fn frames(wire: Wire, task: Task, seen: &Seen, answer: &Answer) -> Frames {
    match wire {
        Wire::OpenaiChat => openai_chat::frames(seen, answer),
        Wire::OpenaiResponses => openai_responses::frames(seen, answer),
        Wire::Anthropic => anthropic::frames(&seen.model, answer),
        Wire::Gemini => gemini::frames(seen, answer, task == Task::Array),
        Wire::Bedrock => bedrock::frames(seen, answer),
        Wire::Cohere => cohere::frames(seen, answer),
    }
}

/// An error inside a stream, after so many frames.
fn error_frame(wire: Wire, task: Task, before: usize) -> Bytes {
    match wire {
        Wire::OpenaiChat => openai_chat::error_frame(),
        Wire::OpenaiResponses => openai_responses::error_frame(before),
        Wire::Anthropic => anthropic::error_frame(),
        Wire::Gemini => gemini::error_frame(task == Task::Array, before == 0),
        Wire::Bedrock => bedrock::error_frame(),
        Wire::Cohere => cohere::error_frame(),
    }
}

fn refuse(wire: Wire, number: u64, refusal: &Refusal) -> Response<Play> {
    refuse_with(wire, number, refusal, &refusal.body(wire, &request_id(number)))
}

/// An error where the answer would have been a list: it is in a list, too.
fn refuse_listed(wire: Wire, number: u64, refusal: &Refusal) -> Response<Play> {
    refuse_with(wire, number, refusal, &json!([refusal.body(wire, &request_id(number))]))
}

pub(super) fn refuse_with(wire: Wire, number: u64, refusal: &Refusal, body: &Value) -> Response<Play> {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(status, body);
    let headers = response.headers_mut();
    headers.extend(vendor_headers(wire, number));
    if let Some(seconds) = refusal.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if wire == Wire::Bedrock {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(refusal.kind(wire)));
    }
    response
}

fn respond(status: StatusCode, body: &Value) -> Response<Play> {
    let mut response = Response::new(Play::whole(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn request_id(number: u64) -> String {
    format!("req_sim{number:016}")
}

/// The headers that a provider puts on every answer.
fn vendor_headers(wire: Wire, number: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let name = match wire {
        Wire::OpenaiChat | Wire::OpenaiResponses => "x-request-id",
        Wire::Anthropic => "request-id",
        Wire::Gemini => "x-gemini-request-id",
        Wire::Bedrock => "x-amzn-requestid",
        Wire::Cohere => "x-debug-trace-id",
    };
    if let Ok(id) = HeaderValue::try_from(request_id(number)) {
        headers.insert(name, id);
    }
    let fixed: &[(&'static str, &'static str)] = match wire {
        Wire::OpenaiChat | Wire::OpenaiResponses => &[
            ("openai-version", "2020-10-01"),
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-reset-requests", "6ms"),
            ("x-ratelimit-limit-tokens", "2000000"),
            ("x-ratelimit-remaining-tokens", "1999000"),
            ("x-ratelimit-reset-tokens", "30ms"),
        ],
        Wire::Anthropic => &[
            ("anthropic-ratelimit-requests-limit", "1000"),
            ("anthropic-ratelimit-requests-remaining", "999"),
            ("anthropic-ratelimit-requests-reset", "2030-01-01T00:00:00Z"),
        ],
        Wire::Gemini | Wire::Bedrock | Wire::Cohere => &[],
    };
    for (name, value) in fixed {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    headers
}

impl State {
    fn remember(&self, number: u64, path: &str, headers: &HeaderMap, body: &Bytes) {
        let headers: serde_json::Map<String, Value> = headers
            .iter()
            .map(|(name, value)| {
                let secret = SECRET_HEADERS.contains(&name.as_str());
                let shown =
                    if secret { "(hidden)".into() } else { String::from_utf8_lossy(value.as_bytes()) };
                (name.as_str().to_owned(), Value::from(shown))
            })
            .collect();
        let kept = &body[..body.len().min(MAX_REMEMBERED_BODY)];
        let entry = json!({
            "id": request_id(number), "path": path, "headers": headers, "bytes": body.len(),
            "body": String::from_utf8_lossy(kept),
        });
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() == MAX_REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back(entry);
    }
}
