//! Pass: the tree, now in one spelling, becomes the normal form; what the roots do not reach is left out.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::node::{Document, Node, Prop};
use crate::schema::{Def, Field, Roots, Schema, Type, Union};

/// The document in normal form.
pub fn run(document: &Document, protocol: &str) -> Result<Schema> {
    let root = |index: usize| -> Result<String> {
        match document.roots[index].as_slice() {
            [one] => Ok(one.clone()),
            other => bail!(
                "{} types are the {} root, not one",
                other.len(),
                ["request", "response", "stream", "error"][index]
            ),
        }
    };
    let roots = Roots { request: root(0)?, response: root(1)?, stream: root(2)?, error: root(3)? };
    let mut types = BTreeMap::new();
    for (name, node) in &document.defs {
        types.insert(name.clone(), def(node).with_context(|| format!("type {name}"))?);
    }
    let mut schema = Schema { protocol: protocol.to_owned(), snake_case: false, roots, types };
    prune(&mut schema);
    Ok(schema)
}

/// Drops types that no root reaches.
pub fn prune(schema: &mut Schema) {
    let mut seen = std::collections::BTreeSet::new();
    let mut queue: Vec<String> = schema.roots.all().iter().map(|name| (*name).to_owned()).collect();
    while let Some(name) = queue.pop() {
        if let Some(def) = schema.types.get(&name) {
            let refs: Vec<String> = def.refs().into_iter().map(str::to_owned).collect();
            if seen.insert(name) {
                queue.extend(refs);
            }
        }
    }
    schema.types.retain(|name, _| seen.contains(name));
}

fn def(node: &Node) -> Result<Def> {
    Ok(match node {
        Node::Object(props) => {
            let fields = props.iter().map(|(name, prop)| {
                Ok((name.clone(), field(prop).with_context(|| format!("member {name}"))?))
            });
            Def::Object(fields.collect::<Result<_>>()?)
        }
        Node::Enum(values) => Def::Enum(values.clone()),
        Node::Tag { field, variants, untagged } => Def::Union(Union::Tag {
            field: field.clone(),
            variants: variants
                .iter()
                .map(|(value, node)| Ok((value.clone(), target(node)?)))
                .collect::<Result<_>>()?,
            untagged: untagged.as_deref().map(target).transpose()?,
        }),
        Node::Shape(forms) => {
            let forms = forms.iter().map(|(kind, node)| Ok((*kind, ty(node)?)));
            Def::Union(Union::Shape(forms.collect::<Result<_>>()?))
        }
        Node::Key(forms) => {
            let forms = forms.iter().map(|(key, node)| Ok((key.clone(), ty(node)?)));
            Def::Union(Union::Key(forms.collect::<Result<_>>()?))
        }
        other => bail!("{other} cannot be a named type"),
    })
}

fn field(prop: &Prop) -> Result<Field> {
    let constant = match &prop.node {
        Node::Enum(values) if values.len() == 1 => values.first().cloned(),
        _ => None,
    };
    Ok(Field {
        ty: ty(&prop.node)?,
        required: prop.required,
        nullable: prop.nullable,
        constant,
        source: None,
    })
}

fn ty(node: &Node) -> Result<Type> {
    Ok(match node {
        Node::Any | Node::Map => Type::Json,
        Node::Boolean => Type::Boolean,
        Node::Integer => Type::Integer,
        Node::Number => Type::Number,
        Node::Int64 => Type::Int64,
        Node::String => Type::String,
        Node::Enum(values) if values.len() < 2 => Type::String,
        Node::Base64 => Type::Base64,
        Node::Ref(name) => Type::Ref(name.clone()),
        Node::Array(item) => Type::Array(Box::new(ty(item)?)),
        other => bail!("{other} is not named"),
    })
}

fn target(node: &Node) -> Result<String> {
    match node {
        Node::Ref(name) => Ok(name.clone()),
        other => bail!("{other} is not named"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::read;
    use insta::assert_snapshot;

    #[test]
    fn the_tree_becomes_the_normal_form_and_strays_go() {
        let mut document = read(
            r##"{
              "R": {"type": "object", "required": ["type"], "properties": {"type": {"const": "r"}, "meta": {"type": "object"}}},
              "E": {"type": "object", "properties": {}},
              "Stray": {"type": "object", "properties": {}}
            }"##,
        );
        document.roots = ["R", "R", "R", "E"].map(|name| vec![name.to_owned()]);
        let schema = super::run(&document, "cohere").unwrap();
        assert_snapshot!(serde_json::to_string(&schema).unwrap(), @r#"{"protocol":"cohere","roots":{"request":"R","response":"R","stream":"R","error":"E"},"types":{"E":{"object":{}},"R":{"object":{"meta":{"type":"json"},"type":{"type":"string","required":true,"const":"r"}}}}}"#);
    }
}
