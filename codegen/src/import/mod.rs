//! Import: from a provider's official document to `schemas/<protocol>/schema.json`.
//!
//! A reader turns each official form into one tree ([`node::Document`]); named passes, one file each, bring
//! the tree into one spelling; [`lower`] makes the normal form of it. The order of the passes is `passes` below.

pub mod descriptors;
pub mod discovery;
pub mod find_discriminators;
pub mod flatten_unions;
pub mod fold_twins;
pub mod free_form;
pub mod graft;
pub mod json_schema;
pub mod keep_names;
pub mod legacy;
pub mod lift_null;
pub mod lower;
pub mod merge;
pub mod merge_all_of;
pub mod merge_roots;
pub mod name_inline;
pub mod names;
pub mod node;
pub mod open_enums;
pub mod openapi;
pub mod overlay;
pub mod resolve_aliases;
pub mod sdk;
pub mod service_model;
pub mod shape_unions;
#[cfg(test)]
mod testing;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::schema::Schema;
use node::Document;
use overlay::Overlay;

/// What an import may take into account beside the document.
#[derive(Debug, Default)]
pub struct Extras<'a> {
    /// An older document of the same provider, and which of the members it alone has are still in use.
    pub older: Option<(&'a Value, &'a BTreeSet<String>)>,
    /// What is committed now: members it has stay.
    pub previous: Option<Schema>,
    /// Facts that are in no document.
    pub overlay: Overlay,
}

/// Reads an official document in any of its forms and lowers it.
pub fn import(protocol: &str, document: &Value, extras: &Extras<'_>) -> Result<Schema> {
    let mut schema = lowered(protocol, document, &extras.overlay)?;
    if let Some((older, wanted)) = &extras.older {
        let older = lowered(protocol, older, &extras.overlay).context("the older document")?;
        legacy::run(&mut schema, &older, Some(*wanted));
    }
    if let Some(previous) = &extras.previous {
        keep_names::run(&mut schema, previous);
        legacy::run(&mut schema, previous, None);
    }
    // Last, so that what the overlay drops does not come back from an older document.
    overlay::run(&mut schema, &extras.overlay)?;
    lower::prune(&mut schema);
    schema.check()?;
    Ok(schema)
}

/// Bytes of a document, unpacked, that are still read.
const MAX_DOCUMENT: u64 = 256 << 20;

/// Reads a document from a file, packed with gzip or not.
pub fn read_document(path: &Path) -> Result<Value> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let parsed = if bytes.starts_with(&[0x1f, 0x8b]) {
        serde_json::from_reader(flate2::read::GzDecoder::new(bytes.as_slice()).take(MAX_DOCUMENT))
    } else {
        serde_json::from_slice(&bytes)
    };
    parsed.with_context(|| format!("parse {}", path.display()))
}

fn lowered(protocol: &str, read_from: &Value, overlay: &Overlay) -> Result<Schema> {
    let mut document = read(protocol, read_from)?;
    passes(&mut document, overlay);
    let mut schema = lower::run(&document, protocol)?;
    // Both forms describe protocol buffers, whose JSON may be written in either case.
    let of_protocol_buffers = read_from.get("file").is_some() || read_from.get("schemas").is_some();
    schema.snake_case = of_protocol_buffers;
    overlay::rename(&mut schema, overlay)?;
    Ok(schema)
}

/// Reads a document in whichever form it has.
fn read(protocol: &str, document: &Value) -> Result<Document> {
    let has = |key: &str| document.get(key).is_some();
    if has("x-roots") {
        json_schema::read(document)
    } else if has("openapi") {
        openapi::read(protocol, document)
    } else if has("shapes") {
        service_model::read(document)
    } else if has("file") {
        let mut base = descriptors::read(document)?;
        if let Some(extra) = document.get("x-second") {
            let mut extra = json_schema::read(extra)?;
            lift_null::run(&mut extra);
            graft::run(&mut base, extra);
        }
        Ok(base)
    } else if has("schemas") {
        discovery::read(document)
    } else {
        bail!(
            "the document is none of: JSON Schema with x-roots, OpenAPI, AWS service model, descriptors, discovery"
        )
    }
}

/// Every pass over the tree, in order.
fn passes(document: &mut Document, overlay: &Overlay) {
    lift_null::run(document);
    merge_all_of::run(document);
    fold_twins::run(document, &overlay.fold);
    merge_roots::run(document);
    resolve_aliases::run(document);
    free_form::run(document, &overlay.opaque);
    flatten_unions::run(document);
    open_enums::run(document);
    // Unions of one member have become names for it.
    resolve_aliases::run(document);
    shape_unions::run(document);
    find_discriminators::run(document);
    names::run(document);
    name_inline::run(document);
}
