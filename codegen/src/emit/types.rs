//! Prints the wire types of one protocol.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::quote;

use super::names;
use crate::schema::{Def, Field, Kind, Schema, Type, Union};

/// Words (8 bytes) from which a referenced object is boxed.
const BOX_FIELD: usize = 16;
const BOX_VARIANT: usize = 40;

/// Prints the types and their `Wire` implementations.
pub(crate) fn module(schema: &Schema) -> TokenStream {
    let aliases = BTreeMap::new();
    let layout = Layout::new(schema, &aliases);
    let snake = schema.snake_case;
    let defs = schema.types.iter().map(|(name, def)| match def {
        Def::Object(fields) => object(&layout, name, fields, snake),
        Def::Enum(words) => open_enum(name, words),
        Def::Union(Union::Tag { field, variants, untagged }) => {
            tagged(&layout, name, field, variants, untagged.as_deref())
        }
        Def::Union(Union::Shape(forms)) => shape(&layout, name, forms),
        Def::Union(Union::Key(forms)) => keyed(&layout, name, forms),
        // A map's view of an object; the types come from the document.
        Def::Union(Union::Present(_)) => TokenStream::new(),
    });
    quote! {
        use crate::prelude::*;
        use crate::prelude::wire::{Int64, KeyedForm, Members, read_object};
        #(#defs)*
    }
}

/// Decides where a box goes.
pub(crate) struct Layout<'s> {
    schema: &'s Schema,
    /// Wire type by the name of a role.
    aliases: &'s BTreeMap<String, String>,
}

impl<'s> Layout<'s> {
    pub(crate) fn new(schema: &'s Schema, aliases: &'s BTreeMap<String, String>) -> Self {
        Self { schema, aliases }
    }

    /// Whether a field of this type holds its object in a box.
    pub(crate) fn boxed_field(&self, ty: &Type) -> bool {
        matches!(ty, Type::Ref(name) if self.words(name, &mut Vec::new()) > BOX_FIELD)
    }

    /// Whether a union variant of this type holds its object in a box.
    pub(crate) fn boxed_variant(&self, name: &str) -> bool {
        self.words(name, &mut Vec::new()) > BOX_VARIANT
    }

    /// A rough size; recursion counts as huge.
    fn words(&self, name: &str, open: &mut Vec<String>) -> usize {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        if open.iter().any(|n| n == name) {
            return 1000;
        }
        open.push(name.to_owned());
        let mut of = |ty: &Type| match ty {
            Type::Boolean => 1,
            Type::Ref(target) => {
                let words = self.words(target, open);
                if words > BOX_FIELD { if words >= 1000 { words } else { 2 } } else { words }
            }
            _ => 3,
        };
        let size = match self.schema.types.get(name) {
            Some(Def::Object(fields)) => 3 + fields.values().map(|f| of(&f.ty)).sum::<usize>(),
            Some(Def::Enum(_)) | None => 4,
            Some(Def::Union(Union::Tag { variants, .. })) => {
                let sizes: Vec<usize> = variants.values().map(|v| self.words(v, open)).collect();
                1 + sizes.into_iter().map(|w| if w > BOX_VARIANT { 1 } else { w }).max().unwrap_or(3)
            }
            Some(Def::Union(Union::Shape(forms))) => 1 + forms.values().map(of).max().unwrap_or(3),
            Some(Def::Union(Union::Key(forms))) => 4 + forms.values().map(of).max().unwrap_or(3),
            Some(Def::Union(Union::Present(_))) => 0,
        };
        open.pop();
        size.min(1000)
    }

    /// The Rust type of a field, null and absence aside.
    pub(crate) fn rust(&self, ty: &Type) -> TokenStream {
        let plain = self.unboxed(ty);
        if self.boxed_field(ty) { quote!(Box<#plain>) } else { plain }
    }

    fn unboxed(&self, ty: &Type) -> TokenStream {
        match ty {
            Type::String | Type::Base64 => quote!(Text<'a>),
            Type::Integer | Type::Number => quote!(Num<'a>),
            Type::Int64 => quote!(Int64<'a>),
            Type::Boolean => quote!(bool),
            Type::Json => quote!(Json<'a>),
            Type::Ref(name) => {
                let name = names::ty(name);
                quote!(#name<'a>)
            }
            Type::Array(item) => {
                let item = self.unboxed(item);
                quote!(Vec<#item>)
            }
        }
    }
}

fn object(layout: &Layout<'_>, name: &str, fields: &BTreeMap<String, Field>, snake: bool) -> TokenStream {
    let ty = names::ty(name);
    let doc = format!(" The object `{name}`, {}.", count(fields.len(), "declared member"));
    // Tags first, so that whoever reads the object knows what it is before the rest arrives.
    let mut fields: Vec<(&String, &Field)> = fields.iter().collect();
    fields.sort_by_key(|(name, field)| (field.constant.is_none(), *name));
    let wires: Vec<&String> = fields.iter().map(|(wire, _)| *wire).collect();
    let idents: Vec<_> = wires.iter().map(|wire| names::field(wire)).collect();
    let read_as = wires.iter().map(|wire| {
        let other = snake.then(|| names::snake(wire)).filter(|other| other != *wire);
        let other = other.map(|other| quote!(| #other));
        quote!(#wire #other)
    });
    let types = fields.iter().map(|(_, f)| layout.rust(&f.ty));
    let docs = fields.iter().map(|(wire, f)| format!(" `{wire}`: {}.", describe(f)));
    quote! {
        #[doc = #doc]
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct #ty<'a> {
            #(#[doc = #docs] pub #idents: Field<#types>,)*
            /// Members that the schema does not declare.
            pub unknown: Unknown<'a>,
        }

        impl<'a> Wire<'a> for #ty<'a> {
            fn read(cursor: &mut Cursor<'a>) -> Result<Self, WireError> {
                read_object(cursor)
            }

            fn write(&self, out: &mut Vec<u8>) {
                write_object(out, |members| {
                    #(members.field(#wires, &self.#idents);)*
                    members.unknown(&self.unknown);
                });
            }
        }

        impl<'a> Object<'a> for #ty<'a> {
            fn member(&mut self, name: &str, cursor: &mut Cursor<'a>) -> Result<bool, WireError> {
                match name {
                    #(#read_as => self.#idents = Wire::read(cursor)?,)*
                    _ => return Ok(false),
                }
                Ok(true)
            }

            fn has(&self, name: &str) -> bool {
                match name {
                    #(#wires => !self.#idents.is_absent(),)*
                    _ => self.unknown.get(name).is_some(),
                }
            }

            fn unknown(&mut self) -> &mut Unknown<'a> {
                &mut self.unknown
            }
        }
    }
}

fn open_enum(name: &str, words: &[String]) -> TokenStream {
    let ty = names::ty(name);
    let doc = format!(" The words of `{name}`; others are allowed.");
    let variants: Vec<_> = words.iter().map(|word| names::variant(word)).collect();
    let docs = words.iter().map(|word| format!(" `{word}`"));
    quote! {
        #[doc = #doc]
        #[derive(Debug, Clone, PartialEq)]
        pub enum #ty<'a> {
            #(#[doc = #docs] #variants,)*
            /// A word that the schema does not know.
            Other(Text<'a>),
        }

        impl<'a> #ty<'a> {
            /// The value for a word.
            pub fn from_text(text: Text<'a>) -> Self {
                match &*text.decode() {
                    #(#words => return Self::#variants,)*
                    _ => {}
                }
                Self::Other(text)
            }

            /// The word.
            pub fn text(&self) -> Text<'a> {
                match self {
                    #(Self::#variants => Text::plain(#words),)*
                    Self::Other(text) => text.clone(),
                }
            }
        }

        impl<'a> Wire<'a> for #ty<'a> {
            fn read(cursor: &mut Cursor<'a>) -> Result<Self, WireError> {
                Text::read(cursor).map(Self::from_text)
            }

            fn write(&self, out: &mut Vec<u8>) {
                self.text().write(out);
            }
        }
    }
}

fn tagged(
    layout: &Layout<'_>,
    name: &str,
    tag: &str,
    variants: &BTreeMap<String, String>,
    untagged: Option<&str>,
) -> TokenStream {
    let ty = names::ty(name);
    let doc = format!(" The union `{name}`, told apart by `{tag}`.");
    let idents: Vec<_> = variants.keys().map(|tag| names::variant(tag)).collect();
    let types = variants.values().map(|target| {
        let plain = names::ty(target);
        if layout.boxed_variant(target) { quote!(Box<#plain<'a>>) } else { quote!(#plain<'a>) }
    });
    let tags: Vec<&String> = variants.keys().collect();
    let docs = variants.iter().map(|(tag, target)| format!(" `{tag}`: [`{target}`]."));
    let untagged = untagged.and_then(|target| {
        let (tag, _) = variants.iter().find(|(_, name)| *name == target)?;
        let variant = names::variant(tag);
        Some(quote!(None => Wire::read(cursor).map(Self::#variant),))
    });
    quote! {
        #[doc = #doc]
        #[derive(Debug, Clone, PartialEq)]
        pub enum #ty<'a> {
            #(#[doc = #docs] #idents(#types),)*
            /// A form that the schema does not know.
            Other(Json<'a>),
        }

        impl<'a> Wire<'a> for #ty<'a> {
            fn read(cursor: &mut Cursor<'a>) -> Result<Self, WireError> {
                match cursor.tag(#tag)?.as_deref() {
                    #(Some(#tags) => Wire::read(cursor).map(Self::#idents),)*
                    #untagged
                    _ => cursor.json().map(Self::Other),
                }
            }

            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    #(Self::#idents(value) => value.write(out),)*
                    Self::Other(value) => value.write(out),
                }
            }
        }
    }
}

fn shape(layout: &Layout<'_>, name: &str, forms: &BTreeMap<Kind, Type>) -> TokenStream {
    let ty = names::ty(name);
    let doc = format!(" The union `{name}`, told apart by the kind of the JSON value.");
    let idents: Vec<_> = forms.keys().map(|kind| names::ty(kind_name(*kind))).collect();
    let types = forms.values().map(|form| layout.rust(form));
    let docs = forms.values().map(|form| format!(" {}.", describe_type(form)));
    let expected = forms.keys().map(|kind| kind_words(*kind)).collect::<Vec<_>>().join(" or ");
    quote! {
        #[doc = #doc]
        #[derive(Debug, Clone, PartialEq)]
        pub enum #ty<'a> {
            #(#[doc = #docs] #idents(#types),)*
        }

        impl<'a> Wire<'a> for #ty<'a> {
            fn read(cursor: &mut Cursor<'a>) -> Result<Self, WireError> {
                match cursor.kind()? {
                    #(Kind::#idents => Wire::read(cursor).map(Self::#idents),)*
                    _ => Err(cursor.expected(#expected)),
                }
            }

            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    #(Self::#idents(value) => value.write(out),)*
                }
            }
        }
    }
}

fn keyed(layout: &Layout<'_>, name: &str, forms: &BTreeMap<String, Type>) -> TokenStream {
    let ty = names::ty(name);
    let form = names::ty(&format!("{name}Form"));
    let doc = format!(" The union `{name}`: an object with one of these members.");
    let form_doc = format!(" The forms of [`{name}`].");
    let wires: Vec<&String> = forms.keys().collect();
    let idents: Vec<_> = forms.keys().map(|wire| names::variant(wire)).collect();
    let types = forms.values().map(|form| layout.rust(form));
    let docs = forms.iter().map(|(wire, form)| format!(" `{wire}`: {}.", describe_type(form)));
    quote! {
        #[doc = #doc]
        pub type #ty<'a> = crate::prelude::Keyed<'a, #form<'a>>;

        #[doc = #form_doc]
        #[derive(Debug, Clone, PartialEq)]
        pub enum #form<'a> {
            #(#[doc = #docs] #idents(#types),)*
        }

        impl<'a> KeyedForm<'a> for #form<'a> {
            fn read_form(name: &str, cursor: &mut Cursor<'a>) -> Result<Option<Self>, WireError> {
                match name {
                    #(#wires => Wire::read(cursor).map(Self::#idents).map(Some),)*
                    _ => Ok(None),
                }
            }

            fn write_form(&self, members: &mut Members<'_>) {
                match self {
                    #(Self::#idents(value) => members.value(#wires, value),)*
                }
            }
        }
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Array => "Array",
        Kind::Boolean => "Boolean",
        Kind::Number => "Number",
        Kind::Object => "Object",
        Kind::String => "String",
    }
}

fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Array => "an array",
        Kind::Boolean => "a boolean",
        Kind::Number => "a number",
        Kind::Object => "an object",
        Kind::String => "a string",
    }
}

fn describe(field: &Field) -> String {
    let mut text = match &field.constant {
        Some(value) => format!("always `{value}`"),
        None => describe_type(&field.ty),
    };
    if field.required {
        text.push_str(", required");
    }
    if field.nullable {
        text.push_str(", may be null");
    }
    match field.source {
        Some(crate::schema::Source::Legacy) => text.push_str("; sent by older clients"),
        Some(crate::schema::Source::Overlay) => text.push_str("; on the wire, in no document"),
        None => {}
    }
    text
}

fn describe_type(ty: &Type) -> String {
    match ty {
        Type::String => "text".to_owned(),
        Type::Integer => "a whole number".to_owned(),
        Type::Number => "a number".to_owned(),
        Type::Boolean => "true or false".to_owned(),
        Type::Int64 => "a 64-bit integer, as digits in a string".to_owned(),
        Type::Base64 => "bytes in base64".to_owned(),
        Type::Json => "any JSON value".to_owned(),
        Type::Ref(name) => format!("[`{name}`]"),
        Type::Array(item) => format!("an array of {}", describe_type(item)),
    }
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
