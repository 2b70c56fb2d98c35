//! Pass: finds the member that tells the objects of a union apart, and makes one object of those it cannot.
//!
//! A declared discriminator comes first (its mapping, where the objects themselves do not say their value),
//! then `type`, then `role`, then any other member with known values in each object. Two objects with one
//! value are a caller's and the answer's spelling of the same thing (the caller's is kept), or really two:
//! those are merged.

use std::collections::{BTreeMap, BTreeSet};

use super::flatten_unions::flat;
use super::merge::merge;
use super::node::{Document, Node, OneOf, Prop};
use super::shape_unions::split;

/// Members that say the form, most usual first.
const USUAL: [&str; 3] = ["type", "role", "object"];

/// In names of types that a caller sends.
const CALLER: &str = "Param";

/// Resolves every union of objects.
pub fn run(document: &mut Document) {
    let before = document.clone();
    document.walk_mut(&mut |node| {
        if let Node::OneOf(one) = node {
            *node = decide(one, &before);
        }
    });
    declare_constants(document);
}

fn decide(one: &OneOf, document: &Document) -> Node {
    if !one.mapping.is_empty()
        && let Some(field) = &one.tag
    {
        let variants = one.mapping.iter().map(|(value, name)| (value.clone(), Node::to(name))).collect();
        return Node::Tag { field: field.clone(), variants, untagged: None };
    }
    let alts: Vec<(&Node, &BTreeMap<String, Prop>)> = one
        .alts
        .iter()
        .filter_map(|alt| match document.resolve(alt) {
            Node::Object(props) => Some((alt, props)),
            _ => None,
        })
        .collect();
    if alts.len() != one.alts.len() {
        return Node::Map;
    }
    let mut fields: Vec<&str> = one.tag.as_deref().into_iter().chain(USUAL).collect();
    let others: BTreeSet<&str> =
        alts.iter().flat_map(|(_, props)| props.keys().map(String::as_str)).collect();
    fields.extend(others);
    fields
        .into_iter()
        .find_map(|field| by_field(field, &alts, document))
        .unwrap_or_else(|| together(alts.iter().map(|(_, props)| Node::Object((*props).clone())), document))
}

fn usual(field: &str) -> bool {
    USUAL.contains(&field)
}

/// The union by this member, if it tells every object but at most one.
fn by_field(field: &str, alts: &[(&Node, &BTreeMap<String, Prop>)], document: &Document) -> Option<Node> {
    let mut by_value: BTreeMap<String, Vec<&Node>> = BTreeMap::new();
    let mut without: Vec<&Node> = Vec::new();
    let mut values_in_order: Vec<&String> = Vec::new();
    let mut told = 0;
    for (alt, props) in alts {
        match props.get(field).map(|prop| (prop, document.resolve(&prop.node))) {
            // A member of another name is a choice of its own, unless it can only have one value.
            Some((prop, Node::Enum(values))) if usual(field) || (prop.required && values.len() == 1) => {
                told += 1;
                for value in values {
                    by_value.entry(value.clone()).or_default().push(alt);
                    values_in_order.push(value);
                }
            }
            Some(_) => return None,
            None => without.push(alt),
        }
    }
    if told == 0 || without.len() > 1 || (without.is_empty() && by_value.len() < 2) {
        return None;
    }
    let variants: BTreeMap<String, Node> =
        by_value.into_iter().map(|(value, same)| (value, one_variant(&same, document))).collect();
    // Of those that may leave the member out, the first in the document is what its absence means.
    let may_omit = |node: &&Node| match document.resolve(node) {
        Node::Object(props) => props.get(field).is_some_and(|prop| !prop.required),
        _ => false,
    };
    let untagged = match without.first() {
        Some(alt) => Some((*alt).clone()),
        None => values_in_order.into_iter().filter_map(|value| variants.get(value)).find(may_omit).cloned(),
    };
    let untagged = untagged.map(Box::new);
    Some(Node::Tag { field: field.to_owned(), variants, untagged })
}

fn one_variant(same: &[&Node], document: &Document) -> Node {
    if let [only] = same {
        return (*only).clone();
    }
    let from_caller = |node: &&&Node| matches!(node, Node::Ref(name) if name.contains(CALLER));
    let kept: Vec<&&Node> = same.iter().filter(from_caller).collect();
    if let [only] = kept.as_slice() {
        return (**only).clone();
    }
    let kept: Vec<&Node> = if kept.is_empty() { same.to_vec() } else { kept.into_iter().copied().collect() };
    together(kept.iter().map(|node| document.resolve(node).clone()), document)
}

/// One object of several; unions that this makes of its members are decided like any other.
fn together(objects: impl Iterator<Item = Node>, document: &Document) -> Node {
    let mut node = objects.reduce(merge).unwrap_or(Node::Map);
    node.walk_mut(&mut |node| {
        if let Node::OneOf(one) = node {
            *node = split(flat(one, document), document);
        }
    });
    node.walk_mut(&mut |node| {
        if let Node::OneOf(one) = node {
            *node = decide(one, document);
        }
    });
    node
}

/// Objects that a mapping names, but that do not say their own value, get it.
fn declare_constants(document: &mut Document) {
    let mut found: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    document.walk_mut(&mut |node| {
        if let Node::Tag { field, variants, .. } = node {
            for (value, variant) in variants {
                if let Node::Ref(name) = variant {
                    found
                        .entry(name.clone())
                        .or_insert_with(|| (field.clone(), BTreeSet::new()))
                        .1
                        .insert(value.clone());
                }
            }
        }
    });
    for (name, (field, values)) in found {
        if let Some(Node::Object(props)) = document.defs.get_mut(&name) {
            let prop = props.entry(field).or_insert_with(|| Prop {
                node: Node::String,
                required: true,
                nullable: false,
            });
            if prop.node == Node::String {
                prop.node = Node::Enum(values.into_iter().collect());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, read};
    use insta::assert_snapshot;

    #[test]
    fn constants_tell_objects_apart_and_one_may_be_untagged() {
        let mut document = read(
            r##"{
              "Text": {"type": "object", "required": ["type"], "properties": {"type": {"const": "text"}}},
              "Image": {"type": "object", "required": ["type"], "properties": {"type": {"enum": ["image"]}}},
              "Custom": {"type": "object", "properties": {"type": {"const": "custom"}}},
              "Plain": {"type": "object", "properties": {"name": {"type": "string"}}},
              "A": {"oneOf": [{"$ref": "#/$defs/Text"}, {"$ref": "#/$defs/Image"}]},
              "B": {"oneOf": [{"$ref": "#/$defs/Text"}, {"$ref": "#/$defs/Custom"}]},
              "C": {"oneOf": [{"$ref": "#/$defs/Text"}, {"$ref": "#/$defs/Plain"}]}
            }"##,
        );
        super::run(&mut document);
        assert_snapshot!(golden(&document), @r#"
        A = tag type(image: Image, text: Text)
        B = tag type(custom: Custom, text: Text, untagged: Custom)
        C = tag type(text: Text, untagged: Plain)
        Custom = {type?: "custom"}
        Image = {type: "image"}
        Plain = {name?: string}
        Text = {type: "text"}
        "#);
    }

    #[test]
    fn a_mapping_says_what_objects_do_not() {
        let mut document = read(
            r##"{
              "Start": {"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}}},
              "End": {"type": "object", "properties": {}},
              "E": {"oneOf": [{"$ref": "#/$defs/Start"}], "discriminator": {"propertyName": "type",
                "mapping": {"start": "#/$defs/Start", "end": "#/$defs/End"}}}
            }"##,
        );
        super::run(&mut document);
        assert_snapshot!(golden(&document), @r#"
        E = tag type(end: End, start: Start)
        End = {type: "end"}
        Start = {type: "start"}
        "#);
    }

    #[test]
    fn twins_keep_the_callers_and_others_merge() {
        let mut document = read(
            r##"{
              "Block": {"type": "object", "properties": {"type": {"const": "text"}, "answer": {"type": "string"}}},
              "BlockParam": {"type": "object", "required": ["type"], "properties": {"type": {"const": "text"}}},
              "In": {"type": "object", "required": ["type"], "properties": {"type": {"const": "msg"}, "a": {"type": "string"}}},
              "Out": {"type": "object", "required": ["type"], "properties": {"type": {"const": "msg"}, "b": {"type": "string"}}},
              "NoTag": {"oneOf": [
                {"type": "object", "properties": {"x": {"type": "string"}}},
                {"type": "object", "properties": {"y": {"type": "string"}}}]},
              "U": {"oneOf": [{"$ref": "#/$defs/Block"}, {"$ref": "#/$defs/BlockParam"}, {"$ref": "#/$defs/In"}, {"$ref": "#/$defs/Out"}]}
            }"##,
        );
        super::run(&mut document);
        assert_snapshot!(document.defs["U"], @r#"tag type(msg: {a?: string, b?: string, type: "msg"}, text: BlockParam)"#);
        assert_snapshot!(document.defs["NoTag"], @"{x?: string, y?: string}");
    }

    #[test]
    fn unions_that_a_merge_makes_are_decided_too() {
        let mut document = read(
            r##"{
              "A": {"type": "object", "required": ["type"], "properties": {"type": {"const": "a"}}},
              "B": {"type": "object", "required": ["type"], "properties": {"type": {"const": "b"}}},
              "InPart": {"oneOf": [{"$ref": "#/$defs/A"}]},
              "OutPart": {"oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]},
              "In": {"type": "object", "required": ["type"], "properties": {"type": {"const": "msg"},
                "content": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/InPart"}}]}}},
              "Out": {"type": "object", "required": ["type"], "properties": {"type": {"const": "msg"},
                "content": {"type": "array", "items": {"$ref": "#/$defs/OutPart"}}}},
              "Ref": {"type": "object", "required": ["type"], "properties": {"type": {"const": "ref"}}},
              "U": {"oneOf": [{"$ref": "#/$defs/In"}, {"$ref": "#/$defs/Out"}, {"$ref": "#/$defs/Ref"}]}
            }"##,
        );
        super::super::flatten_unions::run(&mut document);
        super::super::resolve_aliases::run(&mut document);
        super::super::shape_unions::run(&mut document);
        super::run(&mut document);
        assert_snapshot!(document.defs["U"], @r#"tag type(msg: {content?: shape(Array: [tag type(a: A, b: B)], String: string), type: "msg"}, ref: Ref)"#);
    }
}
