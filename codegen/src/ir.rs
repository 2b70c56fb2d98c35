//! The intermediate form, read from `schemas/ir.json`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// All IR types, by name.
#[derive(Debug, Clone)]
pub struct Ir {
    /// The types.
    pub types: BTreeMap<String, IrDef>,
}

/// One IR type.
#[derive(Debug, Clone)]
pub enum IrDef {
    /// An object; a node also has a place and a native slot.
    Object {
        /// Whether it has a place and a native slot.
        node: bool,
        /// Members by name.
        fields: BTreeMap<String, IrField>,
        /// One sentence.
        doc: String,
    },
    /// An open string enum.
    Enum {
        /// Known words.
        words: Vec<String>,
        /// One sentence.
        doc: String,
    },
    /// A union of objects, told apart by `kind`.
    Union {
        /// Object type by tag.
        variants: BTreeMap<String, String>,
        /// Tags whose loss changes what is asked or answered.
        semantic: Vec<String>,
        /// One sentence.
        doc: String,
    },
}

/// A member of an IR object.
#[derive(Debug, Clone)]
pub struct IrField {
    /// Its type.
    pub ty: IrType,
    /// Losing it changes what is asked or answered.
    pub semantic: bool,
    /// It records a spelling; losing it says nothing.
    pub form: bool,
    /// A count of zero says the same as none.
    pub zero: bool,
    /// One sentence.
    pub doc: String,
}

/// The type of an IR member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IrType {
    /// Text.
    Text,
    /// A number in its own spelling.
    Num,
    /// true or false.
    Bool,
    /// Any JSON value, as it is written.
    Json,
    /// A named IR type.
    Ref(String),
    /// A list.
    List(Box<IrType>),
}

impl Ir {
    /// Reads `schemas/ir.json`.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Reads the JSON Schema document.
    pub fn parse(text: &str) -> Result<Self> {
        let root: Value = serde_json::from_str(text)?;
        let defs = root["$defs"].as_object().context("no $defs")?;
        let types = defs
            .iter()
            .map(|(name, def)| Ok((name.clone(), parse_def(def).with_context(|| format!("type {name}"))?)))
            .collect::<Result<BTreeMap<_, _>>>()?;
        let ir = Self { types };
        ir.check()?;
        Ok(ir)
    }

    /// The object type behind a name such as `Turn` or `Block.text`.
    pub fn object(&self, name: &str) -> Result<(&str, &BTreeMap<String, IrField>, bool)> {
        let target = match name.split_once('.') {
            None => name,
            Some((union, tag)) => match self.types.get(union) {
                Some(IrDef::Union { variants, .. }) => {
                    variants.get(tag).with_context(|| format!("IR union {union} has no variant {tag:?}"))?
                }
                _ => bail!("{union:?} is no IR union"),
            },
        };
        match self.types.get_key_value(target) {
            Some((name, IrDef::Object { node, fields, .. })) => Ok((name, fields, *node)),
            _ => bail!("{name:?} is no IR object type"),
        }
    }

    /// The type at a path of an object, such as `sampling.top_k` of `Request`.
    pub fn at(&self, object: &str, path: &str) -> Result<&IrField> {
        let (mut name, mut fields, _) = self.object(object)?;
        let mut segments = path.split('.').peekable();
        while let Some(segment) = segments.next() {
            let field = fields.get(segment).with_context(|| format!("IR type {name} has no {segment:?}"))?;
            if segments.peek().is_none() {
                return Ok(field);
            }
            let IrType::Ref(target) = &field.ty else { bail!("{segment:?} of {name} has no members") };
            (name, fields, _) = self.object(target)?;
        }
        bail!("empty path")
    }

    /// Whether a name is a group: an object that is part of the node around it.
    pub fn is_group(&self, name: &str) -> bool {
        matches!(self.types.get(name), Some(IrDef::Object { node: false, .. }))
    }

    /// Every leaf path of an object, groups spelled out, in order.
    pub fn leaves(&self, object: &str) -> Result<Vec<(String, &IrField)>> {
        let (_, fields, _) = self.object(object)?;
        let mut leaves = Vec::new();
        for (name, field) in fields {
            match &field.ty {
                IrType::Ref(target) if self.is_group(target) => {
                    for (path, leaf) in self.leaves(target)? {
                        leaves.push((format!("{name}.{path}"), leaf));
                    }
                }
                _ => leaves.push((name.clone(), field)),
            }
        }
        Ok(leaves)
    }

    fn check(&self) -> Result<()> {
        for (name, def) in &self.types {
            let targets: Vec<&str> = match def {
                IrDef::Object { fields, .. } => fields.values().filter_map(|f| f.ty.target()).collect(),
                IrDef::Union { variants, .. } => variants.values().map(String::as_str).collect(),
                IrDef::Enum { .. } => Vec::new(),
            };
            for target in targets {
                if !self.types.contains_key(target) {
                    bail!("{name} refers to {target:?}, which is not defined");
                }
            }
        }
        Ok(())
    }
}

impl IrType {
    /// The named type at the bottom, if any.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Ref(name) => Some(name),
            Self::List(item) => item.target(),
            _ => None,
        }
    }
}

fn parse_def(def: &Value) -> Result<IrDef> {
    let doc = def["description"].as_str().context("no description")?.to_owned();
    if let Some(mapping) = def["discriminator"]["mapping"].as_object() {
        let variants = mapping
            .iter()
            .map(|(tag, target)| Ok((tag.clone(), reference(target)?)))
            .collect::<Result<BTreeMap<_, _>>>()?;
        let semantic = strings(&def["x-semantic"]);
        return Ok(IrDef::Union { variants, semantic, doc });
    }
    if def["type"] == "string" {
        return Ok(IrDef::Enum { words: strings(&def["examples"]), doc });
    }
    let mut fields = BTreeMap::new();
    for (name, field) in def["properties"].as_object().context("no properties")? {
        let ty = parse_type(field).with_context(|| format!("member {name}"))?;
        fields.insert(
            name.clone(),
            IrField {
                ty,
                semantic: field["x-semantic"] == true,
                form: field["x-form"] == true,
                zero: field["x-zero"] == true,
                doc: field["description"].as_str().context("no description")?.to_owned(),
            },
        );
    }
    Ok(IrDef::Object { node: def["x-node"] == true, fields, doc })
}

fn parse_type(value: &Value) -> Result<IrType> {
    if value.get("$ref").is_some() {
        return Ok(IrType::Ref(reference(&value["$ref"])?));
    }
    Ok(match value["type"].as_str() {
        None => IrType::Json,
        Some("string") => IrType::Text,
        Some("number") => IrType::Num,
        Some("boolean") => IrType::Bool,
        Some("array") => IrType::List(Box::new(parse_type(&value["items"])?)),
        Some(other) => bail!("type {other:?} is not used in the IR"),
    })
}

fn reference(value: &Value) -> Result<String> {
    value
        .as_str()
        .and_then(|r| r.strip_prefix("#/$defs/"))
        .map(str::to_owned)
        .context("not a reference to $defs")
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}
