//! Reads JSON Schema: the dialect the SDK script prints, and the schemas inside OpenAPI 3.0 and 3.1.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::node::{Document, Node, OneOf, Prop};

/// Nesting of inline schemas that is still taken for a schema.
const MAX_DEPTH: usize = 64;

/// Reads a document with `$defs`, `x-roots` and `x-aliases`.
pub fn read(document: &Value) -> Result<Document> {
    let mut out = Document::default();
    let roots = document.get("x-roots").and_then(Value::as_object).context("no x-roots")?;
    for (index, name) in ["request", "response", "stream", "error"].iter().enumerate() {
        let targets = roots.get(*name).with_context(|| format!("no root {name}"))?;
        let targets = targets.as_array().map_or(std::slice::from_ref(targets), Vec::as_slice);
        for target in targets {
            out.roots[index].push(local_name(target.as_str().context("a root is not a string")?).to_owned());
        }
    }
    out.defs = definitions(document.get("$defs").and_then(Value::as_object).context("no $defs")?)?;
    if let Some(aliases) = document.get("x-aliases").and_then(Value::as_object) {
        out.aliases = definitions(aliases)?;
    }
    Ok(out)
}

/// Reads named schemas.
pub fn definitions(schemas: &Map<String, Value>) -> Result<BTreeMap<String, Node>> {
    schemas
        .iter()
        .map(|(name, schema)| Ok((name.clone(), node(schema, 0).with_context(|| format!("type {name}"))?)))
        .collect()
}

/// Reads one schema.
pub fn schema(schema: &Value) -> Result<Node> {
    node(schema, 0)
}

fn node(schema: &Value, depth: usize) -> Result<Node> {
    if depth > MAX_DEPTH {
        bail!("schema nested deeper than {MAX_DEPTH}");
    }
    let Value::Object(schema) = schema else {
        return match schema {
            Value::Bool(true) => Ok(Node::Any),
            _ => bail!("a schema is neither an object nor true"),
        };
    };
    let base = base(schema, depth)?;
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        return Ok(Node::one_of(vec![base, Node::Null]));
    }
    Ok(base)
}

fn base(schema: &Map<String, Value>, depth: usize) -> Result<Node> {
    if let Some(target) = schema.get("$ref") {
        return Ok(Node::to(local_name(target.as_str().context("$ref is not a string")?)));
    }
    if schema.contains_key("$recursiveRef") || schema.contains_key("$dynamicRef") {
        return Ok(Node::Any);
    }
    if let Some(parts) = schema.get("allOf") {
        let mut parts = nodes(parts, depth)?;
        if schema.contains_key("properties") {
            parts.push(object(schema, depth)?);
        }
        return Ok(if parts.len() == 1 { parts.remove(0) } else { Node::AllOf(parts) });
    }
    for word in ["oneOf", "anyOf"] {
        if let Some(alts) = schema.get(word) {
            // "Any of these sets of members is required" says nothing about the type.
            if schema.contains_key("properties") {
                return object(schema, depth);
            }
            let discriminator = schema.get("discriminator");
            let tag = discriminator.and_then(|d| d.get("propertyName")).and_then(Value::as_str);
            let mapping = discriminator.and_then(|d| d.get("mapping")).and_then(Value::as_object);
            return Ok(Node::OneOf(OneOf {
                alts: nodes(alts, depth)?,
                tag: tag.map(str::to_owned),
                mapping: mapping
                    .into_iter()
                    .flatten()
                    .filter_map(|(value, to)| Some((value.clone(), local_name(to.as_str()?).to_owned())))
                    .collect(),
            }));
        }
    }
    if let Some(value) = schema.get("const") {
        return Ok(literal(std::slice::from_ref(value)));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Ok(literal(values));
    }
    match schema.get("type") {
        Some(Value::Array(kinds)) => {
            let alts = kinds.iter().map(|kind| typed(kind.as_str(), schema, depth)).collect::<Result<_>>()?;
            Ok(Node::one_of(alts))
        }
        Some(kind) => typed(kind.as_str(), schema, depth),
        None if schema.contains_key("properties") => object(schema, depth),
        None if schema.contains_key("items") => typed(Some("array"), schema, depth),
        None => Ok(Node::Any),
    }
}

fn typed(kind: Option<&str>, schema: &Map<String, Value>, depth: usize) -> Result<Node> {
    let format = schema.get("format").and_then(Value::as_str);
    Ok(match kind {
        Some("null") => Node::Null,
        Some("boolean") => Node::Boolean,
        Some("integer") => Node::Integer,
        Some("number") => Node::Number,
        Some("string") => match format {
            Some("byte" | "base64" | "base64url" | "binary") => Node::Base64,
            Some("int64" | "uint64") => Node::Int64,
            _ => Node::String,
        },
        Some("array") => match schema.get("items") {
            Some(items) => Node::Array(Box::new(node(items, depth + 1)?)),
            None => Node::Array(Box::new(Node::Any)),
        },
        Some("object") => object(schema, depth)?,
        Some("any") => Node::Any,
        other => bail!("unknown type {other:?}"),
    })
}

fn object(schema: &Map<String, Value>, depth: usize) -> Result<Node> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        // An object that declares nothing but may not have more is empty on purpose.
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        return Ok(if closed || schema.contains_key("properties") {
            Node::Object(BTreeMap::new())
        } else {
            Node::Map
        });
    };
    let required: BTreeSet<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut props = BTreeMap::new();
    for (name, property) in properties {
        let node = node(property, depth + 1).with_context(|| format!("property {name}"))?;
        props
            .insert(name.clone(), Prop { node, required: required.contains(name.as_str()), nullable: false });
    }
    Ok(Node::Object(props))
}

fn nodes(schemas: &Value, depth: usize) -> Result<Vec<Node>> {
    schemas.as_array().context("alternatives are not a list")?.iter().map(|s| node(s, depth + 1)).collect()
}

/// Known values; those of other kinds than text are told by their kind alone.
fn literal(values: &[Value]) -> Node {
    let mut alts: Vec<Node> = Vec::new();
    let texts: Vec<String> = values.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if !texts.is_empty() {
        alts.push(Node::Enum(texts));
    }
    for value in values {
        let kind = match value {
            Value::Null => Node::Null,
            Value::Bool(_) => Node::Boolean,
            Value::Number(n) if n.is_f64() => Node::Number,
            Value::Number(_) => Node::Integer,
            Value::String(_) => continue,
            Value::Array(_) | Value::Object(_) => Node::Any,
        };
        if !alts.contains(&kind) {
            alts.push(kind);
        }
    }
    if alts.len() == 1 { alts.remove(0) } else { Node::one_of(alts) }
}

fn local_name(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}
