//! The checks that a run is made of.

use anyhow::Result;
use busbar::Protocol;
use busbar_codegen::schema::Schema;

use crate::canon::canonical;
use crate::codecs::through_ir;
use crate::docs::corpus::examples;
use crate::docs::{Extras, Root, document};
use crate::exceptions::Exceptions;
use crate::judge::judge;
use crate::leaves::{Direction, Fault, check};
use crate::report::Report;
use crate::{data, suite, targets};

/// Every case of every suite, or of one, towards every target.
///
/// # Errors
/// When a case cannot be read.
pub fn suites(only: Option<&str>, exceptions: &mut Exceptions, report: &mut Report) -> Result<()> {
    for case in suite::load(&data("suites"), only)? {
        for verdict in judge(&case)? {
            if !verdict.failures.is_empty() {
                report.fail(exceptions, &verdict.id, verdict.target.name(), verdict.failures.join("\n  "));
            } else if verdict.judged {
                report.pass();
            } else {
                report.unjudged += 1;
            }
        }
    }
    Ok(())
}

/// `from_ir(to_ir(document))` is the document, over documents that the schema allows.
///
/// # Errors
/// When a schema cannot be read.
pub fn round_trips(seed: u64, cases: u64, exceptions: &mut Exceptions, report: &mut Report) -> Result<()> {
    for protocol in Protocol::ALL {
        let schema = schema(protocol)?;
        for kind in [Root::Request, Root::Response, Root::Error] {
            for seed in seed..seed.saturating_add(cases) {
                let extras = Extras { unknown: seed % 2 == 0, nulls: seed % 3 == 0 };
                let before = document(&schema, kind, seed, extras);
                match round_trip(protocol, kind, &before) {
                    Ok(()) => report.pass(),
                    Err(found) => {
                        let check = format!("round trip {kind:?}");
                        let found = format!("seed {seed}: {found}");
                        report.fail(exceptions, &check, protocol.name(), found);
                    }
                }
            }
        }
    }
    Ok(())
}

/// Every value of documents that the schema allows is in the translation, or the report names it; a table of figures.
///
/// # Errors
/// When a schema or an example cannot be read.
pub fn leaves(
    seed: u64,
    cases: u64,
    wanted: &dyn Fn(&Direction) -> bool,
    exceptions: &mut Exceptions,
    report: &mut Report,
) -> Result<String> {
    let mut table = String::from(
        "| from | to | kind | documents | refused | values | kept | converted | reported | need no word | silent | wrong |\n\
         | --- | --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for source in Protocol::ALL {
        let schema = schema(source)?;
        for (root, name) in [(Root::Request, "request"), (Root::Response, "response")] {
            let examples = examples(source, root)?;
            for target in targets(source) {
                let direction = Direction { source, target, root };
                if !wanted(&direction) {
                    continue;
                }
                let found = check(&schema, &examples, direction, seed, cases);
                report.passed += found.kept + found.converted + found.reported;
                let of = |kind| found.faults.keys().filter(|(fault, _)| *fault == kind).count();
                let values = found.kept + found.converted + found.reported + found.listed + found.silent;
                table.push_str(&format!(
                    "| {source} | {target} | {name} | {} | {} | {values} | {} | {} | {} | {} | {} | {} |\n",
                    found.documents,
                    found.refused,
                    found.kept,
                    found.converted,
                    found.reported,
                    found.listed,
                    of(Fault::Silent),
                    of(Fault::Wrong),
                ));
                // Two of six reasons to end are failures at one provider; at another all members may be left out.
                if found.refused > cases / 2 {
                    let check = format!("leaf {source} {name}");
                    report.fail(exceptions, &check, target.name(), format!("{} refused", found.refused));
                }
                for ((_, path), example) in found.faults {
                    let check = format!("leaf {source} {name} {path}");
                    report.fail(exceptions, &check, target.name(), example);
                }
            }
        }
    }
    Ok(table)
}

/// What is wrong with one round trip.
fn round_trip(protocol: Protocol, kind: Root, before: &str) -> Result<(), String> {
    let outcome = through_ir(protocol, kind, before.as_bytes()).map_err(|error| error.to_string())?;
    let after = String::from_utf8(outcome.body).map_err(|error| error.to_string())?;
    let spelled = |json: &str| canonical(json).map_err(|error| error.to_string());
    if spelled(before)? != spelled(&after)? {
        return Err(format!("the document changed\n  {before}\n  {after}"));
    }
    if !outcome.ledger.is_empty() {
        return Err(format!("reported {:?}\n  {before}", outcome.ledger));
    }
    Ok(())
}

/// The interface facts of a protocol.
///
/// # Errors
/// When the file cannot be read.
pub fn schema(protocol: Protocol) -> Result<Schema> {
    Schema::load(&data("../schemas").join(protocol.name()).join("schema.json"))
}
