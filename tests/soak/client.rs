//! The clients: each asks one thing after another, checks every answer, and now and then leaves in the middle.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use busbar_tests::answer;
use busbar_tests::dialect::{self, Dialect};
use busbar_tests::http::{self, Connection};

use crate::plan::{self, Chance};

/// Most wrong answers that are kept.
const MAX_WRONG: usize = 20;

/// How much is kept of each.
const MAX_SHOWN: usize = 400;

/// How many of a hundred requests are left by their client.
const LEFT: u64 = 12;

/// Within so many microseconds one leaves that does not wait for an answer.
const MOMENT: u64 = 20_000;

/// What all clients saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Requests of which something came back, so that the gateway must have counted them.
    pub(crate) heard: AtomicU64,
    /// Requests that were left before anything came back.
    pub(crate) blind: AtomicU64,
    pub(crate) complete: AtomicU64,
    /// Streams that began and ended with an error in the client's own form.
    pub(crate) told: AtomicU64,
    pub(crate) left: AtomicU64,
    /// Complete answers that took more than one lane.
    pub(crate) rescued: AtomicU64,
    pub(crate) wrong: AtomicU64,
    pub(crate) shown: Mutex<Vec<String>>,
}

impl Seen {
    fn wrong(&self, what: String) {
        self.wrong.fetch_add(1, Ordering::Relaxed);
        let mut shown = self.shown.lock().expect("no client panics with it");
        if shown.len() < MAX_WRONG {
            shown.push(what.chars().take(MAX_SHOWN).collect());
        }
    }
}

/// What is asked, and what a right answer says.
struct Question {
    client: Dialect,
    model: String,
    streamed: bool,
    bytes: Vec<u8>,
    right: String,
}

impl Question {
    fn new(chance: &mut Chance, number: u64) -> Self {
        let client = *chance.pick(&dialect::ALL);
        let model = plan::pool(*chance.pick(&dialect::ALL));
        let streamed = chance.below(2) == 0;
        // Nobody else asks this, so an answer that belongs to another is told apart.
        let text = format!("question {number} of {}, please, and nobody else's", chance.below(u64::MAX));
        let body = client.request(&model, streamed).replace("\"Hi\"", &format!("\"{text}\""));
        let bytes = http::request("POST", &client.path(&model, streamed), &[], body.as_bytes());
        let right = format!("Simulated answer to: {text} (messages=1 system=0 tools=0 images=0 documents=0)");
        Self { client, model, streamed, bytes, right }
    }

    fn name(&self) -> String {
        let mode = if self.streamed { "streamed" } else { "whole" };
        format!("{} asks {} {mode}", self.client.name(), self.model)
    }
}

/// Asks until `stop`.
pub(crate) fn run(gateway: SocketAddr, mut chance: Chance, seen: &Seen, stop: &AtomicBool) {
    let mut connection = None;
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let question = Question::new(&mut chance, number);
        let open = match connection.take().map_or_else(|| Connection::open(gateway), Ok) {
            Ok(open) => open,
            Err(error) => {
                seen.wrong(format!("no connection: {error:#}"));
                return;
            }
        };
        if chance.below(100) < LEFT {
            leave(open, &question, &mut chance, seen);
            continue;
        }
        match ask(open, &question, seen) {
            Ok(kept) => connection = kept,
            Err(error) => seen.wrong(format!("{}: {error:#}", question.name())),
        }
    }
}

/// Asks and goes: at once, or once something is there.
fn leave(mut connection: Connection, question: &Question, chance: &mut Chance, seen: &Seen) {
    seen.left.fetch_add(1, Ordering::Relaxed);
    let written = connection.write(&question.bytes);
    let heard = written.is_ok() && chance.below(2) == 0 && connection.head().is_ok();
    if !heard {
        // At any moment of what the gateway does for it.
        thread::sleep(Duration::from_micros(chance.below(MOMENT)));
    }
    let counter = if heard { &seen.heard } else { &seen.blind };
    counter.fetch_add(1, Ordering::Relaxed);
}

fn ask(mut connection: Connection, question: &Question, seen: &Seen) -> Result<Option<Connection>> {
    let Question { client, streamed, bytes, right, .. } = question;
    let answer = answer::ask(&mut connection, *client, bytes, *streamed);
    seen.heard.fetch_add(1, Ordering::Relaxed);
    let answer = answer?;
    ensure!(
        answer.status == 200,
        "status {} of {:?} after {}: {:?}",
        answer.status,
        answer.lane,
        answer.attempts,
        answer.error
    );
    if answer.complete {
        ensure!(answer.words == *right, "other words: {answer:?}");
        ensure!(answer.error.is_none() && answer.ended, "an end and an error: {answer:?}");
        seen.complete.fetch_add(1, Ordering::Relaxed);
        if answer.attempts > 1 {
            seen.rescued.fetch_add(1, Ordering::Relaxed);
        }
    } else {
        ensure!(*streamed, "not complete: {answer:?}");
        ensure!(right.starts_with(&answer.words), "other words: {answer:?}");
        ensure!(answer.error.as_deref().is_some_and(|error| !error.is_empty()), "no error: {answer:?}");
        seen.told.fetch_add(1, Ordering::Relaxed);
    }
    Ok(answer.ended.then_some(connection))
}
