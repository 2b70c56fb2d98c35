//! One record for each request: who asked what, where it went, how it ended. Never a body, never a secret.
//!
//! Records are gathered a thread and written together, so that a busy gateway does not pay a system call for
//! each; a worker flushes several times a second.

use std::cell::RefCell;
use std::io::Write;
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
    format!("{:.3}", jiff::Timestamp::now())
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
        let written = match format {
            LogFormat::Json => serde_json::to_writer(&mut buffer.bytes, record).is_ok(),
            LogFormat::Text => text(&mut buffer.bytes, record).is_ok(),
        };
        if !written {
            buffer.bytes.truncate(before);
            metrics::count_dropped(1);
            return;
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
fn text(out: &mut Vec<u8>, record: &Record<'_>) -> std::io::Result<()> {
    let Record { time, request_id, protocol, status, outcome, .. } = record;
    let (whole, part) = (record.duration_us / 1000, record.duration_us % 1000);
    write!(out, "{time} {request_id} {protocol} {status} {outcome} {whole}.{part:03}ms")?;
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
        if value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"') {
            write!(out, " {name}={value}")?;
        } else {
            write!(out, " {name}={value:?}")?;
        }
    }
    if record.attempts > 1 {
        write!(out, " attempts={}", record.attempts)?;
    }
    for (kind, count) in Tokens::KINDS.into_iter().zip(record.tokens.counts()) {
        if let Some(count) = count {
            write!(out, " {kind}_tokens={count}")?;
        }
    }
    write!(out, " in={} out={}", record.bytes_in, record.bytes_out)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        text(&mut out, &record).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"t r cohere 404 refused 1.234ms model="a b\n\"c\"" lane=l blame=client class=not_found input_tokens=7 in=1 out=2"#
        );
    }
}
