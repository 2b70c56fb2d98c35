//! The normal form: what `schemas/<protocol>/schema.json` holds and every later step reads.
//!
//! One document is one protocol: its roots and every type reachable from them, as facts only. Each
//! construct has exactly one spelling here, whatever the provider's own document used:
//!
//! - a type is an object, an open string enum, or a union that is decided without trial parsing;
//! - nullability belongs to the field that may be null, never to the named type;
//! - inline objects, enums and unions are named, so a field's type is a scalar, a reference, or an
//!   array of one;
//! - unions inside unions are flattened, `allOf` is merged, aliases are resolved.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// The six protocols, in the order every listing uses.
pub const PROTOCOLS: [&str; 6] =
    ["openai_chat", "openai_responses", "anthropic", "gemini", "bedrock", "cohere"];

/// One protocol's interface facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Protocol name, as in [`PROTOCOLS`].
    pub protocol: String,
    /// Members may be written in snake_case as well, as the JSON form of protocol buffers allows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub snake_case: bool,
    /// Names of the root types.
    pub roots: Roots,
    /// Every type reachable from the roots, by name (UpperCamelCase), sorted.
    pub types: BTreeMap<String, Def>,
}

/// The root types of the chat operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roots {
    /// The request body.
    pub request: String,
    /// The buffered response body.
    pub response: String,
    /// One streamed event: a union of events, or the one chunk type.
    pub stream: String,
    /// The error body.
    pub error: String,
}

/// A named type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Def {
    /// A JSON object with declared members; undeclared ones are always allowed.
    Object(BTreeMap<String, Field>),
    /// A string with known values; unknown ones are always allowed. In the document's order.
    Enum(Vec<String>),
    /// A value of several forms.
    Union(Union),
}

/// How the form of a union value is found, in one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Union {
    /// By a string member of the object. All variants are object types.
    Tag {
        /// The member's wire name, such as `type` or `role`.
        field: String,
        /// Object type by tag value.
        variants: BTreeMap<String, String>,
        /// The object type when the tag member is absent, where the provider allows that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        untagged: Option<String>,
    },
    /// By the kind of the JSON value, that is by its first byte.
    Shape(BTreeMap<Kind, Type>),
    /// By the name of the only member of the object (Smithy unions).
    Key(BTreeMap<String, Type>),
    /// By what is said in an object that is one type on the wire; from a map, never from a document.
    #[serde(skip)]
    Present(Vec<Presence>),
}

/// One of the things that an object can be, by what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Any of these tells it.
    pub tests: Vec<PresenceTest>,
    /// The same object type, under the name of this role.
    pub view: String,
}

/// A look at members of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresenceTest {
    /// The member is there.
    Has(String),
    /// The member is true.
    True(String),
    /// The text at a member of a member begins so.
    Begins {
        /// The member.
        member: String,
        /// The member in it.
        inner: String,
        /// The beginning, in lower case.
        prefix: String,
    },
}

/// Kinds of JSON value that a union tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `[`
    Array,
    /// `t` or `f`
    Boolean,
    /// `-` or a digit
    Number,
    /// `{`
    Object,
    /// `"`
    String,
}

/// A declared member of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its type, null aside.
    #[serde(rename = "type")]
    pub ty: Type,
    /// The provider's document says that it is always present.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// The provider's document allows null.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nullable: bool,
    /// The only value the document allows, such as a union's tag.
    #[serde(default, rename = "const", skip_serializing_if = "Option::is_none")]
    pub constant: Option<String>,
    /// Where the fact comes from, when it is not the pinned package alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// Provenance of a field that the pinned package does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Dropped by a newer document; older clients still send it.
    Legacy,
    /// From `schemas/<protocol>/overlay.json`: on the wire, but in no document.
    Overlay,
}

/// The type of a field, an array item, or a union form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Type {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// true or false.
    Boolean,
    /// A 64-bit integer that travels as a string of digits (proto3 JSON); a number is accepted.
    Int64,
    /// Bytes as base64 text.
    Base64,
    /// Any JSON value, carried as it is: free-form maps, JSON schemas, arguments, documents.
    Json,
    /// A named type.
    Ref(String),
    /// An array.
    Array(Box<Type>),
}

impl Schema {
    /// Reads and checks `schemas/<protocol>/schema.json`.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let schema: Self =
            serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
        schema.check().with_context(|| format!("check {}", path.display()))?;
        Ok(schema)
    }

    /// The one spelling of this document: sorted, indented, with a final newline.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a schema is plain data");
        text.push('\n');
        text
    }

    /// Every reference resolves, every union is decidable, nothing is unreachable.
    pub fn check(&self) -> Result<()> {
        if !PROTOCOLS.contains(&self.protocol.as_str()) {
            bail!("unknown protocol {:?}", self.protocol);
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut queue: Vec<&str> = self.roots.all().to_vec();
        while let Some(name) = queue.pop() {
            if !seen.insert(name) {
                continue;
            }
            let Some(def) = self.types.get(name) else {
                bail!("type {name:?} is referred to but not defined")
            };
            if let Def::Union(Union::Tag { variants, untagged, .. }) = def {
                for variant in variants.values().chain(untagged) {
                    if !matches!(self.types.get(variant), Some(Def::Object(_))) {
                        bail!("{name}: tagged variant {variant:?} is not an object type");
                    }
                }
            }
            queue.extend(def.refs());
        }
        for name in self.types.keys() {
            if !seen.contains(name.as_str()) {
                bail!("type {name:?} is not reachable from a root");
            }
        }
        Ok(())
    }
}

impl Roots {
    /// Request, response, stream event, error.
    pub fn all(&self) -> [&str; 4] {
        [&self.request, &self.response, &self.stream, &self.error]
    }
}

impl Def {
    /// Names this definition refers to directly.
    pub fn refs(&self) -> Vec<&str> {
        match self {
            Self::Object(fields) => fields.values().filter_map(|f| f.ty.target()).collect(),
            Self::Enum(_) => Vec::new(),
            Self::Union(Union::Tag { variants, untagged, .. }) => {
                variants.values().chain(untagged).map(String::as_str).collect()
            }
            Self::Union(Union::Shape(forms)) => forms.values().filter_map(Type::target).collect(),
            Self::Union(Union::Key(forms)) => forms.values().filter_map(Type::target).collect(),
            Self::Union(Union::Present(forms)) => forms.iter().map(|form| form.view.as_str()).collect(),
        }
    }
}

impl Type {
    /// The named type at the bottom of this one, if any.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Ref(name) => Some(name),
            Self::Array(item) => item.target(),
            _ => None,
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
