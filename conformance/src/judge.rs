//! What becomes of a case, and whether that is what it says.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use busbar::Protocol;
use busbar::fault::render;
use busbar::stream::{Limits, Transcoder};
use busbar::translate::{self, CallState, Carriage};
use busbar_protocols::Ledger;
use busbar_protocols::prelude::Checked;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use serde_json::{Value, json};

use crate::accumulate::{accumulate, comparable, framed, readable};
use crate::canon::{at, canonical, pretty};
use crate::suite::{Case, Expect, Input, NOW};

/// What became of a case towards one target.
#[derive(Debug)]
pub struct Verdict {
    /// The case.
    pub id: String,
    /// Where it went.
    pub target: Protocol,
    /// What came out, and the report, for a reader.
    pub shown: String,
    /// What is not as expected.
    pub failures: Vec<String>,
    /// Whether the case says what it expects of this target.
    pub judged: bool,
}

/// What came out of a translation.
#[derive(Debug)]
pub enum Outcome {
    /// A document and its report.
    Done {
        /// The document, as JSON.
        body: String,
        /// The stream that it adds up from, if it is one.
        stream: Option<String>,
        /// The report.
        ledger: Ledger,
    },
    /// A refusal.
    Refused {
        /// Path that it names.
        path: String,
        /// What it says.
        message: String,
    },
}

/// Translates the case towards every target that the gateway has for it.
///
/// # Errors
/// When an expectation is no JSON.
pub fn judge(case: &Case) -> Result<Vec<Verdict>> {
    crate::targets(case.source).map(|target| one(case, target)).collect()
}

fn one(case: &Case, target: Protocol) -> Result<Verdict> {
    let expect = case.expect.get(&target);
    let mut failures = Vec::new();
    let outcome = outcome(case, target, &mut failures);
    let mut shown = String::new();
    match &outcome {
        Ok(Outcome::Done { body, stream, ledger }) => {
            if let Some(expect) = expect {
                if expect.refused.is_some() {
                    failures.push("it was not refused".to_owned());
                }
                compare(expect, body, ledger, &mut failures).with_context(|| case.id.clone())?;
            }
            shown.push_str(&pretty(body).unwrap_or_else(|_| body.clone()));
            shown.push('\n');
            for effect in ledger.effects() {
                let semantic = if effect.semantic { " (semantic)" } else { "" };
                shown.push_str(&format!(
                    "\n{} {}{semantic}: {}",
                    effect.kind.name(),
                    effect.path,
                    effect.reason
                ));
            }
            if let Some(stream) = stream {
                shown.push_str(&format!("\n\n{}", stream.trim_end()));
            }
        }
        Ok(Outcome::Refused { path, message }) => {
            if expect.is_some_and(|expect| expect.refused.as_ref() != Some(path)) {
                failures.push(format!("refused: {path}: {message}"));
            }
            shown = format!("refused {path}: {message}");
        }
        Err(error) => {
            failures.push(error.clone());
            shown = format!("failed: {error}");
        }
    }
    Ok(Verdict { id: case.id.clone(), target, shown, failures, judged: expect.is_some() })
}

fn outcome(case: &Case, target: Protocol, failures: &mut Vec<String>) -> Result<Outcome, String> {
    let carriage = Carriage::default();
    match &case.input {
        Input::Request(body) => {
            let document = Checked::new(body.as_bytes()).map_err(|error| error.to_string())?;
            match translate::request(case.source, target, document, &case.facts(), &carriage) {
                Ok(out) => done(out.body, out.ledger),
                Err(refusal) => Ok(Outcome::Refused { path: refusal.path, message: refusal.message }),
            }
        }
        Input::Response(body) => {
            let (body, ledger) = translate::response(body.as_bytes(), &case.state(target), &carriage)
                .map_err(|malformed| malformed.to_string())?;
            done(body, ledger)
        }
        Input::Error { status, retry_after, body } => failed(case.source, target, *status, retry_after, body),
        Input::Stream(stream) => streamed(case, target, stream, failures),
    }
}

/// What a client gets to see of a backend's failure.
fn failed(
    backend: Protocol,
    client: Protocol,
    status: u16,
    retry_after: &Option<String>,
    body: &str,
) -> Result<Outcome, String> {
    let mut headers = HeaderMap::new();
    if let Some(wait) = retry_after {
        headers.insert(RETRY_AFTER, wait.parse().map_err(|_| "retry_after is a header value")?);
    }
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let fault = translate::upstream_error(backend, status, &headers, body.as_bytes(), now).into_fault();
    let seen = render(client, &fault, "req_1");
    let body: Value = serde_json::from_slice(&seen.body).map_err(|error| error.to_string())?;
    let whole = json!({"status": seen.status, "retry_after": seen.retry_after, "body": body});
    Ok(Outcome::Done { body: whole.to_string(), stream: None, ledger: Ledger::default() })
}

/// The stream made into the client's, which must be the same however it is cut, and add up to what the buffered
/// answer would have become.
fn streamed(
    case: &Case,
    target: Protocol,
    stream: &str,
    failures: &mut Vec<String>,
) -> Result<Outcome, String> {
    let state = case.state(target);
    let sent = match case.source {
        Protocol::Bedrock => framed(stream),
        _ => stream.as_bytes().to_vec(),
    };
    let (out, ledger) = transcode(&state, &[&sent])?;
    for (how, pieces) in cuts(&sent) {
        match transcode(&state, &pieces) {
            Ok((other, _)) if other == out => {}
            Ok(_) => failures.push(format!("another stream comes out when it is cut {how}")),
            Err(error) => failures.push(format!("cut {how}: {error}")),
        }
    }
    if case.source != Protocol::Bedrock {
        let returns = stream.replace('\n', "\r\n");
        let bytes: Vec<&[u8]> = returns.as_bytes().chunks(1).collect();
        if transcode(&state, &bytes)?.0 != out {
            failures.push("another stream comes out when lines end in CR and LF".to_owned());
        }
    }
    let whole = accumulate(target, &out)?;
    let out = readable(target, &out)?;
    let mut sent = sent;
    if case.source == Protocol::OpenaiChat && !stream.contains("[DONE]") {
        // Some servers leave the last word out; the case is about what the gateway makes of that.
        sent.extend_from_slice(b"data: [DONE]\n\n");
    }
    let buffered = accumulate(case.source, &sent).map_err(|error| format!("the case itself: {error}"))?;
    let (buffered, _) = translate::response(buffered.to_string().as_bytes(), &state, &Carriage::default())
        .map_err(|malformed| malformed.to_string())?;
    let mut buffered: Value = serde_json::from_slice(&buffered).map_err(|error| error.to_string())?;
    if target == Protocol::OpenaiChat && !state.include_usage {
        // A stream tells its usage only when it is asked to.
        buffered["usage"] = Value::Null;
    }
    let (buffered, seen) = (comparable(&buffered), comparable(&whole));
    if buffered != seen {
        failures.push(format!("the stream adds up to\n  {seen}\nand the buffered answer is\n  {buffered}"));
    }
    Ok(Outcome::Done { body: whole.to_string(), stream: Some(out), ledger })
}

fn transcode(state: &CallState, pieces: &[&[u8]]) -> Result<(Vec<u8>, Ledger), String> {
    let mut transcoder = Transcoder::new(state.clone(), Limits::default(), Carriage::default())
        .map_err(|fault| format!("{fault:?}"))?;
    let mut out = Vec::new();
    for piece in pieces {
        transcoder.push(piece, &mut out).map_err(|fault| format!("{fault:?}"))?;
    }
    transcoder.finish(&mut out).map_err(|fault| format!("{fault:?}"))?;
    Ok((out, transcoder.ledger().clone()))
}

/// Ways to cut a stream: equal pieces, random ones, and in two at each of many places.
fn cuts(stream: &[u8]) -> Vec<(String, Vec<&[u8]>)> {
    let mut cuts = Vec::new();
    for size in [1, 2, 3, 7, 64] {
        cuts.push((format!("in pieces of {size}"), stream.chunks(size).collect()));
    }
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut pieces = Vec::new();
        let mut rest = stream;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rng.usize(1..=rest.len().min(90)));
            pieces.push(piece);
            rest = after;
        }
        cuts.push((format!("by chance (seed {seed})"), pieces));
    }
    let step = stream.len() / MAX_HALVES + 1;
    for at in (1..stream.len()).step_by(step) {
        cuts.push((format!("at byte {at}"), vec![&stream[..at], &stream[at..]]));
    }
    cuts
}

/// Places at which a stream is cut in two, at most.
const MAX_HALVES: usize = 500;

fn done(body: Vec<u8>, ledger: Ledger) -> Result<Outcome, String> {
    let body = String::from_utf8(body).map_err(|error| error.to_string())?;
    Ok(Outcome::Done { body, stream: None, ledger })
}

fn compare(expect: &Expect, body: &str, ledger: &Ledger, failures: &mut Vec<String>) -> Result<()> {
    if let Some(has) = &expect.has {
        let members: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
            serde_json::from_str(has).context("`has` is an object of JSON pointers")?;
        for (pointer, wanted) in members {
            match at(body, &pointer) {
                None => failures.push(format!("{pointer} is not there")),
                Some(found) if canonical(found)? != canonical(wanted.get())? => {
                    failures.push(format!("{pointer} is {found} and not {wanted}"));
                }
                Some(_) => {}
            }
        }
    }
    for pointer in &expect.absent {
        if let Some(found) = at(body, pointer) {
            failures.push(format!("{pointer} is there: {found}"));
        }
    }
    let effects: BTreeSet<String> =
        ledger.effects().iter().map(|effect| format!("{} {}", effect.kind.name(), effect.path)).collect();
    let expected = expect.effects();
    failures.extend(expected.difference(&effects).map(|effect| format!("not reported: {effect}")));
    failures.extend(effects.difference(&expected).map(|effect| format!("reported: {effect}")));
    Ok(())
}
