//! Prints `read_<union>` and `write_<union>` of pieces that are an object or a bare text.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use proc_macro2::TokenStream;
use quote::quote;

use super::read::node;
use super::{Becomes, Cx, read_fn, write_fn};
use crate::emit::names;
use crate::schema::{Kind, Type};

/// The object behind a union of an object and a bare text, if it is one.
pub(super) fn object(forms: &BTreeMap<Kind, Type>) -> Option<&str> {
    match (forms.len(), forms.get(&Kind::Object), forms.get(&Kind::String)) {
        (2, Some(object), Some(Type::String)) => object.target(),
        _ => None,
    }
}

/// `read_<union>`: a bare text is a text block that stands alone.
pub(super) fn read(cx: &Cx<'_>, name: &str, object: &str) -> Result<TokenStream> {
    let (wire_ty, function) = (names::ty(name), read_fn(name));
    let (ir, variant) = block(cx, name, object)?;
    let node = node(cx, object, &ir)?;
    let doc = format!(" Turns a `{name}` into a `Block`; a bare text is one, too.");
    Ok(quote! {
        #[doc = #doc]
        pub fn #function<'a>(wire: #wire_ty<'a>, cx: &mut ReadCx, at: At) -> ir::Block<'a> {
            match wire {
                #wire_ty::Object(v) => { #node ir::Block::#variant(node) }
                #wire_ty::String(text) => ir::Block::Text(ir::TextBlock {
                    at,
                    text: Some(text),
                    bare: Some(true),
                    ..Default::default()
                }),
            }
        }
    })
}

/// `write_<union>`.
pub(super) fn write(cx: &Cx<'_>, name: &str, object: &str) -> Result<TokenStream> {
    let (wire_ty, function, write) = (names::ty(name), write_fn(name), write_fn(object));
    let (ir, variant) = block(cx, name, object)?;
    let doc = format!(" The `{name}` for a `Block`; reports one that has none.");
    let rest = super::write_union::homeless(cx, "Block", &[&ir, "Block.text"])?;
    Ok(quote! {
        #[doc = #doc]
        pub fn #function<'s>(src: &'s ir::Block<'s>, cx: &mut WriteCx<'_>) -> Option<#wire_ty<'s>> {
            match src {
                ir::Block::#variant(node) => {
                    cx.leftovers(&node.native);
                    return Some(#wire_ty::Object(#write(node, &node.native, cx, node.at)));
                }
                ir::Block::Text(node) => {
                    cx.leftovers(&node.native);
                    return node.text.as_ref().map(|text| #wire_ty::String(text.reborrow()));
                }
                _ => {}
            }
            #rest
        }
    })
}

/// The block that the object becomes, and its variant.
fn block(cx: &Cx<'_>, name: &str, object: &str) -> Result<(String, proc_macro2::Ident)> {
    if cx.becomes(name)? != Becomes::Union("Block".to_owned()) {
        bail!("{name} is an object or a text and becomes no block");
    }
    let ir = cx.map.ty(object).with_context(|| format!("{object} has no map"))?.ir.clone();
    let variant = names::variant(ir.split_once('.').context("a variant")?.1);
    Ok((ir, variant))
}
