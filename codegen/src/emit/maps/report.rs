//! Prints what a `write_*` reports: parts of the IR that its rows take nowhere.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use proc_macro2::TokenStream;
use quote::quote;

use super::write::element;
use super::{Cx, beside, leaf_type, slot};
use crate::emit::names;
use crate::ir::IrDef;
use crate::map::{FieldFate, IrPath, TypeMap};
use crate::schema::Type;

/// A variant of a list that rows of their own take.
pub(super) struct Claim<'t> {
    tag: &'t str,
    /// All such elements are taken, not one.
    whole: bool,
    /// Taken only when the document goes back where it came from.
    home: bool,
    /// Only the ones that stood beside the list are taken.
    bare: bool,
}

impl Claim<'_> {
    /// Whether `item` is claimed.
    pub(super) fn test(&self, union: &proc_macro2::Ident) -> TokenStream {
        let variant = names::variant(self.tag);
        let home = self.home.then(|| quote!(home &&));
        let bare = self.bare.then(|| quote!(if node.bare == Some(true)));
        let binding = if self.bare { quote!(node) } else { quote!(_) };
        quote!((#home matches!(item, ir::#union::#variant(#binding) #bare)))
    }
}

/// Variants of a list that rows of their own take.
pub(super) fn claims<'t>(cx: &Cx<'t>, wire: &str, ty: &TypeMap, list: &str) -> Result<Vec<Claim<'t>>> {
    let mut claims: BTreeMap<&str, Claim<'t>> = BTreeMap::new();
    for (_, _, fate) in cx.family(wire) {
        let FieldFate::Ir { path, only, home, .. } = fate else { continue };
        let (tag, whole) = match (&path.element, only) {
            (_, Some(only)) if path.text() == list => (only.as_str(), true),
            (Some((l, which)), _) if l == list && which != "0" => (which.as_str(), false),
            _ => continue,
        };
        let bare = !whole && beside(cx, wire, ty, list, tag)?;
        let claim = claims.entry(tag).or_insert(Claim { tag, whole, home: true, bare });
        claim.home &= *home;
        claim.whole |= whole;
    }
    Ok(claims.into_values().collect())
}

/// IR leaves of an object that rows take.
pub(super) fn covered(cx: &Cx<'_>, ir: &str, rows: &BTreeSet<String>) -> Result<Vec<String>> {
    Ok(cx.ir.leaves(ir)?.into_iter().map(|(leaf, _)| leaf).filter(|leaf| Cx::covers(rows, leaf)).collect())
}

/// Reports of IR leaves that a type writes nowhere; inline types leave that to the type around them.
pub(super) fn lacks(cx: &Cx<'_>, wire: &str, ty: &TypeMap) -> Result<TokenStream> {
    if is_inline(cx, wire) {
        return Ok(quote!());
    }
    let mut homes = BTreeSet::new();
    let mut rows = cx.consumed(wire, &mut homes);
    rows.extend(cx.said_by_key(wire).into_iter().map(str::to_owned));
    let in_group = cx.ir.is_group(&ty.ir);
    let mut never = Vec::new();
    let mut abroad = Vec::new();
    for (leaf, _) in cx.ir.leaves(&ty.ir)? {
        if Cx::covers(&rows, &leaf) {
            continue;
        }
        if Cx::covers(&homes, &leaf) { abroad.push(leaf) } else { never.push(leaf) }
    }
    let never = cx.report(&ty.ir, &never, in_group)?;
    let abroad = cx.report(&ty.ir, &abroad, in_group)?;
    let abroad = if abroad.is_empty() { quote!() } else { quote!(if !cx.home() { #abroad }) };
    let formless = formless(cx, ty)?;
    Ok(quote!(#never #abroad #formless))
}

/// Reports of groups that several rows write, each where its part is there, when none is.
fn formless(cx: &Cx<'_>, ty: &TypeMap) -> Result<TokenStream> {
    let mut parts: BTreeMap<String, Vec<TokenStream>> = BTreeMap::new();
    for fate in ty.fields.values() {
        if let FieldFate::Ir { path, when: Some(part), .. } = fate {
            let part = slot(quote!(src), part);
            parts.entry(path.text()).or_default().push(quote!(#part.is_none()));
        }
    }
    let mut out = Vec::new();
    for (path, tests) in parts {
        let Some(group) = cx.ir.at(&ty.ir, &path)?.ty.target() else { continue };
        let leaves: Vec<String> =
            cx.ir.leaves(group)?.into_iter().map(|(leaf, _)| format!("{path}.{leaf}")).collect();
        let reports = cx.report_or(&ty.ir, &leaves, false, Some(NO_FORM))?;
        out.push(quote!(if !cx.home() #(&& #tests)* { #reports }));
    }
    Ok(quote!(#(#out)*))
}

/// Why a group is lost where the protocol tells it by one of several members.
const NO_FORM: &str = "this protocol has no form for where it is";

/// Whether a type is reached through an inline member.
pub(super) fn is_inline(cx: &Cx<'_>, wire: &str) -> bool {
    cx.map.types.iter().any(|(outer, ty)| {
        ty.fields.iter().any(|(name, fate)| {
            matches!(fate, FieldFate::Inline(_))
                && cx
                    .field_type(outer, name)
                    .ok()
                    .and_then(Type::target)
                    .is_some_and(|target| cx.map.objects(cx.schema, target).contains(&wire))
        })
    })
}

/// Reports of list elements that no row takes.
pub(super) fn strays(cx: &Cx<'_>, wire: &str, ty: &TypeMap) -> Result<TokenStream> {
    if is_inline(cx, wire) {
        return Ok(quote!());
    }
    // Each list that rows step into or share, and whether some row takes whatever is left of it.
    let mut lists: BTreeMap<String, (IrPath, bool)> = BTreeMap::new();
    for (_, _, fate) in cx.family(wire) {
        let FieldFate::Ir { path, only, .. } = fate else { continue };
        if let Some((list, _)) = &path.element {
            let whole = IrPath { element: None, leaf: list.clone() };
            lists.entry(list.clone()).or_insert((whole, false));
        }
        if only.is_some() {
            lists.entry(path.text()).or_insert((path.clone(), false));
        }
    }
    for (_, _, fate) in cx.family(wire) {
        if let FieldFate::Ir { path, only: None, .. } = fate
            && let Some((_, full)) = lists.get_mut(&path.text())
        {
            *full = true;
        }
    }
    let mut out = Vec::new();
    for (list, (path, full)) in lists {
        let item = leaf_type(cx, &ty.ir, &path)?.target().context("a list of objects")?.to_owned();
        let place = match &path.element {
            None => slot(quote!(src), &path.leaf),
            Some(_) => slot(quote!(element), &path.leaf),
        };
        let body = if matches!(cx.ir.types.get(&item), Some(IrDef::Union { .. })) {
            stray_blocks(cx, wire, ty, &list, &item, full, &place)?
        } else {
            quote! {
                for extra in #place.iter().flatten().skip(1) {
                    cx.lack_node(extra.at, "this protocol has room for one", false);
                }
            }
        };
        out.push(match &path.element {
            None => body,
            Some((list, which)) => {
                let open = element(cx, wire, ty, list, which)?;
                quote!(#open { #body })
            }
        });
    }
    Ok(quote!(#(#out)*))
}

/// Reports of the elements of one list that no row takes.
fn stray_blocks(
    cx: &Cx<'_>,
    wire: &str,
    ty: &TypeMap,
    list: &str,
    item: &str,
    full: bool,
    place: &TokenStream,
) -> Result<TokenStream> {
    let union = names::ty(item);
    let claims = claims(cx, wire, ty, list)?;
    let whole = claims.iter().filter(|c| c.whole).map(|c| c.test(&union));
    let singles: Vec<_> = claims.iter().filter(|c| !c.whole).collect();
    if full && singles.is_empty() {
        return Ok(quote!());
    }
    let parts =
        singles.iter().map(|c| parts_of_single(cx, wire, list, item, c.tag)).collect::<Result<Vec<_>>>()?;
    let tags = singles.iter().map(|c| c.tag);
    let tests = singles.iter().map(|c| c.test(&union));
    let rest = (!full).then(|| quote!(cx.lack_node(item.at(), #NO_PLACE, item.semantic());));
    Ok(quote! {
        let home = cx.home();
        let mut seen: Vec<&str> = Vec::new();
        for item in #place.iter().flatten() {
            if false #(|| #whole)* {
                continue;
            }
            let single = match () {
                #(_ if #tests => Some(#tags),)*
                _ => None,
            };
            match single {
                Some(tag) if seen.contains(&tag) => {
                    cx.lack_node(item.at(), "this kind of message has room for one", item.semantic());
                }
                Some(tag) => {
                    seen.push(tag);
                    match item {
                        #(#parts)*
                        _ => {}
                    }
                }
                None => { #rest }
            }
        }
    })
}

/// Reports of what a single element says and the rows that step into it do not take.
fn parts_of_single(cx: &Cx<'_>, wire: &str, list: &str, item: &str, tag: &str) -> Result<TokenStream> {
    let node = format!("{item}.{tag}");
    let (mut rows, mut homes) = (BTreeSet::new(), BTreeSet::new());
    for (_, _, fate) in cx.family(wire) {
        let FieldFate::Ir { path, home, .. } = fate else { continue };
        let Some((of, which)) = &path.element else { continue };
        if of != list || which != tag {
            continue;
        }
        // A group that a row writes reports its own parts.
        if *home { &mut homes } else { &mut rows }.insert(path.leaf.clone());
    }
    let mut never = Vec::new();
    let mut abroad = Vec::new();
    for (leaf, _) in cx.ir.leaves(&node)? {
        if Cx::covers(&rows, &leaf) {
            continue;
        }
        if Cx::covers(&homes, &leaf) { abroad.push(leaf) } else { never.push(leaf) }
    }
    let never = cx.report_or(&node, &never, false, Some(NO_PLACE))?;
    let abroad = cx.report_or(&node, &abroad, false, Some(NO_PLACE))?;
    let abroad = if abroad.is_empty() { quote!() } else { quote!(if !home { #abroad }) };
    let parts = match never.is_empty() && abroad.is_empty() {
        true => quote!(),
        false => quote!(let at = src.at; #never #abroad),
    };
    let (union, variant) = (names::ty(item), names::variant(tag));
    Ok(quote! {
        ir::#union::#variant(src) => {
            cx.leftovers(&src.native);
            #parts
        }
    })
}

/// Why a part is lost where the protocol tells a block by a member of the message.
const NO_PLACE: &str = "this kind of message has no place for it";
