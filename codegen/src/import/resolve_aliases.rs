//! Pass: names that stand for a scalar, a list, a map or another name are replaced by what they stand for.

use super::node::{Document, Node};

/// Replaces references to such names, and drops the names.
pub fn run(document: &mut Document) {
    let before = document.clone();
    let root = |name: &String| before.roots.iter().flatten().any(|r| r == name);
    // Names may stand for names, so as often as there could be links in a chain.
    for _ in 0..before.defs.len() {
        let mut changed = false;
        document.walk_mut(&mut |node| {
            if let Node::Ref(name) = node
                && let Some(target) = before.defs.get(name)
                && stands_for_another(target)
            {
                *node = target.clone();
                changed = true;
            }
        });
        if !changed {
            break;
        }
    }
    document.defs.retain(|name, node| root(name) || !stands_for_another(node));
}

fn stands_for_another(node: &Node) -> bool {
    !matches!(
        node,
        Node::Object(_)
            | Node::OneOf(_)
            | Node::AllOf(_)
            | Node::Enum(_)
            | Node::Key(_)
            | Node::Tag { .. }
            | Node::Shape(_)
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, read};
    use insta::assert_snapshot;

    #[test]
    fn names_of_scalars_lists_and_names_are_replaced() {
        let mut document = read(
            r##"{
              "Id": {"type": "string"},
              "Ids": {"type": "array", "items": {"$ref": "#/$defs/Id"}},
              "Meta": {"type": "object", "additionalProperties": {"type": "string"}},
              "Same": {"$ref": "#/$defs/Ids"},
              "Kind": {"type": "string", "enum": ["a", "b"]},
              "R": {"type": "object", "properties": {
                "ids": {"$ref": "#/$defs/Same"}, "meta": {"$ref": "#/$defs/Meta"}, "kind": {"$ref": "#/$defs/Kind"}}}
            }"##,
        );
        super::run(&mut document);
        assert_snapshot!(golden(&document), @r#"
        Kind = "a" | "b"
        R = {ids?: [string], kind?: Kind, meta?: map}
        "#);
    }
}
