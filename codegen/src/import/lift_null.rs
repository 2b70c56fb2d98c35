//! Pass: null belongs to the member that may be null, never to a named type or an alternative.

use std::collections::BTreeSet;

use super::node::{Document, Node};

/// Takes null out of every type and marks the members that allowed it.
pub fn run(document: &mut Document) {
    let mut nullable: BTreeSet<String> = BTreeSet::new();
    // A named type may get its null from another named type, so until nothing new is found.
    loop {
        let found: Vec<String> = document
            .defs
            .iter()
            .filter(|(name, node)| !nullable.contains(*name) && allows_null(node, &nullable))
            .map(|(name, _)| name.clone())
            .collect();
        if found.is_empty() {
            break;
        }
        nullable.extend(found);
    }
    document.walk_mut(&mut |node| {
        if let Node::Object(props) = node {
            for prop in props.values_mut() {
                prop.nullable |= allows_null(&prop.node, &nullable);
            }
        }
    });
    document.walk_mut(&mut drop_null);
    // A value that can only be null says nothing about its type.
    document.walk_mut(&mut |node| {
        if *node == Node::Null {
            *node = Node::Any;
        }
    });
}

fn allows_null(node: &Node, nullable: &BTreeSet<String>) -> bool {
    match node {
        Node::Null => true,
        Node::Ref(name) => nullable.contains(name),
        Node::OneOf(one) => one.alts.iter().any(|alt| allows_null(alt, nullable)),
        _ => false,
    }
}

fn drop_null(node: &mut Node) {
    if let Node::OneOf(one) = node {
        one.alts.retain(|alt| *alt != Node::Null);
        match one.alts.len() {
            0 => *node = Node::Any,
            1 if one.mapping.is_empty() => *node = one.alts.remove(0),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, read};
    use insta::assert_snapshot;

    #[test]
    fn null_moves_to_the_member() {
        let mut document = read(
            r##"{
              "R": {"type": "object", "required": ["c"], "properties": {
                "a": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "b": {"type": ["integer", "null"]},
                "c": {"$ref": "#/$defs/Effort"},
                "d": {"type": "string", "nullable": true},
                "e": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
                "f": {"type": "string"}
              }},
              "Effort": {"anyOf": [{"type": "string", "enum": ["low", "high"]}, {"type": "null"}]}
            }"##,
        );
        super::run(&mut document);
        assert_snapshot!(golden(&document), @r#"
        Effort = "low" | "high"
        R = {a?: string or null, b?: integer or null, c: Effort or null, d?: string or null, e?: [string], f?: string}
        "#);
    }
}
