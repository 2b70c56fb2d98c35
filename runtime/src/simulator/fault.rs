//! One fault of a scripted lane: what is done to an answer on its way, and how that is written.
//!
//! A fault is words joined by `+`: pauses (`wait:200ms` before the head, `hold:200ms` before the body) and at
//! most one deed. The deeds:
//!
//! - `ok`: the answer as it should be.
//! - `status:N`, `status:N-overflow`, `status:N-quota`: an error in the provider's own form; headers may
//!   follow (`status:429:retry-after=7`). As a table of the script it may have a body of its own, too.
//! - `cut:POINT`: the connection is closed there, the body neither whole nor ended.
//! - `reset:POINT`: the same by a reset. `half:POINT`: one direction is closed, the other one stays.
//! - `silence:POINT`: nothing more is sent until the peer leaves or the simulator's patience ends.
//! - `garbage:POINT`: bytes that are no HTTP (`head`), or no JSON, no event and no frame (elsewhere).
//! - `end:POINT`: the body ends there as if it were whole.
//! - `error:POINT`, `error:POINT:STATUS`: an error in the provider's own form inside an answer of status 200.
//! - `drip:EVERY`, `drip:EVERY:BYTES`: the whole answer, so many bytes (one) at a time.
//! - `html`: status 200 and a page. `json`, `sse`: the buffered form, the streamed form, whatever was asked.
//! - `mislabel`: the right body as `text/plain`.
//! - `headers:N`: a header of N bytes before the answer.
//! - `alert`: a handshake of TLS is refused by an alert (lane `tls` alone).
//!
//! A point is `head` (before anything), `body` (the head is sent), `start` (and the events before content),
//! `middle` (and half of the content), `last` (all but what ends the answer), or a number of bytes of the
//! body. In a buffered answer `start` is no byte and `middle` half of them.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::scenario::Class;

/// Longest pause that a script may ask for.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Largest header that a script may ask for.
const MAX_HEADER: usize = 1 << 20;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// As it is written; names it where plays are counted.
    pub(super) text: String,
    /// A pause before the head of the answer.
    pub(super) wait: Duration,
    /// A pause between the head and the body.
    pub(super) hold: Duration,
    pub(super) deed: Deed,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Ok,
    Status(Status),
    At(Action, Point),
    Error(Point, u16),
    Drip { every: Duration, bytes: usize },
    Html,
    Json,
    Sse,
    Mislabel,
    Headers(usize),
    Alert,
}

/// An error status and what is changed about its native form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) status: u16,
    pub(super) class: Class,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<String>,
}

/// What happens at a point of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Cut,
    Reset,
    Half,
    Silence,
    Garbage,
    End,
}

/// How much of an answer is sent before something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    Head,
    Body,
    Start,
    Middle,
    Last,
    Bytes(usize),
}

/// A fault as a script has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Raw {
    Text(String),
    Status(RawStatus),
}

/// An error with a body or headers of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStatus {
    status: u16,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    body: Option<String>,
}

impl Fault {
    /// The answer as it should be.
    pub(super) fn ok() -> Self {
        Self { text: "ok".to_owned(), wait: Duration::ZERO, hold: Duration::ZERO, deed: Deed::Ok }
    }

    /// Whether nothing is done at all.
    pub(super) fn is_ok(&self) -> bool {
        self.deed == Deed::Ok && self.wait.is_zero() && self.hold.is_zero()
    }

    /// Reads one fault of a script; the error says what is wrong.
    pub(super) fn read(raw: Raw) -> Result<Self, String> {
        let raw = match raw {
            Raw::Text(text) => return Self::parse(&text),
            Raw::Status(raw) => raw,
        };
        let headers =
            raw.headers.iter().map(|(name, value)| header(name, value)).collect::<Result<_, _>>()?;
        let status = Status { status: valid(raw.status)?, class: Class::Plain, headers, body: raw.body };
        Ok(Self { text: format!("status:{}", raw.status), deed: Deed::Status(status), ..Self::ok() })
    }

    /// Reads the written form.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut fault = Self { text: text.to_owned(), ..Self::ok() };
        let mut deeds = 0;
        for word in text.split('+') {
            let (name, rest) = word.split_once(':').unwrap_or((word, ""));
            match name {
                "wait" => fault.wait = span(rest)?,
                "hold" => fault.hold = span(rest)?,
                _ => {
                    fault.deed = deed(name, rest).map_err(|why| format!("{word:?}: {why}"))?;
                    deeds += 1;
                }
            }
        }
        if deeds > 1 {
            return Err(format!("{text:?} does more than one thing"));
        }
        Ok(fault)
    }
}

fn deed(name: &str, rest: &str) -> Result<Deed, String> {
    let action = match name {
        "status" => return status(rest).map(Deed::Status),
        "error" => {
            let (point, status) = rest.split_once(':').unwrap_or((rest, "500"));
            let status = status.parse().map_err(|_| "no status".to_owned()).and_then(valid)?;
            return match self::point(point)? {
                Point::Head | Point::Bytes(_) => {
                    Err("an error is told at body, start, middle or last".into())
                }
                point => Ok(Deed::Error(point, status)),
            };
        }
        "drip" => {
            let (every, bytes) = rest.split_once(':').unwrap_or((rest, "1"));
            let bytes = bytes.parse().ok().filter(|bytes| *bytes > 0).ok_or("no number of bytes")?;
            return Ok(Deed::Drip { every: span(every)?, bytes });
        }
        "headers" => {
            let bytes = rest.parse().ok().filter(|bytes| *bytes <= MAX_HEADER).ok_or("no number of bytes")?;
            return Ok(Deed::Headers(bytes));
        }
        "ok" | "html" | "json" | "sse" | "mislabel" | "alert" if !rest.is_empty() => {
            return Err("takes nothing more".into());
        }
        "ok" => return Ok(Deed::Ok),
        "html" => return Ok(Deed::Html),
        "json" => return Ok(Deed::Json),
        "sse" => return Ok(Deed::Sse),
        "mislabel" => return Ok(Deed::Mislabel),
        "alert" => return Ok(Deed::Alert),
        "cut" => Action::Cut,
        "reset" => Action::Reset,
        "half" => Action::Half,
        "silence" => Action::Silence,
        "garbage" => Action::Garbage,
        "end" => Action::End,
        _ => return Err("no such fault".into()),
    };
    match (action, point(rest)?) {
        (Action::End, Point::Head) => Err("an answer without a head has no end; say cut:head".into()),
        (action, point) => Ok(Deed::At(action, point)),
    }
}

fn status(text: &str) -> Result<Status, String> {
    let mut parts = text.split(':');
    let (number, class) = parts.next().map_or(("", ""), |first| first.split_once('-').unwrap_or((first, "")));
    let class = match class {
        "" => Class::Plain,
        "overflow" => Class::Overflow,
        "quota" => Class::Quota,
        _ => return Err(format!("no such class {class:?}")),
    };
    let headers = parts
        .map(|part| part.split_once('=').ok_or(format!("{part:?} is no NAME=VALUE")))
        .map(|part| part.and_then(|(name, value)| header(name, value)))
        .collect::<Result<_, _>>()?;
    let number = number.parse().map_err(|_| format!("no status {number:?}"))?;
    Ok(Status { status: valid(number)?, class, headers, body: None })
}

fn valid(status: u16) -> Result<u16, String> {
    if (300..600).contains(&status) { Ok(status) } else { Err(format!("{status} is no status of an error")) }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || format!("no header {name:?}: {value:?}");
    Ok((HeaderName::try_from(name).map_err(|_| wrong())?, HeaderValue::try_from(value).map_err(|_| wrong())?))
}

fn point(text: &str) -> Result<Point, String> {
    Ok(match text {
        "head" => Point::Head,
        "body" => Point::Body,
        "start" => Point::Start,
        "middle" => Point::Middle,
        "last" => Point::Last,
        _ => Point::Bytes(text.parse().map_err(|_| format!("no point {text:?}"))?),
    })
}

/// Milliseconds (`200ms`) or seconds (`2s`).
fn span(text: &str) -> Result<Duration, String> {
    let number = |text: &str| text.parse::<u64>().ok();
    let span = match text.strip_suffix("ms") {
        Some(text) => number(text).map(Duration::from_millis),
        None => text.strip_suffix('s').and_then(number).map(Duration::from_secs),
    };
    span.filter(|span| *span <= MAX_PAUSE)
        .ok_or_else(|| format!("no pause {text:?} of at most {MAX_PAUSE:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed_of(text: &str) -> Deed {
        Fault::parse(text).expect("it is a fault").deed
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(deed_of("cut:120"), Deed::At(Action::Cut, Point::Bytes(120)));
        assert_eq!(deed_of("garbage:middle"), Deed::At(Action::Garbage, Point::Middle));
        assert_eq!(deed_of("error:start:529"), Deed::Error(Point::Start, 529));
        assert_eq!(deed_of("error:last"), Deed::Error(Point::Last, 500));
        assert_eq!(deed_of("drip:1ms"), Deed::Drip { every: Duration::from_millis(1), bytes: 1 });
        assert_eq!(deed_of("drip:2s:64"), Deed::Drip { every: Duration::from_secs(2), bytes: 64 });
        assert_eq!(deed_of("headers:4096"), Deed::Headers(4096));
        let Deed::Status(status) = deed_of("status:400-overflow:retry-after=7:x-a=b") else {
            panic!("no status")
        };
        assert_eq!((status.status, status.class, status.headers.len()), (400, Class::Overflow, 2));
        let paused = Fault::parse("wait:5ms+hold:1s+html").expect("it is a fault");
        assert_eq!((paused.wait.as_millis(), paused.hold.as_secs(), paused.deed), (5, 1, Deed::Html));
        assert_eq!(Fault::parse("wait:5ms").expect("it is a fault").deed, Deed::Ok);
    }

    #[test]
    fn what_is_no_fault_is_told() {
        for wrong in [
            "",
            "ok:1",
            "nothing",
            "status:200",
            "status:x",
            "status:429:a",
            "status:400-x",
            "cut",
            "cut:-1",
            "end:head",
            "error:head",
            "error:7",
            "drip:1ms:0",
            "drip:x",
            "wait:61s",
            "wait:1h",
            "headers:99999999",
            "ok+html",
        ] {
            assert!(Fault::parse(wrong).is_err(), "{wrong:?} is a fault");
        }
    }
}
