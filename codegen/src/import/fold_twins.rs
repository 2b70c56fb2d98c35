//! Pass: types that a package has several times become one type, the union of what each says.
//!
//! Packages have twins for their beta surface, for what a caller sends, and for each place that a shared type
//! is used in. Which of them are one on the wire is data: [`Rules`].

use std::collections::BTreeMap;

use serde::Deserialize;

use super::merge::merge;
use super::names;
use super::node::{Document, Node};

/// What packages put in front of the names of their beta surface.
const BETA: &str = "Beta";

/// Which types are one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// A type that a caller sends and its twin in answers are one type, as in the provider's own document.
    pub callers: bool,
    /// Name patterns with at most one `*`, and the name they stand for; the first that fits is taken.
    pub same: Vec<(String, String)>,
}

/// Gives twins one name, and merges them.
pub fn run(document: &mut Document, rules: &Rules) {
    let rename: BTreeMap<String, String> = document
        .defs
        .keys()
        .chain(document.aliases.keys())
        .map(|name| (name.clone(), rules.name(name)))
        .collect();
    let defs = std::mem::take(&mut document.defs);
    let aliases = std::mem::take(&mut document.aliases);
    document.rename(&rename);
    document.defs = merged(defs, &rename);
    document.aliases = merged(aliases, &rename);
    let defs = &document.defs;
    document.aliases.retain(|name, _| !defs.contains_key(name));
}

fn merged(defs: BTreeMap<String, Node>, rename: &BTreeMap<String, String>) -> BTreeMap<String, Node> {
    let mut defs: Vec<(String, Node)> = defs.into_iter().collect();
    // The shortest name is the plain type's: what it says comes first.
    defs.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
    let mut out = BTreeMap::new();
    for (name, mut node) in defs {
        node.walk_mut(&mut |node| node.rename(rename));
        let name = rename.get(&name).cloned().unwrap_or(name);
        let node = match out.remove(&name) {
            Some(first) => merge(first, node),
            None => node,
        };
        out.insert(name, node);
    }
    out
}

impl Rules {
    fn name(&self, name: &str) -> String {
        let name = match name.strip_prefix(BETA) {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_uppercase()) => rest,
            _ => name,
        };
        let same = self.same.iter().find_map(|(pattern, to)| Some(to.replace('*', fits(pattern, name)?)));
        let name = same.unwrap_or_else(|| name.to_owned());
        if self.callers { names::short(&name) } else { name }
    }
}

/// What the `*` of a pattern stands for in a name, if the pattern fits.
fn fits<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    match pattern.split_once('*') {
        None => (pattern == name).then_some(""),
        Some((head, tail)) => name.strip_prefix(head)?.strip_suffix(tail).filter(|middle| !middle.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, read};
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn beta_and_stable_become_one() {
        let mut document = read(
            r##"{
              "BetaBlock": {"type": "object", "required": ["text"], "properties": {
                "text": {"type": "string"}, "next": {"$ref": "#/$defs/BetaOnly"}}},
              "BetaOnly": {"type": "string", "enum": ["x"]},
              "Betas": {"type": "string"},
              "Block": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
              "R": {"type": "object", "properties": {"b": {"$ref": "#/$defs/BetaBlock"}}}
            }"##,
        );
        run(&mut document, &Rules::default());
        assert_snapshot!(golden(&document), @r#"
        Betas = string
        Block = {next?: Only, text: string}
        Only = "x"
        R = {b?: Block}
        "#);
    }

    #[test]
    fn rules_say_what_is_one() {
        let rules = Rules {
            callers: true,
            same: vec![("Input*".into(), "Item*".into()), ("*Direct".into(), "Direct".into())],
        };
        let mut document = read(
            r##"{
              "ADirect": {"type": "object", "required": ["t"], "properties": {"t": {"type": "string"}}},
              "BDirect": {"type": "object", "properties": {"t": {"type": "string"}}},
              "InputCall": {"type": "object", "properties": {"by": {"$ref": "#/$defs/ADirect"}}},
              "Item": {"type": "object", "properties": {}},
              "ToolParam": {"type": "object", "properties": {"a": {"type": "string"}}},
              "Tool": {"type": "object", "properties": {"b": {"$ref": "#/$defs/BDirect"}}}
            }"##,
        );
        run(&mut document, &rules);
        assert_snapshot!(golden(&document), @r"
        Direct = {t?: string}
        Item = {}
        ItemCall = {by?: Direct}
        Tool = {a?: string, b?: Direct}
        ");
    }
}
