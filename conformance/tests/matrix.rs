//! The matrix in the README is what the translation does, and nothing in it is silent or wrong.

use busbar_conformance::blackbox::{Verdict, of_this_workspace};
use busbar_conformance::data;

#[test]
fn the_matrix_in_the_readme_is_true() {
    let report = of_this_workspace().unwrap();
    assert_eq!(report.cells.len(), 36);
    let found = [Verdict::Silent, Verdict::Wrong].map(|verdict| report.count(verdict));
    assert_eq!(found, [0, 0], "silent and wrong:\n{}", report.details());
    assert!(report.count(Verdict::Kept) + report.count(Verdict::Mapped) > 600, "{}", report.summary());
    let readme = std::fs::read_to_string(data("../README.md")).unwrap();
    assert!(
        report.in_readme(&readme).unwrap() == readme,
        "the matrix in the README is stale: run `cargo run -p busbar-conformance -- matrix --markdown README`"
    );
}
