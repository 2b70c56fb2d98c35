//! Prints `read_*`: a wire value taken apart into the IR.

use anyhow::{Context, Result, bail};
use proc_macro2::TokenStream;
use quote::quote;

use super::{Becomes, Cx, beside, element_ir, leaf_type, read_fn, scalar, slot, write_fn};
use crate::emit::names;
use crate::ir::IrType;
use crate::map::{FieldFate, IrPath, TypeMap};
use crate::schema::{Def, Kind, Type, Union};

/// `read_<type>` of a mapped object type.
pub(super) fn object(cx: &Cx<'_>, wire: &str, ty: &TypeMap) -> Result<TokenStream> {
    let Some(Def::Object(fields)) = cx.schema.types.get(wire) else { bail!("no object type") };
    let wire_ty = names::ty(wire);
    let ir_ty = cx.ir_ident(&ty.ir)?;
    let function = read_fn(wire);
    let idents: Vec<_> = fields.keys().map(|f| names::field(f)).collect();
    // Rows that are written towards other protocols come first: they own a leaf that two rows name.
    let mut order: Vec<&String> = fields.keys().collect();
    // A value that becomes a whole group comes before rows for a part of it.
    order.sort_by_key(|name| match ty.fields.get(*name) {
        Some(FieldFate::Ir { home: true, .. }) => 2,
        Some(FieldFate::Ir { path, via: Some(_), .. }) if is_group(cx, &ty.ir, path) => 0,
        _ => 1,
    });
    let rows = order
        .into_iter()
        .map(|name| row(cx, wire, ty, name).with_context(|| format!("field {name}")))
        .collect::<Result<Vec<_>>>()?;
    let after = ty.via.as_ref().map(|via| {
        let via = names::field(via);
        quote!(transforms::#via::after_read(out);)
    });
    let doc = format!(" Takes a `{wire}` apart into `{}`.", ty.ir);
    Ok(quote! {
        #[doc = #doc]
        pub fn #function<'a>(
            wire: #wire_ty<'a>,
            out: &mut ir::#ir_ty<'a>,
            native: &mut Native<'a>,
            cx: &mut ReadCx,
            at: At,
        ) {
            const OWNER: &str = #wire;
            let #wire_ty { #(#idents,)* unknown } = wire;
            #(#rows)*
            for (name, value) in unknown {
                native.keep(at, OWNER, name, value);
            }
            #after
        }
    })
}

fn is_group(cx: &Cx<'_>, ir: &str, path: &IrPath) -> bool {
    matches!(leaf_type(cx, ir, path), Ok(IrType::Ref(target)) if cx.ir.is_group(target))
}

fn row(cx: &Cx<'_>, wire: &str, ty: &TypeMap, name: &str) -> Result<TokenStream> {
    let ident = names::field(name);
    let fate = ty.fields.get(name).context("no fate")?;
    let wire_type = cx.field_type(wire, name)?;
    let unbox = cx.layout.boxed_field(wire_type).then(|| quote!(let v = *v;));
    let value = match fate {
        FieldFate::Const { value, sets } => {
            let set = words(cx, &ty.ir, sets)?;
            let value = match wire_type {
                Type::Boolean => scalar::truth(value)?,
                Type::Ref(name) if scalar::is_enum(cx, wire_type) => {
                    let (ty, variant) = (names::ty(name), names::variant(value));
                    quote!(#ty::#variant)
                }
                _ => quote!(#value),
            };
            return Ok(quote! {
                match #ident {
                    Field::Value(v) if v == #value => {}
                    Field::Value(v) => native.spelling(at, OWNER, #name, &v),
                    Field::Null => native.null(at, OWNER, #name),
                    Field::Absent => native.left(at, OWNER, #name),
                }
                #(#set)*
            });
        }
        FieldFate::Keep { .. } | FieldFate::Hand { .. } => quote!(native.keep_wire(at, OWNER, #name, &v);),
        FieldFate::Inline(_) => inline(cx, wire_type, &ty.ir, name)?,
        FieldFate::Ir { path, via, only, home, sets, when, .. } => {
            let leaf = leaf_type(cx, &ty.ir, path)?;
            let (place, open) = match &path.element {
                None => (slot(quote!(out), &path.leaf), None),
                Some((list, which)) => {
                    (slot(quote!(element), &path.leaf), Some(element(cx, wire, ty, list, which)?))
                }
            };
            let body = match via {
                Some(via) => through(cx, via, wire_type, leaf, &place, name),
                None => into_slot(cx, wire_type, leaf, &place, name)?,
            };
            let set = words(cx, &ty.ir, sets)?;
            // Without the part by which it is known, it is told that it was there.
            let form = when.as_ref().map(|part| {
                let part = slot(quote!(out), part);
                quote!(if #part.is_none() { native.form(at, OWNER, #name); })
            });
            let body = quote!(#body #(#set)* #form);
            // A row for one variant of a list shares the list without owning it.
            let body = if *home || (only.is_none() && shared(ty, name, &path.text())) {
                let is_group = matches!(leaf, IrType::Ref(target) if cx.ir.is_group(target));
                let taken =
                    if is_group { quote!(#place != Default::default()) } else { quote!(#place.is_some()) };
                let spell = home.then(|| quote!(native.spelling(at, OWNER, #name, &v);));
                quote! {
                    if #taken {
                        native.keep_wire(at, OWNER, #name, &v);
                    } else {
                        #spell
                        #body
                    }
                }
            } else {
                body
            };
            match open {
                None => body,
                Some(open) => quote!(#open { #body }),
            }
        }
    };
    Ok(quote! {
        match #ident {
            Field::Absent => {}
            Field::Null => native.null(at, OWNER, #name),
            Field::Value(v) => {
                #unbox
                #value
            }
        }
    })
}

/// Statements that put words into places of the IR.
fn words(cx: &Cx<'_>, ir: &str, sets: &[(String, String)]) -> Result<Vec<TokenStream>> {
    let set = |(path, word): &(String, String)| {
        let place = slot(quote!(out), path);
        let word = cx.word(ir, path, word)?;
        Ok(quote!(#place = Some(#word);))
    };
    sets.iter().map(set).collect()
}

/// Whether another row of the type names the same scalar leaf.
fn shared(ty: &TypeMap, name: &str, path: &str) -> bool {
    ty.fields.iter().any(|(other, fate)| {
        other != name && matches!(fate, FieldFate::Ir { path: p, only: None, .. } if p.text() == path)
    })
}

/// `if let Some(..element..)` for a path that steps into a list.
fn element(cx: &Cx<'_>, wire: &str, ty: &TypeMap, list: &str, which: &str) -> Result<TokenStream> {
    let ir = &ty.ir;
    let list_place = slot(quote!(out), list);
    let item = names::ty(cx.ir.at(ir, list)?.ty.target().context("no list of objects")?);
    if which == "0" {
        return Ok(quote! {
            if let Some(element) =
                map::element(&mut #list_place, false, |_| true, || ir::#item { at, ..Default::default() })
        });
    }
    let variant = names::variant(which);
    let node = cx.ir_ident(&element_ir(cx, ir, list, which)?)?;
    let (test, bare) = if beside(cx, wire, ty, list, which)? {
        (quote!(ir::#item::#variant(node) if node.bare == Some(true)), quote!(bare: Some(true),))
    } else {
        (quote!(ir::#item::#variant(_)), quote!())
    };
    // Reasoning stands before what it led to, wherever its member stands.
    let front = which == "reasoning";
    Ok(quote! {
        if let Some(ir::#item::#variant(element)) = map::element(
            &mut #list_place,
            #front,
            |item| matches!(item, #test),
            || ir::#item::#variant(ir::#node { at, #bare ..Default::default() }),
        )
    })
}

fn through(
    cx: &Cx<'_>,
    via: &str,
    wire: &Type,
    leaf: &IrType,
    place: &TokenStream,
    name: &str,
) -> TokenStream {
    let via = names::field(via);
    let text = scalar::is_enum(cx, wire).then(|| quote!(let v = v.text();));
    let value = match leaf {
        IrType::Ref(target) if cx.ir.is_group(target) => quote!(value),
        _ => quote!(Some(value)),
    };
    quote! {
        #text
        match transforms::#via::read(v) {
            Ok(value) => #place = #value,
            Err(v) => native.keep_wire(at, OWNER, #name, &v),
        }
    }
}

/// Statements that put `v` into the place.
pub(super) fn into_slot(
    cx: &Cx<'_>,
    wire: &Type,
    ir: &IrType,
    place: &TokenStream,
    name: &str,
) -> Result<TokenStream> {
    if let Some(scalar) = scalar::conversion(cx, wire, ir)? {
        let read = scalar.read;
        if !scalar.lossy {
            return Ok(quote!(#place = Some(#read);));
        }
        let write = write_fn(wire.target().context("an enum")?);
        return Ok(quote! {
            let written = v.clone();
            let meaning = #read;
            if #write(&meaning).as_ref() != Some(&written) {
                native.spelling(at, OWNER, #name, &written);
            }
            #place = Some(meaning);
        });
    }
    match (wire, ir) {
        (Type::Array(item), IrType::Text) => {
            let (form, variant) = scalar::text_form(cx, item)?;
            Ok(quote! {
                if v.len() != 1 || v.iter().any(|piece| piece.value.is_none() || !piece.unknown.is_empty()) {
                    native.spelling(at, OWNER, #name, &v);
                }
                let pieces = v.into_iter().filter_map(|piece| match piece.value {
                    Some(#form::#variant(text)) => Some(text),
                    None => None,
                });
                #place = Some(map::joined(pieces));
            })
        }
        (Type::Array(item), IrType::List(ir_item)) => {
            let list = list(cx, item, ir_item, place)?;
            Ok(quote! {
                if v.is_empty() {
                    native.empty(at, OWNER, #name, b"[]".to_vec());
                }
                let member = cx.member(at, #name);
                #list
            })
        }
        (Type::Ref(target), IrType::List(ir_item)) => {
            let Some(Def::Union(Union::Shape(forms))) = cx.schema.types.get(target) else {
                bail!("{target} does not become a list")
            };
            let Some(Type::Array(item)) = forms.get(&Kind::Array) else {
                bail!("{target} has no array form")
            };
            let union = names::ty(target);
            let list = list(cx, item, ir_item, place)?;
            let string = match &**ir_item {
                IrType::Text => quote! {
                    native.spelling(at, OWNER, #name, &#union::String(v.clone()));
                    #place.get_or_insert_with(Vec::new).push(v);
                },
                IrType::Ref(block) if block == "Block" => quote! {
                    let node = ir::TextBlock {
                        at: cx.member(at, #name),
                        text: Some(v),
                        bare: Some(true),
                        ..Default::default()
                    };
                    #place.get_or_insert_with(Vec::new).push(ir::Block::Text(node));
                },
                IrType::Ref(turn) if turn == "Turn" => quote! {
                    native.spelling(at, OWNER, #name, &#union::String(v.clone()));
                    let at = cx.member(at, #name);
                    let text = ir::TextBlock { at, text: Some(v), bare: Some(true), ..Default::default() };
                    #place.get_or_insert_with(Vec::new).push(ir::Turn {
                        at,
                        role: Some(ir::Role::User),
                        content: Some(vec![ir::Block::Text(text)]),
                        ..Default::default()
                    });
                },
                other => bail!("a string does not become a list of {other:?}"),
            };
            let others = forms.len() - 2;
            if others > 0 {
                bail!("{target} has more than a string and an array form");
            }
            Ok(quote! {
                match v {
                    #union::String(v) => { #string }
                    #union::Array(v) => {
                        if v.is_empty() {
                            native.empty(at, OWNER, #name, b"[]".to_vec());
                        }
                        let member = cx.member(at, #name);
                        #list
                    }
                }
            })
        }
        (Type::Ref(target), IrType::Ref(ir_target)) if cx.ir.is_group(ir_target) => {
            group(cx, target, ir_target, place, name)
        }
        (Type::Ref(target), IrType::Ref(ir_target)) => match cx.becomes(target)? {
            Becomes::Object(object) if object == *ir_target => {
                let node = node(cx, target, ir_target)?;
                Ok(quote! {
                    let at = cx.member(at, #name);
                    #node
                    #place = Some(Box::new(node));
                })
            }
            Becomes::Union(union) if union == *ir_target => {
                let read = read_fn(target);
                Ok(quote! {
                    let at = cx.member(at, #name);
                    #place = Some(Box::new(#read(v, cx, at)));
                })
            }
            other => bail!("{target} becomes {other:?}, not {ir_target}"),
        },
        _ => bail!("a {wire:?} does not become {ir:?}"),
    }
}

/// A wire object or union that becomes a group.
fn group(cx: &Cx<'_>, target: &str, group: &str, place: &TokenStream, name: &str) -> Result<TokenStream> {
    let read = read_fn(target);
    let keep = quote!(native.keep_wire(at, OWNER, #name, &v););
    match cx.schema.types.get(target) {
        Some(Def::Object(_)) => {
            if cx.map.ty(target).map(|t| t.ir.as_str()) != Some(group) {
                bail!("{target} is not mapped to {group}");
            }
            let wire = names::ty(target);
            Ok(quote! {
                if v == #wire::default() {
                    native.empty(at, OWNER, #name, b"{}".to_vec());
                } else {
                    let member = cx.member(at, #name);
                    #read(v, &mut #place, native, cx, member);
                }
            })
        }
        Some(Def::Union(Union::Tag { .. } | Union::Key(_))) => Ok(quote! {
            let member = cx.member(at, #name);
            if let Err(v) = #read(v, &mut #place, native, cx, member) {
                #keep
            }
        }),
        Some(Def::Union(Union::Shape(forms))) => {
            let union = names::ty(target);
            let mut arms = Vec::new();
            for (kind, form) in forms {
                let (ident, body) = match kind {
                    Kind::String => {
                        let path = cx
                            .map
                            .strings
                            .get(target)
                            .with_context(|| format!("{target} has no [[union]]"))?;
                        let leaf = &cx.ir.at(group, path)?.ty;
                        let place = slot(place.clone(), path);
                        let scalar =
                            scalar::conversion(cx, form, leaf)?.context("the string form has no meaning")?;
                        let read = scalar.read;
                        (quote!(String), quote!(#place = Some(#read);))
                    }
                    Kind::Object => {
                        let inner = form.target().context("an object form")?;
                        let unbox = cx.layout.boxed_field(form).then(|| quote!(let v = *v;));
                        let body = self::group(cx, inner, group, place, name)?;
                        (quote!(Object), quote!(#unbox #body))
                    }
                    other => bail!("{target}: the {other:?} form has no meaning"),
                };
                arms.push(quote!(#union::#ident(v) => { #body }));
            }
            Ok(quote!(match v { #(#arms)* }))
        }
        _ => bail!("{target} does not become the group {group}"),
    }
}

/// Statements that make `node` from `v` at `at`.
pub(super) fn node(cx: &Cx<'_>, target: &str, ir: &str) -> Result<TokenStream> {
    let ir_ty = cx.ir_ident(ir)?;
    let read = read_fn(target);
    let call = match cx.schema.types.get(target) {
        Some(Def::Object(_)) => quote!(#read(v, &mut node, &mut own, cx, at);),
        _ => quote! {
            if let Err(v) = #read(v, &mut node, &mut own, cx, at) {
                own.keep_whole(at, #target, &v);
            }
        },
    };
    Ok(quote! {
        let mut node = ir::#ir_ty { at, ..Default::default() };
        let mut own = Native::default();
        #call
        node.native.append(own);
    })
}

/// Statements that append the items of `v` to the place; `member` is the place of the array.
fn list(cx: &Cx<'_>, item: &Type, ir: &IrType, place: &TokenStream) -> Result<TokenStream> {
    if let Some(scalar) = scalar::conversion(cx, item, ir)? {
        let read = scalar.read;
        return Ok(quote! {
            let _ = member;
            #place.get_or_insert_with(Vec::new).extend(v.into_iter().map(|v| #read));
        });
    }
    let target = item.target().with_context(|| format!("an item {item:?} does not become {ir:?}"))?;
    let ir_target = ir.target().context("a list of objects")?;
    let push = match cx.becomes(target)? {
        Becomes::Object(object) if object == *ir_target => {
            let node = node(cx, target, ir_target)?;
            quote!(#node list.push(node);)
        }
        Becomes::Union(union) if union == *ir_target => {
            let read = read_fn(target);
            match cx.schema.types.get(target) {
                Some(Def::Object(_)) => {
                    let object = cx.map.ty(target).context("a mapped type")?.ir.clone();
                    let node = node(cx, target, &object)?;
                    let (union, tag) = object.split_once('.').context("a variant")?;
                    let (union, variant) = (names::ty(union), names::variant(tag));
                    quote!(#node list.push(ir::#union::#variant(node));)
                }
                _ => quote!(list.push(#read(v, cx, at));),
            }
        }
        other => bail!("items {target} become {other:?}, not {ir_target}"),
    };
    Ok(quote! {
        let list = #place.get_or_insert_with(Vec::new);
        for (index, v) in v.into_iter().enumerate() {
            let at = cx.item(member, index);
            #push
        }
    })
}

/// A member whose own members belong to the same node.
fn inline(cx: &Cx<'_>, wire: &Type, ir: &str, name: &str) -> Result<TokenStream> {
    let target = wire.target().context("inline needs an object")?;
    let read = read_fn(target);
    match cx.schema.types.get(target) {
        Some(Def::Object(_)) => {
            if cx.map.ty(target).map(|t| t.ir.as_str()) != Some(ir) {
                bail!("{target} is inline and must be mapped to {ir}");
            }
            let blank = super::blank(cx, target, quote!(v))?;
            Ok(quote! {
                if #blank {
                    native.empty(at, OWNER, #name, v.to_json());
                } else {
                    let member = cx.member(at, #name);
                    #read(v, out, native, cx, member);
                }
            })
        }
        Some(Def::Union(Union::Tag { .. } | Union::Key(_))) => Ok(quote! {
            let member = cx.member(at, #name);
            if let Err(v) = #read(v, out, native, cx, member) {
                native.keep_wire(at, OWNER, #name, &v);
            }
        }),
        _ => bail!("{target} cannot be inline"),
    }
}

/// `read_<union>` of a tagged union with mapped variants.
pub(super) fn union(
    cx: &Cx<'_>,
    name: &str,
    variants: &std::collections::BTreeMap<String, String>,
) -> Result<TokenStream> {
    let wire_ty = names::ty(name);
    let function = read_fn(name);
    let becomes = cx.becomes(name)?;
    let mut arms = Vec::new();
    for (tag, target) in variants {
        let variant = names::variant(tag);
        let Some(ty) = cx.map.ty(target) else { continue };
        let unbox = cx.layout.boxed_variant(target).then(|| quote!(let v = *v;));
        let read = read_fn(target);
        arms.push(match &becomes {
            Becomes::Object(_) => {
                quote!(#wire_ty::#variant(v) => { #unbox #read(v, out, native, cx, at); Ok(()) })
            }
            Becomes::Union(_) => {
                let (union, ir_tag) = ty.ir.split_once('.').context("a variant")?;
                let (union, ir_variant) = (names::ty(union), names::variant(ir_tag));
                let node = node(cx, target, &ty.ir)?;
                quote!(#wire_ty::#variant(v) => { #unbox #node ir::#union::#ir_variant(node) })
            }
            Becomes::Nothing => bail!("{name} has no mapped variant"),
        });
    }
    match becomes {
        Becomes::Object(object) => {
            let ir_ty = cx.ir_ident(&object)?;
            let doc =
                format!(" Takes a `{name}` apart into `{object}`; gives back a form that is no part of it.");
            Ok(quote! {
                #[doc = #doc]
                pub fn #function<'a>(
                    wire: #wire_ty<'a>,
                    out: &mut ir::#ir_ty<'a>,
                    native: &mut Native<'a>,
                    cx: &mut ReadCx,
                    at: At,
                ) -> Result<(), #wire_ty<'a>> {
                    match wire {
                        #(#arms)*
                        other => Err(other),
                    }
                }
            })
        }
        Becomes::Union(union) => {
            let ir_ty = names::ty(&union);
            let native_ty = names::ty(&format!("Native{union}"));
            let tag_field = match cx.schema.types.get(name) {
                Some(Def::Union(Union::Tag { field, .. })) => field.clone(),
                _ => bail!("{name} is no tagged union"),
            };
            let doc =
                format!(" Turns a `{name}` into a `{union}`; a form without a meaning is carried as it is.");
            Ok(quote! {
                #[doc = #doc]
                pub fn #function<'a>(wire: #wire_ty<'a>, cx: &mut ReadCx, at: At) -> ir::#ir_ty<'a> {
                    match wire {
                        #(#arms)*
                        other => {
                            let value = match other {
                                #wire_ty::Other(value) => value,
                                known => Json::written(known.to_json()),
                            };
                            let kind = map::tag_of(&value, #tag_field);
                            ir::#ir_ty::Native(ir::#native_ty { at, kind, value: Some(value), ..Default::default() })
                        }
                    }
                }
            })
        }
        Becomes::Nothing => bail!("{name} has no mapped variant"),
    }
}
