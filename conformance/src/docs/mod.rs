//! Makes documents that a schema allows, from a seed.

pub mod corpus;
mod marks;

pub use marks::{Leaf, Mark, Marked, Plan, marked};

use std::collections::BTreeSet;

use busbar_codegen::schema::{Def, Field, Kind, Schema, Type, Union};
use fastrand::Rng;
use serde_json::Value;

use marks::{Marks, Step};

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

/// Objects that say one of several things: providers refuse two of them at once.
const ONE_OF: &[(&str, &[&str])] = &[
    (
        "Part",
        &[
            "text",
            "inlineData",
            "fileData",
            "functionCall",
            "functionResponse",
            "executableCode",
            "codeExecutionResult",
            "toolCall",
            "toolResponse",
        ],
    ),
    ("FunctionResponsePart", &["inlineData", "fileData"]),
];

/// Makes one document; the same seed makes the same document.
pub fn document(schema: &Schema, root: Root, seed: u64, extras: Extras) -> String {
    let mut maker = Maker::new(schema, seed, extras);
    maker.named(root.name(schema), None, 0);
    maker.out
}

impl Root {
    fn name(self, schema: &Schema) -> &str {
        match self {
            Self::Request => &schema.roots.request,
            Self::Response => &schema.roots.response,
            Self::Stream => &schema.roots.stream,
            Self::Error => &schema.roots.error,
        }
    }
}

struct Maker<'s> {
    schema: &'s Schema,
    rng: Rng,
    extras: Extras,
    out: String,
    marks: Option<Marks>,
    /// Values still allowed before everything optional is left out.
    budget: i32,
    /// Members and items that may be left out, counted; one number each, whatever else is left out.
    choices: u32,
    /// The numbers of those that are left out of a document that is made smaller.
    without: BTreeSet<u32>,
}

/// Nesting from which only what is required is written.
const DEEP: usize = 9;

impl<'s> Maker<'s> {
    fn new(schema: &'s Schema, seed: u64, extras: Extras) -> Self {
        Self {
            schema,
            rng: Rng::with_seed(seed),
            extras,
            out: String::new(),
            marks: None,
            budget: 400,
            choices: 0,
            without: BTreeSet::new(),
        }
    }

    fn enter(&mut self, step: Step) {
        if let Some(marks) = &mut self.marks {
            marks.path.push(step);
        }
    }

    fn leave(&mut self) {
        if let Some(marks) = &mut self.marks {
            marks.path.pop();
        }
    }

    /// Writes something that may be left out, and takes it back when it is.
    ///
    /// It is made all the same, so that what follows is the same document with and without it.
    fn optional(&mut self, make: impl FnOnce(&mut Self)) -> bool {
        self.choices += 1;
        let kept = !self.without.contains(&self.choices);
        let start = self.out.len();
        let leaves = self.marks.as_ref().map_or(0, |marks| marks.leaves.len());
        make(self);
        if !kept {
            self.out.truncate(start);
            if let Some(marks) = &mut self.marks {
                marks.leaves.truncate(leaves);
            }
        }
        kept
    }

    fn named(&mut self, name: &str, like: Option<&Value>, depth: usize) {
        let schema = self.schema;
        match &schema.types[name] {
            Def::Object(fields) => {
                let left_out = self.left_out(name, like);
                let said = fields.iter().filter(|(name, _)| !left_out.contains(&name.as_str()));
                self.object(said, None, like, depth);
            }
            Def::Enum(words) => {
                let same = like.and_then(Value::as_str);
                if let Some(word) = same.filter(|word| !words.iter().any(|known| known == word)) {
                    return self.string_literal(word);
                }
                if let [_, _, ..] = &words[..]
                    && self.mark(|rng, _| {
                        let same = words.iter().position(|word| Some(word.as_str()) == same);
                        let at = same.unwrap_or_else(|| rng.usize(..words.len()));
                        let other = &words[(at + 1) % words.len()];
                        (quoted(&words[at]), Mark::Instead(quoted(other)))
                    })
                {
                    return;
                }
                if words.is_empty() || (self.extras.unknown && self.rng.u8(..) < 20) {
                    self.out.push_str("\"word_of_tomorrow\"");
                } else {
                    let word = &words[self.rng.usize(..words.len())];
                    self.string_literal(word);
                }
            }
            Def::Union(Union::Tag { field, variants, untagged }) => {
                let all: Vec<(&String, &String)> = variants.iter().collect();
                let same = like.and_then(|like| like.get(field)).and_then(Value::as_str);
                let same = all.iter().position(|(tag, _)| Some(tag.as_str()) == same);
                let (tag, target) = all[same.unwrap_or_else(|| self.rng.usize(..all.len()))];
                let Def::Object(fields) = &schema.types[target] else { return self.out.push_str("{}") };
                let leave_out = untagged.as_ref() == Some(target) && self.rng.bool();
                let tag =
                    if leave_out { (field.as_str(), None) } else { (field.as_str(), Some(tag.as_str())) };
                self.object(fields.iter(), Some(tag), like, depth);
            }
            Def::Union(Union::Shape(forms)) => {
                let all: Vec<(&Kind, &Type)> = forms.iter().collect();
                let same = like.and_then(|like| all.iter().position(|(kind, _)| **kind == kind_of(like)));
                let (_, form) = all[same.unwrap_or_else(|| self.rng.usize(..all.len()))];
                self.value(form, like.filter(|_| same.is_some()), depth);
            }
            Def::Union(Union::Key(forms)) => {
                let all: Vec<(&String, &Type)> = forms.iter().collect();
                let same = all.iter().position(|(key, _)| like.is_some_and(|like| like.get(key).is_some()));
                let (key, form) = all[same.unwrap_or_else(|| self.rng.usize(..all.len()))];
                self.out.push('{');
                self.string_literal(key);
                self.out.push(':');
                self.enter(Step::Member(key.clone()));
                self.value(form, like.and_then(|like| like.get(key)), depth + 1);
                self.leave();
                self.out.push('}');
            }
            // A map's view; the schemas that are read here have none.
            Def::Union(Union::Present(_)) => self.out.push_str("{}"),
        }
    }

    /// Members that a document whose values are looked for does not have, because another one stands for them.
    fn left_out(&mut self, ty: &str, like: Option<&Value>) -> Vec<&'static str> {
        let Some((_, one_of)) = ONE_OF.iter().find(|(known, _)| self.marks.is_some() && *known == ty) else {
            return Vec::new();
        };
        let same = one_of.iter().position(|name| like.is_some_and(|like| like.get(name).is_some()));
        let kept = same.unwrap_or_else(|| self.rng.usize(..one_of.len()));
        one_of.iter().enumerate().filter(|(at, _)| *at != kept).map(|(_, name)| *name).collect()
    }

    fn object<'f>(
        &mut self,
        fields: impl Iterator<Item = (&'f String, &'f Field)>,
        tag: Option<(&str, Option<&str>)>,
        like: Option<&Value>,
        depth: usize,
    ) {
        let mut members: Vec<(&String, &Field)> = fields.collect();
        self.rng.shuffle(&mut members);
        self.out.push('{');
        let mut any = false;
        for (name, field) in members {
            let is_tag = tag.is_some_and(|(tag, _)| tag == name);
            let same = like.map(|like| like.get(name));
            let chance = match same {
                None => 90,
                Some(None) => 3,
                Some(Some(_)) => 250,
            };
            let wanted =
                field.required || is_tag || (depth < DEEP && self.budget > 0 && self.rng.u8(..) < chance);
            if !wanted || tag.is_some_and(|(tag, value)| tag == name && value.is_none()) {
                continue;
            }
            self.budget -= 1;
            let same = same.flatten();
            let null = match same {
                Some(same) if self.marks.is_some() => same.is_null(),
                _ => {
                    (field.nullable && self.rng.u8(..) < 40)
                        || (self.extras.nulls && !is_tag && !field.required && self.rng.u8(..) < 10)
                }
            };
            let write = |maker: &mut Self| {
                if any {
                    maker.out.push(',');
                }
                maker.string_literal(name);
                maker.out.push(':');
                maker.enter(Step::Member(name.clone()));
                match (is_tag, tag, &field.constant) {
                    (true, Some((_, Some(value))), _) => maker.string_literal(value),
                    _ if null => maker.out.push_str("null"),
                    (_, _, Some(value)) => maker.string_literal(value),
                    _ => maker.value(&field.ty, same, depth + 1),
                }
                maker.leave();
            };
            let written = if field.required || is_tag {
                write(self);
                true
            } else {
                self.optional(write)
            };
            any |= written;
        }
        if self.extras.unknown && self.rng.u8(..) < 40 {
            self.optional(|maker| {
                if any {
                    maker.out.push(',');
                }
                maker.out.push_str("\"x_of_tomorrow\":");
                maker.enter(Step::Member("x_of_tomorrow".to_owned()));
                maker.json(2);
                maker.leave();
            });
        }
        self.out.push('}');
    }

    fn value(&mut self, ty: &Type, like: Option<&Value>, depth: usize) {
        if self.marked_value(ty, like) {
            return;
        }
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
            Type::Boolean => {
                self.out.push_str(if self.rng.bool() { "true" } else { "false" });
            }
            Type::Json => self.json(3),
            Type::Ref(name) => self.named(name, like, depth),
            Type::Array(item) => {
                self.out.push('[');
                let mut written = 0;
                for like in self.items(like, depth) {
                    let kept = self.optional(|maker| {
                        if written > 0 {
                            maker.out.push(',');
                        }
                        maker.enter(Step::Item(written));
                        maker.value(item, like, depth + 1);
                        maker.leave();
                    });
                    written += usize::from(kept);
                }
                self.out.push(']');
            }
        }
    }

    /// What each item of a list is like: those of the example with a little change, or any.
    fn items<'v>(&mut self, like: Option<&'v Value>, depth: usize) -> Vec<Option<&'v Value>> {
        let Some(Value::Array(items)) = like else {
            let most = if depth >= DEEP || self.budget <= 0 { 1 } else { 4 };
            return vec![None; self.rng.usize(..most)];
        };
        let mut made: Vec<Option<&Value>> = Vec::new();
        // A history goes round its loop of calls and results again and again.
        let rounds = if items.len() > 3 && self.rng.u8(..) < 8 { self.rng.usize(2..12) } else { 1 };
        for item in (0..rounds).flat_map(|_| items) {
            if self.rng.u8(..) < 250 {
                made.push(Some(item));
            }
        }
        if self.rng.u8(..) < 6 && self.budget > 0 {
            made.push(None);
        }
        made
    }

    /// Free-form JSON: what tool schemas, arguments and metadata look like.
    fn json(&mut self, depth: usize) {
        if self.marked_value(&Type::Json, None) {
            return;
        }
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
        self.out.push_str(&quoted(text));
    }
}

fn kind_of(value: &Value) -> Kind {
    match value {
        Value::Array(_) => Kind::Array,
        Value::Bool(_) => Kind::Boolean,
        Value::Number(_) => Kind::Number,
        Value::Object(_) => Kind::Object,
        Value::String(_) | Value::Null => Kind::String,
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
