//! What a scripted fault makes of an answer.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::answer::{Answer, Seen};
use super::fault::{Action, Deed, Fault, Point, Status};
use super::frames::{Frames, sse, sse_named};
use super::play::Play;
use super::raw::{self, End};
use super::refusal::Refusal;
use super::route::{Route, Task};
use super::serve::{buffered, content_type, frames, refuse_with, request_id};
use super::{Wire, bedrock, cohere, gemini, openai_responses};

/// A page as a proxy or a portal gives it in place of an answer.
const PAGE: &str =
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Please wait.</body></html>";

/// An answer with a fault in it.
pub(super) enum Reply {
    /// One that HTTP can say.
    Plain(Response<Play>),
    /// One that it cannot.
    Raw(raw::Script),
}

/// What is answered, as it would be without a fault.
pub(super) struct Whole<'a> {
    pub(super) route: &'a Route,
    pub(super) seen: &'a Seen,
    pub(super) answer: &'a Answer,
    pub(super) number: u64,
    pub(super) headers: HeaderMap,
}

/// Puts a fault into an answer; its `wait` is for the caller where the reply is a plain one.
pub(super) fn reply(fault: &Fault, whole: Whole<'_>) -> Reply {
    let Whole { route, seen, answer, number, headers } = whole;
    let wire = route.wire;
    if let Deed::Status(status) = &fault.deed {
        return Reply::Plain(refused(status, route, seen, number));
    }
    let body = Body::of(&fault.deed, route, seen, answer);
    let mut kind = content_type(wire, route.task, body.streamed);
    let mut play = match &fault.deed {
        Deed::At(Action::End, point) => body.until(*point),
        Deed::At(Action::Garbage, point) if *point != Point::Head => body.garbage(wire, *point),
        Deed::At(action, point) => return Reply::Raw(broken(fault, *action, *point, &body, kind, &headers)),
        Deed::Alert => return Reply::Raw(raw::Script::alert(fault.wait)),
        Deed::Error(point, status) => body.error(route, seen, answer, *point, *status),
        Deed::Drip { every, bytes } => Play::drip(&body.bytes(), *bytes, *every, body.length()),
        Deed::Html => {
            kind = "text/html; charset=utf-8";
            Play::whole(Bytes::from_static(PAGE.as_bytes()))
        }
        Deed::Mislabel => {
            kind = "text/plain; charset=utf-8";
            body.whole()
        }
        Deed::Ok | Deed::Json | Deed::Sse | Deed::Headers(_) | Deed::Status(_) => body.whole(),
    };
    play.hold(fault.hold);
    let mut response = Response::new(play);
    response.headers_mut().extend(headers);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Deed::Headers(bytes) = fault.deed {
        // Visible letters are always a header's value.
        if let Ok(value) = HeaderValue::try_from("x".repeat(bytes)) {
            response.headers_mut().insert("x-oversized", value);
        }
    }
    Reply::Plain(response)
}

/// The reply to a handshake of TLS, which the simulator does not speak.
pub(super) fn handshake(fault: &Fault) -> raw::Script {
    let end = match fault.deed {
        Deed::At(Action::Cut, _) => End::Close,
        Deed::At(Action::Reset, _) => End::Reset,
        Deed::At(Action::Half, _) => End::Half,
        Deed::At(Action::Silence, _) => End::Silence,
        Deed::At(Action::Garbage, _) => return raw::Script::noise(fault.wait),
        _ => return raw::Script::alert(fault.wait),
    };
    raw::Script::only(fault.wait, b"", end)
}

fn refused(status: &Status, route: &Route, seen: &Seen, number: u64) -> Response<Play> {
    let wire = route.wire;
    let refusal = Refusal::scripted(wire, status.status, status.class, &seen.model);
    let mut body = refusal.body(wire, &request_id(number));
    if route.task == Task::Array {
        body = json!([body]);
    }
    let mut response = refuse_with(wire, number, &refusal, &body);
    if let Some(body) = &status.body {
        let kind = match body.bytes().next() {
            Some(b'{' | b'[') => "application/json",
            Some(b'<') => "text/html; charset=utf-8",
            _ => "text/plain; charset=utf-8",
        };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        *response.body_mut() = Play::whole(Bytes::from(body.clone()));
    }
    for (name, value) in &status.headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    debug_assert_ne!(response.status(), StatusCode::OK, "an error has a status of one");
    response
}

/// A body in pieces, and where its parts begin.
struct Body {
    pieces: Vec<Bytes>,
    streamed: bool,
    /// Bytes before the first content, and before what ends the answer.
    start: usize,
    last: usize,
}

impl Body {
    fn of(deed: &Deed, route: &Route, seen: &Seen, answer: &Answer) -> Self {
        let wire = route.wire;
        let streamed = match deed {
            Deed::Json => false,
            Deed::Sse => true,
            _ => seen.stream,
        };
        if !streamed {
            let whole = Bytes::from(buffered(wire, seen, answer).to_string());
            let last = whole.len().saturating_sub(1);
            return Self { pieces: vec![whole], streamed, start: 0, last };
        }
        let Frames { start, all } = frames(wire, route.task, seen, answer);
        let length = |frames: &[Bytes]| frames.iter().map(Bytes::len).sum::<usize>();
        let ending = all.iter().position(|frame| ends(wire, frame)).unwrap_or(all.len());
        Self {
            start: length(&all[..start.min(all.len())]),
            last: length(&all[..ending]),
            pieces: all,
            streamed,
        }
    }

    fn bytes(&self) -> Bytes {
        Bytes::from(self.pieces.concat())
    }

    /// What is announced of a buffered body.
    fn length(&self) -> Option<usize> {
        (!self.streamed).then(|| self.pieces.iter().map(Bytes::len).sum())
    }

    fn whole(self) -> Play {
        if self.streamed { Play::stream(self.pieces, None) } else { Play::whole(self.bytes()) }
    }

    /// How many bytes come before a point; in a stream that is the end of a piece, unless it is a number.
    fn before(&self, point: Point) -> usize {
        let whole: usize = self.pieces.iter().map(Bytes::len).sum();
        match point {
            Point::Head | Point::Body => 0,
            Point::Start => self.start,
            Point::Last => self.last,
            Point::Bytes(bytes) => bytes.min(whole),
            Point::Middle => {
                let middle = self.start + self.last.saturating_sub(self.start) / 2;
                if !self.streamed {
                    return middle;
                }
                let mut end = 0;
                for piece in &self.pieces {
                    end += piece.len();
                    if end >= middle {
                        break;
                    }
                }
                end
            }
        }
    }

    /// The pieces up to a point, the one that it is in cut.
    fn pieces_until(&self, point: Point) -> Vec<Bytes> {
        let mut left = self.before(point);
        let mut pieces = Vec::new();
        for piece in &self.pieces {
            if left == 0 {
                break;
            }
            let part = piece.slice(..piece.len().min(left));
            left -= part.len();
            pieces.push(part);
        }
        pieces
    }

    /// The pieces up to a point as if they were all.
    fn until(&self, point: Point) -> Play {
        let pieces = self.pieces_until(point);
        if self.streamed { Play::stream(pieces, None) } else { Play::whole(Bytes::from(pieces.concat())) }
    }

    /// The pieces up to a point, and then what nobody can read.
    fn garbage(&self, wire: Wire, point: Point) -> Play {
        let mut pieces = self.pieces_until(point);
        if !self.streamed {
            pieces.push(Bytes::from_static(b"\x00}{ this is no JSON"));
            return Play::whole(Bytes::from(pieces.concat()));
        }
        pieces.push(Bytes::from_static(match wire {
            // As long as a frame's prelude, its checksum wrong.
            Wire::Bedrock => b"\x00\x00\x00\x20\x00\x00\x00\x04garbage in place of frames",
            _ => b"data: {\"this is\": no JSON\n\n",
        }));
        Play::stream(pieces, None)
    }

    /// The pieces up to a point, and then an error in the provider's form; a buffered answer is the error alone.
    fn error(&self, route: &Route, seen: &Seen, answer: &Answer, point: Point, status: u16) -> Play {
        let wire = route.wire;
        let refusal = Refusal::scripted(wire, status, super::scenario::Class::Plain, &seen.model);
        if !self.streamed {
            let body = match wire {
                Wire::OpenaiResponses => openai_responses::failed(seen, answer),
                _ => refusal.body(wire, "req_in_answer"),
            };
            return Play::whole(Bytes::from(body.to_string()));
        }
        let mut pieces = self.pieces_until(point);
        let before = pieces.len();
        pieces.push(in_band(route, &refusal, before));
        Play::stream(pieces, None)
    }
}

/// Whether a frame begins the end of an answer.
fn ends(wire: Wire, frame: &Bytes) -> bool {
    let word: &[u8] = match wire {
        Wire::OpenaiChat => b"\"finish_reason\":\"",
        Wire::OpenaiResponses => b"event: response.completed",
        Wire::Anthropic => b"event: message_delta",
        Wire::Gemini => b"\"finishReason\":",
        Wire::Bedrock => b"messageStop",
        Wire::Cohere => b"\"type\":\"message-end\"",
    };
    memchr::memmem::find(frame, word).is_some()
}

/// An error as an event of a stream, after so many of them.
fn in_band(route: &Route, refusal: &Refusal, before: usize) -> Bytes {
    let wire = route.wire;
    let body = refusal.body(wire, "req_in_stream");
    match wire {
        Wire::OpenaiChat => sse(&body),
        Wire::OpenaiResponses => {
            let code = refusal.code.unwrap_or(match refusal.status {
                503 | 529 => "server_is_overloaded",
                400..500 => "invalid_prompt",
                _ => "server_error",
            });
            let event = json!({
                "type": "error", "sequence_number": before, "code": code, "param": Value::Null,
                "message": refusal.message,
            });
            sse_named("error", &event)
        }
        Wire::Anthropic => sse_named("error", &body),
        Wire::Gemini if route.task == Task::Array => gemini::in_array(&body, before == 0),
        Wire::Gemini => sse(&body),
        Wire::Bedrock => bedrock::exception_frame(refusal.status, &body),
        Wire::Cohere => cohere::error_frame_saying(&refusal.message),
    }
}

fn broken(
    fault: &Fault,
    action: Action,
    point: Point,
    body: &Body,
    kind: &'static str,
    headers: &HeaderMap,
) -> raw::Script {
    let end = match action {
        Action::Reset => End::Reset,
        Action::Half => End::Half,
        Action::Silence => End::Silence,
        Action::Garbage => return raw::Script::noise(fault.wait),
        Action::Cut | Action::End => End::Close,
    };
    if point == Point::Head {
        return raw::Script::only(fault.wait, b"", end);
    }
    let mut headers = headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let sent = body.before(point);
    raw::Script {
        wait: fault.wait,
        head: raw::head(&headers, body.length()),
        hold: fault.hold,
        body: if body.streamed { raw::chunks(&body.pieces, sent) } else { body.bytes().slice(..sent) },
        end,
    }
}
