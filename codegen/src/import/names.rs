//! Pass: names without the package's noise, where that leaves them distinct.

use std::collections::BTreeMap;

use super::node::Document;

/// What packages append to the names of types that a caller sends.
const CALLER: &str = "Param";

/// Drops the marker from names; a type that would then be called like another one keeps it, unless the two
/// are the same.
pub fn run(document: &mut Document) {
    // Leaves that turn out the same make the types above them the same, so until nothing moves.
    loop {
        let mut by_short: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in document.defs.keys() {
            by_short.entry(short(name)).or_default().push(name.clone());
        }
        let mut rename = BTreeMap::new();
        for (short, names) in by_short {
            let same = names.windows(2).all(|pair| document.defs[&pair[0]] == document.defs[&pair[1]]);
            if same {
                rename.extend(names.into_iter().filter(|n| *n != short).map(|n| (n, short.clone())));
            }
        }
        if rename.is_empty() {
            break;
        }
        document.rename(&rename);
    }
    let rename: BTreeMap<String, String> = document
        .aliases
        .keys()
        .map(|name| (name.clone(), short(name)))
        .filter(|(old, new)| {
            old != new && !document.aliases.contains_key(new) && !document.defs.contains_key(new)
        })
        .collect();
    document.rename(&rename);
    let defs = &document.defs;
    document.aliases.retain(|name, _| !defs.contains_key(name));
}

/// The name without the marker.
pub fn short(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(CALLER) {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        rest = &tail[CALLER.len()..];
        // "Params" is a word of its own.
        if rest.starts_with('s') {
            out.push_str(CALLER);
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, read};
    use insta::assert_snapshot;

    #[test]
    fn the_marker_goes_where_it_tells_nothing() {
        let mut document = read(
            r##"{
              "ToolParam": {"type": "object", "properties": {"name": {"type": "string"}, "of": {"$ref": "#/$defs/SameParam"}}},
              "Tool": {"type": "object", "properties": {"id": {"type": "string"}}},
              "Same": {"type": "object", "properties": {}},
              "SameParam": {"type": "object", "properties": {}},
              "OnlyParamFile": {"type": "object", "properties": {"t": {"$ref": "#/$defs/ToolParam"}}},
              "CreateParams": {"type": "object", "properties": {}}
            }"##,
        );
        super::run(&mut document);
        assert_snapshot!(golden(&document), @r"
        CreateParams = {}
        OnlyFile = {t?: ToolParam}
        Same = {}
        Tool = {id?: string}
        ToolParam = {name?: string, of?: Same}
        ");
    }
}
