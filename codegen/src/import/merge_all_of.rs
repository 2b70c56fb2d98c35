//! Pass: a type that is all of several object types becomes one object type.

use std::collections::BTreeMap;

use super::node::{Document, Node, Prop};

/// Chains of parts that are still followed.
const MAX_DEPTH: usize = 32;

/// Merges every `allOf`.
pub fn run(document: &mut Document) {
    let before = document.clone();
    document.walk_mut(&mut |node| {
        if let Node::AllOf(parts) = node {
            *node = all_of(parts, &before, 0);
        }
    });
}

fn all_of(parts: &[Node], document: &Document, depth: usize) -> Node {
    let mut props: BTreeMap<String, Prop> = BTreeMap::new();
    let mut others: Vec<Node> = Vec::new();
    for part in parts {
        let target = document.resolve(part).clone();
        let target = match target {
            Node::AllOf(inner) if depth < MAX_DEPTH => all_of(&inner, document, depth + 1),
            target => target,
        };
        match target {
            // A member that two parts declare is what the later one says, and required if either says so.
            Node::Object(more) => {
                for (name, mut prop) in more {
                    prop.required |= props.get(&name).is_some_and(|p| p.required);
                    props.insert(name, prop);
                }
            }
            Node::Any | Node::Map => {}
            _ => others.push(part.clone()),
        }
    }
    match (props.is_empty(), others.len()) {
        (false, _) => Node::Object(props),
        (true, 1) => others.remove(0),
        (true, 0) => Node::Any,
        (true, _) => Node::one_of(others),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, read};
    use insta::assert_snapshot;

    #[test]
    fn parts_become_one_object() {
        let mut document = read(
            r##"{
              "Base": {"type": "object", "required": ["model"], "properties": {"model": {"type": "string"}}},
              "Mid": {"allOf": [{"$ref": "#/$defs/Base"}, {"type": "object", "properties": {"n": {"type": "integer"}}}]},
              "R": {"allOf": [{"$ref": "#/$defs/Mid"}, {"type": "object", "properties": {"x": {"type": "boolean"}}}]},
              "S": {"allOf": [{"type": "string"}]}
            }"##,
        );
        super::run(&mut document);
        assert_snapshot!(golden(&document), @r"
        Base = {model: string}
        Mid = {model: string, n?: integer}
        R = {model: string, n?: integer, x?: boolean}
        S = string
        ");
    }
}
