//! Pass: a union of several kinds of JSON value is told apart by kind; what is left is a union of objects.

use std::collections::BTreeMap;

use super::merge::merge;
use super::node::{Document, Node, OneOf};
use crate::schema::Kind;

/// Splits every union by kind.
pub fn run(document: &mut Document) {
    let before = document.clone();
    document.walk_mut(&mut |node| {
        if let Node::OneOf(one) = node {
            *node = split(std::mem::take(one), &before);
        }
    });
}

/// One union by kind.
pub fn split(one: OneOf, document: &Document) -> Node {
    let mut kinds: BTreeMap<Kind, Vec<Node>> = BTreeMap::new();
    for alt in one.alts {
        let Some(kind) = kind(document.resolve(&alt)) else { return Node::Any };
        kinds.entry(kind).or_default().push(alt);
    }
    let mut forms: BTreeMap<Kind, Node> = BTreeMap::new();
    for (kind, mut alts) in kinds {
        let form = if kind == Kind::Object && (alts.len() > 1 || !one.mapping.is_empty()) {
            if alts.iter().any(|alt| *document.resolve(alt) == Node::Map) {
                Node::Map
            } else {
                Node::OneOf(OneOf { alts, tag: one.tag.clone(), mapping: one.mapping.clone() })
            }
        } else if alts.len() == 1 {
            alts.remove(0)
        } else {
            // Numbers, lists and texts of one kind cannot be told apart: one type that admits all.
            let merged =
                alts.into_iter().map(|alt| document.resolve(&alt).clone()).reduce(merge).unwrap_or(Node::Any);
            match merged {
                Node::Array(item) => match *item {
                    Node::OneOf(inner) => Node::Array(Box::new(split(inner, document))),
                    item => Node::Array(Box::new(item)),
                },
                merged => merged,
            }
        };
        forms.insert(kind, form);
    }
    match forms.len() {
        1 => forms.into_values().next().unwrap_or(Node::Any),
        _ => Node::Shape(forms),
    }
}

/// The kind of a type's JSON values, where it has one.
pub fn kind(node: &Node) -> Option<Kind> {
    Some(match node {
        Node::Array(_) => Kind::Array,
        Node::Boolean => Kind::Boolean,
        Node::Integer | Node::Number => Kind::Number,
        Node::String | Node::Enum(_) | Node::Base64 | Node::Int64 => Kind::String,
        Node::Object(_) | Node::Map | Node::Key(_) | Node::Tag { .. } => Kind::Object,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, read};
    use insta::assert_snapshot;

    #[test]
    fn kinds_are_told_apart() {
        let mut document = read(
            r##"{
              "A": {"type": "object", "properties": {"type": {"const": "a"}}},
              "B": {"type": "object", "properties": {"type": {"const": "b"}}},
              "R": {"type": "object", "properties": {
                "text_or_parts": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/A"}}]},
                "lists": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/A"}}, {"type": "array", "items": {"$ref": "#/$defs/B"}}]},
                "choice": {"anyOf": [{"enum": ["none", "auto"]}, {"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]},
                "number": {"anyOf": [{"type": "integer"}, {"type": "number"}]},
                "form": {"anyOf": [{"type": "string"}, {"type": "object"}]}
              }}
            }"##,
        );
        super::run(&mut document);
        assert_snapshot!(golden(&document), @r#"
        A = {type?: "a"}
        B = {type?: "b"}
        R = {choice?: shape(Object: one(A, B), String: "none" | "auto"), form?: shape(Object: map, String: string), lists?: [one(A, B)], number?: number, text_or_parts?: shape(Array: [A], String: string)}
        "#);
    }
}
