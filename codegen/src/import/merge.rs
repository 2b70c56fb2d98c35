//! Reading two spellings of one type as one: the union of what either says.

use std::collections::BTreeMap;

use super::node::{Node, OneOf, Prop};
use super::shape_unions::kind;
use crate::schema::Kind;

/// A type that admits what either admits.
pub fn merge(a: Node, b: Node) -> Node {
    if a == b {
        return a;
    }
    match (a, b) {
        (Node::Any, _) | (_, Node::Any) => Node::Any,
        (Node::OneOf(a), Node::OneOf(b)) => {
            let mut mapping = a.mapping;
            mapping.extend(b.mapping);
            Node::OneOf(OneOf { alts: b.alts.into_iter().fold(a.alts, add), tag: a.tag.or(b.tag), mapping })
        }
        (Node::OneOf(mut one), node) | (node, Node::OneOf(mut one)) => {
            one.alts = add(one.alts, node);
            Node::OneOf(one)
        }
        (Node::Object(a), Node::Object(b)) => Node::Object(merge_objects(a, b)),
        (Node::Key(mut a), Node::Key(b)) => {
            a.extend(b);
            Node::Key(a)
        }
        (Node::Shape(a), Node::Shape(b)) => {
            Node::Shape(b.into_iter().fold(a, |forms, (kind, form)| at(forms, kind, form)))
        }
        (Node::Shape(forms), node) | (node, Node::Shape(forms)) => {
            // A reference that is not resolved here is to an object: scalars and lists have no names.
            let kind = kind(&node).unwrap_or(Kind::Object);
            Node::Shape(at(forms, kind, node))
        }
        (a, b) => {
            let mut alts = add(vec![a], b);
            if alts.len() == 1 { alts.remove(0) } else { Node::one_of(alts) }
        }
    }
}

fn at(mut forms: BTreeMap<Kind, Node>, kind: Kind, form: Node) -> BTreeMap<Kind, Node> {
    let form = match forms.remove(&kind) {
        Some(first) => merge(first, form),
        None => form,
    };
    forms.insert(kind, form);
    forms
}

/// The union of the members; what only one of the two has may be absent.
pub fn merge_objects(a: BTreeMap<String, Prop>, mut b: BTreeMap<String, Prop>) -> BTreeMap<String, Prop> {
    let mut out = BTreeMap::new();
    for (name, prop) in a {
        let prop = match b.remove(&name) {
            Some(other) => Prop {
                required: prop.required && other.required,
                nullable: prop.nullable || other.nullable,
                node: merge(prop.node, other.node),
            },
            None => Prop { required: false, ..prop },
        };
        out.insert(name, prop);
    }
    out.extend(b.into_iter().map(|(name, prop)| (name, Prop { required: false, ..prop })));
    out
}

/// Adds an alternative, joined with one of its kind where the two cannot be told apart anyway.
fn add(mut alts: Vec<Node>, node: Node) -> Vec<Node> {
    if alts.contains(&node) {
        return alts;
    }
    for alt in &mut alts {
        match (&mut *alt, &node) {
            (Node::Array(a), Node::Array(b)) => {
                **a = merge((**a).clone(), (**b).clone());
                return alts;
            }
            (Node::Enum(a), Node::Enum(b)) => {
                a.extend(b.iter().filter(|value| !a.contains(value)).cloned().collect::<Vec<_>>());
                return alts;
            }
            (Node::Integer, Node::Number) | (Node::Number, Node::Integer) => {
                *alt = Node::Number;
                return alts;
            }
            _ => {}
        }
    }
    alts.push(node);
    alts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(props: &[(&str, Node, bool)]) -> Node {
        let props = props.iter().map(|(name, node, required)| {
            ((*name).to_owned(), Prop { node: node.clone(), required: *required, nullable: false })
        });
        Node::Object(props.collect())
    }

    #[test]
    fn objects_become_the_union_of_their_members() {
        let a = object(&[("both", Node::Integer, true), ("old", Node::String, true)]);
        let b = object(&[("both", Node::Number, true), ("new", Node::String, true)]);
        assert_eq!(merge(a, b).to_string(), "{both: number, new?: string, old?: string}");
    }

    #[test]
    fn lists_merge_their_items_and_enums_their_values() {
        let a = Node::one_of(vec![Node::String, Node::Array(Box::new(Node::to("A")))]);
        let b = Node::one_of(vec![Node::String, Node::Array(Box::new(Node::to("B")))]);
        assert_eq!(merge(a, b).to_string(), "one(string, [one(A, B)])");
        let known = |values: &[&str]| Node::Enum(values.iter().map(|v| (*v).to_owned()).collect());
        assert_eq!(merge(known(&["x", "y"]), known(&["y", "z"])).to_string(), r#""x" | "y" | "z""#);
    }
}
