//! One record for each request: who asked what, where it went, how it ended. Never a body, never a secret.
//!
//! Records are gathered a thread and written together, so that a busy gateway does not pay a system call for
//! each; a worker flushes several times a second.

use std::cell::RefCell;
use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::metrics::{self, Tokens};
use crate::config::raw::LogFormat;

/// A thread's records are written once they have this many bytes.
const FLUSH_AT: usize = 32 << 10;

/// One request that has ended.
#[derive(Clone, Debug, Serialize)]
pub struct Record<'a> {
    /// When, in RFC 3339.
    pub time: String,
    /// Id of the request.
    pub request_id: &'a str,
    /// The caller's protocol.
    pub protocol: &'static str,
    /// What was asked for.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub operation: &'static str,
    /// The model that the caller named, cut to a bound.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub model: &'a str,
    /// The lane that was chosen.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub lane: &'a str,
    /// The provider's protocol.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub backend: &'static str,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The status of the answer; 0 when there was none.
    pub status: u16,
    /// How many lanes the request was sent to.
    pub attempts: u32,
    /// How it ended.
    pub outcome: &'static str,
    /// Who is to blame for a failure.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub blame: &'static str,
    /// The class of a failure.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub class: &'static str,
    /// What translation could not keep, in compact form.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub fidelity: &'a str,
    /// The beginning of a failure's text.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub error: &'a str,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// What the provider says that it read and wrote.
    #[serde(flatten)]
    pub tokens: Tokens,
    /// Microseconds to the first byte of a provider's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// Microseconds from head to last byte.
    pub duration_us: u64,
}

/// The time now, as records have it.
pub fn now() -> String {
    thread_local! {
        /// The last second that was asked for, and its text without the end.
        static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    let now = jiff::Timestamp::now();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != now.as_second() {
            *second = now.as_second();
            *text = format!("{now:.0}");
            text.truncate(text.len() - "Z".len());
        }
        format!("{text}.{:03}Z", now.subsec_millisecond())
    })
}

/// A duration in microseconds.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

struct Buffer {
    bytes: Vec<u8>,
    records: u64,
}

thread_local! {
    static BUFFER: RefCell<Buffer> = const { RefCell::new(Buffer { bytes: Vec::new(), records: 0 }) };
}

/// Takes a record; it is written at the next flush.
pub fn record(format: LogFormat, record: &Record<'_>) {
    BUFFER.with_borrow_mut(|buffer| {
        let before = buffer.bytes.len();
        match format {
            LogFormat::Json if serde_json::to_writer(&mut buffer.bytes, record).is_err() => {
                buffer.bytes.truncate(before);
                metrics::count_dropped(1);
                return;
            }
            LogFormat::Json => {}
            LogFormat::Text => text(&mut buffer.bytes, record),
        }
        buffer.bytes.push(b'\n');
        buffer.records += 1;
        if buffer.bytes.len() >= FLUSH_AT {
            buffer.flush();
        }
    });
}

/// Writes this thread's records.
pub fn flush() {
    BUFFER.with_borrow_mut(Buffer::flush);
}

impl Buffer {
    fn flush(&mut self) {
        if !self.bytes.is_empty() && std::io::stderr().lock().write_all(&self.bytes).is_err() {
            metrics::count_dropped(self.records);
        }
        self.bytes.clear();
        self.records = 0;
    }
}

/// `time request_id protocol lane status outcome duration`, then what else there is as `name=value`.
fn text(out: &mut Vec<u8>, record: &Record<'_>) {
    let Record { time, request_id, protocol, outcome, .. } = record;
    for word in [time.as_str(), request_id, protocol] {
        out.extend_from_slice(word.as_bytes());
        out.push(b' ');
    }
    number(out, record.status.into());
    out.push(b' ');
    out.extend_from_slice(outcome.as_bytes());
    out.push(b' ');
    number(out, record.duration_us / 1000);
    let part = record.duration_us % 1000;
    out.push(b'.');
    out.extend([part / 100, part / 10 % 10, part % 10].map(|digit| b'0' + u8::try_from(digit).unwrap_or(0)));
    out.extend_from_slice(b"ms");
    for (name, value) in [
        ("operation", record.operation),
        ("model", record.model),
        ("lane", record.lane),
        ("backend", record.backend),
        ("blame", record.blame),
        ("class", record.class),
        ("fidelity", record.fidelity),
        ("error", record.error),
    ] {
        if value.is_empty() {
            continue;
        }
        begin(out, name);
        if value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"') {
            out.extend_from_slice(value.as_bytes());
        } else {
            out.extend_from_slice(format!("{value:?}").as_bytes());
        }
    }
    if record.attempts > 1 {
        begin(out, "attempts");
        number(out, record.attempts.into());
    }
    for (kind, count) in Tokens::KINDS.into_iter().zip(record.tokens.counts()) {
        if let Some(count) = count {
            out.push(b' ');
            out.extend_from_slice(kind.as_bytes());
            out.extend_from_slice(b"_tokens=");
            number(out, count);
        }
    }
    begin(out, "in");
    number(out, record.bytes_in);
    begin(out, "out");
    number(out, record.bytes_out);
}

/// ` name=`, and its value follows.
fn begin(out: &mut Vec<u8>, name: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_to_the_millisecond_and_in_order() {
        let times: Vec<_> = (0..3).map(|_| now()).collect();
        assert!(times.is_sorted(), "{times:?}");
        for time in &times {
            let read: jiff::Timestamp = time.parse().unwrap();
            assert_eq!(format!("{read:.3}"), *time);
        }
    }

    #[test]
    fn a_line_cannot_be_forged() {
        let record = Record {
            time: "t".into(),
            request_id: "r",
            protocol: "cohere",
            operation: "",
            model: "a b\n\"c\"",
            lane: "l",
            backend: "",
            stream: false,
            status: 404,
            attempts: 0,
            outcome: "refused",
            blame: "client",
            class: "not_found",
            fidelity: "",
            error: "",
            bytes_in: 1,
            bytes_out: 2,
            tokens: Tokens { input: Some(7), ..Tokens::default() },
            first_byte_us: None,
            duration_us: 1_234,
        };
        let mut out = Vec::new();
        text(&mut out, &record);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"t r cohere 404 refused 1.234ms model="a b\n\"c\"" lane=l blame=client class=not_found input_tokens=7 in=1 out=2"#
        );
    }
}
