//! Prints `write_*`: a wire value put together from the IR, with a report of what has no form.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use proc_macro2::TokenStream;
use quote::quote;

use super::report::{claims, covered, lacks, strays};
use super::{Becomes, Cx, beside, leaf_type, read_fn, scalar, slot, write_fn};
use crate::emit::names;
use crate::ir::IrType;
use crate::map::{FieldFate, TypeMap};
use crate::schema::{Def, Kind, Type, Union};

/// `write_<type>` of a mapped object type.
pub(super) fn object(cx: &Cx<'_>, wire: &str, ty: &TypeMap) -> Result<TokenStream> {
    let Some(Def::Object(fields)) = cx.schema.types.get(wire) else { bail!("no object type") };
    let wire_ty = names::ty(wire);
    let ir_ty = cx.ir_ident(&ty.ir)?;
    let function = write_fn(wire);
    let rows = fields
        .keys()
        .map(|name| row(cx, wire, ty, name).with_context(|| format!("field {name}")))
        .collect::<Result<Vec<_>>>()?;
    let nulls = fields.iter().filter(|(_, f)| f.required && f.nullable).map(|(name, _)| {
        let ident = names::field(name);
        quote!(if wire.#ident.is_absent() { wire.#ident = Field::Null; })
    });
    let nulls: Vec<_> = nulls.collect();
    let settle = if nulls.is_empty() {
        quote!(if cx.home() {
            native.restore(OWNER, &mut wire);
        })
    } else {
        quote!(if cx.home() { native.restore(OWNER, &mut wire); } else { #(#nulls)* })
    };
    let lacks = lacks(cx, wire, ty)?;
    let strays = strays(cx, wire, ty)?;
    let doc = format!(" Puts a `{wire}` together from `{}`.", ty.ir);
    Ok(quote! {
        #[doc = #doc]
        pub fn #function<'s>(
            src: &'s ir::#ir_ty<'s>,
            native: &'s Native<'s>,
            cx: &mut WriteCx<'_>,
            at: At,
        ) -> #wire_ty<'s> {
            const OWNER: &str = #wire;
            let mut wire = #wire_ty::default();
            #(#rows)*
            #settle
            #lacks
            #strays
            wire
        }
    })
}

fn row(cx: &Cx<'_>, wire: &str, ty: &TypeMap, name: &str) -> Result<TokenStream> {
    let ident = names::field(name);
    let fate = ty.fields.get(name).context("no fate")?;
    let wire_type = cx.field_type(wire, name)?;
    let boxed = cx.layout.boxed_field(wire_type);
    let wrap = |value: TokenStream| {
        let value = if boxed { quote!(Box::new(#value)) } else { value };
        quote!(wire.#ident = Field::Value(#value);)
    };
    match fate {
        FieldFate::Keep { .. } | FieldFate::Hand { .. } => Ok(quote!()),
        FieldFate::Const { value, sets } => {
            let text = if *wire_type == Type::Boolean {
                let value = scalar::truth(value)?;
                // Another spelling of a switch is the other value.
                quote! {
                    wire.#ident = match native.spelled(OWNER, #name) {
                        Some(_) if cx.home() => Field::Value(!#value),
                        _ => Field::Value(#value),
                    };
                }
            } else if let Type::Ref(target) = wire_type
                && scalar::is_enum(cx, wire_type)
            {
                let ty = names::ty(target);
                quote! {
                    wire.#ident = match native.spelled(OWNER, #name).map(|raw| #ty::from_checked(raw.checked())) {
                        Some(Ok(word)) if cx.home() => Field::Value(word),
                        _ => Field::Value(#ty::from_text(Text::plain(#value))),
                    };
                }
            } else {
                quote! {
                wire.#ident = match native.spelled(OWNER, #name).map(|raw| Text::from_checked(raw.checked())) {
                    Some(Ok(text)) if cx.home() => Field::Value(text),
                    _ => Field::Value(Text::plain(#value)),
                };
                }
            };
            let holds = sets
                .iter()
                .map(|(path, word)| {
                    let place = slot(quote!(src), path);
                    let word = cx.word(&ty.ir, path, word)?;
                    Ok(quote!(#place == Some(#word) &&))
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(quote!(if #(#holds)* !(cx.home() && native.is_left(OWNER, #name)) { #text }))
        }
        FieldFate::Inline(condition) => {
            let body = inline(cx, wire_type, ty, is_required(cx, wire, name), &wrap)?;
            let Some(path) = condition else { return Ok(body) };
            let (place, target) = (slot(quote!(src), path), wire_type.target().context("an object")?);
            Ok(quote!(if #place.is_some() || (cx.home() && native.owns(#target)) { #body }))
        }
        FieldFate::Ir { path, via, only, home, when, .. } => {
            let leaf = leaf_type(cx, &ty.ir, path)?;
            let (place, open) = match &path.element {
                None => (slot(quote!(src), &path.leaf), None),
                Some((list, which)) => {
                    (slot(quote!(element), &path.leaf), Some(element(cx, wire, ty, list, which)?))
                }
            };
            let ir_path = path.text();
            let row = Row { cx, wire, ir: &ty.ir, ir_path: &ir_path, only: only.as_deref(), name };
            let body = match via {
                Some(via) => through(&row, ty, via, wire_type, leaf, &place, &wrap)?,
                None => from_slot(&row, ty, wire_type, leaf, &place, &wrap)?,
            };
            let body = if *home {
                let guard = quote!(cx.home() && native.is_spelled(OWNER, #name));
                quote!(if #guard { #body })
            } else {
                let homes = homes(cx, wire, name, &ir_path);
                if homes.is_empty() { body } else { quote!(if !(cx.home() && (#(#homes)||*)) { #body }) }
            };
            let body = match when {
                None => body,
                Some(part) => {
                    let part = slot(quote!(src), part);
                    quote!(if #part.is_some() || (cx.home() && native.has_form(OWNER, #name)) { #body })
                }
            };
            Ok(match open {
                None => body,
                Some(open) => quote!(#open { #body }),
            })
        }
    }
}

struct Row<'r, 's> {
    cx: &'r Cx<'s>,
    wire: &'r str,
    ir: &'r str,
    ir_path: &'r str,
    only: Option<&'r str>,
    name: &'r str,
}

impl Row<'_, '_> {
    /// Reports that a value has no spelling here.
    fn no_word(&self) -> TokenStream {
        let (ir, path) = (self.ir, self.ir_path);
        quote!(cx.lack(at, &Lack { ir: #ir, path: #path, reason: "this protocol has no word for the value" }, false);)
    }

    /// Tells the writer of a group which member of which node it writes, and which of the group's leaves
    /// other rows write.
    fn enter(&self) -> TokenStream {
        if self.cx.ir.is_group(self.ir) {
            return quote!();
        }
        let (ir, path) = (self.ir, self.ir_path);
        let prefix = format!("{path}.");
        let rows = self.cx.consumed(self.wire, &mut BTreeSet::new());
        let elsewhere = rows.iter().filter_map(|row| row.strip_prefix(&prefix));
        quote!(cx.enter(at, #ir, #path, &[#(#elsewhere),*]);)
    }
}

/// Whether a row for the same leaf that is written only towards home has the value.
fn homes(cx: &Cx<'_>, wire: &str, name: &str, path: &str) -> Vec<TokenStream> {
    cx.family(wire)
        .into_iter()
        .filter(|(owner, field, fate)| {
            (*owner, *field) != (wire, name)
                && matches!(fate, FieldFate::Ir { path: p, home: true, .. } if p.text() == path)
        })
        .map(|(owner, field, _)| quote!(native.is_spelled(#owner, #field)))
        .collect()
}

pub(super) fn element(cx: &Cx<'_>, wire: &str, ty: &TypeMap, list: &str, which: &str) -> Result<TokenStream> {
    let list_place = slot(quote!(src), list);
    if which == "0" {
        return Ok(quote!(if let Some(element) = #list_place.as_ref().and_then(|list| list.first())));
    }
    let item = names::ty(cx.ir.at(&ty.ir, list)?.ty.target().context("no list of objects")?);
    let variant = names::variant(which);
    let test = if beside(cx, wire, ty, list, which)? { quote!(if node.bare == Some(true)) } else { quote!() };
    Ok(quote! {
        if let Some(element) = #list_place.as_ref().and_then(|list| {
            list.iter().find_map(|item| match item {
                ir::#item::#variant(node) #test => Some(node),
                _ => None,
            })
        })
    })
}

fn through(
    row: &Row<'_, '_>,
    ty: &TypeMap,
    via: &str,
    wire: &Type,
    leaf: &IrType,
    place: &TokenStream,
    wrap: &dyn Fn(TokenStream) -> TokenStream,
) -> Result<TokenStream> {
    let via = names::field(via);
    let set = match wire {
        Type::Ref(name) if scalar::is_enum(row.cx, wire) => {
            let ty = names::ty(name);
            wrap(quote!(#ty::from_text(v)))
        }
        _ => wrap(quote!(v)),
    };
    let is_group = matches!(leaf, IrType::Ref(target) if row.cx.ir.is_group(target));
    if is_group {
        let IrType::Ref(group) = leaf else { bail!("a group") };
        // Leaves of the group that have a row of their own are no loss.
        let own = |leaf: &str| {
            let path = format!("{}.{leaf}", row.ir_path);
            ty.fields.values().any(|f| matches!(f, FieldFate::Ir { path: p, .. } if p.text() == path))
        };
        let leaves = row.cx.ir.leaves(group)?.into_iter().map(|(leaf, _)| leaf).filter(|leaf| !own(leaf));
        let report = group_report(row, group, &leaves.collect::<Vec<_>>(), place)?;
        return Ok(quote! {
            if #place != Default::default() {
                match transforms::#via::write(&#place) {
                    Some(v) => { #set }
                    None => { #report }
                }
            }
        });
    }
    let no_word = row.no_word();
    Ok(quote! {
        if let Some(v) = &#place {
            match transforms::#via::write(v) {
                Some(v) => { #set }
                None => { #no_word }
            }
        }
    })
}

/// Reports all leaves of a group that has no form here.
fn group_report(
    row: &Row<'_, '_>,
    group: &str,
    leaves: &[String],
    place: &TokenStream,
) -> Result<TokenStream> {
    let enter = row.enter();
    let report = row.cx.report(group, leaves, true)?;
    Ok(quote! {
        #enter
        let src = &#place;
        #report
    })
}

fn from_slot(
    row: &Row<'_, '_>,
    ty: &TypeMap,
    wire: &Type,
    ir: &IrType,
    place: &TokenStream,
    wrap: &dyn Fn(TokenStream) -> TokenStream,
) -> Result<TokenStream> {
    let cx = row.cx;
    if let Some(scalar) = scalar::conversion(cx, wire, ir)? {
        let (write, no_word, set) = (scalar.write, row.no_word(), wrap(quote!(w)));
        let plain = quote! {
            match #write {
                Some(w) => { #set }
                None => { #no_word }
            }
        };
        if !scalar.lossy {
            return Ok(quote!(if let Some(v) = &#place { #plain }));
        }
        let (read, name, wire_ty) = (
            read_fn(wire.target().context("an enum")?),
            row.name,
            names::ty(wire.target().context("an enum")?),
        );
        return Ok(quote! {
            if let Some(v) = &#place {
                match native.spelled(OWNER, #name).map(|raw| #wire_ty::from_checked(raw.checked())) {
                    Some(Ok(w)) if cx.home() && #read(w.clone()) == *v => { #set }
                    _ => #plain
                }
            }
        });
    }
    match (wire, ir) {
        (Type::Array(item), IrType::Text) => {
            let (form, variant) = scalar::text_form(cx, item)?;
            let (name, set) = (row.name, wrap(quote!(pieces)));
            Ok(quote! {
                if let Some(text) = &#place {
                    let spelled = native.spelled(OWNER, #name).filter(|_| cx.home());
                    let pieces = match spelled.map(|raw| Wire::from_checked(raw.checked())) {
                        Some(Ok(pieces)) => pieces,
                        _ => vec![Keyed::from(#form::#variant(text.reborrow()))],
                    };
                    #set
                }
            })
        }
        (Type::Array(item), IrType::List(ir_item)) => {
            let items = list(row, ty, item, ir_item)?;
            let set = wrap(quote!(items));
            Ok(quote! {
                if let Some(list) = &#place {
                    let items: Vec<_> = #items;
                    if !items.is_empty() {
                        #set
                    }
                }
            })
        }
        (Type::Ref(target), IrType::List(ir_item)) => text_or_list(row, ty, target, ir_item, place, wrap),
        (Type::Ref(target), IrType::Ref(ir_target)) if cx.ir.is_group(ir_target) => {
            group(row, target, ir_target, place, wrap)
        }
        (Type::Ref(target), IrType::Ref(ir_target)) => {
            let write = write_fn(target);
            let call = match cx.becomes(target)? {
                Becomes::Object(_) => {
                    quote!(cx.leftovers(&node.native); Some(#write(node, &node.native, cx, node.at)))
                }
                Becomes::Union(_) => quote!(#write(node, cx)),
                Becomes::Nothing => bail!("{target} does not become {ir_target}"),
            };
            let set = wrap(quote!(w));
            Ok(quote! {
                if let Some(node) = #place.as_deref() {
                    let written = { #call };
                    if let Some(w) = written {
                        #set
                    }
                }
            })
        }
        _ => bail!("{ir:?} does not become a {wire:?}"),
    }
}

/// A list that nothing else shares, as `Some(items)` when there are any.
pub(super) fn bare_list(cx: &Cx<'_>, wire: &Type, ir: &IrType, place: &TokenStream) -> Result<TokenStream> {
    let (Type::Array(item), IrType::List(ir_item)) = (wire, ir) else {
        bail!("{ir:?} does not become a {wire:?}")
    };
    let ty = TypeMap { ir: String::new(), via: None, fields: Default::default(), rest: None };
    let row = Row { cx, wire: "", ir: "", ir_path: "", only: None, name: "" };
    let items = list(&row, &ty, item, ir_item)?;
    Ok(quote!(#place.as_ref().map(|list| -> Vec<_> { #items })))
}

/// The items of `list` as wire values; those that have no form are reported.
fn list(row: &Row<'_, '_>, ty: &TypeMap, item: &Type, ir: &IrType) -> Result<TokenStream> {
    let cx = row.cx;
    if let Some(scalar) = scalar::conversion(cx, item, ir)? {
        let write = scalar.write;
        return Ok(quote!(list.iter().filter_map(|v| #write).collect()));
    }
    let target = item.target().context("a list of objects")?;
    let write = write_fn(target);
    let filter = filter(row, ty, ir)?;
    let is_object = matches!(cx.schema.types.get(target), Some(Def::Object(_)));
    let call = match (cx.becomes(target)?, is_object) {
        (Becomes::Object(_), true) => quote! {
            cx.leftovers(&node.native);
            Some(#write(node, &node.native, cx, node.at))
        },
        (Becomes::Object(_), false) => quote! {
            let written = #write(node, &node.native, cx, node.at);
            match &written {
                Some(_) => cx.leftovers(&node.native),
                None => cx.lack_node(node.at, "this protocol has no such form", true),
            }
            written
        },
        (Becomes::Union(_), true) => {
            let object = cx.map.ty(target).context("a mapped type")?.ir.clone();
            let (union, tag) = object.split_once('.').context("a variant")?;
            let (union, variant) = (names::ty(union), names::variant(tag));
            quote! {
                match node {
                    ir::#union::#variant(node) => {
                        cx.leftovers(&node.native);
                        Some(#write(node, &node.native, cx, node.at))
                    }
                    other => {
                        cx.lack_node(other.at(), "only another kind of content fits here", other.semantic());
                        None
                    }
                }
            }
        }
        (Becomes::Union(_), false) => quote!(#write(node, cx)),
        (Becomes::Nothing, _) => bail!("items {target} have no meaning"),
    };
    Ok(quote!({
        let home = cx.home();
        list.iter()#filter.filter_map(|node| { #call }).collect()
    }))
}

/// Which elements of a shared list a row takes.
fn filter(row: &Row<'_, '_>, ty: &TypeMap, item: &IrType) -> Result<TokenStream> {
    let (path, cx) = (row.ir_path, row.cx);
    let union = || item.target().map(names::ty).context("a list of objects");
    if let Some(only) = row.only {
        let (union, variant) = (union()?, names::variant(only));
        return Ok(quote!(.filter(|item| matches!(item, ir::#union::#variant(_)))));
    }
    let claims = claims(cx, row.wire, ty, path)?;
    if claims.is_empty() {
        return Ok(quote!());
    }
    let union = union()?;
    let tests = claims.iter().map(|claim| claim.test(&union));
    Ok(quote!(.filter(|item| !(#(#tests)||*))))
}

/// A list that may be written as a bare string.
fn text_or_list(
    row: &Row<'_, '_>,
    ty: &TypeMap,
    target: &str,
    ir_item: &IrType,
    place: &TokenStream,
    wrap: &dyn Fn(TokenStream) -> TokenStream,
) -> Result<TokenStream> {
    let cx = row.cx;
    let Some(Def::Union(Union::Shape(forms))) = cx.schema.types.get(target) else {
        bail!("{target} is no list")
    };
    let Some(array @ Type::Array(item)) = forms.get(&Kind::Array) else {
        bail!("{target} has no array form")
    };
    let union = names::ty(target);
    let items = list(row, ty, item, ir_item)?;
    let filter = filter(row, ty, ir_item)?;
    let name = row.name;
    let as_array = {
        let items = if cx.layout.boxed_field(array) { quote!(Box::new(items)) } else { quote!(items) };
        wrap(quote!(#union::Array(#items)))
    };
    let as_string = wrap(quote!(#union::String(text)));
    let (probe, text) = match ir_item {
        IrType::Text => (
            quote! {
                native.is_spelled(OWNER, #name) && list.len() == 1
            },
            quote!(list.first().map(Text::reborrow)),
        ),
        IrType::Ref(turn) if turn == "Turn" => (
            quote!(cx.home() && native.is_spelled(OWNER, #name)),
            quote! {
                match list.as_slice() {
                    [ir::Turn { content: Some(content), .. }] => match content.as_slice() {
                        [ir::Block::Text(node)] => node.text.as_ref().map(Text::reborrow),
                        _ => None,
                    },
                    _ => None,
                }
            },
        ),
        _ => (
            quote!(true),
            quote! {{
                let home = cx.home();
                let mut blocks = list.iter()#filter;
                match (blocks.next(), blocks.next()) {
                    (Some(ir::Block::Text(node)), None) if node.bare == Some(true) && node.cache == Default::default()
                        && node.citations.is_none() => node.text.as_ref().map(Text::reborrow),
                    _ => None,
                }
            }},
        ),
    };
    Ok(quote! {
        if let Some(list) = &#place {
            let bare = if #probe { #text } else { None };
            if let Some(text) = bare {
                #as_string
            } else {
                let items: Vec<_> = #items;
                if !items.is_empty() {
                    #as_array
                }
            }
        }
    })
}

/// A group as a wire object or union.
fn group(
    row: &Row<'_, '_>,
    target: &str,
    group: &str,
    place: &TokenStream,
    wrap: &dyn Fn(TokenStream) -> TokenStream,
) -> Result<TokenStream> {
    let cx = row.cx;
    let enter = row.enter();
    let write = write_fn(target);
    let leaves: Vec<String> = cx.ir.leaves(group)?.into_iter().map(|(leaf, _)| leaf).collect();
    let body = match cx.schema.types.get(target) {
        Some(Def::Object(_)) => {
            let set = wrap(quote!(w));
            quote! {
                #enter
                let w = #write(&#place, native, cx, at);
                if w != Default::default() {
                    #set
                }
            }
        }
        Some(Def::Union(Union::Tag { .. } | Union::Key(_))) => {
            let (set, report) = (wrap(quote!(w)), group_report(row, group, &leaves, place)?);
            quote! {
                #enter
                match #write(&#place, native, cx, at) {
                    Some(w) => { #set }
                    None => { #report }
                }
            }
        }
        Some(Def::Union(Union::Shape(forms))) => {
            let union = names::ty(target);
            let object = forms.get(&Kind::Object).context("an object form")?;
            let inner = object.target().context("an object form")?;
            let write = write_fn(inner);
            let value = if cx.layout.boxed_field(object) { quote!(Box::new(w)) } else { quote!(w) };
            let as_object = wrap(quote!(#union::Object(#value)));
            let as_string = wrap(quote!(#union::String(w)));
            let path = cx.map.strings.get(target).with_context(|| format!("{target} has no [[union]]"))?;
            let form = forms.get(&Kind::String).context("a string form")?;
            let leaf = &cx.ir.at(group, path)?.ty;
            let string = scalar::conversion(cx, form, leaf)?.context("the string form has no meaning")?.write;
            let leaf_place = slot(place.clone(), path);
            let rest: Vec<String> = leaves.iter().filter(|l| *l != path).cloned().collect();
            let (report, rest) =
                (group_report(row, group, &leaves, place)?, group_report(row, group, &rest, place)?);
            let object_form = match cx.schema.types.get(inner) {
                Some(Def::Union(_)) => quote!(#write(&#place, native, cx, at)),
                _ => bail!("{target}: the object form is no tagged union"),
            };
            quote! {
                #enter
                if let Some(w) = #object_form {
                    #as_object
                } else {
                    match #leaf_place.as_ref().and_then(|v| #string) {
                        Some(w) => {
                            #as_string
                            #rest
                        }
                        None => { #report }
                    }
                }
            }
        }
        _ => bail!("{target} does not become the group {group}"),
    };
    // An object that says only what its protocol alone knows is still there.
    let there = match cx.schema.types.get(target) {
        Some(Def::Object(_)) => quote!(|| (cx.home() && native.owns(#target))),
        _ => quote!(),
    };
    Ok(quote!(if #place != Default::default() #there { #body }))
}

fn inline(
    cx: &Cx<'_>,
    wire: &Type,
    ty: &TypeMap,
    required: bool,
    wrap: &dyn Fn(TokenStream) -> TokenStream,
) -> Result<TokenStream> {
    let target = wire.target().context("inline needs an object")?;
    let write = write_fn(target);
    let set = wrap(quote!(w));
    match cx.schema.types.get(target) {
        Some(Def::Object(_)) => {
            let blank = super::blank(cx, target, quote!(w))?;
            // What was there without saying anything comes back from the native slot.
            let needed = required.then(|| quote!(!cx.home() ||));
            Ok(quote! {
                let w = #write(src, native, cx, at);
                if #needed !(#blank) {
                    #set
                }
            })
        }
        Some(Def::Union(Union::Tag { .. } | Union::Key(_))) => {
            let mut homes = BTreeSet::new();
            let mut rows = BTreeSet::new();
            cx.consumed_behind(target, &mut rows, &mut homes);
            let report = cx.report(&ty.ir, &covered(cx, &ty.ir, &rows)?, cx.ir.is_group(&ty.ir))?;
            Ok(quote! {
                match #write(src, native, cx, at) {
                    Some(w) => { #set }
                    None => { #report }
                }
            })
        }
        _ => bail!("{target} cannot be inline"),
    }
}

fn is_required(cx: &Cx<'_>, wire: &str, field: &str) -> bool {
    matches!(cx.schema.types.get(wire), Some(Def::Object(fields)) if fields.get(field).is_some_and(|f| f.required))
}
