//! Pass: a union whose member is itself a union has that union's members; one of a single member is that member.

use super::node::{Document, Node, OneOf};

/// Nesting of unions that is still followed.
const MAX_DEPTH: usize = 16;

/// Flattens every union.
pub fn run(document: &mut Document) {
    let before = document.clone();
    document.walk_mut(&mut |node| {
        if let Node::OneOf(one) = node {
            let mut flat = flat(one, &before);
            *node = if flat.alts.len() == 1 && flat.mapping.is_empty() {
                flat.alts.remove(0)
            } else {
                Node::OneOf(flat)
            };
        }
    });
}

/// One union with its members' members.
pub fn flat(one: &OneOf, document: &Document) -> OneOf {
    let mut flat = OneOf { alts: Vec::new(), tag: one.tag.clone(), mapping: one.mapping.clone() };
    for alt in &one.alts {
        splice(&mut flat, alt, document, 0);
    }
    flat
}

fn splice(flat: &mut OneOf, alt: &Node, document: &Document, depth: usize) {
    match document.resolve(alt) {
        Node::OneOf(inner) if depth < MAX_DEPTH => {
            if flat.tag.is_none() {
                flat.tag.clone_from(&inner.tag);
            }
            for (value, name) in &inner.mapping {
                flat.mapping.entry(value.clone()).or_insert_with(|| name.clone());
            }
            for alt in &inner.alts {
                splice(flat, alt, document, depth + 1);
            }
        }
        _ if flat.alts.contains(alt) => {}
        _ => flat.alts.push(alt.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, read};
    use insta::assert_snapshot;

    #[test]
    fn members_of_members_are_members() {
        let mut document = read(
            r##"{
              "A": {"type": "object", "properties": {}},
              "B": {"type": "object", "properties": {}},
              "Inner": {"oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]},
              "Single": {"oneOf": [{"$ref": "#/$defs/A"}]},
              "Outer": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Inner"}, {"$ref": "#/$defs/A"}]}
            }"##,
        );
        super::run(&mut document);
        assert_snapshot!(golden(&document), @r"
        A = {}
        B = {}
        Inner = one(A, B)
        Outer = one(string, A, B)
        Single = A
        ");
    }
}
