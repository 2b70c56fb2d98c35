//! What becomes of a case, and whether that is what it says.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use busbar::Protocol;
use busbar::translate::{self, Carriage};
use busbar_protocols::Ledger;

use crate::canon::{at, canonical, pretty};
use crate::suite::{Case, Expect, Input};

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
            match translate::request(case.source, target, body.as_bytes(), &case.facts(), &carriage) {
                Ok(out) => done(out.body, out.ledger),
                Err(refusal) => Ok(Outcome::Refused { path: refusal.path, message: refusal.message }),
            }
        }
        Input::Response(body) => {
            let (body, ledger) = translate::response(body.as_bytes(), &case.state(target), &carriage)
                .map_err(|malformed| malformed.to_string())?;
            done(body, ledger)
        }
        Input::Stream(_) => {
            let _ = failures;
            Err("streams are not judged".to_owned())
        }
    }
}

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
