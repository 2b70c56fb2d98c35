//! The judge sees what it is there for, in translations that are wrong on purpose.

use super::*;
use crate::checks::schema;
use crate::docs::corpus::examples;

const DIRECTION: Direction =
    Direction { source: Protocol::OpenaiChat, target: Protocol::Gemini, root: Root::Request };

/// A document that has everything that the tests lose.
const SEED: u64 = 5;

/// What the judge finds in one document when the translation is doctored.
fn judged(doctor: impl Fn(String) -> String) -> Vec<(Fault, String)> {
    let schema = schema(Protocol::OpenaiChat).unwrap();
    let examples = examples(Protocol::OpenaiChat, Root::Request).unwrap();
    let plan = Plan { seed: SEED, like: Some(&examples[0]), ..Plan::default() };
    let document = marked(&schema, Root::Request, &plan);
    let translate = |json: &str| {
        let (body, ledger) = translated(DIRECTION, json)?;
        Some((doctor(body), ledger))
    };
    let mut found = Found::default();
    let faults = account(DIRECTION, &document, &translate, &mut found);
    assert!(found.documents == 1 && found.kept > 20, "{found:?}");
    faults.into_iter().map(|fault| (fault.kind, fault.path)).collect()
}

/// The document without a number that is the value of this member.
fn without(body: &str, member: &str) -> String {
    let start = body.find(&format!("\"{member}\":")).unwrap();
    let end = start + body[start..].find([',', '}']).unwrap();
    let end = end + usize::from(body[end..].starts_with(','));
    format!("{}{}", &body[..start], &body[end..])
}

#[test]
fn a_true_translation_has_no_fault() {
    assert_eq!(judged(|body| body), []);
}

#[test]
fn a_lost_value_is_silent() {
    let lost = judged(|body| without(&body, "temperature"));
    assert_eq!(lost, [(Fault::Silent, "temperature".to_owned())]);
}

#[test]
fn a_value_in_a_field_of_another_meaning_is_wrong() {
    let swapped = judged(|body| {
        body.replace("\"temperature\":", "\"x\":")
            .replace("\"topP\":", "\"temperature\":")
            .replace("\"x\":", "\"topP\":")
    });
    let mut found: Vec<&str> = swapped.iter().map(|fault| fault.1.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, ["temperature", "top_p"], "{swapped:?}");
    assert!(swapped.iter().all(|fault| fault.0 == Fault::Wrong), "{swapped:?}");
}

#[test]
fn words_of_another_speaker_are_wrong() {
    let turned = judged(|body| body.replace(r#""role":"user""#, r#""role":"model""#));
    assert!(turned.contains(&(Fault::Wrong, "messages[].content[].text".to_owned())), "{turned:?}");
}

#[test]
fn thought_that_is_said_aloud_is_wrong() {
    let aloud = judged(|body| body.replace(r#""thought":true"#, r#""thought":false"#));
    assert!(aloud.iter().all(|fault| fault.0 == Fault::Wrong), "{aloud:?}");
    assert!(aloud.iter().any(|fault| fault.1 == "messages[].reasoning_content"), "{aloud:?}");
}

#[test]
fn free_form_json_that_changes_is_wrong() {
    let changed = judged(|body| body.replace("[{},1.50]", "[{},2.50]"));
    assert!(changed.iter().all(|fault| fault.0 == Fault::Wrong), "{changed:?}");
    assert!(changed.iter().any(|fault| fault.1.ends_with("function.arguments")), "{changed:?}");
}

#[test]
fn a_failing_document_is_made_small() {
    let schema = schema(Protocol::OpenaiChat).unwrap();
    let examples = examples(Protocol::OpenaiChat, Root::Request).unwrap();
    let mut plan = Plan { seed: SEED, like: Some(&examples[0]), ..Plan::default() };
    let document = marked(&schema, Root::Request, &plan);
    let key = (Fault::Silent, "temperature".to_owned());
    let lossy = |json: &str| {
        let (body, ledger) = translated(DIRECTION, json)?;
        let body = if body.contains("temperature") { without(&body, "temperature") } else { body };
        Some((body, ledger))
    };
    let (small, _) = shrunk(&schema, DIRECTION, &mut plan, &document, &key, &lossy).unwrap();
    assert!(document.json.len() > 1000 && small.json.len() < 100, "{}", small.json);
    assert!(small.json.contains("temperature"), "{}", small.json);
    assert_eq!(marked(&schema, Root::Request, &plan).json, small.json);
}

#[test]
fn a_report_names_what_is_beneath_its_path() {
    let mut ledger = Ledger::default();
    ledger.note(EffectKind::Dropped, "messages[1].content[0]", "r");
    ledger.note(EffectKind::Injected, "tools", "r");
    assert!(is_named(&ledger, "messages[1].content[0].text"));
    assert!(is_named(&ledger, "messages[1].content[0]"));
    assert!(!is_named(&ledger, "messages[1].content[01]"));
    assert!(!is_named(&ledger, "messages[1]"));
    assert!(!is_named(&ledger, "tools[0]"));
    assert_eq!(without_indices("a[10].b[2]"), "a[].b[]");
}
