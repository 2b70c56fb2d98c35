//! Values without members: text, numbers, words.

use anyhow::{Result, bail};
use proc_macro2::TokenStream;
use quote::quote;

use super::{Cx, read_fn, write_fn};
use crate::emit::names;
use crate::ir::{IrDef, IrType};
use crate::map::EnumMap;
use crate::schema::{Def, Type, Union};

/// How a wire scalar and an IR scalar become each other.
pub(super) struct Scalar {
    /// From `v`, the wire value.
    pub(super) read: TokenStream,
    /// From `v`, a reference to the IR value; gives `Some(wire value)`, or `None` without a form.
    pub(super) write: TokenStream,
    /// Whether several wire values read as the same IR value.
    pub(super) lossy: bool,
}

/// The conversion, if both sides are scalars.
pub(super) fn conversion(cx: &Cx<'_>, wire: &Type, ir: &IrType) -> Result<Option<Scalar>> {
    let plain = |read, write: TokenStream| Some(Scalar { read, write: quote!(Some(#write)), lossy: false });
    Ok(match (wire, ir) {
        (Type::String | Type::Base64, IrType::Text) => plain(quote!(v), quote!(v.reborrow())),
        (Type::Integer | Type::Number, IrType::Num) => plain(quote!(v), quote!(write_num(v, cx.home()))),
        (Type::Int64, IrType::Num) => plain(quote!(v.0), quote!(Int64(v.reborrow()))),
        (Type::Boolean, IrType::Bool) => plain(quote!(v), quote!(*v)),
        (Type::Json, IrType::Json) => plain(quote!(v), quote!(v.reborrow())),
        (Type::Ref(name), IrType::Json) => {
            if !cx.map.keeps.contains_key(name) {
                bail!("{name} is carried as JSON: give it a [[keep]] with the reason");
            }
            let ty = names::ty(name);
            // What was read from this type reads again; what another protocol wrote may not.
            let write = quote!(<#ty<'_> as Wire<'_>>::from_checked(v.checked()).ok());
            Some(Scalar { read: quote!(Json::written(v.to_json())), write, lossy: false })
        }
        (Type::Ref(name), IrType::Text) => match cx.schema.types.get(name) {
            Some(Def::Enum(_)) => {
                let ty = names::ty(name);
                plain(quote!(v.text()), quote!(#ty::from_text(v.reborrow())))
            }
            _ => None,
        },
        (Type::Ref(name), IrType::Ref(ir_name)) => {
            match (cx.schema.types.get(name), cx.ir.types.get(ir_name)) {
                (Some(Def::Enum(_)), Some(IrDef::Enum { .. })) => {
                    let Some(entry) = cx.map.enums.get(name) else { bail!("enum {name} has no [[enum]]") };
                    if entry.ir != *ir_name {
                        bail!("enum {name} means {}, not {ir_name}", entry.ir);
                    }
                    let (read, write) = (read_fn(name), write_fn(name));
                    let lossy = entry.read.iter().any(|(word, ir)| entry.write.get(ir) != Some(word));
                    Some(Scalar { read: quote!(#read(v)), write: quote!(#write(v)), lossy })
                }
                _ => None,
            }
        }
        _ => None,
    })
}

/// `read_*` and `write_*` of an enum.
pub(super) fn enum_maps(cx: &Cx<'_>, wire: &str, entry: &EnumMap) -> TokenStream {
    let (wire_ty, ir_ty) = (names::ty(wire), names::ty(&entry.ir));
    let (read, write) = (read_fn(wire), write_fn(wire));
    let read_wires = entry.read.keys().map(|w| names::variant(w));
    let read_irs = entry.read.values().map(|w| names::variant(w));
    let write_irs: Vec<_> = entry.write.keys().map(|w| names::variant(w)).collect();
    let write_wires = entry.write.values().map(|w| names::variant(w));
    let other = match &entry.other {
        Some(word) => {
            let variant = names::variant(word);
            quote!(#wire_ty::#variant)
        }
        None => quote!(#wire_ty::from_text(text.reborrow())),
    };
    let text = if entry.other.is_some() { quote!(_) } else { quote!(text) };
    let rest = (!entry_is_complete(cx, entry)).then(|| quote!(_ => return None,));
    let (read_doc, write_doc) =
        (format!(" The meaning of a word of `{wire}`."), format!(" The word of `{wire}` for a meaning."));
    quote! {
        #[doc = #read_doc]
        pub fn #read<'a>(wire: #wire_ty<'a>) -> ir::#ir_ty<'a> {
            match wire {
                #(#wire_ty::#read_wires => ir::#ir_ty::#read_irs,)*
                #wire_ty::Other(text) => ir::#ir_ty::Other(text),
            }
        }

        #[doc = #write_doc]
        pub fn #write<'s>(value: &'s ir::#ir_ty<'s>) -> Option<#wire_ty<'s>> {
            Some(match value {
                #(ir::#ir_ty::#write_irs => #wire_ty::#write_wires,)*
                ir::#ir_ty::Other(#text) => #other,
                #rest
            })
        }
    }
}

fn entry_is_complete(cx: &Cx<'_>, entry: &EnumMap) -> bool {
    match cx.ir.types.get(&entry.ir) {
        Some(IrDef::Enum { words, .. }) => words.iter().all(|word| entry.write.contains_key(word)),
        _ => false,
    }
}

/// The form of a union by key whose only member is text.
pub(super) fn text_form(cx: &Cx<'_>, item: &Type) -> Result<(proc_macro2::Ident, proc_macro2::Ident)> {
    if let Type::Ref(name) = item
        && let Some(Def::Union(Union::Key(forms))) = cx.schema.types.get(name)
        && let [(key, Type::String)] = forms.iter().collect::<Vec<_>>().as_slice()
    {
        return Ok((names::ty(&format!("{name}Form")), names::variant(key)));
    }
    bail!("a list of {item:?} does not become text")
}

/// A constant of a switch.
pub(super) fn truth(value: &str) -> Result<TokenStream> {
    match value {
        "true" => Ok(quote!(true)),
        "false" => Ok(quote!(false)),
        other => bail!("{other:?} is no boolean"),
    }
}

/// Whether a wire type is an open enum.
pub(super) fn is_enum(cx: &Cx<'_>, wire: &Type) -> bool {
    matches!(wire, Type::Ref(name) if matches!(cx.schema.types.get(name), Some(Def::Enum(_))))
}
