//! Limits and quirks: `schemas/<protocol>/rules.toml`, parsed and checked.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Classes of error that all protocols share.
const CLASSES: [&str; 15] = [
    "invalid_request",
    "context_length",
    "content_filter",
    "authentication",
    "permission",
    "quota",
    "model_not_found",
    "not_found",
    "too_large",
    "rate_limited",
    "conflict",
    "unsupported",
    "overloaded",
    "timeout",
    "server_error",
];

/// What a repair can change.
const REPAIRS: [&str; 19] = [
    "max_tokens_new",
    "max_tokens_legacy",
    "max_output",
    "max_output_below",
    "no_sampling",
    "one_sampling",
    "no_prefill",
    "reasoning_budget",
    "reasoning_adaptive",
    "reasoning_always",
    "no_reasoning",
    "no_forced_tools",
    "no_reasoning_here",
    "reasoning_history",
    "no_reasoning_history",
    "no_signatures",
    "no_item_ids",
    "call_ids",
    "drop",
];

/// One protocol's rules: for each part its members, all of which must be there.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Passes of a request.
    pub request: Vec<String>,
    /// Passes of an answer.
    pub response: Vec<String>,
    /// Members by part.
    pub parts: BTreeMap<String, BTreeMap<String, toml::Value>>,
    /// What errors stand for.
    pub errors: Vec<ErrorRule>,
    /// Parts of messages that say that the prompt is too long.
    pub overflow: Vec<String>,
    /// What is wrong with a request that the gateway made.
    pub repairs: Vec<RepairRule>,
    /// Fields that no repair leaves out.
    pub kept: Vec<String>,
}

/// How to put right a request that a provider refuses because of how it is put.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepairRule {
    /// HTTP status; 0 fits any.
    #[serde(default)]
    pub status: u16,
    /// Kind or code; empty fits any.
    #[serde(default)]
    pub word: String,
    /// The field that the provider names; empty fits any.
    #[serde(default)]
    pub param: String,
    /// Parts of the message in this order, in lower case, with `*` between them; empty fits any.
    #[serde(default)]
    pub message: String,
    /// What to change.
    pub kind: String,
    /// The fields to leave out.
    #[serde(default)]
    pub paths: Vec<String>,
}

/// What an error stands for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// HTTP status; 0 fits any.
    #[serde(default)]
    pub status: u16,
    /// Kind or code; empty fits any.
    #[serde(default)]
    pub word: String,
    /// A part of the message, in lower case; empty fits any.
    #[serde(default)]
    pub message: String,
    /// The class.
    pub class: String,
}

#[derive(Deserialize)]
struct Raw {
    request: Vec<String>,
    response: Vec<String>,
    #[serde(default)]
    error: Vec<ErrorRule>,
    overflow: Vec<String>,
    #[serde(default)]
    repair: Vec<RepairRule>,
    kept: Vec<String>,
    #[serde(flatten)]
    parts: BTreeMap<String, BTreeMap<String, toml::Value>>,
}

impl Rules {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Reads TOML.
    pub fn parse(text: &str) -> Result<Self> {
        let raw: Raw = toml::from_str(text)?;
        for rule in &raw.error {
            if !CLASSES.contains(&rule.class.as_str()) {
                bail!("{:?} is no class of error", rule.class);
            }
        }
        if let Some(rule) = raw.repair.iter().find(|rule| !REPAIRS.contains(&rule.kind.as_str())) {
            bail!("{:?} is no kind of repair", rule.kind);
        }
        let messages = raw.error.iter().map(|rule| &rule.message);
        let messages = messages.chain(raw.repair.iter().map(|rule| &rule.message));
        if let Some(pattern) = raw.overflow.iter().chain(messages).find(|p| **p != p.to_lowercase()) {
            bail!("{pattern:?}: patterns are compared in lower case");
        }
        Ok(Self {
            request: raw.request,
            response: raw.response,
            parts: raw.parts,
            errors: raw.error,
            overflow: raw.overflow,
            repairs: raw.repair,
            kept: raw.kept,
        })
    }
}

/// The shape of `RULES`, read from the file that declares it.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Type and members of each part, by member of `Rules`.
    pub parts: BTreeMap<String, (String, BTreeMap<String, Member>)>,
    /// Names of the passes of requests (`Pass`) and of answers (`AnswerPass`).
    pub passes: BTreeMap<String, Vec<String>>,
}

/// Type of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// Yes or no.
    Bool,
    /// A whole number.
    Count,
    /// A whole number or none.
    OptionalCount,
    /// A number.
    Number,
    /// A text.
    Text,
    /// Texts.
    Texts,
    /// Pairs of a text and a whole number.
    Pairs,
}

impl Shape {
    /// Reads `prelude/rules.rs`.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let file = syn::parse_file(&text).with_context(|| path.display().to_string())?;
        let mut structs = BTreeMap::new();
        let mut passes = BTreeMap::new();
        for item in file.items {
            match item {
                syn::Item::Struct(item) => {
                    let members = item
                        .fields
                        .iter()
                        .filter_map(|field| {
                            let ty = &field.ty;
                            Some((field.ident.as_ref()?.to_string(), quote::quote!(#ty).to_string()))
                        })
                        .collect::<Vec<_>>();
                    structs.insert(item.ident.to_string(), members);
                }
                syn::Item::Enum(item) => {
                    let names = item.variants.iter().map(|v| v.ident.to_string()).collect();
                    passes.insert(item.ident.to_string(), names);
                }
                _ => {}
            }
        }
        let mut parts = BTreeMap::new();
        for (name, ty) in structs.get("Rules").context("no struct Rules")? {
            let Some(members) = structs.get(ty) else { continue };
            let members = members
                .iter()
                .map(|(member, ty)| Ok((member.clone(), Member::of(ty)?)))
                .collect::<Result<_>>()?;
            parts.insert(name.clone(), (ty.clone(), members));
        }
        Ok(Self { parts, passes })
    }
}

impl Member {
    fn of(ty: &str) -> Result<Self> {
        Ok(match ty.replace(' ', "").replace("'static", "").as_str() {
            "bool" => Self::Bool,
            "usize" | "u64" => Self::Count,
            "Option<u64>" => Self::OptionalCount,
            "f64" => Self::Number,
            "&str" => Self::Text,
            "&[&str]" => Self::Texts,
            "&[(&str,u64)]" => Self::Pairs,
            other => bail!("a rule cannot be a {other}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_patterns_are_checked() {
        let head = "request = []\nresponse = []\nkept = []\n";
        let bad = Rules::parse(&format!("{head}overflow = []\n[[error]]\nstatus = 400\nclass = \"odd\"\n"));
        assert!(bad.unwrap_err().to_string().contains("no class of error"));
        let bad = Rules::parse(&format!("{head}overflow = []\n[[repair]]\nkind = \"odd\"\n"));
        assert!(bad.unwrap_err().to_string().contains("no kind of repair"));
        let bad = Rules::parse(&format!("{head}overflow = [\"Too long\"]\n"));
        assert!(bad.unwrap_err().to_string().contains("lower case"));
    }

    #[test]
    fn the_shape_is_read_from_its_declaration() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("prelude/rules.rs");
        let shape = Shape::load(&path).unwrap();
        assert!(shape.passes["Pass"].contains(&"HoistSystem".to_owned()));
        let (ty, members) = &shape.parts["reasoning"];
        assert_eq!(ty, "ReasoningRules");
        assert_eq!(members["efforts"], Member::Pairs);
        assert_eq!(shape.parts["output"].1["max_tokens"], Member::OptionalCount);
    }
}
