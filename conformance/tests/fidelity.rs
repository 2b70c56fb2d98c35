//! The table of features is what the gateway does.

use busbar_conformance::{data, fidelity};

#[test]
fn the_table_of_features_is_up_to_date() {
    let made = fidelity::document().unwrap();
    let kept = std::fs::read_to_string(data("../docs/fidelity.md")).unwrap_or_default();
    let differs = made.lines().zip(kept.lines()).find(|(made, kept)| made != kept);
    assert!(
        made == kept,
        "docs/fidelity.md is stale: run `cargo run -p busbar-conformance -- fidelity`; the first line that differs: {differs:?}"
    );
}
