//! Prints the limits and quirks of a protocol.

use anyhow::{Context, Result, bail};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::names;
use crate::rules::{Member, RepairRule, Rules, Shape};

/// Prints `rules.rs` of one protocol.
pub(crate) fn module(rules: &Rules, shape: &Shape) -> Result<TokenStream> {
    if let Some(name) = rules.parts.keys().find(|name| !shape.parts.contains_key(*name)) {
        bail!("there are no rules about {name:?}");
    }
    let (request, response) =
        (passes("Pass", &rules.request, shape)?, passes("AnswerPass", &rules.response, shape)?);
    let mut parts = Vec::new();
    for (name, (ty, members)) in &shape.parts {
        let (field, ty) = (format_ident!("{name}"), format_ident!("{ty}"));
        let said = rules.parts.get(name).with_context(|| format!("[{name}] is missing"))?;
        if let Some(odd) = said.keys().find(|key| !members.contains_key(*key)) {
            bail!("[{name}] has no rule {odd:?}");
        }
        let mut values = Vec::new();
        for (member, kind) in members {
            let ident = format_ident!("{member}");
            let printed = value(*kind, said.get(member)).with_context(|| format!("{name}.{member}"))?;
            values.push(quote!(#ident: #printed));
        }
        parts.push(quote!(#field: #ty { #(#values),* }));
    }
    let errors = rules.errors.iter().map(|rule| {
        let (status, word, message, class) = (rule.status, &rule.word, &rule.message, &rule.class);
        quote!(ErrorRule { status: #status, word: #word, message: #message, class: #class })
    });
    let (overflow, kept) = (&rules.overflow, &rules.kept);
    let repairs = rules.repairs.iter().map(|rule| {
        let RepairRule { status, word, param, message, kind, paths } = rule;
        quote!(RepairRule {
            status: #status, word: #word, param: #param, message: #message, kind: #kind, paths: &[#(#paths),*],
        })
    });
    Ok(quote! {
        use crate::prelude::rules::*;

        /// The limits and quirks of this protocol.
        pub const RULES: Rules = Rules {
            request: &[#(#request),*],
            response: &[#(#response),*],
            #(#parts,)*
            errors: &[#(#errors),*],
            overflow: &[#(#overflow),*],
            repairs: &[#(#repairs),*],
            kept: &[#(#kept),*],
        };
    })
}

fn passes(kind: &str, listed: &[String], shape: &Shape) -> Result<Vec<TokenStream>> {
    let known = shape.passes.get(kind).with_context(|| format!("no enum {kind}"))?;
    let kind = format_ident!("{kind}");
    listed
        .iter()
        .map(|name| {
            let variant = names::variant(name);
            if !known.iter().any(|name| variant == name) {
                bail!("there is no pass {name:?}");
            }
            Ok(quote!(#kind::#variant))
        })
        .collect()
}

fn value(kind: Member, said: Option<&toml::Value>) -> Result<TokenStream> {
    let Some(said) = said else {
        if kind == Member::OptionalCount {
            return Ok(quote!(None));
        }
        bail!("is missing");
    };
    let count = |value: &toml::Value| -> Result<TokenStream> {
        let number = value.as_integer().filter(|n| *n >= 0).context("is no whole number")?;
        Ok(proc_macro2::Literal::i64_unsuffixed(number).into()).map(|l: proc_macro2::TokenTree| l.into())
    };
    Ok(match kind {
        Member::Bool => {
            let yes = said.as_bool().context("is neither true nor false")?;
            quote!(#yes)
        }
        Member::Count => count(said)?,
        Member::OptionalCount => {
            let number = count(said)?;
            quote!(Some(#number))
        }
        Member::Number => {
            let number = said.as_float().context("is no number with a point")?;
            quote!(#number)
        }
        Member::Text => {
            let text = said.as_str().context("is no text")?;
            quote!(#text)
        }
        Member::Texts => {
            let texts = said.as_array().context("is no list")?;
            let texts = texts.iter().map(|t| t.as_str().context("is no text")).collect::<Result<Vec<_>>>()?;
            quote!(&[#(#texts),*])
        }
        Member::Pairs => {
            let mut pairs = Vec::new();
            for pair in said.as_array().context("is no list")? {
                match pair.as_array().map(Vec::as_slice) {
                    Some([word, number]) => {
                        let (word, number) = (word.as_str().context("is no text")?, count(number)?);
                        pairs.push(quote!((#word, #number)));
                    }
                    _ => bail!("is no pair"),
                }
            }
            quote!(&[#(#pairs),*])
        }
    })
}
