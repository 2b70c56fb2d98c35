//! Every case of every suite, towards every target.
//!
//! What a case expects of a target is judged, and what came out is a snapshot that a reader accepted. Towards the
//! other targets it must be translated, or refused by name, and a stream must add up however it is cut.

use std::collections::BTreeSet;

use busbar_conformance::canon::pretty;
use busbar_conformance::exceptions::Exceptions;
use busbar_conformance::judge::judge;
use busbar_conformance::suite::{Input, load};
use busbar_conformance::{data, targets};
use busbar_protocols::Protocol;

#[test]
fn suites() {
    let mut exceptions = Exceptions::load(&data("exceptions.toml")).unwrap();
    let mut failures = Vec::new();
    let mut names = BTreeSet::new();
    let mut snapshots = insta::Settings::new();
    snapshots.set_snapshot_path(data("snapshots"));
    snapshots.set_prepend_module_to_snapshot(false);
    snapshots.set_omit_expression(true);
    for case in load(&data("suites"), None).unwrap() {
        let input = match &case.input {
            Input::Request(body) | Input::Response(body) => pretty(body).unwrap_or_else(|_| body.clone()),
            Input::Stream(stream) => stream.clone(),
            Input::Error { status, body, .. } => format!("{status} {body}"),
        };
        let verdicts = judge(&case).unwrap();
        assert!(verdicts.iter().any(|verdict| verdict.judged), "{}: it expects nothing", case.id);
        for verdict in verdicts {
            let name = format!("{}.{}", case.id.replace('/', "."), verdict.target);
            let mut header = snapshots.clone();
            header.set_description(&*case.why);
            header.set_info(&input.lines().collect::<Vec<_>>());
            if verdict.judged {
                names.insert(format!("{name}.snap"));
                header.bind(|| insta::assert_snapshot!(name.as_str(), verdict.shown));
            }
            if !verdict.failures.is_empty() && !exceptions.excuse(&verdict.id, verdict.target.name()) {
                failures.push(format!("{name}\n  {}\n{}", verdict.failures.join("\n  "), verdict.shown));
            }
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n\n"));
    let kept = std::fs::read_dir(data("snapshots")).unwrap();
    let kept = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let stale: Vec<String> = kept.filter(|kept| !names.contains(kept)).collect();
    assert!(stale.is_empty(), "snapshots of no case: {stale:?}");
    let idle: Vec<_> = exceptions.idle(|check| !check.starts_with("leaf ")).collect();
    assert!(idle.is_empty(), "exceptions that nothing needs: {idle:?}");
}

/// Converse names no answer, and the names that clients get are made by chance, which no snapshot holds.
#[test]
fn answers_whose_names_are_made_by_chance() {
    for case in load(&data("tests/chance"), None).unwrap() {
        let verdicts = judge(&case).unwrap();
        assert!(verdicts.iter().any(|verdict| verdict.judged), "{}: it expects nothing", case.id);
        for verdict in verdicts {
            assert!(verdict.failures.is_empty(), "{} {}: {:?}", verdict.id, verdict.target, verdict.failures);
        }
    }
}

#[test]
fn what_the_gateway_declares_is_what_it_does() {
    use busbar::translate::{Carriage, request};
    let facts = busbar_conformance::suite::facts();
    let empty = busbar_protocols::prelude::Checked::new(b"{}").unwrap();
    let mut pairs = 0;
    for client in Protocol::ALL {
        for backend in Protocol::ALL.into_iter().filter(|backend| *backend != client) {
            let declared = targets(client).any(|target| target == backend);
            let refused = request(client, backend, empty, &facts, &Carriage::default());
            let unable = refused.is_err_and(|refusal| refusal.message.contains("cannot be translated"));
            assert_eq!(declared, !unable, "{client} {backend}");
            pairs += usize::from(declared);
        }
    }
    assert!(pairs >= 2);
}
