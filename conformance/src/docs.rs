//! Makes documents that a schema allows, from a seed.

use busbar_codegen::schema::{Def, Field, Kind, Schema, Type, Union};
use fastrand::Rng;

/// Which document of the chat operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// The request body.
    Request,
    /// The buffered response body.
    Response,
    /// One streamed event.
    Stream,
    /// The error body.
    Error,
}

impl Root {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Request, Self::Response, Self::Stream, Self::Error];
}

/// How far a document goes beyond what the schema says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras {
    /// Members and enum words that no schema declares.
    pub unknown: bool,
    /// Nulls also where the schema does not say that they are allowed.
    pub nulls: bool,
}

/// Makes one document; the same seed makes the same document.
pub fn document(schema: &Schema, root: Root, seed: u64, extras: Extras) -> String {
    let name = match root {
        Root::Request => &schema.roots.request,
        Root::Response => &schema.roots.response,
        Root::Stream => &schema.roots.stream,
        Root::Error => &schema.roots.error,
    };
    let mut maker = Maker { schema, rng: Rng::with_seed(seed), extras, out: String::new(), budget: 400 };
    maker.named(name, 0);
    maker.out
}

struct Maker<'s> {
    schema: &'s Schema,
    rng: Rng,
    extras: Extras,
    out: String,
    /// Values still allowed before everything optional is left out.
    budget: i32,
}

/// Nesting from which only what is required is written.
const DEEP: usize = 9;

impl Maker<'_> {
    fn named(&mut self, name: &str, depth: usize) {
        let schema = self.schema;
        match &schema.types[name] {
            Def::Object(fields) => self.object(fields.iter(), None, depth),
            Def::Enum(words) => {
                if words.is_empty() || (self.extras.unknown && self.rng.u8(..) < 20) {
                    self.out.push_str("\"word_of_tomorrow\"");
                } else {
                    let word = &words[self.rng.usize(..words.len())];
                    self.string_literal(word);
                }
            }
            Def::Union(Union::Tag { field, variants, untagged }) => {
                let all: Vec<(&String, &String)> = variants.iter().collect();
                let (tag, target) = all[self.rng.usize(..all.len())];
                let Def::Object(fields) = &schema.types[target] else { return self.out.push_str("{}") };
                let leave_out = untagged.as_ref() == Some(target) && self.rng.bool();
                let tag =
                    if leave_out { (field.as_str(), None) } else { (field.as_str(), Some(tag.as_str())) };
                self.object(fields.iter(), Some(tag), depth);
            }
            Def::Union(Union::Shape(forms)) => {
                let all: Vec<(&Kind, &Type)> = forms.iter().collect();
                let (_, form) = all[self.rng.usize(..all.len())];
                self.value(form, depth);
            }
            Def::Union(Union::Key(forms)) => {
                let all: Vec<(&String, &Type)> = forms.iter().collect();
                let (key, form) = all[self.rng.usize(..all.len())];
                self.out.push('{');
                self.string_literal(key);
                self.out.push(':');
                self.value(form, depth + 1);
                self.out.push('}');
            }
        }
    }

    fn object<'f>(
        &mut self,
        fields: impl Iterator<Item = (&'f String, &'f Field)>,
        tag: Option<(&str, Option<&str>)>,
        depth: usize,
    ) {
        let mut members: Vec<(&String, &Field)> = fields.collect();
        self.rng.shuffle(&mut members);
        self.out.push('{');
        let mut any = false;
        for (name, field) in members {
            let is_tag = tag.is_some_and(|(tag, _)| tag == name);
            let wanted =
                field.required || is_tag || (depth < DEEP && self.budget > 0 && self.rng.u8(..) < 90);
            if !wanted || tag.is_some_and(|(tag, value)| tag == name && value.is_none()) {
                continue;
            }
            self.budget -= 1;
            if any {
                self.out.push(',');
            }
            any = true;
            self.string_literal(name);
            self.out.push(':');
            let null = (field.nullable && self.rng.u8(..) < 40)
                || (self.extras.nulls && !is_tag && !field.required && self.rng.u8(..) < 10);
            match (is_tag, tag, &field.constant) {
                (true, Some((_, Some(value))), _) => self.string_literal(value),
                _ if null => self.out.push_str("null"),
                (_, _, Some(value)) => self.string_literal(value),
                _ => self.value(&field.ty, depth + 1),
            }
        }
        if self.extras.unknown && self.rng.u8(..) < 40 {
            if any {
                self.out.push(',');
            }
            self.out.push_str("\"x_of_tomorrow\":");
            self.json(2);
        }
        self.out.push('}');
    }

    fn value(&mut self, ty: &Type, depth: usize) {
        match ty {
            Type::String => self.text(),
            Type::Base64 => {
                let word = ["", "QQ==", "QUJD", "AAECAwQ="][self.rng.usize(..4)];
                self.string_literal(word);
            }
            Type::Integer => {
                let number = self.rng.u32(..100_000).to_string();
                self.out.push_str(&number);
            }
            Type::Number => {
                let spelling = ["0", "1", "0.7", "1.0", "0.50", "1e-3", "2E2", "-0.5"][self.rng.usize(..8)];
                self.out.push_str(spelling);
            }
            Type::Int64 => {
                let number = self.rng.u64(..u64::MAX / 2).to_string();
                if self.rng.bool() { self.out.push_str(&number) } else { self.string_literal(&number) }
            }
            Type::Boolean => self.out.push_str(if self.rng.bool() { "true" } else { "false" }),
            Type::Json => self.json(3),
            Type::Ref(name) => self.named(name, depth),
            Type::Array(item) => {
                let most = if depth >= DEEP || self.budget <= 0 { 1 } else { 4 };
                let count = self.rng.usize(..most);
                self.out.push('[');
                for index in 0..count {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.value(item, depth + 1);
                }
                self.out.push(']');
            }
        }
    }

    /// Free-form JSON: what tool schemas, arguments and metadata look like.
    fn json(&mut self, depth: usize) {
        match self.rng.u8(..if depth == 0 { 4 } else { 6 }) {
            0 => self.text(),
            1 => self.out.push_str(["12345678901234567890", "1.10", "-0", "3e10"][self.rng.usize(..4)]),
            2 => self.out.push_str(["true", "false", "null"][self.rng.usize(..3)]),
            3 => self.out.push_str("{}"),
            4 => {
                self.out.push('[');
                self.json(depth - 1);
                self.out.push(']');
            }
            _ => {
                self.out.push_str("{\"k\":");
                self.json(depth - 1);
                self.out.push_str(",\"a\":");
                self.json(depth - 1);
                self.out.push('}');
            }
        }
    }

    fn text(&mut self) {
        // Literals, so that escapes which JSON allows and no encoder writes are among them.
        let words = [
            r#""""#,
            r#""plain""#,
            r#""with \"quotes\" and \\ and \/""#,
            r#""北京 ☃ \u00e9 \ud83d\ude00""#,
            r#""line\nbreak\ttab""#,
            r#"" ""#,
            r#""{\"json\": [1, 2]}""#,
            r#""https://example.com/a?b=c""#,
            r#""data:image/png;base64,QUJD""#,
        ];
        let word = words[self.rng.usize(..words.len())];
        self.out.push_str(word);
    }

    fn string_literal(&mut self, text: &str) {
        self.out.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}
