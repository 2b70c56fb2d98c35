//! Nothing is lost in silence, over documents that the schemas allow.

use busbar_conformance::checks::leaves;
use busbar_conformance::data;
use busbar_conformance::exceptions::Exceptions;
use busbar_conformance::report::Report;

const CASES: u64 = 60;

#[test]
fn nothing_is_lost_in_silence() {
    let mut exceptions = Exceptions::load(&data("exceptions.toml")).unwrap();
    let mut report = Report::default();
    leaves(0, CASES, &|_| true, &mut exceptions, &mut report).unwrap();
    report.check_exceptions(&exceptions, |check| check.starts_with("leaf "));
    let lost: Vec<String> = report
        .failed
        .iter()
        .map(|failure| format!("{} > {}: {}", failure.check, failure.target, failure.found))
        .collect();
    assert!(lost.is_empty(), "{}:\n{}", report.summary(), lost.join("\n"));
    assert!(report.passed > 20_000, "too few values to prove anything: {}", report.summary());
}
