//! Prints the rows of each map as data, and the look-ups over them.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::names;
use crate::ir::Ir;
use crate::map::{FieldFate, Map};
use crate::schema::{Def, Schema};

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
                FieldFate::Inline => quote!(Fate::Inline),
                FieldFate::Const { value, .. } => quote!(Fate::Const(#value)),
                FieldFate::Keep(reason) => quote!(Fate::Keep(#reason)),
            };
            rows.push(quote!(Row { wire: #wire, field: #field, ir: #ir, fate: #fate }));
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

        /// Why a wire field is carried as it is.
        pub(crate) fn keep_reason(protocol: Protocol, wire: &str, field: &str) -> Option<&'static str> {
            rows(protocol).iter().find(|row| row.wire == wire && row.field == field).and_then(|row| match row.fate {
                Fate::Keep(reason) => Some(reason),
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
        .filter(|(_, _, fate)| matches!(fate, FieldFate::Inline))
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
                    for object in map.objects(schema, target) {
                        if map.ty(object).is_some_and(|t| ir.is_group(&t.ir)) {
                            let ir_prefix = format!("{ir_prefix}{}.", ir_path.text());
                            collect(
                                schema,
                                map,
                                ir,
                                object,
                                node,
                                &format!("{path}."),
                                &ir_prefix,
                                depth + 1,
                                names,
                            );
                        }
                    }
                }
            }
            FieldFate::Const { sets, .. } => sets.iter().for_each(|(ir_path, _)| add(ir_path, &path)),
            FieldFate::Inline => {
                for object in target.map(|t| map.objects(schema, t)).unwrap_or_default() {
                    collect(schema, map, ir, object, node, &format!("{path}."), ir_prefix, depth + 1, names);
                }
            }
            FieldFate::Keep(_) => {}
        }
    }
}
