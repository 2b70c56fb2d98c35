//! Prints `read_<union>` and `write_<union>` of unions by key: an object with one of several members.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::read::node;
use super::{Becomes, Cx, read_fn, scalar, slot, write_fn};
use crate::emit::names;
use crate::map::KeyForm;
use crate::schema::{Def, Type, Union};

/// What stands behind one member.
enum Form<'f> {
    /// A scalar that is a leaf of an IR object.
    Leaf { ir: &'f str, leaf: &'f str },
    /// An object with a map of its own.
    Object { wire: &'f str, ir: &'f str },
    /// Another union, all of whose forms become the same IR union.
    Union { wire: &'f str },
    /// It has no meaning in the IR.
    Kept,
}

fn form<'f>(cx: &'f Cx<'_>, name: &str, key: &str, ty: &'f Type, target: &'f str) -> Result<Form<'f>> {
    let row = cx.map.key_form(name, key);
    if row.is_some_and(|row| row.keep.is_some()) {
        return Ok(Form::Kept);
    }
    if let Some(leaf) = row.and_then(|row| row.leaf.as_deref()) {
        return Ok(Form::Leaf { ir: row.and_then(|row| row.ir.as_deref()).unwrap_or(target), leaf });
    }
    let Type::Ref(wire) = ty else { bail!("{name}.{key} has no meaning") };
    if let Some(mapped) = cx.map.ty(wire) {
        return Ok(Form::Object { wire, ir: &mapped.ir });
    }
    match cx.schema.types.get(wire) {
        Some(Def::Union(_)) if cx.becomes(wire)? != Becomes::Nothing => Ok(Form::Union { wire }),
        _ => Ok(Form::Kept),
    }
}

fn row<'r>(cx: &'r Cx<'_>, name: &str, key: &str) -> Option<&'r KeyForm> {
    cx.map.key_form(name, key)
}

/// `Some(word)` into each place that the member stands for.
fn set(cx: &Cx<'_>, name: &str, key: &str, ir: &str, out: &TokenStream) -> Result<TokenStream> {
    let sets = row(cx, name, key).map(KeyForm::sets).unwrap_or_default();
    let sets = sets
        .into_iter()
        .map(|(path, word)| {
            let place = slot(out.clone(), path);
            let word = cx.word(ir, path, word)?;
            Ok(quote!(#place = Some(#word);))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(quote!(#(#sets)*))
}

/// Whether the IR says what the member stands for.
fn holds(cx: &Cx<'_>, name: &str, key: &str, ir: &str, src: &TokenStream) -> Result<Option<TokenStream>> {
    let Some(row) = row(cx, name, key) else { return Ok(None) };
    let mut tests = row
        .sets()
        .into_iter()
        .map(|(path, word)| {
            let place = slot(src.clone(), path);
            let word = cx.word(ir, path, word)?;
            Ok(quote!(#place == Some(#word)))
        })
        .collect::<Result<Vec<_>>>()?;
    if let Some(path) = &row.r#if {
        let place = slot(src.clone(), path);
        tests.push(quote!(#place.is_some()));
    }
    Ok((!tests.is_empty()).then(|| quote!(#(#tests)&&*)))
}

/// `read_<union>`.
pub(super) fn read(cx: &Cx<'_>, name: &str, forms: &BTreeMap<String, Type>) -> Result<TokenStream> {
    match cx.becomes(name)? {
        Becomes::Object(object) => read_object(cx, name, forms, &object),
        Becomes::Union(union) => read_union(cx, name, forms, &union),
        Becomes::Nothing => bail!("{name} has no mapped form"),
    }
}

/// `write_<union>`.
pub(super) fn write(cx: &Cx<'_>, name: &str, forms: &BTreeMap<String, Type>) -> Result<TokenStream> {
    match cx.becomes(name)? {
        Becomes::Object(object) => write_object(cx, name, forms, &object),
        Becomes::Union(union) => write_union(cx, name, forms, &union),
        Becomes::Nothing => bail!("{name} has no mapped form"),
    }
}

fn idents(name: &str, key: &str) -> (Ident, Ident) {
    (names::ty(&format!("{name}Form")), names::variant(key))
}

fn read_object(cx: &Cx<'_>, name: &str, forms: &BTreeMap<String, Type>, object: &str) -> Result<TokenStream> {
    let (wire_ty, ir_ty, function) = (names::ty(name), cx.ir_ident(object)?, read_fn(name));
    let mut arms = Vec::new();
    for (key, ty) in forms {
        let (enum_ty, variant) = idents(name, key);
        let sets = set(cx, name, key, object, &quote!(out))?;
        let body = match form(cx, name, key, ty, object)? {
            Form::Leaf { leaf, .. } => {
                let place = slot(quote!(out), leaf);
                match scalar::conversion(cx, ty, &cx.ir.at(object, leaf)?.ty)? {
                    Some(scalar) => {
                        let read = scalar.read;
                        quote!(#place = Some(#read);)
                    }
                    None => super::read::into_slot(cx, ty, &cx.ir.at(object, leaf)?.ty, &place, key)?,
                }
            }
            Form::Object { wire, .. } => {
                let read = read_fn(wire);
                let unbox = cx.layout.boxed_field(ty).then(|| quote!(let v = *v;));
                quote! {
                    #unbox
                    native.form(at, OWNER, #key);
                    let member = cx.member(at, #key);
                    #read(v, out, native, cx, member);
                }
            }
            Form::Union { .. } => bail!("{name}.{key}: a union in a union that becomes one object"),
            Form::Kept => continue,
        };
        arms.push(quote!(Some(#enum_ty::#variant(v)) if wire.unknown.is_empty() => { #body #sets Ok(()) }));
    }
    let doc = format!(" Takes a `{name}` apart into `{object}`; gives back a form that is no part of it.");
    Ok(quote! {
        #[doc = #doc]
        pub fn #function<'a>(
            mut wire: #wire_ty<'a>,
            out: &mut ir::#ir_ty<'a>,
            native: &mut Native<'a>,
            cx: &mut ReadCx,
            at: At,
        ) -> Result<(), #wire_ty<'a>> {
            const OWNER: &str = #name;
            let _ = (OWNER, &native, &cx, at);
            match wire.value.take() {
                #(#arms)*
                value => {
                    wire.value = value;
                    Err(wire)
                }
            }
        }
    })
}

fn write_object(
    cx: &Cx<'_>,
    name: &str,
    forms: &BTreeMap<String, Type>,
    object: &str,
) -> Result<TokenStream> {
    let (wire_ty, ir_ty, function) = (names::ty(name), cx.ir_ident(object)?, write_fn(name));
    let in_group = cx.ir.is_group(object);
    let mut arms = Vec::new();
    for (key, ty) in forms {
        let (enum_ty, variant) = idents(name, key);
        let holds = holds(cx, name, key, object, &quote!(src))?;
        match form(cx, name, key, ty, object)? {
            Form::Leaf { leaf, .. } => {
                let place = slot(quote!(src), leaf);
                let guard = holds.map(|test| quote!(#test &&));
                let said: Vec<&str> = row(cx, name, key)
                    .map(KeyForm::sets)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(path, _)| path)
                    .chain([leaf])
                    .collect();
                let rest: Vec<String> = if in_group {
                    let leaves = cx.ir.leaves(object)?.into_iter().map(|(leaf, _)| leaf);
                    leaves.filter(|leaf| !said.contains(&leaf.as_str())).collect()
                } else {
                    Vec::new()
                };
                let report = cx.report(object, &rest, in_group)?;
                let value = match scalar::conversion(cx, ty, &cx.ir.at(object, leaf)?.ty)? {
                    Some(scalar) => {
                        let write = scalar.write;
                        quote!(#place.as_ref().and_then(|v| #write))
                    }
                    None => super::write::bare_list(cx, ty, &cx.ir.at(object, leaf)?.ty, &place)?,
                };
                arms.push(quote! {
                    if #guard #place.is_some() && let Some(w) = #value {
                        #report
                        return Some(Keyed::from(#enum_ty::#variant(w)));
                    }
                });
            }
            Form::Object { wire, .. } => {
                let write = write_fn(wire);
                let value = if cx.layout.boxed_field(ty) { quote!(Box::new(w)) } else { quote!(w) };
                let blank = super::blank(cx, wire, quote!(w))?;
                arms.push(match holds {
                    Some(test) => quote! {
                        if #test {
                            let w = #write(src, native, cx, at);
                            return Some(Keyed::from(#enum_ty::#variant(#value)));
                        }
                    },
                    None => quote! {
                        {
                            let w = #write(src, native, cx, at);
                            if (cx.home() && native.has_form(OWNER, #key)) || !(#blank) {
                                return Some(Keyed::from(#enum_ty::#variant(#value)));
                            }
                        }
                    },
                });
            }
            Form::Union { .. } | Form::Kept => {}
        }
    }
    let doc = format!(" The form of `{name}` that says what `{object}` says, if there is one.");
    Ok(quote! {
        #[doc = #doc]
        pub fn #function<'s>(
            src: &'s ir::#ir_ty<'s>,
            native: &'s Native<'s>,
            cx: &mut WriteCx<'_>,
            at: At,
        ) -> Option<#wire_ty<'s>> {
            const OWNER: &str = #name;
            let _ = (OWNER, native, at);
            #(#arms)*
            None
        }
    })
}

fn read_union(cx: &Cx<'_>, name: &str, forms: &BTreeMap<String, Type>, union: &str) -> Result<TokenStream> {
    let (wire_ty, ir_ty, function) = (names::ty(name), names::ty(union), read_fn(name));
    let native_ty = names::ty(&format!("Native{union}"));
    let mut arms = Vec::new();
    for (key, ty) in forms {
        let (enum_ty, variant) = idents(name, key);
        let body = match form(cx, name, key, ty, "")? {
            Form::Leaf { ir, leaf } => {
                let node_ty = cx.ir_ident(ir)?;
                let ir_variant = names::variant(ir.split_once('.').context("a variant")?.1);
                let field = &cx.ir.at(ir, leaf)?.ty;
                let read = scalar::conversion(cx, ty, field)?.context("a scalar member")?.read;
                let place = slot(quote!(node), leaf);
                let sets = set(cx, name, key, ir, &quote!(node))?;
                let note = note(cx, name, forms, ir, key, &quote!(node.native))?;
                quote! {
                    let mut node = ir::#node_ty { at, ..Default::default() };
                    #place = Some(#read);
                    #sets
                    #note
                    ir::#ir_ty::#ir_variant(node)
                }
            }
            Form::Object { wire, ir } => {
                let ir_variant = names::variant(ir.split_once('.').context("a variant")?.1);
                let node = node(cx, wire, ir)?;
                let unbox = cx.layout.boxed_field(ty).then(|| quote!(let v = *v;));
                let sets = set(cx, name, key, ir, &quote!(node))?;
                let note = note(cx, name, forms, ir, key, &quote!(node.native))?;
                quote! {
                    #unbox
                    let at = cx.member(at, #key);
                    #node
                    #sets
                    #note
                    ir::#ir_ty::#ir_variant(node)
                }
            }
            Form::Union { wire } => {
                let read = read_fn(wire);
                let unbox = cx.layout.boxed_field(ty).then(|| quote!(let v = *v;));
                quote! {
                    #unbox
                    let at = cx.member(at, #key);
                    #read(v, cx, at)
                }
            }
            Form::Kept => continue,
        };
        arms.push(quote!(Some(#enum_ty::#variant(v)) if wire.unknown.is_empty() => { #body }));
    }
    let doc = format!(" Turns a `{name}` into a `{union}`; a form without a meaning is carried as it is.");
    Ok(quote! {
        #[doc = #doc]
        pub fn #function<'a>(mut wire: #wire_ty<'a>, cx: &mut ReadCx, at: At) -> ir::#ir_ty<'a> {
            const OWNER: &str = #name;
            let _ = (OWNER, &cx);
            match wire.value.take() {
                #(#arms)*
                value => {
                    wire.value = value;
                    let value = Json::written(wire.to_json());
                    let kind = map::first_member(&value);
                    ir::#ir_ty::Native(ir::#native_ty { at, kind, value: Some(value), ..Default::default() })
                }
            }
        }
    })
}

/// Takes note of the form, where several say the same IR type.
fn note(
    cx: &Cx<'_>,
    name: &str,
    forms: &BTreeMap<String, Type>,
    ir: &str,
    key: &str,
    native: &TokenStream,
) -> Result<TokenStream> {
    let several = writers(cx, name, forms)?.get(ir).is_some_and(|keys| keys.len() > 1);
    Ok(if several { quote!(#native.form(at, OWNER, #key);) } else { quote!() })
}

/// Which members say which IR type.
fn writers<'f>(
    cx: &Cx<'_>,
    name: &str,
    forms: &'f BTreeMap<String, Type>,
) -> Result<BTreeMap<String, Vec<(&'f str, &'f Type)>>> {
    let mut writers: BTreeMap<String, Vec<(&str, &Type)>> = BTreeMap::new();
    for (key, ty) in forms {
        match form(cx, name, key, ty, "")? {
            Form::Leaf { ir, .. } | Form::Object { ir, .. } => {
                writers.entry(ir.to_owned()).or_default().push((key, ty));
            }
            Form::Union { wire } => {
                for ir in behind(cx, wire)? {
                    writers.entry(ir).or_default().push((key, ty));
                }
            }
            Form::Kept => {}
        }
    }
    Ok(writers)
}

/// IR types that the forms of an inner union become.
fn behind(cx: &Cx<'_>, wire: &str) -> Result<Vec<String>> {
    Ok(match cx.schema.types.get(wire) {
        Some(Def::Union(Union::Key(forms))) => writers(cx, wire, forms)?.into_keys().collect(),
        _ => {
            let objects = cx.map.objects(cx.schema, wire);
            objects.into_iter().filter_map(|object| Some(cx.map.ty(object)?.ir.clone())).collect()
        }
    })
}

fn write_union(cx: &Cx<'_>, name: &str, forms: &BTreeMap<String, Type>, union: &str) -> Result<TokenStream> {
    let (wire_ty, ir_ty, function) = (names::ty(name), names::ty(union), write_fn(name));
    let writers = writers(cx, name, forms)?;
    let mut arms = Vec::new();
    for (ir, mut keys) in writers.iter().map(|(ir, keys)| (ir, keys.clone())) {
        let ir_variant = names::variant(ir.split_once('.').context("a variant")?.1);
        let several = keys.len() > 1;
        // Conditions first.
        keys.sort_by_key(|(key, _)| {
            row(cx, name, key).is_none_or(|row| row.sets.is_empty() && row.r#if.is_none())
        });
        let mut tries = Vec::new();
        for (key, ty) in keys {
            let (enum_ty, variant) = idents(name, key);
            let holds = holds(cx, name, key, ir, &quote!(node))?;
            let test = several.then(|| {
                let test = holds.clone().unwrap_or_else(|| quote!(true));
                quote! {
                    match cx.home() && node.native.any_form(OWNER) {
                        true => node.native.has_form(OWNER, #key),
                        false => #test,
                    }
                }
            });
            let test = test.or(holds);
            tries.push(match form(cx, name, key, ty, "")? {
                Form::Leaf { leaf, .. } => {
                    let scalar = scalar::conversion(cx, ty, &cx.ir.at(ir, leaf)?.ty)?.context("a scalar")?;
                    let (write, place) = (scalar.write, slot(quote!(node), leaf));
                    let leaves = cx.ir.leaves(ir)?.into_iter().map(|(leaf, _)| leaf);
                    let rest: Vec<String> = leaves.filter(|l| l != leaf).collect();
                    let report = cx.report(ir, &rest, false)?;
                    let guard = test.map(|test| if several { quote!((#test) &&) } else { quote!(#test &&) });
                    quote! {
                        if #guard let Some(w) = #place.as_ref().and_then(|v| #write) {
                            let (src, at) = (node, node.at);
                            let _ = (src, at);
                            #report
                            cx.leftovers(&node.native);
                            return Some(Keyed::from(#enum_ty::#variant(w)));
                        }
                    }
                }
                Form::Object { wire, .. } => {
                    let write = write_fn(wire);
                    let value = quote!(#write(node, &node.native, cx, node.at));
                    let value = if cx.layout.boxed_field(ty) { quote!(Box::new(#value)) } else { value };
                    let body = quote! {
                        cx.leftovers(&node.native);
                        return Some(Keyed::from(#enum_ty::#variant(#value)));
                    };
                    match test {
                        Some(test) => quote!(if #test { #body }),
                        None => body,
                    }
                }
                Form::Union { wire } => {
                    let write = write_fn(wire);
                    let value = if cx.layout.boxed_field(ty) { quote!(Box::new(w)) } else { quote!(w) };
                    quote! {
                        return #write(src, cx).map(|w| Keyed::from(#enum_ty::#variant(#value)));
                    }
                }
                Form::Kept => continue,
            });
        }
        let unused = quote!(let _ = node;);
        arms.push(quote!(ir::#ir_ty::#ir_variant(node) => { #unused #(#tries)* }));
    }
    let doc = format!(" The form of `{name}` for a `{union}`; reports one that has none.");
    let rest =
        super::write_union::homeless(cx, union, &writers.keys().map(String::as_str).collect::<Vec<_>>())?;
    Ok(quote! {
        #[doc = #doc]
        pub fn #function<'s>(src: &'s ir::#ir_ty<'s>, cx: &mut WriteCx<'_>) -> Option<#wire_ty<'s>> {
            const OWNER: &str = #name;
            let _ = OWNER;
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
