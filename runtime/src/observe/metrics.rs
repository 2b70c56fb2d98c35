//! The metrics, all of them; nothing else names one.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::Protocol;
use crate::fault::Fault;

/// Most combinations of labels that a thread keeps handles for.
const MAX_HANDLES: usize = 4096;
/// Most paths of changed fields that are told apart.
const MAX_PATHS: usize = 256;
/// Bounds of the buckets, in seconds: a model's answer takes milliseconds to minutes.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
    first_byte: HistogramVec,
    faults: IntCounterVec,
    failed_attempts: IntCounterVec,
    transitions: IntCounterVec,
    repairs: IntCounterVec,
    given_up: IntCounterVec,
    reloads: IntCounterVec,
    states: IntGaugeVec,
    tokens: IntCounterVec,
    effects: IntCounterVec,
    dropped_records: IntCounter,
    running: IntGauge,
    tasks: IntGauge,
}

impl Metrics {
    fn new() -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let histograms = |name: &str, help: &str, labels: &[&str]| {
            let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
            register(&registry, HistogramVec::new(options, labels))
        };
        Self {
            requests: counters(
                "busbar_requests_total",
                "Requests that have ended, by the caller's protocol, the lane, the status and how they ended.",
                &["protocol", "lane", "status", "outcome"],
            ),
            duration: histograms(
                "busbar_request_seconds",
                "Time from a request's head to the last byte of its answer.",
                &["protocol", "lane"],
            ),
            first_byte: histograms(
                "busbar_first_byte_seconds",
                "Time from a request's head to the first byte of a provider's answer.",
                &["protocol", "lane"],
            ),
            faults: counters(
                "busbar_faults_total",
                "Failures, by who is to blame and their class.",
                &["blame", "class"],
            ),
            failed_attempts: counters(
                "busbar_failed_attempts_total",
                "Attempts at a lane that failed before the caller was sent anything, by the class of the failure.",
                &["lane", "class"],
            ),
            transitions: counters(
                "busbar_lane_transitions_total",
                "Changes of a lane's breaker, by the state it went to and what brought it about.",
                &["lane", "state", "reason"],
            ),
            repairs: counters(
                "busbar_repairs_total",
                "Requests that were put otherwise because a provider said so, by what was changed.",
                &["lane", "repair"],
            ),
            given_up: counters(
                "busbar_cached_tokens_given_up_total",
                "Tokens, by estimate, that another lane's provider had in its cache of a prompt that this lane served.",
                &["lane"],
            ),
            reloads: counters(
                "busbar_reloads_total",
                "Times that the configuration was read again, by whether it was taken.",
                &["taken"],
            ),
            states: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new("busbar_lane_state", "1 for the state that a lane's breaker is in."),
                    &["lane", "state"],
                ),
            ),
            tokens: counters(
                "busbar_tokens_total",
                "Tokens as providers count them, by lane and kind; `input` and `output` hold the other kinds.",
                &["lane", "kind"],
            ),
            effects: counters(
                "busbar_fidelity_effects_total",
                "What translation changed, of requests towards the backend's protocol and of answers back.",
                &["from", "to", "kind", "path"],
            ),
            dropped_records: register(
                &registry,
                IntCounter::new(
                    "busbar_access_records_dropped_total",
                    "Access records that could not be written.",
                ),
            ),
            running: register(
                &registry,
                IntGauge::new("busbar_requests_running", "Requests that run at the moment."),
            ),
            tasks: register(
                &registry,
                IntGauge::new("busbar_tasks", "Tasks that live in the workers, as of their last look."),
            ),
            registry,
        }
    }
}

/// Registers a metric; the names and labels here are constants that a test registers too.
#[expect(clippy::expect_used, reason = "a wrong constant fails the first test that touches a metric")]
fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    collector: prometheus::Result<C>,
) -> C {
    let collector = collector.expect("the metric is well formed");
    registry.register(Box::new(collector.clone())).expect("the metric has a name of its own");
    collector
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The answer reached its end, whatever its status.
    Complete,
    /// The gateway answered with a failure of its own rendering.
    Refused,
    /// The provider broke off its answer.
    Cut,
    /// The caller went away before the end.
    ClientGone,
}

impl Outcome {
    /// The name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Complete => "complete",
            Outcome::Refused => "refused",
            Outcome::Cut => "cut",
            Outcome::ClientGone => "client_gone",
        }
    }
}

/// Token counts of an answer; none is unknown, which is not 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tokens {
    /// Input, cached tokens included.
    #[serde(rename = "input_tokens", skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
    /// Output, reasoning included.
    #[serde(rename = "output_tokens", skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// Input read from a cache.
    #[serde(rename = "cache_read_tokens", skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<u64>,
    /// Input written to a cache.
    #[serde(rename = "cache_write_tokens", skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    /// Output spent on reasoning.
    #[serde(rename = "reasoning_tokens", skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
}

impl Tokens {
    /// Adds what another answer to the same request has used.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.input, other.input),
            (&mut self.output, other.output),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cache_write, other.cache_write),
            (&mut self.reasoning, other.reasoning),
        ] {
            *mine = match (*mine, theirs) {
                (Some(mine), Some(theirs)) => Some(mine.saturating_add(theirs)),
                (mine, theirs) => mine.or(theirs),
            };
        }
    }
}

impl Tokens {
    /// The kinds, in the order of [`Tokens::counts`].
    pub const KINDS: [&str; 5] = ["input", "output", "cache_read", "cache_write", "reasoning"];

    /// The counts, in the order of [`Tokens::KINDS`].
    pub const fn counts(&self) -> [Option<u64>; 5] {
        [self.input, self.output, self.cache_read, self.cache_write, self.reasoning]
    }
}

/// What is counted about a request.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    /// The caller's protocol.
    pub protocol: Protocol,
    /// The configured lane, or the provider of one that is not configured; empty when none was chosen.
    pub lane: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// From head to last byte.
    pub duration: Duration,
    /// From head to the first byte of a provider's answer.
    pub first_byte: Option<Duration>,
    /// What the provider says that it read and wrote.
    pub tokens: Tokens,
}

struct Handles {
    requests: IntCounter,
    /// Made when there is something to count.
    tokens: [Option<IntCounter>; Tokens::KINDS.len()],
    duration: Histogram,
    first_byte: Histogram,
}

type Key = (Protocol, u16, Outcome);

thread_local! {
    static HANDLES: RefCell<HashMap<String, Vec<(Key, Handles)>>> = RefCell::new(HashMap::new());
}

/// Counts a request that has ended.
pub fn count(counted: &Counted<'_>) {
    let key = (counted.protocol, counted.status, counted.outcome);
    HANDLES.with_borrow_mut(|handles| {
        if handles.len() >= MAX_HANDLES {
            handles.clear();
        }
        if !handles.contains_key(counted.lane) {
            handles.insert(counted.lane.to_owned(), Vec::new());
        }
        let Some(of_lane) = handles.get_mut(counted.lane) else { return };
        let found = of_lane.iter().position(|(known, _)| *known == key);
        let at = found.unwrap_or_else(|| {
            of_lane.push((key, resolve(counted)));
            of_lane.len() - 1
        });
        let (_, handles) = &mut of_lane[at];
        handles.requests.inc();
        handles.duration.observe(counted.duration.as_secs_f64());
        if let Some(first_byte) = counted.first_byte {
            handles.first_byte.observe(first_byte.as_secs_f64());
        }
        let counts = counted.tokens.counts().into_iter().zip(Tokens::KINDS);
        for ((count, kind), handle) in counts.zip(&mut handles.tokens) {
            if let Some(count) = count.filter(|count| *count > 0) {
                let resolve = || METRICS.tokens.with_label_values(&[counted.lane, kind]);
                handle.get_or_insert_with(resolve).inc_by(count);
            }
        }
    });
}

fn resolve(counted: &Counted<'_>) -> Handles {
    let protocol = counted.protocol.name();
    let status = counted.status.to_string();
    let labels = [protocol, counted.lane, status.as_str(), counted.outcome.name()];
    Handles {
        requests: METRICS.requests.with_label_values(&labels),
        tokens: [const { None }; Tokens::KINDS.len()],
        duration: METRICS.duration.with_label_values(&[protocol, counted.lane]),
        first_byte: METRICS.first_byte.with_label_values(&[protocol, counted.lane]),
    }
}

/// Says by how much the tasks of a worker have changed in number.
pub fn change_tasks(difference: i64) {
    METRICS.tasks.add(difference);
}

/// Counts a failure.
pub fn count_fault(fault: &Fault) {
    METRICS.faults.with_label_values(&[fault.blame.name(), fault.class.name()]).inc();
}

/// Counts an attempt at a lane that failed before the caller was sent anything.
pub fn count_failed_attempt(lane: &str, class: &str) {
    METRICS.failed_attempts.with_label_values(&[lane, class]).inc();
}

/// Counts a request that was put otherwise because its provider said so.
pub fn count_repair(lane: &str, repair: &str) {
    METRICS.repairs.with_label_values(&[lane, repair]).inc();
}

/// Counts tokens that another lane's provider had in its cache.
pub fn count_given_up(lane: &str, tokens: u64) {
    METRICS.given_up.with_label_values(&[lane]).inc_by(tokens);
}

/// Counts that the configuration was read again.
pub fn count_reload(taken: bool) {
    METRICS.reloads.with_label_values(&[if taken { "true" } else { "false" }]).inc();
}

/// Counts a change of a lane's breaker.
pub fn count_transition(lane: &str, state: &str, reason: &str) {
    METRICS.transitions.with_label_values(&[lane, state, reason]).inc();
}

/// Counts what a translation changed.
///
/// A path may hold a caller's own word for a field, so only so many are told apart.
pub fn count_effect(from: Protocol, to: Protocol, kind: &str, path: &str) {
    static PATHS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut paths = PATHS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = paths.contains(path) || (paths.len() < MAX_PATHS && paths.insert(path.to_owned()));
    drop(paths);
    let path = if known { path } else { "other" };
    METRICS.effects.with_label_values(&[from.name(), to.name(), kind, path]).inc();
}

/// Counts access records that were lost.
pub(super) fn count_dropped(records: u64) {
    METRICS.dropped_records.inc_by(records);
}

/// All metrics in the text form that Prometheus reads.
///
/// `running` is the number of requests at the moment, `lanes` every lane's name and the state of its breaker.
///
/// # Errors
/// When they cannot be encoded.
pub fn render<'a>(
    running: usize,
    lanes: impl Iterator<Item = (&'a str, &'static str)>,
) -> prometheus::Result<Vec<u8>> {
    METRICS.running.set(i64::try_from(running).unwrap_or(i64::MAX));
    METRICS.states.reset();
    for (lane, state) in lanes {
        METRICS.states.with_label_values(&[lane, state]).set(1);
    }
    let mut out = Vec::new();
    TextEncoder::new().encode(&METRICS.registry.gather(), &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_under_its_labels() {
        let counted = Counted {
            protocol: Protocol::Cohere,
            lane: "metrics-test",
            status: 200,
            outcome: Outcome::Complete,
            duration: Duration::from_millis(30),
            first_byte: Some(Duration::from_millis(20)),
            tokens: Tokens { input: Some(9), output: Some(4), cache_read: Some(0), ..Tokens::default() },
        };
        count(&counted);
        count(&counted);
        let text = String::from_utf8(render(3, std::iter::once(("metrics-test", "open"))).unwrap()).unwrap();
        let line = r#"busbar_requests_total{lane="metrics-test",outcome="complete",protocol="cohere",status="200"} 2"#;
        assert!(text.contains(line), "{text}");
        assert!(
            text.contains(
                r#"busbar_request_seconds_bucket{lane="metrics-test",protocol="cohere",le="0.05"} 2"#
            )
        );
        assert!(text.contains(r#"busbar_tokens_total{kind="input",lane="metrics-test"} 18"#), "{text}");
        assert!(text.contains(r#"busbar_tokens_total{kind="output",lane="metrics-test"} 8"#), "{text}");
        assert!(!text.contains(r#"busbar_tokens_total{kind="cache_read",lane="metrics-test"}"#), "{text}");
        assert!(text.contains("busbar_requests_running 3"));
    }

    #[test]
    fn paths_of_changed_fields_are_bounded() {
        for number in 0..MAX_PATHS + 10 {
            count_effect(Protocol::Cohere, Protocol::Gemini, "dropped", &format!("field{number}"));
        }
        let text = String::from_utf8(render(0, std::iter::empty()).unwrap()).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("busbar_fidelity_effects_total{")).count();
        assert_eq!(lines, MAX_PATHS + 1);
        assert!(text.contains(r#"path="other",to="gemini"} 10"#), "{text}");
    }
}
