//! Leaf accounting: every value of a document is in the translation with the same meaning, or the report names it.
//!
//! The judge knows values and not fields: each is one that stands nowhere else, and is looked for. What it is told
//! beyond that is in `lists` and `meaning`: values that become others, and names that mean the same.

mod lists;
mod meaning;
mod places;

pub(crate) use meaning::{WRITTEN, means_same};
pub(crate) use places::{Place, places};

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use busbar::Protocol;
use busbar::translate::{self, CallState, Carriage, TargetFacts};
use busbar_codegen::schema::Schema;
use busbar_protocols::prelude::Checked;
use busbar_protocols::{Effect, EffectKind, Ledger};
use serde_json::Value;

use crate::docs::{Extras, Leaf, Mark, Marked, Plan, Root, marked};
use crate::suite::facts;
use lists::{
    ABOUT_TOOLS, ALIASES, CONVERTED, NEAR, NO_BEARING, REPEATED, UNTOLD, contradicts_itself, is_listed,
};

/// Which documents go where.
#[derive(Debug, Clone, Copy)]
pub struct Direction {
    /// Protocol of the documents.
    pub source: Protocol,
    /// Protocol that they are translated to.
    pub target: Protocol,
    /// Requests or answers.
    pub root: Root,
}

/// What is wrong with one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is gone without a word.
    Silent,
    /// It is there and says something else.
    Wrong,
}

/// What a check of many documents found.
#[derive(Debug, Default)]
pub struct Found {
    /// Documents that were translated.
    pub documents: u64,
    /// Values that are in the translation.
    pub kept: u64,
    /// Values that become others, and change the translation.
    pub converted: u64,
    /// Values that the report names.
    pub reported: u64,
    /// Values that need no word.
    pub listed: u64,
    /// Values that are gone without a word.
    pub silent: u64,
    /// Documents that were refused whole.
    pub refused: u64,
    /// Values that are gone without a word, or wrong: the smallest document by path, indices left out.
    pub faults: BTreeMap<(Fault, String), String>,
}

/// Kinds of faults for which a smaller document is looked for, in one direction.
const MAX_SHRUNK: usize = 12;

/// Documents made for each that is judged, at most: some contradict themselves or are refused whole.
const MAX_TRIES: u64 = 4;

/// Translates `cases` documents and looks for each of their values.
pub fn check(schema: &Schema, examples: &[Value], direction: Direction, seed: u64, cases: u64) -> Found {
    let mut found = Found::default();
    let translate = |json: &str| translated(direction, json);
    for seed in seed..seed.saturating_add(cases.saturating_mul(MAX_TRIES)) {
        if found.documents >= cases {
            break;
        }
        let mut plan = plan(examples, seed);
        let document = marked(schema, direction.root, &plan);
        if contradicts_itself(&document.json) {
            continue;
        }
        for fault in account(direction, &document, &translate, &mut found) {
            let key = (fault.kind, fault.path.clone());
            if found.faults.contains_key(&key) {
                continue;
            }
            let small = if found.faults.len() < MAX_SHRUNK {
                shrunk(schema, direction, &mut plan, &document, &key, &translate)
            } else {
                None
            };
            let (document, fault) = small.unwrap_or_else(|| (document.clone(), fault));
            let (out, ledger) = translate(&document.json).unwrap_or_default();
            let named = |effect: &Effect| format!("{} {}", effect.kind.name(), effect.path);
            let named: Vec<String> = ledger.effects().iter().map(named).collect();
            let told = format!("seed {seed}: {}\n  {}\n  {out}\n  {named:?}", fault.told, document.json);
            found.faults.insert(key, told);
        }
    }
    found
}

/// The document of a seed: every other one follows an example.
fn plan(examples: &[Value], seed: u64) -> Plan<'_> {
    let extras = Extras { unknown: seed.is_multiple_of(4), nulls: false };
    let at = usize::try_from(seed / 2).unwrap_or(0).checked_rem(examples.len());
    let like = at.filter(|_| seed % 2 == 1).map(|at| &examples[at]);
    Plan { seed, extras, like, without: BTreeSet::new() }
}

/// A smaller document with the same fault.
fn shrunk(
    schema: &Schema,
    direction: Direction,
    plan: &mut Plan<'_>,
    document: &Marked,
    key: &(Fault, String),
    translate: &Translate<'_>,
) -> Option<(Marked, OneFault)> {
    let mut smallest = None;
    for choice in 1..=document.choices {
        plan.without.insert(choice);
        let smaller = marked(schema, direction.root, plan);
        let faults = account(direction, &smaller, translate, &mut Found::default());
        match faults.into_iter().find(|fault| (fault.kind, &fault.path) == (key.0, &key.1)) {
            Some(fault) => smallest = Some((smaller, fault)),
            None => {
                plan.without.remove(&choice);
            }
        }
    }
    smallest
}

/// A fault in one document.
#[derive(Debug, Clone)]
struct OneFault {
    kind: Fault,
    /// Where, indices left out.
    path: String,
    /// For a reader.
    told: String,
}

/// What is judged.
type Translate<'t> = dyn Fn(&str) -> Option<(String, Ledger)> + 't;

/// Looks for each value of one document.
fn account(
    direction: Direction,
    document: &Marked,
    translate: &Translate<'_>,
    found: &mut Found,
) -> Vec<OneFault> {
    let Some((body, ledger)) = translate(&document.json) else {
        found.refused += 1;
        return Vec::new();
    };
    found.documents += 1;
    let (before, after) = (places(&document.json), places(&body));
    let seen = Seen {
        direction,
        document,
        body: &body,
        ledger: &ledger,
        before: &before,
        after: &after,
        chance: OnceCell::new(),
    };
    let mut faults = Vec::new();
    for leaf in &document.leaves {
        let path = without_indices(&leaf.path);
        let mut fault = |kind, told: String| {
            let told = format!("{kind:?} {}: {told}", leaf.path);
            faults.push(OneFault { kind, path: path.clone(), told });
        };
        let stands = seen.stands(leaf);
        if !stands.is_empty() {
            found.kept += 1;
            if let Some(wrong) = seen.wrong(leaf, &stands) {
                fault(Fault::Wrong, wrong);
            }
        } else if is_named(&ledger, &leaf.path) || is_named_near(&ledger, &path) {
            found.reported += 1;
        } else if let Some(change) = seen.change(leaf, translate) {
            found.converted += 1;
            if let Some(wrong) = meaning::wrong_change(leaf, &document.json, &change) {
                fault(Fault::Wrong, wrong);
            }
        } else if seen.needs_no_word(&path) {
            found.listed += 1;
        } else {
            found.silent += 1;
            fault(Fault::Silent, "gone".to_owned());
        }
    }
    faults
}

/// One document and what became of it.
struct Seen<'s> {
    direction: Direction,
    document: &'s Marked,
    body: &'s str,
    ledger: &'s Ledger,
    before: &'s [Place],
    after: &'s [Place],
    /// Paths of what is another every time, such as an id that nobody gave.
    chance: OnceCell<BTreeSet<String>>,
}

/// What changes in a translation when one value is another: where, before and after.
#[derive(Debug, Default)]
struct Change {
    /// The other value was refused, or reported.
    told: bool,
    places: Vec<OnePlace>,
}

/// Name of a place, value before and after, either of which may be nothing.
type OnePlace = (String, Option<String>, Option<String>);

/// Values that are not the same in both, by path.
fn difference(before: &[Place], after: &[Place]) -> Vec<(String, OnePlace)> {
    let mut out = Vec::new();
    let mut others: HashMap<&str, &Place> = after.iter().map(|place| (place.path.as_str(), place)).collect();
    for place in before {
        let other = others.remove(place.path.as_str());
        if other.is_none_or(|other| other.value != place.value) {
            let change =
                (place.name.clone(), Some(place.value.clone()), other.map(|other| other.value.clone()));
            out.push((place.path.clone(), change));
        }
    }
    for place in after.iter().filter(|place| others.contains_key(place.path.as_str())) {
        out.push((place.path.clone(), (place.name.clone(), None, Some(place.value.clone()))));
    }
    out
}

/// Takes the place of a number to see what changes.
const OTHER_NUMBER: &str = "999999999";

/// A name in lower case with underscores.
pub(crate) fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

impl Seen<'_> {
    /// Where the value stands in the translation.
    fn stands(&self, leaf: &Leaf) -> Vec<&Place> {
        match &leaf.mark {
            Mark::Instead(_) => Vec::new(),
            Mark::Found(mark) if !self.body.contains(mark.as_str()) => Vec::new(),
            Mark::Found(mark) => {
                self.after.iter().filter(|place| place.value.contains(mark.as_str())).collect()
            }
            Mark::Number(number) => {
                let same = |place: &&Place| match place.is_number {
                    true => is_same_number(&place.value, number),
                    false => place.value.contains(number.as_str()),
                };
                self.after.iter().filter(same).collect()
            }
        }
    }

    fn wrong(&self, leaf: &Leaf, stands: &[&Place]) -> Option<String> {
        let own = self.before.iter().find(|place| place.path.starts_with(leaf.path.as_str()));
        // A name that had to be another one is reported where it is declared; a description that is written out,
        // with what it describes.
        let same = self.document.leaves.iter().filter(|other| other.mark == leaf.mark);
        let named = same.map(|same| same.path.as_str()).any(|path| is_named(self.ledger, path));
        let beside = |effect: &Effect| {
            effect.kind == EffectKind::Emulated && parent(&effect.path) == parent(&leaf.path)
        };
        let named = named || self.ledger.effects().iter().any(beside);
        let is_request = self.direction.root == Root::Request;
        meaning::wrong(leaf, own, stands, self.body, is_request, named)
    }

    /// What changes when the value is another; nothing when it makes no difference.
    fn change(&self, leaf: &Leaf, translate: &Translate<'_>) -> Option<Change> {
        let (source, root) = (self.direction.source, self.direction.root);
        let other = match &leaf.mark {
            Mark::Instead(other) => other.clone(),
            _ if !is_listed(CONVERTED, source, root, &without_indices(&leaf.path)) => return None,
            Mark::Found(_) => "\"w0z\"".to_owned(),
            Mark::Number(_) => OTHER_NUMBER.to_owned(),
        };
        let mut changed = self.document.json.clone();
        changed.replace_range(leaf.range.clone(), &other);
        let Some((body, ledger)) = translate(&changed) else {
            return Some(Change { told: true, ..Change::default() });
        };
        let told = ledger != *self.ledger;
        let mut changed = difference(self.after, &places(&body));
        if !changed.is_empty() {
            let chance = self.chance.get_or_init(|| {
                let again = translate(&self.document.json).map(|(body, _)| places(&body)).unwrap_or_default();
                difference(self.after, &again).into_iter().map(|(path, _)| path).collect()
            });
            changed.retain(|(path, _)| !chance.contains(path));
        }
        let places: Vec<_> = changed.into_iter().map(|(_, change)| change).collect();
        (told || !places.is_empty()).then_some(Change { told, places })
    }

    fn needs_no_word(&self, path: &str) -> bool {
        let Direction { source, target, root } = self.direction;
        let (json, body) = (&self.document.json, self.body);
        let first = path.split(['.', '[']).next().unwrap_or_default();
        let declares = |json: &str| json.contains("\"tools\":") || json.contains("\"functions\":");
        let no_tools = ABOUT_TOOLS.contains(&first)
            && (!declares(json)
                || json.contains("\"tool_choice\":\"none\"")
                || !body.contains("\"tools\":")
                || body.contains("\"tool_choice\":\"none\"")
                || body.contains("\"tool_choice\":{\"type\":\"none\"}")
                || body.contains("\"functionCallingConfig\":{\"mode\":\"NONE\"}"));
        let untold = UNTOLD
            .iter()
            .any(|(from, to, kind, known, _)| (*from, *to, *kind, *known) == (source, target, root, path));
        let repeated =
            (source, root) == (Protocol::OpenaiResponses, Root::Response) && REPEATED.contains(&first);
        no_tools || repeated || untold || is_listed(NO_BEARING, source, root, path)
    }
}

fn translated(direction: Direction, json: &str) -> Option<(String, Ledger)> {
    let Direction { source, target, root } = direction;
    let facts = TargetFacts { allow_semantic_loss: true, max_output_tokens: Some(9_000_000_000), ..facts() };
    let carriage = Carriage::default();
    let (body, ledger) = match root {
        Root::Request => {
            let body = Checked::new(json.as_bytes()).ok()?;
            let out = translate::request(source, target, body, &facts, &carriage).ok()?;
            (out.body, out.ledger)
        }
        Root::Response => {
            let state = CallState { model: "pool".to_owned(), ..CallState::new(target, source, &facts) };
            translate::response(json.as_bytes(), &state, &carriage).ok()?
        }
        Root::Stream | Root::Error => return None,
    };
    Some((String::from_utf8(body).ok()?, ledger))
}

/// Whether the report names the value, or something that it is in.
fn is_named(ledger: &Ledger, path: &str) -> bool {
    let known = ALIASES.iter().filter(|(own, _)| path.contains(own));
    names(ledger, path) || known.into_iter().any(|(own, told)| names(ledger, &path.replace(own, told)))
}

fn is_named_near(ledger: &Ledger, path: &str) -> bool {
    NEAR.contains(&path) && ledger.effects().iter().any(|effect| without_indices(&effect.path) == path)
}

fn names(ledger: &Ledger, path: &str) -> bool {
    ledger.effects().iter().any(|effect| {
        effect.kind != EffectKind::Injected
            && path.strip_prefix(effect.path.as_str()).is_some_and(|rest| {
                effect.path.is_empty() || rest.is_empty() || rest.starts_with('.') || rest.starts_with('[')
            })
    })
}

fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// Whether two spellings are one number; whole ones to the last digit.
fn is_same_number(one: &str, other: &str) -> bool {
    let whole = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match whole(one) && whole(other) {
        true => one == other,
        false => one.parse::<f64>().ok().is_some_and(|one| other.parse() == Ok(one)),
    }
}

/// The path with `[]` for every index.
pub fn without_indices(path: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => {
                inside = true;
                out.push_str("[]");
            }
            ']' => inside = false,
            _ if inside => {}
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
