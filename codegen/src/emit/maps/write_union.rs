//! Prints `write_<union>`: which form of a tagged union says what the IR says.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use proc_macro2::TokenStream;
use quote::quote;

use super::report::{covered, is_inline};
use super::{Becomes, Cx, slot, write_fn};
use crate::emit::names;
use crate::ir::IrDef;

/// A variant that writes an IR type: its tag, its wire type, and its conditions.
type Candidate<'m> = (&'m str, &'m str, Vec<(&'m str, &'m str)>);

/// `write_<union>` of a tagged union with mapped variants.
pub(super) fn union(cx: &Cx<'_>, name: &str, variants: &BTreeMap<String, String>) -> Result<TokenStream> {
    let wire_ty = names::ty(name);
    let function = write_fn(name);
    // By IR type: the variants that write it, the ones with conditions first.
    let mut by_ir: BTreeMap<&str, Vec<Candidate<'_>>> = BTreeMap::new();
    for (tag, target) in variants {
        if let Some(ty) = cx.map.ty(target) {
            by_ir.entry(&ty.ir).or_default().push((tag, target, cx.conditions(ty)));
        }
    }
    for (ir, candidates) in &mut by_ir {
        candidates.sort_by_key(|(_, _, conditions)| usize::MAX - conditions.len());
        let mut seen = BTreeSet::new();
        for (tag, _, conditions) in candidates.iter() {
            if !seen.insert(conditions.clone()) {
                bail!("{name}: the variant {tag:?} cannot be told from another one that writes {ir}");
            }
        }
    }
    let value = |target: &str, write: TokenStream| {
        if cx.layout.boxed_variant(target) { quote!(Box::new(#write)) } else { write }
    };
    match cx.becomes(name)? {
        Becomes::Object(object) => {
            let ir_ty = cx.ir_ident(&object)?;
            let is_group = cx.ir.is_group(&object);
            let mut all = BTreeSet::new();
            let mut homes = BTreeSet::new();
            for target in variants.values() {
                all.extend(cx.consumed(target, &mut homes));
            }
            let mut arms = Vec::new();
            for (tag, target, conditions) in by_ir.values().flatten() {
                let variant = names::variant(tag);
                let write = write_fn(target);
                let tests = conditions
                    .iter()
                    .map(|(path, word)| {
                        let place = slot(quote!(src), path);
                        let word = cx.word(&object, path, word)?;
                        Ok(quote!(#place == Some(#word)))
                    })
                    .collect::<Result<Vec<_>>>()?;
                let test = if tests.is_empty() { quote!(true) } else { quote!(#(#tests)&&*) };
                // Members that a sibling could have held and this form cannot.
                let own = cx.consumed(target, &mut BTreeSet::new());
                let siblings: Vec<String> = if is_group || !is_inline(cx, target) {
                    Vec::new()
                } else {
                    covered(cx, &object, &(&all - &own))?
                };
                let siblings: Vec<String> = siblings.into_iter().filter(|l| !Cx::covers(&own, l)).collect();
                let report = cx.report(&object, &siblings, is_group)?;
                let written = value(target, quote!(#write(src, native, cx, at)));
                arms.push(quote! {
                    if #test {
                        #report
                        return Some(#wire_ty::#variant(#written));
                    }
                });
            }
            let doc = format!(" The form of `{name}` that says what `{object}` says, if there is one.");
            // A form without a meaning was carried whole.
            let whole = (!is_group).then(|| {
                quote! {
                    if cx.home()
                        && let Some(whole) = native.whole(#name)
                        && let Ok(wire) = #wire_ty::from_checked(whole.checked())
                    {
                        return Some(wire);
                    }
                }
            });
            Ok(quote! {
                #[doc = #doc]
                pub fn #function<'s>(
                    src: &'s ir::#ir_ty<'s>,
                    native: &'s Native<'s>,
                    cx: &mut WriteCx<'_>,
                    at: At,
                ) -> Option<#wire_ty<'s>> {
                    #whole
                    #(#arms)*
                    None
                }
            })
        }
        Becomes::Union(union) => {
            let ir_ty = names::ty(&union);
            let mut arms = Vec::new();
            for (ir, candidates) in &by_ir {
                let (_, ir_tag) = ir.split_once('.').context("a variant")?;
                let ir_variant = names::variant(ir_tag);
                let mut tries = Vec::new();
                for (tag, target, conditions) in candidates {
                    let variant = names::variant(tag);
                    let write = write_fn(target);
                    let tests = conditions
                        .iter()
                        .map(|(path, word)| {
                            let place = slot(quote!(node), path);
                            let word = cx.word(ir, path, word)?;
                            Ok(quote!(#place == Some(#word)))
                        })
                        .collect::<Result<Vec<_>>>()?;
                    let written = value(target, quote!(#write(node, &node.native, cx, node.at)));
                    let done = quote! {
                        cx.leftovers(&node.native);
                        return Some(#wire_ty::#variant(#written));
                    };
                    tries.push(if tests.is_empty() {
                        quote!(#done)
                    } else {
                        quote!(if #(#tests)&&* { #done })
                    });
                }
                arms.push(quote!(ir::#ir_ty::#ir_variant(node) => { #(#tries)* }));
            }
            let doc = format!(" The form of `{name}` for a `{union}`; reports one that has none.");
            let rest = homeless(cx, &union, &by_ir.keys().copied().collect::<Vec<_>>())?;
            Ok(quote! {
                #[doc = #doc]
                pub fn #function<'s>(src: &'s ir::#ir_ty<'s>, cx: &mut WriteCx<'_>) -> Option<#wire_ty<'s>> {
                    match src {
                        #(#arms)*
                        ir::#ir_ty::Native(node) if cx.home() => {
                            return node.value.as_ref().and_then(|v| #wire_ty::from_checked(v.checked()).ok());
                        }
                        _ => {}
                    }
                    #rest
                }
            })
        }
        Becomes::Nothing => bail!("{name} has no mapped variant"),
    }
}

/// The end of a writer: what has no form here is reported.
pub(super) fn homeless(cx: &Cx<'_>, union: &str, written: &[&str]) -> Result<TokenStream> {
    let ir_ty = names::ty(union);
    let mut reasons = Vec::new();
    if let Some(IrDef::Union { variants, .. }) = cx.ir.types.get(union) {
        for tag in variants.keys() {
            if let Some(reason) = cx.map.lacks.get(&format!("{union}.{tag}")) {
                let variant = names::variant(tag);
                reasons.push(quote!(ir::#ir_ty::#variant(_) => #reason,));
            } else if !written.contains(&format!("{union}.{tag}").as_str())
                && tag != "native"
                && !mapped_somewhere(cx, union, tag)
            {
                let protocol = &cx.schema.protocol;
                bail!("{union}.{tag} is written nowhere and [lacks] gives no reason for {protocol}");
            }
        }
    }
    Ok(quote! {
        let reason = match src {
            #(#reasons)*
            ir::#ir_ty::Native(_) => "another provider's own form",
            _ => "it has no place here",
        };
        cx.lack_node(src.at(), reason, src.semantic());
        None
    })
}

/// Whether any wire type of the protocol becomes this variant.
fn mapped_somewhere(cx: &Cx<'_>, union: &str, tag: &str) -> bool {
    let is = |ir: &str| ir.split_once('.') == Some((union, tag));
    let forms = cx.map.keyed.values().flat_map(|union| union.forms.values());
    cx.map.types.values().any(|ty| is(&ty.ir)) || forms.filter_map(|form| form.ir.as_deref()).any(is)
}
