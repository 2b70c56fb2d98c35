//! Prints the IR types.

use proc_macro2::TokenStream;
use quote::quote;

use super::names;
use crate::ir::{Ir, IrDef, IrType};

/// Prints `ir.rs`.
pub(crate) fn module(ir: &Ir) -> TokenStream {
    let defs = ir.types.iter().map(|(name, def)| {
        let ty = names::ty(name);
        match def {
            IrDef::Object { node, fields, doc } => {
                let doc = format!(" {doc}");
                let idents: Vec<_> = fields.keys().map(|f| names::field(f)).collect();
                let types = fields.values().map(|f| member(ir, &f.ty));
                let docs = fields.values().map(|f| format!(" {}", f.doc));
                let slots = node.then(|| {
                    quote! {
                        /// Where it stood in its document.
                        pub at: At,
                        /// What the source protocol says here and the IR does not.
                        pub native: Native<'a>,
                    }
                });
                quote! {
                    #[doc = #doc]
                    #[derive(Debug, Clone, PartialEq, Default)]
                    pub struct #ty<'a> {
                        #(#[doc = #docs] pub #idents: #types,)*
                        #slots
                    }
                }
            }
            IrDef::Enum { words, doc } => {
                let doc = format!(" {doc}");
                let variants: Vec<_> = words.iter().map(|w| names::variant(w)).collect();
                let docs = words.iter().map(|w| format!(" `{w}`"));
                quote! {
                    #[doc = #doc]
                    #[derive(Debug, Clone, PartialEq)]
                    pub enum #ty<'a> {
                        #(#[doc = #docs] #variants,)*
                        /// A word of the source protocol's own.
                        Other(Text<'a>),
                    }

                    impl<'a> #ty<'a> {
                        /// The word.
                        pub fn text(&self) -> Text<'a> {
                            match self {
                                #(Self::#variants => Text::plain(#words),)*
                                Self::Other(text) => text.clone(),
                            }
                        }
                    }
                }
            }
            IrDef::Union { variants, doc, semantic } => {
                let doc = format!(" {doc}");
                let idents: Vec<_> = variants.keys().map(|t| names::variant(t)).collect();
                let types = variants.values().map(|t| names::ty(t));
                let tags = variants.keys();
                let docs = variants.keys().map(|t| format!(" `{t}`"));
                let losses: Vec<_> = semantic.iter().map(|t| names::variant(t)).collect();
                quote! {
                    #[doc = #doc]
                    #[derive(Debug, Clone, PartialEq)]
                    pub enum #ty<'a> {
                        #(#[doc = #docs] #idents(#types<'a>),)*
                    }

                    impl<'a> #ty<'a> {
                        /// The tag of the form.
                        pub fn kind(&self) -> &'static str {
                            match self {
                                #(Self::#idents(_) => #tags,)*
                            }
                        }

                        /// Whether losing it changes what is asked or answered.
                        pub fn semantic(&self) -> bool {
                            matches!(self, #(Self::#losses(_))|*)
                        }

                        /// Where it stood in its document.
                        pub fn at(&self) -> At {
                            match self {
                                #(Self::#idents(node) => node.at,)*
                            }
                        }

                        /// What the source protocol says here and the IR does not.
                        pub fn native_mut(&mut self) -> &mut Native<'a> {
                            match self {
                                #(Self::#idents(node) => &mut node.native,)*
                            }
                        }
                    }
                }
            }
        }
    });
    quote! {
        use crate::prelude::*;
        #(#defs)*
    }
}

/// The Rust type of a member: groups stand directly, everything else may be missing.
fn member(ir: &Ir, ty: &IrType) -> TokenStream {
    if let IrType::Ref(name) = ty
        && ir.is_group(name)
    {
        let name = names::ty(name);
        return quote!(#name<'a>);
    }
    let plain = plain(ty);
    match ty {
        // A node inside a node is rare and large.
        IrType::Ref(name)
            if matches!(ir.types.get(name), Some(IrDef::Object { .. } | IrDef::Union { .. })) =>
        {
            quote!(Option<Box<#plain>>)
        }
        _ => quote!(Option<#plain>),
    }
}

fn plain(ty: &IrType) -> TokenStream {
    match ty {
        IrType::Text => quote!(Text<'a>),
        IrType::Num => quote!(Num<'a>),
        IrType::Bool => quote!(bool),
        IrType::Json => quote!(Json<'a>),
        IrType::Ref(name) => {
            let name = names::ty(name);
            quote!(#name<'a>)
        }
        IrType::List(item) => {
            let item = plain(item);
            quote!(Vec<#item>)
        }
    }
}
