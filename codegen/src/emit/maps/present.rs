//! Prints `read_<type>` and `write_<type>` of objects that are one of several things, by what is said in them.

use anyhow::{Context, Result, bail};
use proc_macro2::TokenStream;
use quote::quote;

use super::read::node;
use super::{Becomes, Cx, read_fn, write_fn};
use crate::emit::names;
use crate::schema::{Presence, PresenceTest};

/// `read_<type>`.
pub(super) fn read(cx: &Cx<'_>, name: &str, forms: &[Presence]) -> Result<TokenStream> {
    let Becomes::Union(union) = cx.becomes(name)? else { bail!("{name} becomes no union") };
    let (wire_ty, ir_ty, function) = (names::ty(name), names::ty(&union), read_fn(name));
    let native_ty = names::ty(&format!("Native{union}"));
    let mut arms = Vec::new();
    for form in forms {
        let tests = form.tests.iter().map(test);
        let ir = &cx.map.ty(&form.view).with_context(|| format!("{} has no map", form.view))?.ir;
        let ir_variant = names::variant(ir.split_once('.').context("a variant")?.1);
        let node = node(cx, &form.view, ir)?;
        arms.push(quote! {
            if #(#tests)||* {
                let v = wire;
                #node
                return ir::#ir_ty::#ir_variant(node);
            }
        });
    }
    let doc = format!(" Turns a `{name}` into a `{union}`; one without a meaning is carried as it is.");
    Ok(quote! {
        #[doc = #doc]
        pub fn #function<'a>(wire: #wire_ty<'a>, cx: &mut ReadCx, at: At) -> ir::#ir_ty<'a> {
            #(#arms)*
            let value = Json::written(wire.to_json());
            let kind = map::first_member(&value);
            ir::#ir_ty::Native(ir::#native_ty { at, kind, value: Some(value), ..Default::default() })
        }
    })
}

fn test(test: &PresenceTest) -> TokenStream {
    match test {
        PresenceTest::Has(member) => {
            let member = names::field(member);
            quote!(wire.#member.as_ref().is_some())
        }
        PresenceTest::True(member) => {
            let member = names::field(member);
            quote!(wire.#member.as_ref() == Some(&true))
        }
        PresenceTest::Begins { member, inner, prefix } => {
            let (member, inner) = (names::field(member), names::field(inner));
            quote! {
                wire.#member.as_ref().and_then(|v| v.#inner.as_ref()).is_some_and(|text| map::begins(text, #prefix))
            }
        }
    }
}

/// `write_<type>`.
pub(super) fn write(cx: &Cx<'_>, name: &str, forms: &[Presence]) -> Result<TokenStream> {
    let Becomes::Union(union) = cx.becomes(name)? else { bail!("{name} becomes no union") };
    let (wire_ty, ir_ty, function) = (names::ty(name), names::ty(&union), write_fn(name));
    let mut arms = Vec::new();
    let mut written: Vec<&str> = Vec::new();
    for form in forms {
        let ir = &cx.map.ty(&form.view).with_context(|| format!("{} has no map", form.view))?.ir;
        if written.contains(&ir.as_str()) {
            bail!("{name}: two forms become {ir}");
        }
        written.push(ir);
        let ir_variant = names::variant(ir.split_once('.').context("a variant")?.1);
        let write = write_fn(&form.view);
        arms.push(quote! {
            ir::#ir_ty::#ir_variant(node) => {
                cx.leftovers(&node.native);
                return Some(#write(node, &node.native, cx, node.at));
            }
        });
    }
    let doc = format!(" The `{name}` for a `{union}`; reports one that has none.");
    let rest = super::write_union::homeless(cx, &union, &written)?;
    Ok(quote! {
        #[doc = #doc]
        pub fn #function<'s>(src: &'s ir::#ir_ty<'s>, cx: &mut WriteCx<'_>) -> Option<#wire_ty<'s>> {
            match src {
                #(#arms)*
                ir::#ir_ty::Native(node) if cx.home() => {
                    return node.value.as_ref().and_then(|v| <#wire_ty<'_> as Wire<'_>>::from_checked(v.checked()).ok());
                }
                _ => {}
            }
            #rest
        }
    })
}
