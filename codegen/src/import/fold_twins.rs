//! Pass: types that a package has twice, under a prefix for its beta surface, become one type.

use std::collections::BTreeMap;

use super::merge::merge;
use super::node::{Document, Node};

/// Strips `prefix` from every name; a type and its twin become the union of what both say.
pub fn run(document: &mut Document, prefix: &str) {
    let strip = |name: &str| match name.strip_prefix(prefix) {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_uppercase()) => rest.to_owned(),
        _ => name.to_owned(),
    };
    let rename: BTreeMap<String, String> = document
        .defs
        .keys()
        .chain(document.aliases.keys())
        .map(|name| (name.clone(), strip(name)))
        .filter(|(old, new)| old != new)
        .collect();
    let mut twins: Vec<(String, Node)> = Vec::new();
    let mut alias_twins: Vec<(String, Node)> = Vec::new();
    for (old, new) in &rename {
        if document.defs.contains_key(new)
            && let Some(node) = document.defs.remove(old)
        {
            twins.push((new.clone(), node));
        }
        if document.aliases.contains_key(new)
            && let Some(node) = document.aliases.remove(old)
        {
            alias_twins.push((new.clone(), node));
        }
    }
    // The twins' own references take their new names on the way through the document.
    let mut second = Document {
        defs: twins.iter().map(|(name, node)| (name.clone(), node.clone())).collect(),
        aliases: alias_twins.into_iter().collect(),
        ..Document::default()
    };
    second.rename(&rename);
    document.rename(&rename);
    for (name, node) in second.defs {
        merge_into(&mut document.defs, name, node);
    }
    for (name, node) in second.aliases {
        merge_into(&mut document.aliases, name, node);
    }
}

fn merge_into(defs: &mut BTreeMap<String, Node>, name: String, node: Node) {
    let merged = match defs.remove(&name) {
        Some(first) => merge(first, node),
        None => node,
    };
    defs.insert(name, merged);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, read};
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
        super::run(&mut document, "Beta");
        assert_snapshot!(golden(&document), @r#"
        Betas = string
        Block = {next?: Only, text: string}
        Only = "x"
        R = {b?: Block}
        "#);
    }
}
