//! Makes documents that a schema allows, from a seed.

use std::ops::Range;

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
    maker.named(root.name(schema), 0);
    maker.out
}

/// A document in which every value can be told from every other, and where each stands.
#[derive(Debug)]
pub struct Marked {
    /// The document.
    pub json: String,
    /// Its values, but for constants and nulls.
    pub leaves: Vec<Leaf>,
}

/// A value in a marked document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Where it stands, in the form that a ledger writes.
    pub path: String,
    /// What of it must be found elsewhere.
    pub mark: Mark,
    /// Its bytes in the document.
    pub range: Range<usize>,
}

/// How a value can be recognised in another document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// By this piece of text, which stands nowhere else.
    Found(String),
    /// By what changes when it gives way to this other value.
    Instead(String),
}

/// Makes one marked document; the same seed makes the same document.
pub fn marked(schema: &Schema, root: Root, seed: u64, extras: Extras) -> Marked {
    let mut maker = Maker::new(schema, seed, extras);
    maker.marks = Some(Marks::default());
    maker.budget = 120;
    maker.named(root.name(schema), 0);
    let leaves = maker.marks.map(|marks| marks.leaves).unwrap_or_default();
    Marked { json: maker.out, leaves }
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

/// What a marked document needs while it is made.
#[derive(Debug, Default)]
struct Marks {
    leaves: Vec<Leaf>,
    path: Vec<Step>,
    count: u32,
    /// The id of the last call, for a result to name.
    call: Option<String>,
}

#[derive(Debug)]
enum Step {
    Member(String),
    Item(usize),
}

impl Marks {
    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Member(name) if path.is_empty() => path.push_str(name),
                Step::Member(name) => path.push_str(&format!(".{name}")),
                Step::Item(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    fn member(&self) -> &str {
        match self.path.last() {
            Some(Step::Member(name)) => name,
            _ => "",
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
}

/// Nesting from which only what is required is written.
const DEEP: usize = 9;

impl<'s> Maker<'s> {
    fn new(schema: &'s Schema, seed: u64, extras: Extras) -> Self {
        Self { schema, rng: Rng::with_seed(seed), extras, out: String::new(), marks: None, budget: 400 }
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

    /// Writes a value that can be recognised, if the document is a marked one.
    fn mark(&mut self, make: impl FnOnce(&mut Rng, u32) -> (String, Mark)) -> bool {
        let Some(marks) = &mut self.marks else { return false };
        marks.count += 1;
        let (json, mark) = make(&mut self.rng, marks.count);
        let start = self.out.len();
        self.out.push_str(&json);
        let path = marks.path();
        marks.leaves.push(Leaf { path, mark, range: start..self.out.len() });
        true
    }

    fn named(&mut self, name: &str, depth: usize) {
        let schema = self.schema;
        match &schema.types[name] {
            Def::Object(fields) => {
                let left_out = self.left_out(name);
                self.object(
                    fields.iter().filter(|(name, _)| !left_out.contains(&name.as_str())),
                    None,
                    depth,
                );
            }
            Def::Enum(words) => {
                if let [_, _, ..] = &words[..]
                    && self.mark(|rng, _| {
                        let at = rng.usize(..words.len());
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
                self.enter(Step::Member(key.clone()));
                self.value(form, depth + 1);
                self.leave();
                self.out.push('}');
            }
            // A map's view; the schemas that are read here have none.
            Def::Union(Union::Present(_)) => self.out.push_str("{}"),
        }
    }

    /// Members that a document whose values are looked for does not have, because another one stands for them.
    fn left_out(&mut self, ty: &str) -> Vec<&'static str> {
        let Some((_, one_of)) = ONE_OF.iter().find(|(known, _)| self.marks.is_some() && *known == ty) else {
            return Vec::new();
        };
        let kept = self.rng.usize(..one_of.len());
        one_of.iter().enumerate().filter(|(at, _)| *at != kept).map(|(_, name)| *name).collect()
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
            self.enter(Step::Member(name.clone()));
            match (is_tag, tag, &field.constant) {
                (true, Some((_, Some(value))), _) => self.string_literal(value),
                _ if null => self.out.push_str("null"),
                (_, _, Some(value)) => self.string_literal(value),
                _ => self.value(&field.ty, depth + 1),
            }
            self.leave();
        }
        if self.extras.unknown && self.rng.u8(..) < 40 {
            if any {
                self.out.push(',');
            }
            self.out.push_str("\"x_of_tomorrow\":");
            self.enter(Step::Member("x_of_tomorrow".to_owned()));
            self.json(2);
            self.leave();
        }
        self.out.push('}');
    }

    fn value(&mut self, ty: &Type, depth: usize) {
        match ty {
            Type::String => self.text(),
            Type::Base64 => {
                if self.mark(|_, count| {
                    // Twelve characters, so that it is whole base64.
                    let data = format!("QUJD{count:08}");
                    (quoted(&data), Mark::Found(data))
                }) {
                    return;
                }
                let word = ["", "QQ==", "QUJD", "AAECAwQ="][self.rng.usize(..4)];
                self.string_literal(word);
            }
            Type::Integer => {
                if self.mark(|_, count| number(format!("7{count:06}"))) {
                    return;
                }
                let number = self.rng.u32(..100_000).to_string();
                self.out.push_str(&number);
            }
            Type::Number => {
                if self.mark(|_, count| number(format!("0.3{count:06}"))) {
                    return;
                }
                let spelling = ["0", "1", "0.7", "1.0", "0.50", "1e-3", "2E2", "-0.5"][self.rng.usize(..8)];
                self.out.push_str(spelling);
            }
            Type::Int64 => {
                if self.mark(|_, count| number(format!("8{count:06}"))) {
                    return;
                }
                let number = self.rng.u64(..u64::MAX / 2).to_string();
                if self.rng.bool() { self.out.push_str(&number) } else { self.string_literal(&number) }
            }
            Type::Boolean => {
                if self.mark(|rng, _| {
                    let value = rng.bool();
                    (value.to_string(), Mark::Instead((!value).to_string()))
                }) {
                    return;
                }
                self.out.push_str(if self.rng.bool() { "true" } else { "false" });
            }
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
                    self.enter(Step::Item(index));
                    self.value(item, depth + 1);
                    self.leave();
                }
                self.out.push(']');
            }
        }
    }

    /// Free-form JSON: what tool schemas, arguments and metadata look like.
    fn json(&mut self, depth: usize) {
        if self.mark(|_, count| {
            let mark = format!("j{count}z");
            (format!(r#"{{"type":"object","{mark}":[{{}},1.50]}}"#), Mark::Found(mark))
        }) {
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
        if self.marked_text() {
            return;
        }
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

    /// Texts are words; addresses are data in half of the documents; a result names the call before it.
    fn marked_text(&mut self) -> bool {
        let Some(marks) = &mut self.marks else { return false };
        let member = marks.member().to_owned();
        let call = marks.call.clone();
        let as_data = matches!(member.as_str(), "url" | "file_data") && self.rng.bool();
        let mut said = String::new();
        self.mark(|rng, count| {
            if as_data {
                let data = format!("QUJD{count:08}");
                let kind = if member == "url" { "image/png" } else { "application/pdf" };
                return (quoted(&format!("data:{kind};base64,{data}")), Mark::Found(data));
            }
            said = match call {
                Some(id) if matches!(member.as_str(), "tool_call_id" | "tool_use_id") && rng.u8(..) < 200 => {
                    id
                }
                _ => format!("w{count}z"),
            };
            (quoted(&said), Mark::Found(said.clone()))
        });
        if member == "id"
            && let Some(marks) = &mut self.marks
        {
            marks.call = Some(said);
        }
        true
    }

    fn string_literal(&mut self, text: &str) {
        self.out.push_str(&quoted(text));
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn number(spelling: String) -> (String, Mark) {
    (spelling.clone(), Mark::Found(spelling))
}
