//! Pass: objects, enums and unions written in place get a name and are referred to.
//!
//! A union that the package has a name for takes that; others are called after the type and member they were
//! found in. Equal unions share one name, and so do equal enums
//! of members that are called the same.

use std::collections::BTreeMap;

use super::node::{Document, Node};
use crate::schema::Kind;

/// Names everything that is not a scalar, a list or a reference.
pub fn run(document: &mut Document) {
    let mut names = Names {
        defs: BTreeMap::new(),
        by_content: BTreeMap::new(),
        enums: BTreeMap::new(),
        aliases: BTreeMap::new(),
    };
    let taken = places(document);
    let aliases: BTreeMap<String, Node> = std::mem::take(&mut document.aliases)
        .into_iter()
        .map(|(name, node)| match taken.get(&name) {
            // The member's own type is called after the member, so a name for a part of it gives way.
            Some(at) if *at != node => (format!("{name}Item"), node),
            _ => (name, node),
        })
        .collect();
    names.aliases = aliases.iter().map(|(name, node)| (node.clone(), name.clone())).rev().collect();
    // Definitions that are unions already have the best name for their content.
    for (name, node) in &document.defs {
        if matches!(node, Node::Tag { .. } | Node::Shape(_)) {
            names.aliases.insert(node.clone(), name.clone());
        }
    }
    names.defs = std::mem::take(&mut document.defs);
    let todo: Vec<String> = names.defs.keys().cloned().collect();
    for name in todo {
        if let Some(mut node) = names.defs.get(&name).cloned() {
            names.inside(&mut node, &name);
            names.defs.insert(name, node);
        }
    }
    document.defs = names.defs;
}

/// What members would be called after their places.
fn places(document: &Document) -> BTreeMap<String, Node> {
    let mut places = BTreeMap::new();
    for (name, node) in &document.defs {
        if let Node::Object(props) = node {
            places.extend(props.iter().map(|(member, prop)| (join(name, member), prop.node.clone())));
        }
    }
    places
}

struct Names {
    defs: BTreeMap<String, Node>,
    /// Names of unions that were written in place, by what they are when done.
    by_content: BTreeMap<Node, String>,
    /// Names of enums that were written in place, by their values and the member.
    enums: BTreeMap<(Node, String), String>,
    /// Names of unions by what they are before their insides are named.
    aliases: BTreeMap<Node, String>,
}

impl Names {
    /// Names what is inside a named node.
    fn inside(&mut self, node: &mut Node, name: &str) {
        match node {
            Node::Object(props) => {
                for (member, prop) in props {
                    let place = join(name, member);
                    self.place(&mut prop.node, &place, member);
                }
            }
            Node::Tag { variants, untagged, .. } => {
                // An object under several values, or under a value and under none, is one type.
                let mut done: Vec<(Node, Node)> = Vec::new();
                for (value, variant) in variants.iter_mut() {
                    let before = variant.clone();
                    match done.iter().find(|(b, _)| *b == before) {
                        Some((_, after)) => *variant = after.clone(),
                        None => {
                            self.place(variant, &join(name, value), value);
                            done.push((before, variant.clone()));
                        }
                    }
                }
                if let Some(variant) = untagged {
                    match done.iter().find(|(before, _)| before == variant.as_ref()) {
                        Some((_, after)) => **variant = after.clone(),
                        None => self.place(variant, &join(name, "untagged"), ""),
                    }
                }
            }
            Node::Shape(forms) => {
                for (kind, form) in forms {
                    let place = match kind {
                        Kind::Object => join(name, "object"),
                        Kind::String => join(name, "known"),
                        _ => name.to_owned(),
                    };
                    self.place(form, &place, "");
                }
            }
            Node::Key(forms) => {
                for (key, form) in forms {
                    self.place(form, &join(name, key), key);
                }
            }
            _ => {}
        }
    }

    /// Replaces a node by a reference, where its kind needs a name.
    fn place(&mut self, node: &mut Node, place: &str, member: &str) {
        match node {
            Node::Array(item) => self.place(item, &format!("{place}Item"), member),
            // One known value is a constant of the member, and needs no type.
            Node::Enum(values) if values.len() < 2 => {}
            Node::Object(_) | Node::Key(_) => {
                let name = self.free(place);
                let mut inner = std::mem::replace(node, Node::to(&name));
                self.inside(&mut inner, &name);
                self.defs.insert(name, inner);
            }
            Node::Enum(_) | Node::Tag { .. } | Node::Shape(_) => {
                let mut inner = std::mem::replace(node, Node::Any);
                let known = self.aliases.get(&inner).filter(|alias| fits(&inner, alias, member)).cloned();
                if let Some(name) = known {
                    *node = Node::to(&name);
                    if !self.defs.contains_key(&name) {
                        // Entered first, so that a union inside itself finds its own name.
                        self.defs.insert(name.clone(), Node::Any);
                        self.inside(&mut inner, &name);
                        self.by_content.insert(inner.clone(), name.clone());
                        self.defs.insert(name, inner);
                    }
                    return;
                }
                // Equal enums are one where they are about one thing.
                let is_enum = matches!(inner, Node::Enum(_));
                let key =
                    if is_enum { (inner.clone(), member.to_owned()) } else { (Node::Any, String::new()) };
                if let Some(name) = self.enums.get(&key) {
                    *node = Node::to(name);
                    return;
                }
                let name = self.free(place);
                self.defs.insert(name.clone(), Node::Any);
                self.inside(&mut inner, &name);
                if is_enum {
                    self.enums.insert(key, name.clone());
                }
                let name = match self.by_content.get(&inner) {
                    Some(other) if !is_enum => {
                        self.defs.remove(&name);
                        other.clone()
                    }
                    _ => {
                        self.by_content.insert(inner.clone(), name.clone());
                        self.defs.insert(name.clone(), inner);
                        name
                    }
                };
                *node = Node::to(&name);
            }
            _ => {}
        }
    }

    fn free(&self, place: &str) -> String {
        let mut name = place.to_owned();
        let mut number = 2_usize;
        while self.defs.contains_key(&name) {
            name = format!("{place}{number}");
            number += 1;
        }
        name
    }
}

/// An enum may have the same values as an unrelated one, so its name must speak of the same member.
fn fits(node: &Node, alias: &str, member: &str) -> bool {
    !matches!(node, Node::Enum(_))
        || (!member.is_empty() && alias.to_lowercase().ends_with(&camel(member).to_lowercase()))
}

fn join(name: &str, member: &str) -> String {
    format!("{name}{}", camel(member))
}

/// UpperCamelCase of a wire name.
pub fn camel(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let mut chars = word.chars();
            chars
                .next()
                .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, read};
    use insta::assert_snapshot;

    #[test]
    fn what_is_written_in_place_gets_a_name() {
        let mut document = read(
            r##"{
              "A": {"type": "object", "required": ["type"], "properties": {"type": {"const": "a"}}},
              "B": {"type": "object", "required": ["type"], "properties": {"type": {"const": "b"}}},
              "R": {"type": "object", "properties": {
                "tier": {"enum": ["x", "y"]},
                "user_location": {"type": "object", "properties": {"city": {"type": "string"}}},
                "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}}]},
                "parts": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}}
              }}
            }"##,
        );
        super::super::shape_unions::run(&mut document);
        super::super::find_discriminators::run(&mut document);
        super::run(&mut document);
        assert_snapshot!(golden(&document), @r#"
        A = {type: "a"}
        B = {type: "b"}
        R = {content?: RContent, parts?: [RContentItem], tier?: RTier, user_location?: RUserLocation}
        RContent = shape(Array: [RContentItem], String: string)
        RContentItem = tag type(a: A, b: B)
        RTier = "x" | "y"
        RUserLocation = {city?: string}
        "#);
    }
}
