//! What the passes work on: one tree for every official form, before it has its one spelling.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};

use crate::schema::Kind;

/// One official document, or what a pass made of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// Request, response, stream event, error; a root may be several types to be read as one.
    pub roots: [Vec<String>; 4],
    /// Named types.
    pub defs: BTreeMap<String, Node>,
    /// Names that the package has for unions and enums which its schema writes in full.
    pub aliases: BTreeMap<String, Node>,
}

/// A type as some official form spells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// Any value.
    Any,
    /// An object whose members are not declared.
    Map,
    /// null.
    Null,
    /// true or false.
    Boolean,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// A 64-bit integer as a string.
    Int64,
    /// Text.
    String,
    /// Bytes as base64 text.
    Base64,
    /// Text of known values.
    Enum(Vec<String>),
    /// A list.
    Array(Box<Node>),
    /// Declared members.
    Object(BTreeMap<String, Prop>),
    /// A named type.
    Ref(String),
    /// A value that is all of these.
    AllOf(Vec<Node>),
    /// A value that is one of these.
    OneOf(OneOf),
    /// An object with one member, whose name says which form it is.
    Key(BTreeMap<String, Node>),
    /// Made by the discriminator pass: objects told apart by a string member.
    Tag {
        /// The member.
        field: String,
        /// Object by its value.
        variants: BTreeMap<String, Node>,
        /// Object when the member is absent.
        untagged: Option<Box<Node>>,
    },
    /// Made by the shape pass: forms told apart by the kind of JSON value.
    Shape(BTreeMap<Kind, Node>),
}

/// Alternatives, and what the document says about telling them apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct OneOf {
    /// The alternatives in the document's order.
    pub alts: Vec<Node>,
    /// The declared discriminator.
    pub tag: Option<String>,
    /// Declared type name by discriminator value.
    pub mapping: BTreeMap<String, String>,
}

/// A declared member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prop {
    /// Its type.
    pub node: Node,
    /// Always present.
    pub required: bool,
    /// May be null; set by the null pass.
    pub nullable: bool,
}

impl Node {
    /// Alternatives without a declared discriminator.
    pub fn one_of(alts: Vec<Node>) -> Self {
        Self::OneOf(OneOf { alts, ..OneOf::default() })
    }

    /// A reference.
    pub fn to(name: &str) -> Self {
        Self::Ref(name.to_owned())
    }

    /// The nodes directly inside this one.
    pub fn children_mut(&mut self) -> Vec<&mut Node> {
        match self {
            Self::Array(item) => vec![item.as_mut()],
            Self::Object(props) => props.values_mut().map(|p| &mut p.node).collect(),
            Self::AllOf(alts) | Self::OneOf(OneOf { alts, .. }) => alts.iter_mut().collect(),
            Self::Key(forms) => forms.values_mut().collect(),
            Self::Tag { variants, untagged, .. } => {
                variants.values_mut().chain(untagged.as_deref_mut()).collect()
            }
            Self::Shape(forms) => forms.values_mut().collect(),
            _ => Vec::new(),
        }
    }

    /// Replaces the names this node itself refers to.
    pub fn rename(&mut self, rename: &BTreeMap<String, String>) {
        let new = |name: &mut String| {
            if let Some(to) = rename.get(name) {
                name.clone_from(to);
            }
        };
        match self {
            Self::Ref(name) => new(name),
            Self::OneOf(one) => one.mapping.values_mut().for_each(new),
            _ => {}
        }
    }

    /// Calls `edit` on this node and all inside it, innermost first.
    pub fn walk_mut(&mut self, edit: &mut impl FnMut(&mut Node)) {
        for child in self.children_mut() {
            child.walk_mut(edit);
        }
        edit(self);
    }
}

impl Document {
    /// Calls `edit` on every node, innermost first.
    pub fn walk_mut(&mut self, edit: &mut impl FnMut(&mut Node)) {
        for node in self.defs.values_mut().chain(self.aliases.values_mut()) {
            node.walk_mut(edit);
        }
    }

    /// Names of defs and aliases, replaced everywhere at once; two that get one name must be equal.
    pub fn rename(&mut self, rename: &BTreeMap<String, String>) {
        let new = |name: &String| rename.get(name).unwrap_or(name).clone();
        self.walk_mut(&mut |node| node.rename(rename));
        for root in &mut self.roots {
            for name in root.iter_mut() {
                *name = new(name);
            }
            root.dedup();
        }
        self.defs =
            std::mem::take(&mut self.defs).into_iter().map(|(name, node)| (new(&name), node)).collect();
        self.aliases =
            std::mem::take(&mut self.aliases).into_iter().map(|(name, node)| (new(&name), node)).collect();
    }

    /// Follows references to what they name.
    pub fn resolve<'a>(&'a self, node: &'a Node) -> &'a Node {
        let mut node = node;
        // A chain of references cannot be longer than there are names, unless it is a circle.
        for _ in 0..=self.defs.len() {
            match node {
                Node::Ref(name) => match self.defs.get(name) {
                    Some(next) => node = next,
                    None => return node,
                },
                _ => return node,
            }
        }
        node
    }
}

impl Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, roots) in ["request", "response", "stream", "error"].iter().zip(&self.roots) {
            if !roots.is_empty() {
                writeln!(f, "{name}: {}", roots.join(" + "))?;
            }
        }
        for (name, node) in &self.aliases {
            writeln!(f, "alias {name} = {node}")?;
        }
        for (name, node) in &self.defs {
            writeln!(f, "{name} = {node}")?;
        }
        Ok(())
    }
}

impl Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Map => f.write_str("map"),
            Self::Null => f.write_str("null"),
            Self::Boolean => f.write_str("boolean"),
            Self::Integer => f.write_str("integer"),
            Self::Number => f.write_str("number"),
            Self::Int64 => f.write_str("int64"),
            Self::String => f.write_str("string"),
            Self::Base64 => f.write_str("base64"),
            Self::Enum(values) => write!(f, "{}", list(values.iter().map(|v| format!("{v:?}")), " | ")),
            Self::Array(item) => write!(f, "[{item}]"),
            Self::Object(props) => {
                let props = props.iter().map(|(name, prop)| {
                    let absent = if prop.required { "" } else { "?" };
                    let null = if prop.nullable { " or null" } else { "" };
                    format!("{name}{absent}: {}{null}", prop.node)
                });
                write!(f, "{{{}}}", list(props, ", "))
            }
            Self::Ref(name) => f.write_str(name),
            Self::AllOf(parts) => write!(f, "all({})", list(parts, ", ")),
            Self::OneOf(one) => {
                write!(f, "one({}", list(&one.alts, ", "))?;
                if let Some(tag) = &one.tag {
                    write!(f, "; by {tag}")?;
                }
                for (value, name) in &one.mapping {
                    write!(f, "; {value}: {name}")?;
                }
                f.write_char(')')
            }
            Self::Key(forms) => {
                write!(f, "key({})", list(forms.iter().map(|(name, node)| format!("{name}: {node}")), ", "))
            }
            Self::Tag { field, variants, untagged } => {
                let variants = list(variants.iter().map(|(value, node)| format!("{value}: {node}")), ", ");
                write!(f, "tag {field}({variants}")?;
                if let Some(node) = untagged {
                    write!(f, ", untagged: {node}")?;
                }
                f.write_char(')')
            }
            Self::Shape(forms) => {
                let forms = forms.iter().map(|(kind, node)| format!("{kind:?}: {node}"));
                write!(f, "shape({})", list(forms, ", "))
            }
        }
    }
}

fn list(items: impl IntoIterator<Item = impl Display>, separator: &str) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(separator)
}
