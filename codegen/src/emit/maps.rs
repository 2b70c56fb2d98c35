//! Prints the maps of one protocol: `read_*` from wire types into the IR, `write_*` back.
//!
//! Reading takes a wire value apart exhaustively: what a row names becomes IR, the rest goes to the
//! node's native slot. Writing puts a wire value together from the rows, gives the native slot back
//! when the document came from this protocol, and reports every part of the IR that no row takes.

mod keyed;
mod present;
mod read;
mod report;
mod scalar;
mod shaped;
mod write;
mod write_union;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::names;
use super::types::Layout;
use crate::ir::{Ir, IrDef, IrType};
use crate::map::{FieldFate, IrPath, Map, TypeMap};
use crate::schema::{Def, Schema, Type, Union};

/// Everything the printers look things up in.
pub(crate) struct Cx<'s> {
    pub(crate) schema: &'s Schema,
    pub(crate) map: &'s Map,
    pub(crate) ir: &'s Ir,
    pub(crate) layout: Layout<'s>,
}

/// What the object types behind a wire reference become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Becomes {
    /// One IR object (a node or a group).
    Object(String),
    /// Variants of one IR union.
    Union(String),
    /// No mapped type behind it.
    Nothing,
}

/// Prints `maps.rs`.
///
/// `schema` is the document as the map sees it, `wire` as it was imported, `aliases` the wire type by the name of
/// a role.
pub(crate) fn module(
    wire: &Schema,
    schema: &Schema,
    aliases: &BTreeMap<String, String>,
    map: &Map,
    ir: &Ir,
) -> Result<TokenStream> {
    let cx = Cx { schema, map, ir, layout: Layout::new(wire, aliases) };
    let mut items = Vec::new();
    for (wire, ty) in &map.types {
        let context = || format!("map of {wire}");
        items.push(read::object(&cx, wire, ty).with_context(context)?);
        items.push(write::object(&cx, wire, ty).with_context(context)?);
    }
    for (name, def) in &schema.types {
        let context = || format!("map of union {name}");
        if map.keeps.contains_key(name) || cx.becomes(name).is_ok_and(|becomes| becomes == Becomes::Nothing) {
            continue;
        }
        match def {
            Def::Union(Union::Key(forms)) => {
                items.push(keyed::read(&cx, name, forms).with_context(context)?);
                items.push(keyed::write(&cx, name, forms).with_context(context)?);
                continue;
            }
            Def::Union(Union::Present(forms)) => {
                items.push(present::read(&cx, name, forms).with_context(context)?);
                items.push(present::write(&cx, name, forms).with_context(context)?);
                continue;
            }
            Def::Union(Union::Shape(forms)) => {
                let union = matches!(cx.becomes(name), Ok(Becomes::Union(_)));
                if let Some(object) = shaped::object(forms).filter(|_| union) {
                    items.push(shaped::read(&cx, name, object).with_context(context)?);
                    items.push(shaped::write(&cx, name, object).with_context(context)?);
                }
                continue;
            }
            _ => {}
        }
        let Def::Union(Union::Tag { variants, .. }) = def else { continue };
        if map.keeps.contains_key(name) || !variants.values().any(|v| map.types.contains_key(v)) {
            continue;
        }
        // One member of several with the same type may be carried as it is.
        let variants = variants.iter().filter(|(tag, _)| !map.keeps.contains_key(&format!("{name}.{tag}")));
        let variants = variants.map(|(tag, target)| (tag.clone(), target.clone())).collect();
        items.push(read::union(&cx, name, &variants).with_context(context)?);
        items.push(write_union::union(&cx, name, &variants).with_context(context)?);
    }
    for (wire, entry) in &map.enums {
        items.push(scalar::enum_maps(&cx, wire, entry));
    }
    let roots = roots(&cx);
    let views = aliases.iter().filter(|(view, _)| map.types.contains_key(*view)).map(|(view, wire)| {
        let (view, wire) = (names::ty(view), names::ty(wire));
        quote!(use super::types::#wire as #view;)
    });
    let views: Vec<_> = views.collect();
    Ok(quote! {
        use super::types::*;
        #(#views)*
        use crate::ir;
        use crate::prelude::*;
        use crate::prelude::map::{self, write_num};
        use crate::prelude::transforms;
        use crate::prelude::wire::Int64;

        #roots
        #(#items)*
    })
}

/// Entry points for whole documents.
fn roots(cx: &Cx<'_>) -> TokenStream {
    let docs = [
        ("request", &cx.schema.roots.request, "a request"),
        ("response", &cx.schema.roots.response, "a buffered response"),
        ("error", &cx.schema.roots.error, "an error"),
    ];
    let items = docs.iter().filter_map(|(what, wire, words)| {
        let ty = cx.map.ty(wire)?;
        let wire_ty = names::ty(wire);
        let (ir_name, _, _) = cx.ir.object(&ty.ir).ok()?;
        let ir_ty = names::ty(ir_name);
        let (read, write) = (format_ident!("{what}_to_ir"), format_ident!("{what}_from_ir"));
        let (read_node, write_node) = (read_fn(wire), write_fn(wire));
        let read_doc = format!(" Turns {words} into the IR; nothing is lost.");
        let write_doc = format!(" Writes {words} from the IR; `cx` reports what has no form here.");
        Some(quote! {
            #[doc = #read_doc]
            pub fn #read<'a>(wire: #wire_ty<'a>, cx: &mut ReadCx) -> ir::#ir_ty<'a> {
                let mut node = ir::#ir_ty::default();
                let mut native = Native::default();
                #read_node(wire, &mut node, &mut native, cx, Paths::ROOT);
                node.native = native;
                node
            }

            #[doc = #write_doc]
            pub fn #write<'s>(node: &'s ir::#ir_ty<'s>, cx: &mut WriteCx<'_>) -> #wire_ty<'s> {
                cx.leftovers(&node.native);
                #write_node(node, &node.native, cx, node.at)
            }
        })
    });
    quote!(#(#items)*)
}

pub(crate) fn read_fn(wire: &str) -> Ident {
    format_ident!("read_{}", names::snake(wire))
}

pub(crate) fn write_fn(wire: &str) -> Ident {
    format_ident!("write_{}", names::snake(wire))
}

impl Cx<'_> {
    /// The Rust name of the IR object behind `Block.text` or `Turn`.
    pub(crate) fn ir_ident(&self, ir: &str) -> Result<Ident> {
        Ok(names::ty(self.ir.object(ir)?.0))
    }

    /// What the object types behind a reference become.
    pub(crate) fn becomes(&self, wire: &str) -> Result<Becomes> {
        if let Some(ir) = self.map.keyed.get(wire).and_then(|union| union.ir.clone()) {
            return Ok(Becomes::Object(ir));
        }
        let mut targets: BTreeSet<&str> = self
            .map
            .objects(self.schema, wire)
            .into_iter()
            .filter_map(|object| self.map.ty(object))
            .map(|ty| ty.ir.as_str())
            .collect();
        targets.extend(self.scalar_forms(wire));
        let unions: BTreeSet<&str> =
            targets.iter().filter_map(|t| t.split_once('.')).map(|(u, _)| u).collect();
        match (unions.len(), targets.len()) {
            (_, 0) => Ok(Becomes::Nothing),
            (0, 1) => Ok(Becomes::Object((*targets.first().context("one target")?).to_owned())),
            (1, _) if targets.iter().all(|t| t.contains('.')) => {
                Ok(Becomes::Union((*unions.first().context("one union")?).to_owned()))
            }
            _ => bail!("{wire} becomes different IR types: {targets:?}"),
        }
    }

    /// IR paths that the member of a union by key says which holds an object of this type.
    pub(crate) fn said_by_key(&self, wire: &str) -> Vec<&str> {
        let mut said = Vec::new();
        for (union, rows) in &self.map.keyed {
            let Some(Def::Union(Union::Key(forms))) = self.schema.types.get(union) else { continue };
            for (key, row) in &rows.forms {
                if forms.get(key).and_then(Type::target) == Some(wire) {
                    said.extend(row.sets().into_iter().map(|(path, _)| path));
                }
            }
        }
        said
    }

    /// Conditions under which a wire object type is the one to write: `(path, word)` of its constants.
    pub(crate) fn conditions<'t>(&self, ty: &'t TypeMap) -> Vec<(&'t str, &'t str)> {
        ty.fields
            .values()
            .filter_map(|fate| match fate {
                FieldFate::Const { sets, .. } => Some(sets),
                _ => None,
            })
            .flatten()
            .map(|(path, word)| (path.as_str(), word.as_str()))
            .collect()
    }

    /// IR leaves that a wire type writes, including through inline members; `home` ones are apart.
    pub(crate) fn consumed(&self, wire: &str, home: &mut BTreeSet<String>) -> BTreeSet<String> {
        let mut leaves = BTreeSet::new();
        let Some(ty) = self.map.ty(wire) else { return leaves };
        let Some(Def::Object(fields)) = self.schema.types.get(wire) else { return leaves };
        for (name, fate) in &ty.fields {
            match fate {
                FieldFate::Ir { path, home: only_home, via, .. } => {
                    let top = path.element.as_ref().map_or(&path.leaf, |(list, _)| list);
                    if *only_home {
                        home.insert(top.clone())
                    } else {
                        leaves.insert(top.clone())
                    };
                    if via.as_deref() == Some("arguments") {
                        leaves.insert("text".to_owned());
                    }
                }
                FieldFate::Const { sets, .. } => leaves.extend(sets.iter().map(|(path, _)| path.clone())),
                FieldFate::Inline(_) => {
                    if let Some(target) = fields.get(name).and_then(|f| f.ty.target()) {
                        self.consumed_behind(target, &mut leaves, home);
                    }
                }
                _ => {}
            }
        }
        leaves
    }

    /// IR leaves that the object types behind a reference write.
    pub(crate) fn consumed_behind(
        &self,
        target: &str,
        leaves: &mut BTreeSet<String>,
        home: &mut BTreeSet<String>,
    ) {
        for object in self.map.objects(self.schema, target) {
            leaves.extend(self.consumed(object, home));
        }
        if let Some(string) = self.map.strings.get(target) {
            leaves.insert(string.clone());
        }
        for form in self.map.keyed.get(target).into_iter().flat_map(|union| union.forms.values()) {
            leaves.extend(form.leaf.clone());
            leaves.extend(form.sets().into_iter().map(|(path, _)| path.to_owned()));
        }
    }

    /// Whether a row that names `row` takes the leaf: itself, or a group it is in.
    pub(crate) fn covers(rows: &BTreeSet<String>, leaf: &str) -> bool {
        rows.contains(leaf)
            || rows.iter().any(|row| leaf.strip_prefix(row.as_str()).is_some_and(|r| r.starts_with('.')))
    }

    /// Statements that report every IR leaf in `leaves` that has a value.
    pub(crate) fn report(&self, ir: &str, leaves: &[String], in_group: bool) -> Result<TokenStream> {
        self.report_or(ir, leaves, in_group, None)
    }

    /// Reports of leaves, with one reason for all of them or that of `[lacks]` for each.
    pub(crate) fn report_or(
        &self,
        ir: &str,
        leaves: &[String],
        in_group: bool,
        reason: Option<&str>,
    ) -> Result<TokenStream> {
        let all: BTreeMap<String, _> = self.ir.leaves(ir)?.into_iter().collect();
        let mut out = Vec::new();
        for leaf in leaves {
            let field = all.get(leaf).with_context(|| format!("{ir} has no leaf {leaf:?}"))?;
            if field.form {
                continue;
            }
            let key = format!("{ir}.{leaf}");
            let reason =
                reason.or_else(|| self.map.lacks.get(&key).map(String::as_str)).with_context(|| {
                    format!(
                        "{key} is written by no row here and [lacks] gives no reason for {}",
                        self.schema.protocol
                    )
                })?;
            let slot = slot(quote!(src), leaf);
            let semantic = field.semantic;
            let call = if in_group { quote!(lack_in) } else { quote!(lack) };
            let present = match &field.ty {
                IrType::List(_) => quote!(#slot.as_ref().is_some_and(|list| !list.is_empty())),
                _ if field.zero => quote!(#slot.as_ref().is_some_and(|count| count.as_u64() != Some(0))),
                _ => quote!(#slot.is_some()),
            };
            let args = if in_group { quote!(&Lack) } else { quote!(at, &Lack) };
            out.push(quote! {
                if #present {
                    cx.#call(#args { ir: #ir, path: #leaf, reason: #reason }, #semantic);
                }
            });
        }
        Ok(quote!(#(#out)*))
    }

    /// `Some(word)` of an IR enum or text leaf, as an expression.
    pub(crate) fn word(&self, ir: &str, path: &str, word: &str) -> Result<TokenStream> {
        match &self.ir.at(ir, path)?.ty {
            IrType::Text => Ok(quote!(Text::plain(#word))),
            IrType::Bool => {
                let value: bool = word.parse().with_context(|| format!("{path}: {word:?} is no boolean"))?;
                Ok(quote!(#value))
            }
            IrType::Ref(name) => match self.ir.types.get(name) {
                Some(IrDef::Enum { words, .. }) if words.iter().any(|w| w == word) => {
                    let (ty, variant) = (names::ty(name), names::variant(word));
                    Ok(quote!(ir::#ty::#variant))
                }
                _ => bail!("{word:?} is no word of {name}"),
            },
            other => bail!("{path} is {other:?} and cannot be set to {word:?}"),
        }
    }

    /// The schema's type of a field.
    pub(crate) fn field_type(&self, wire: &str, field: &str) -> Result<&Type> {
        match self.schema.types.get(wire) {
            Some(Def::Object(fields)) => fields
                .get(field)
                .map(|f| &f.ty)
                .with_context(|| format!("{wire}.{field} is not in the schema")),
            _ => bail!("{wire} is no object type"),
        }
    }
}

/// `base.a.b` for the dotted path.
pub(crate) fn slot(base: TokenStream, path: &str) -> TokenStream {
    let members = path.split('.').map(names::field);
    quote!(#base #(.#members)*)
}

/// The IR field at a row's path, list step included.
pub(crate) fn leaf_type<'i>(cx: &'i Cx<'_>, ir: &str, path: &IrPath) -> Result<&'i IrType> {
    match &path.element {
        None => Ok(&cx.ir.at(ir, &path.leaf)?.ty),
        Some((list, which)) => {
            let element = element_ir(cx, ir, list, which)?;
            Ok(&cx.ir.at(&element, &path.leaf)?.ty)
        }
    }
}

/// The IR object type of a list element.
pub(crate) fn element_ir(cx: &Cx<'_>, ir: &str, list: &str, which: &str) -> Result<String> {
    let item = cx.ir.at(ir, list)?.ty.target().with_context(|| format!("{list} is no list"))?.to_owned();
    Ok(if which == "0" { item } else { format!("{item}.{which}") })
}

/// Whether an element with a row of its own may also stand in the list that another row writes; its
/// `bare` leaf then tells the two places apart.
pub(crate) fn beside(cx: &Cx<'_>, wire: &str, ty: &TypeMap, list: &str, which: &str) -> Result<bool> {
    let full = cx.family(wire).into_iter().any(|(_, _, fate)| {
        matches!(fate, FieldFate::Ir { path, only: None, .. } if path.element.is_none() && path.leaf == list)
    });
    Ok(full && which != "0" && cx.ir.at(&element_ir(cx, &ty.ir, list, which)?, "bare").is_ok())
}

impl<'s> Cx<'s> {
    /// IR objects of the scalar members of unions by key behind a reference.
    fn scalar_forms(&self, wire: &str) -> Vec<&'s str> {
        let Some(Def::Union(Union::Key(forms))) = self.schema.types.get(wire) else { return Vec::new() };
        let union = self.map.keyed.get(wire);
        let own =
            union.into_iter().flat_map(|union| union.forms.values()).filter_map(|form| form.ir.as_deref());
        let inner = forms.values().filter_map(Type::target).flat_map(|target| self.scalar_forms(target));
        own.chain(inner).chain(union.and_then(|union| union.ir.as_deref())).collect()
    }

    /// Rows of a type and of all types that are one node with it, by inline members.
    ///
    /// Each with its wire type and field.
    pub(crate) fn family(&self, wire: &str) -> Vec<(&'s str, &'s str, &'s FieldFate)> {
        let mut members: BTreeSet<&str> =
            self.map.types.keys().map(String::as_str).filter(|t| *t == wire).collect();
        loop {
            let before = members.len();
            for (outer, ty) in &self.map.types {
                for target in self.inlined(outer, ty) {
                    if members.contains(outer.as_str()) || members.contains(target) {
                        members.insert(outer);
                        members.insert(target);
                    }
                }
            }
            if members.len() == before {
                break;
            }
        }
        let types = self.map.types.iter().filter(|(name, _)| members.contains(name.as_str()));
        types
            .flat_map(|(name, ty)| {
                ty.fields.iter().map(|(field, fate)| (name.as_str(), field.as_str(), fate))
            })
            .collect()
    }

    /// Mapped types that a type's inline members can turn out to be.
    fn inlined(&self, outer: &str, ty: &'s TypeMap) -> Vec<&'s str> {
        let Some(Def::Object(fields)) = self.schema.types.get(outer) else { return Vec::new() };
        ty.fields
            .iter()
            .filter(|(_, fate)| matches!(fate, FieldFate::Inline(_)))
            .filter_map(|(name, _)| fields.get(name).and_then(|f| f.ty.target()))
            .flat_map(|target| self.map.objects(self.schema, target))
            .filter(|object| self.map.types.contains_key(*object))
            .collect()
    }
}

/// Whether the wire object `value` says nothing: no member but constants.
pub(crate) fn blank(cx: &Cx<'_>, wire: &str, value: TokenStream) -> Result<TokenStream> {
    let ty = cx.map.ty(wire).context("inline needs a mapped object")?;
    let consts: Vec<_> = ty
        .fields
        .iter()
        .filter(|(_, fate)| matches!(fate, FieldFate::Const { sets, .. } if sets.is_empty()))
        .map(|(name, _)| names::field(name))
        .collect();
    Ok(if consts.is_empty() {
        quote!(#value == Default::default())
    } else {
        quote!({
            let mut probe = #value.clone();
            #(probe.#consts = Field::Absent;)*
            probe == Default::default()
        })
    })
}
