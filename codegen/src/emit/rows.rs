//! Prints the rows of each map as data, and the look-ups over them.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::names;
use crate::ir::Ir;
use crate::map::{FieldFate, Map};
use crate::schema::{Def, Schema, Union};

/// Prints `rows.rs` of one protocol.
pub(crate) fn module(schema: &Schema, map: &Map, ir: &Ir) -> TokenStream {
    let mut rows = Vec::new();
    for (wire, ty) in &map.types {
        for (field, fate) in &ty.fields {
            let ir = &ty.ir;
            let fate = match fate {
                FieldFate::Ir { gateway: true, .. } => quote!(Fate::Gateway),
                FieldFate::Ir { path, .. } => {
                    let path = path.text();
                    quote!(Fate::Ir(#path))
                }
                FieldFate::Inline(_) => quote!(Fate::Inline),
                FieldFate::Const { value, .. } => quote!(Fate::Const(#value)),
                FieldFate::Keep { reason, semantic: false } => quote!(Fate::Keep(#reason)),
                FieldFate::Keep { reason, semantic: true } => quote!(Fate::KeepSemantic(#reason)),
                FieldFate::Hand { how, .. } => quote!(Fate::Hand(#how)),
            };
            rows.push(quote!(Row { wire: #wire, field: #field, ir: #ir, fate: #fate }));
        }
    }
    for (wire, union) in &map.keyed {
        for (field, form) in &union.forms {
            let (ir, path) = (
                form.ir.as_deref().or(union.ir.as_deref()).unwrap_or_default(),
                form.leaf.as_deref().unwrap_or_default(),
            );
            let fate = match &form.keep {
                Some(reason) => quote!(Fate::Keep(#reason)),
                None => quote!(Fate::Ir(#path)),
            };
            rows.push(quote!(Row { wire: #wire, field: #field, ir: #ir, fate: #fate }));
        }
    }
    for (wire, present) in &map.present {
        for (field, reason) in &present.keeps {
            rows.push(quote!(Row { wire: #wire, field: #field, ir: "", fate: Fate::Keep(#reason) }));
        }
    }
    for (wire, fields) in &map.streams {
        for (field, path) in fields {
            rows.push(quote!(Row { wire: #wire, field: #field, ir: "Event", fate: Fate::Stream(#path) }));
        }
    }
    for (wire, reason) in &map.keeps {
        rows.push(quote!(Row { wire: #wire, field: "", ir: "", fate: Fate::Keep(#reason) }));
    }
    let lacks = map.lacks.iter().filter_map(|(key, reason)| {
        // A key is an IR object (one dot for a union's variant) and a path in it.
        let (ir_name, path) = split_key(ir, key)?;
        Some(quote!(Lack { ir: #ir_name, path: #path, reason: #reason }))
    });
    let wire_names = wire_names(schema, map, ir);
    let arms = wire_names.iter().map(|((ir, path), wire)| quote!((#ir, #path) => #wire,));
    quote! {
        use crate::prelude::{Fate, Lack, Row};

        /// Every row of the map: what each wire field means, or why it is carried as it is.
        pub const ROWS: &[Row] = &[#(#rows),*];

        /// Every part of the IR that this protocol has no form for, and why.
        pub const LACKS: &[Lack] = &[#(#lacks),*];

        /// The wire path, in its node, of a path of an IR type.
        pub fn wire_name(ir: &str, path: &str) -> Option<&'static str> {
            Some(match (ir, path) {
                #(#arms)*
                _ => return None,
            })
        }
    }
}

/// Prints `lib.rs`.
pub(crate) fn lib_module(protocols: &[&str]) -> TokenStream {
    let features: Vec<_> = protocols.iter().collect();
    let modules: Vec<_> = protocols.iter().map(|p| format_ident!("{p}")).collect();
    let variants: Vec<_> = protocols.iter().map(|p| names::variant(p)).collect();
    quote! {
        #(
            #[cfg(feature = #features)]
            #[rustfmt::skip]
            pub mod #modules;
        )*
        #[rustfmt::skip]
        pub mod ir;
        #[allow(dead_code, reason = "one protocol alone needs a part of it")]
        pub mod prelude;

        pub use prelude::{
            AnswerPass, Effect, EffectKind, Fate, Field, Json, Lack, Ledger, Num, Object, Pass, Protocol, Row, Rules, Text, Wire, WireError,
        };

        /// The map of a protocol, row by row; empty when its feature is off.
        pub fn rows(protocol: Protocol) -> &'static [Row] {
            match protocol {
                #(
                    #[cfg(feature = #features)]
                    Protocol::#variants => #modules::ROWS,
                )*
                #[allow(unreachable_patterns, reason = "reached when a feature is off")]
                _ => &[],
            }
        }

        /// What a protocol has no form for; empty when its feature is off.
        pub fn lacks(protocol: Protocol) -> &'static [Lack] {
            match protocol {
                #(
                    #[cfg(feature = #features)]
                    Protocol::#variants => #modules::LACKS,
                )*
                #[allow(unreachable_patterns, reason = "reached when a feature is off")]
                _ => &[],
            }
        }

        /// The limits and quirks of a protocol; none when its feature is off.
        pub fn rules(protocol: Protocol) -> Option<&'static Rules> {
            match protocol {
                #(
                    #[cfg(feature = #features)]
                    Protocol::#variants => Some(&#modules::RULES),
                )*
                #[allow(unreachable_patterns, reason = "reached when a feature is off")]
                _ => None,
            }
        }

        /// The wire path, in its node, of a path of an IR type.
        pub(crate) fn wire_name(protocol: Protocol, ir: &str, path: &str) -> Option<&'static str> {
            match protocol {
                #(
                    #[cfg(feature = #features)]
                    Protocol::#variants => #modules::wire_name(ir, path),
                )*
                #[allow(unreachable_patterns, reason = "reached when a feature is off")]
                _ => None,
            }
        }

        /// Why a wire field is carried as it is, and whether losing it changes the question.
        pub(crate) fn keep_reason(protocol: Protocol, wire: &str, field: &str) -> Option<(&'static str, bool)> {
            rows(protocol).iter().find(|row| row.wire == wire && row.field == field).and_then(|row| match row.fate {
                Fate::Keep(reason) | Fate::Hand(reason) => Some((reason, false)),
                Fate::KeepSemantic(reason) => Some((reason, true)),
                _ => None,
            })
        }
    }
}

fn split_key(ir: &Ir, key: &str) -> Option<(String, String)> {
    let mut parts = key.splitn(2, '.');
    let (head, rest) = (parts.next()?, parts.next()?);
    if ir.object(head).is_ok() {
        return Some((head.to_owned(), rest.to_owned()));
    }
    match rest.split_once('.') {
        Some((variant, path)) => Some((format!("{head}.{variant}"), path.to_owned())),
        None => Some((head.to_owned(), rest.to_owned())),
    }
}

/// Wire path by IR node type and IR path.
fn wire_names(schema: &Schema, map: &Map, ir: &Ir) -> BTreeMap<(String, String), String> {
    let mut names = BTreeMap::new();
    // The members of an inline type are named with the member that holds it.
    let inline: BTreeSet<&str> = map
        .types
        .iter()
        .flat_map(|(wire, ty)| ty.fields.iter().map(move |(field, fate)| (wire, field, fate)))
        .filter(|(_, _, fate)| matches!(fate, FieldFate::Inline(_)))
        .filter_map(|(wire, field, _)| match schema.types.get(wire) {
            Some(Def::Object(fields)) => fields.get(field)?.ty.target(),
            _ => None,
        })
        .flat_map(|target| map.objects(schema, target))
        .collect();
    for (wire, ty) in &map.types {
        if !ir.is_group(&ty.ir) && !inline.contains(wire.as_str()) {
            collect(schema, map, ir, wire, &ty.ir, "", "", 0, &mut names);
        }
    }
    // A scalar that is a node by itself has one name.
    for union in map.keyed.values() {
        let nodes =
            union.forms.iter().filter_map(|(key, form)| Some((key, form.ir.clone()?, form.leaf.clone()?)));
        for (key, ir, leaf) in nodes {
            names.entry((ir, leaf)).or_insert_with(|| key.clone());
        }
    }
    names
}

#[expect(clippy::too_many_arguments, reason = "one recursive walk; a struct would only rename its state")]
fn collect(
    schema: &Schema,
    map: &Map,
    ir: &Ir,
    wire: &str,
    node: &str,
    wire_prefix: &str,
    ir_prefix: &str,
    depth: usize,
    names: &mut BTreeMap<(String, String), String>,
) {
    // Nothing on a message path nests deeper; recursion in a schema ends here.
    if depth > 6 {
        return;
    }
    let (Some(ty), Some(Def::Object(fields))) = (map.ty(wire), schema.types.get(wire)) else { return };
    for (field, fate) in &ty.fields {
        let path = format!("{wire_prefix}{field}");
        let target = fields.get(field).and_then(|f| f.ty.target());
        let mut add = |ir_path: &str, wire_path: &str| {
            let key = (node.to_owned(), format!("{ir_prefix}{ir_path}"));
            let known = names.entry(key).or_insert_with(|| wire_path.to_owned());
            // The shortest path is the one that a caller writes.
            if wire_path.len() < known.len() && !known.is_empty() {
                *known = wire_path.to_owned();
            }
        };
        match fate {
            FieldFate::Ir { path: ir_path, .. } => {
                add(&ir_path.text(), &path);
                if let Some(target) = target {
                    let ir_prefix = format!("{ir_prefix}{}.", ir_path.text());
                    for (leaf, wire_path) in scalar_forms(schema, map, target, &format!("{path}.")) {
                        names.entry((node.to_owned(), format!("{ir_prefix}{leaf}"))).or_insert(wire_path);
                    }
                    for (path, object) in behind(schema, map, target, &format!("{path}.")) {
                        if map.ty(object).is_some_and(|t| ir.is_group(&t.ir)) {
                            collect(schema, map, ir, object, node, &path, &ir_prefix, depth + 1, names);
                        }
                    }
                }
            }
            FieldFate::Const { sets, .. } => sets.iter().for_each(|(ir_path, _)| add(ir_path, &path)),
            FieldFate::Inline(_) => {
                let Some(target) = target else { continue };
                for (leaf, wire_path) in scalar_forms(schema, map, target, &format!("{path}.")) {
                    names.entry((node.to_owned(), format!("{ir_prefix}{leaf}"))).or_insert(wire_path);
                }
                for (path, object) in behind(schema, map, target, &format!("{path}.")) {
                    collect(schema, map, ir, object, node, &path, ir_prefix, depth + 1, names);
                }
            }
            FieldFate::Hand { ir: paths, .. } => paths.iter().for_each(|ir_path| add(ir_path, &path)),
            FieldFate::Keep { .. } => {}
        }
    }
}

/// The object types behind a reference, each with the wire path of its members.
fn behind<'s>(schema: &'s Schema, map: &Map, target: &'s str, path: &str) -> Vec<(String, &'s str)> {
    match schema.types.get(target) {
        Some(Def::Union(Union::Key(forms))) => forms
            .iter()
            .filter_map(|(key, ty)| Some((key, ty.target()?)))
            .flat_map(|(key, inner)| behind(schema, map, inner, &format!("{path}{key}.")))
            .collect(),
        _ => map.objects(schema, target).into_iter().map(|object| (path.to_owned(), object)).collect(),
    }
}

/// Leaves that scalar members of a union by key are, each with its wire path.
fn scalar_forms(schema: &Schema, map: &Map, target: &str, path: &str) -> Vec<(String, String)> {
    let Some(Def::Union(Union::Key(forms))) = schema.types.get(target) else { return Vec::new() };
    forms
        .keys()
        .filter_map(|key| Some((map.key_form(target, key)?.leaf.clone()?, format!("{path}{key}"))))
        .collect()
}
