//! The IR loses nothing: `from_ir(to_ir(document))` is the document.

use std::path::Path;

use busbar_codegen::schema::Schema;
use busbar_conformance::canon::canonical;
use busbar_conformance::codecs::through_ir;
use busbar_conformance::docs::{Extras, Root, document};
use busbar_protocols::Protocol;

const CASES: u64 = 1500;

#[test]
fn the_ir_loses_nothing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    let mut failures = Vec::new();
    for protocol in Protocol::ALL {
        let schema = Schema::load(&root.join(protocol.name()).join("schema.json")).unwrap();
        for kind in [Root::Request, Root::Response, Root::Error] {
            for seed in 0..CASES {
                let extras = Extras { unknown: seed % 2 == 0, nulls: seed % 3 == 0 };
                let before = document(&schema, kind, seed, extras);
                let outcome = through_ir(protocol, kind, before.as_bytes()).unwrap();
                let after = String::from_utf8(outcome.body).unwrap();
                if canonical(&before).unwrap() != canonical(&after).unwrap() {
                    failures.push(format!("{protocol} {kind:?} seed {seed}:\n  {before}\n  {after}"));
                } else if !outcome.ledger.is_empty() {
                    failures.push(format!(
                        "{protocol} {kind:?} seed {seed}: reported {:?}\n  {before}",
                        outcome.ledger
                    ));
                }
            }
        }
    }
    failures.sort_by_key(String::len);
    assert!(
        failures.is_empty(),
        "{} documents changed; the shortest:\n{}",
        failures.len(),
        failures[..failures.len().min(12)].join("\n")
    );
}
