//! Pass: "text, or one of these values" is an enum, since every enum here is open; model names are plain text.

use super::merge::merge;
use super::node::{Document, Node};

/// Folds text alternatives together.
pub fn run(document: &mut Document) {
    let before = document.clone();
    document.walk_mut(&mut |node| {
        if let Node::OneOf(one) = node {
            let (texts, mut alts): (Vec<Node>, Vec<Node>) =
                one.alts.drain(..).partition(|alt| is_text(before.resolve(alt)));
            let known = texts.iter().filter(|t| matches!(before.resolve(t), Node::Enum(_)));
            let text = match known.count() {
                0 => texts.into_iter().next(),
                // One named enum beside plain text keeps its name.
                1 => texts.into_iter().find(|t| matches!(before.resolve(t), Node::Enum(_))),
                _ => texts
                    .iter()
                    .map(|t| before.resolve(t).clone())
                    .filter(|t| matches!(t, Node::Enum(_)))
                    .reduce(merge),
            };
            alts.splice(0..0, text);
            one.alts = alts;
            if one.alts.len() == 1 && one.mapping.is_empty() {
                *node = one.alts.remove(0);
            }
        }
    });
    document.walk_mut(&mut |node| {
        if let Node::Object(props) = node
            && let Some(prop) = props.get_mut("model")
            && is_text(before.resolve(&prop.node)) | matches!(prop.node, Node::Enum(_))
        {
            prop.node = Node::String;
        }
    });
}

fn is_text(node: &Node) -> bool {
    matches!(node, Node::String | Node::Enum(_))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, read};
    use insta::assert_snapshot;

    #[test]
    fn text_or_known_values_is_an_enum() {
        let mut document = read(
            r##"{
              "Tier": {"type": "string", "enum": ["auto", "flex"]},
              "R": {"type": "object", "properties": {
                "effort": {"anyOf": [{"type": "string"}, {"type": "string", "enum": ["low", "high"]}]},
                "model": {"anyOf": [{"type": "string"}, {"type": "string", "enum": ["m-1", "m-2"]}]},
                "tier": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Tier"}]},
                "both": {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "string", "enum": ["b"]}, {"type": "integer"}]}
              }}
            }"##,
        );
        super::run(&mut document);
        assert_snapshot!(golden(&document), @r#"
        R = {both?: one("a" | "b", integer), effort?: "low" | "high", model?: string, tier?: Tier}
        Tier = "auto" | "flex"
        "#);
    }
}
