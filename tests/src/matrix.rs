//! Plays the SDK scenarios of one client over one backend and judges them against the known failures.

use std::path::Path;

use serde::Deserialize;

use crate::dialect;
use crate::python;
use crate::simulator::Simulator;

/// Known failures, each with its reason.
const EXCEPTIONS: &str = "exceptions.toml";

/// Scenarios to play, separated by commas; without it all of them.
const CHOICE: &str = "MATRIX";

/// The name of a run without a gateway, on the simulator itself.
const STRAIGHT: &str = "straight";

/// Stands for every scenario of a pair.
const ALL: &str = "*";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    exception: Vec<Exception>,
}

/// One known failure.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    client: String,
    backend: String,
    /// A scenario, one in one mode (`cut/stream`), or `*`.
    scenario: String,
    #[expect(dead_code, reason = "for who reads the list")]
    reason: String,
}

impl Exception {
    fn of(&self, client: &str, backend: &str) -> bool {
        self.client == client && self.backend == backend
    }

    fn covers(&self, check: &str) -> bool {
        let scenario = check.split('/').next().unwrap_or(check);
        self.scenario == ALL || self.scenario == check || self.scenario == scenario
    }
}

/// How one scenario went in one mode.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    /// `scenario/mode`.
    check: &'a str,
    failed: bool,
}

/// Plays a pair and fails with what it says, unless every failure is known and every known one still fails.
///
/// # Panics
/// When it does.
#[expect(clippy::print_stdout, reason = "the test runner shows it when the test fails or is told to")]
pub fn check(client: &str, backend: &str) {
    let exceptions = read();
    let chosen = std::env::var(CHOICE).unwrap_or_default();
    let mut arguments = vec![client, backend];
    arguments.extend(chosen.split(',').map(str::trim).filter(|name| !name.is_empty()));
    let simulator = Simulator::start().unwrap();
    let output = if backend == STRAIGHT {
        python::matrix(&arguments, &format!("http://{}", simulator.address))
    } else {
        let gateway = simulator.gateway().unwrap();
        python::matrix(&arguments, &gateway.url())
    };
    // Without Python nothing was played, and that has been said.
    let Some(output) = output else { return };
    println!("{output}");
    let lines = lines(&output).unwrap_or_else(|| panic!("{client} over {backend} did not come to its end"));
    let known: Vec<&Exception> =
        exceptions.iter().filter(|exception| exception.of(client, backend)).collect();
    let complaints = judge(&lines, &known);
    assert!(complaints.is_empty(), "{client} over {backend}: {}", complaints.join("; "));
}

/// Checks what no pair sees: entries for pairs that there are not.
///
/// # Panics
/// When there is one.
pub fn check_exceptions() {
    let names = dialect::ALL.map(dialect::Dialect::name);
    for exception in read() {
        let known = names.contains(&&*exception.client)
            && (exception.backend == STRAIGHT || names.contains(&&*exception.backend));
        assert!(known, "no such pair: {exception:?}");
    }
}

fn read() -> Vec<Exception> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(EXCEPTIONS);
    let text = std::fs::read_to_string(&path).expect("the list of exceptions can be read");
    toml::from_str::<File>(&text).unwrap_or_else(|error| panic!("{EXCEPTIONS}: {error}")).exception
}

/// Reads the lines of a run; `None` when it broke off before its summary, or the summary counts others.
fn lines(output: &str) -> Option<Vec<Line<'_>>> {
    let mut counts = [0_usize; 3];
    let mut lines = Vec::new();
    for line in output.lines() {
        let Some((check, said)) = line.split_once(": ").filter(|(check, _)| check.contains('/')) else {
            continue;
        };
        let at = ["ok", "FAIL", "skip"].iter().position(|word| said.split(' ').next() == Some(word));
        let Some(at) = at else { continue };
        counts[at] += 1;
        lines.push(Line { check, failed: at == 1 });
    }
    let [passed, failed, skipped] = counts;
    let summary = format!("{passed} passed, {failed} failed, {skipped} skipped");
    // What the interpreter logs may come after it.
    output.lines().any(|line| line == summary).then_some(lines)
}

/// What is wrong with a run, given its known failures.
fn judge(lines: &[Line<'_>], known: &[&Exception]) -> Vec<String> {
    let failures = lines
        .iter()
        .filter(|line| line.failed && !known.iter().any(|exception| exception.covers(line.check)))
        .map(|line| format!("{} fails", line.check));
    // An entry is judged when what it covers was played.
    let idle = known
        .iter()
        .filter(|exception| {
            let mut covered = lines.iter().filter(|line| exception.covers(line.check)).peekable();
            let played = covered.peek().is_some() || std::env::var(CHOICE).is_err();
            played && !covered.any(|line| line.failed)
        })
        .map(|exception| format!("the exception for {} matches no failure", exception.scenario));
    failures.chain(idle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(scenario: &str) -> Exception {
        let text = |text: &str| text.to_owned();
        Exception { client: text("a"), backend: text("b"), scenario: text(scenario), reason: text("r") }
    }

    #[test]
    fn a_failure_has_to_be_known_and_a_known_one_has_to_fail() {
        let output =
            "text/buffered: ok\ntext/stream: FAIL x: y\ncut/stream: skip z\n1 passed, 1 failed, 1 skipped\n";
        let lines = lines(output).unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!(judge(&lines, &[]), ["text/stream fails"]);
        for good in ["*", "text", "text/stream"] {
            assert_eq!(judge(&lines, &[&exception(good)]), [""; 0], "{good}");
        }
        for idle in ["cut", "text/buffered", "none"] {
            let complaints = judge(&lines, &[&exception("text"), &exception(idle)]);
            assert_eq!(complaints, [format!("the exception for {idle} matches no failure")]);
        }
    }

    #[test]
    fn a_run_that_breaks_off_is_no_run() {
        assert_eq!(lines("text/buffered: ok\n"), None);
        assert_eq!(lines("text/buffered: ok\n2 passed, 0 failed, 0 skipped"), None);
    }
}
