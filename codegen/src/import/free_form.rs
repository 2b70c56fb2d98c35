//! Pass: members that hold a caller's own JSON are carried as they are.

use super::node::{Document, Node};

/// Members that hold a JSON schema, whatever part of one a document spells out.
const SCHEMAS: [&str; 1] = ["input_schema"];

/// Replaces such members, unions that a plain object or any value is part of, and types that are data to be
/// carried whatever the document says of their insides.
pub fn run(document: &mut Document, opaque: &[String]) {
    let before = document.clone();
    document.walk_mut(&mut |node| match node {
        Node::Ref(name) if opaque.contains(name) => *node = Node::Any,
        Node::Object(props) => {
            for (name, prop) in props {
                if SCHEMAS.contains(&name.as_str()) {
                    prop.node = Node::Any;
                }
            }
        }
        Node::OneOf(one) => {
            if one.alts.iter().any(|alt| *before.resolve(alt) == Node::Any) {
                *node = Node::Any;
            } else if one.alts.iter().any(|alt| *before.resolve(alt) == Node::Map) {
                one.alts.retain(|alt| !matches!(before.resolve(alt), Node::Object(_)));
                if one.alts.len() == 1 {
                    *node = Node::Map;
                }
            }
        }
        _ => {}
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, read};
    use insta::assert_snapshot;

    #[test]
    fn callers_json_stays_json() {
        let mut document = read(
            r##"{
              "Typed": {"type": "object", "properties": {"type": {"const": "object"}}},
              "R": {"type": "object", "properties": {
                "input_schema": {"$ref": "#/$defs/Typed"},
                "parameters": {"anyOf": [{"$ref": "#/$defs/Typed"}, {"type": "object"}]},
                "output": {"anyOf": [{"type": "string"}, {"type": "object"}]},
                "value": {"anyOf": [{"type": "string"}, {}]},
                "schema": {"$ref": "#/$defs/Opaque"}
              }},
              "Opaque": {"type": "object", "properties": {"items": {"$ref": "#/$defs/Opaque"}}}
            }"##,
        );
        super::run(&mut document, &["Opaque".to_owned()]);
        assert_snapshot!(golden(&document), @r#"
        Opaque = {items?: any}
        R = {input_schema?: any, output?: one(string, map), parameters?: map, schema?: any, value?: any}
        Typed = {type?: "object"}
        "#);
    }
}
