//! Documents in which every value can be told from every other.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use busbar_codegen::schema::{Schema, Type};
use fastrand::Rng;
use serde_json::Value;

use super::{Extras, Maker, Root, quoted};

/// A document in which every value can be told from every other, and where each stands.
#[derive(Debug, Clone)]
pub struct Marked {
    /// The document.
    pub json: String,
    /// Its values, but for constants and nulls.
    pub leaves: Vec<Leaf>,
    /// How many of its members and items can be left out; [`Plan::without`] takes `1` to this.
    pub choices: u32,
}

/// A value in a marked document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Where it stands, in the form that a ledger writes.
    pub path: String,
    /// What of it must be found elsewhere.
    pub mark: Mark,
    /// All of a text that is more than its mark, decoded; or the mark of free-form JSON and what follows it.
    pub whole: Option<String>,
    /// Its bytes in the document.
    pub range: Range<usize>,
}

/// How a value can be recognised in another document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// By this piece of text, which stands nowhere else.
    Found(String),
    /// By this number, which stands nowhere else.
    Number(String),
    /// By what changes when it gives way to this other value.
    Instead(String),
}

/// Which document is made.
#[derive(Debug, Clone, Default)]
pub struct Plan<'p> {
    /// The same seed makes the same document.
    pub seed: u64,
    /// How far it goes beyond the schema.
    pub extras: Extras,
    /// A document whose shape it follows, with a little change; without one, anything that the schema allows.
    pub like: Option<&'p Value>,
    /// Members and items that are left out, by number.
    pub without: BTreeSet<u32>,
}

/// Makes one marked document.
pub fn marked(schema: &Schema, root: Root, plan: &Plan<'_>) -> Marked {
    let mut maker = Maker::new(schema, plan.seed, plan.extras);
    let odd = plan.seed.is_multiple_of(3);
    maker.marks = Some(Marks { odd, ..Marks::default() });
    maker.budget = if plan.like.is_some() { 600 } else { 120 };
    maker.without = plan.without.clone();
    maker.named(root.name(schema), plan.like, 0);
    let leaves = maker.marks.map(|marks| marks.leaves).unwrap_or_default();
    Marked { json: maker.out, leaves, choices: maker.choices }
}

/// What a marked document needs while it is made.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) leaves: Vec<Leaf>,
    pub(super) path: Vec<Step>,
    count: u32,
    /// Whether texts have characters of every kind, and whole numbers more digits than a double holds.
    odd: bool,
    /// The id of the last call, for a result to name.
    call: Option<String>,
    /// The words that take the place of those of the example, so that what is the same there is the same here.
    words: HashMap<String, String>,
}

#[derive(Debug)]
pub(super) enum Step {
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

    /// Whether a turn of a conversation is being made; in an answer a citation repeats what is said.
    fn is_in_turns(&self) -> bool {
        let turns = ["messages", "contents", "input"];
        matches!(self.path.first(), Some(Step::Member(name)) if turns.contains(&name.as_str()))
    }

    fn member(&self) -> &str {
        match self.path.last() {
            Some(Step::Member(name)) => name,
            _ => "",
        }
    }
}

/// What is written, how it is recognised, and what must be whole.
type Made = (String, Mark, Option<String>);

/// Texts beyond plain letters: what JSON escapes, what needs two units, what some take for the end of a line.
const ODD: [&str; 4] = ["é😀", " \"q\" \\ /\n\t", "\u{2028}北京\u{7f}", " <b>&amp;</b> "];

/// Words that a schema calls text and that say one thing only: any other would be another document.
const FIXED: &[&str] = &["role", "object", "type", "language", "encrypted_content", "signature"];

/// Counts of which other members count parts: they are larger.
const WHOLES: &[&str] = &[
    "prompt_tokens",
    "completion_tokens",
    "input_tokens",
    "output_tokens",
    "inputTokens",
    "outputTokens",
    "promptTokenCount",
    "candidatesTokenCount",
];

/// Members that never have odd characters: what providers give out, and what names a place elsewhere.
const PLAIN: &[&str] = &["id", "model", "responseId", "modelVersion"];

/// What is said twice is said by two: each has a word of its own.
const SPOKEN: &[&str] = &["text", "content", "thinking", "reasoning_content"];

/// Words of which another is known that can stand in their place.
const EXCHANGED: &[(&str, &str)] = &[
    ("image/png", "image/jpeg"),
    ("image/jpeg", "image/png"),
    ("image/webp", "image/png"),
    ("application/pdf", "text/plain"),
    ("text/plain", "text/markdown"),
    ("audio/wav", "audio/mp3"),
    ("audio/mp3", "audio/wav"),
    ("video/mp4", "video/webm"),
];

impl Maker<'_> {
    /// Writes a value that can be recognised, if the document is a marked one.
    pub(super) fn mark(&mut self, make: impl FnOnce(&mut Rng, u32) -> (String, Mark)) -> bool {
        self.mark_whole(|rng, count| {
            let (json, mark) = make(rng, count);
            (json, mark, None)
        })
    }

    fn mark_whole(&mut self, make: impl FnOnce(&mut Rng, u32) -> Made) -> bool {
        let Some(marks) = &mut self.marks else { return false };
        marks.count += 1;
        let (json, mark, whole) = make(&mut self.rng, marks.count);
        let start = self.out.len();
        self.out.push_str(&json);
        let path = marks.path();
        marks.leaves.push(Leaf { path, mark, whole, range: start..self.out.len() });
        true
    }

    /// Writes a scalar or free-form JSON that can be recognised, if the document is a marked one.
    pub(super) fn marked_value(&mut self, ty: &Type, like: Option<&Value>) -> bool {
        let Some(marks) = &self.marks else { return false };
        let (odd, member) = (marks.odd, marks.member());
        let is_count = member.ends_with("okens") || member.ends_with("Count");
        let is_whole = WHOLES.contains(&member);
        match ty {
            Type::String => self.marked_text(like.and_then(Value::as_str)),
            Type::Base64 => self.mark(|_, count| {
                // Twelve characters, so that it is whole base64.
                let data = format!("QUJD{count:08}");
                (quoted(&data), Mark::Found(data))
            }),
            Type::Integer | Type::Int64 if is_whole => {
                self.mark(|_, count| number(format!("97{}", apart(count))))
            }
            Type::Integer if odd && !is_count => {
                self.mark(|_, count| number(format!("900719926{}", apart(count))))
            }
            Type::Integer => self.mark(|_, count| number(format!("7{}", apart(count)))),
            Type::Number => self.mark(|_, count| number(format!("0.3{}", apart(count)))),
            Type::Int64 => self.mark(|_, count| number(format!("8{}", apart(count)))),
            Type::Boolean => self.mark(|rng, _| {
                let value = like.and_then(Value::as_bool).unwrap_or_else(|| rng.bool());
                (value.to_string(), Mark::Instead((!value).to_string()))
            }),
            Type::Json => self.marked_json(like),
            Type::Ref(_) | Type::Array(_) => false,
        }
    }

    /// Free-form JSON of the kind that the example has: objects, lists, texts; empty ones stay empty.
    fn marked_json(&mut self, like: Option<&Value>) -> bool {
        match like {
            Some(Value::String(_)) => return self.marked_text(like.and_then(Value::as_str)),
            Some(Value::Bool(_) | Value::Number(_) | Value::Null) => {
                self.out.push_str(&like.map(Value::to_string).unwrap_or_default());
                return true;
            }
            Some(empty)
                if *empty == Value::Array(vec![]) || empty.as_object().is_some_and(|it| it.is_empty()) =>
            {
                self.out.push_str(&empty.to_string());
                return true;
            }
            _ => {}
        }
        let is_list = like.is_some_and(Value::is_array);
        let is_schema = like.is_some_and(|like| like.get("properties").is_some());
        self.mark_whole(|_, count| {
            let mark = format!("j{count}z");
            let (json, rest) = if is_list {
                (format!(r#"["{mark}",{{}},1.50]"#), r#"{},1.50]"#)
            } else if is_schema {
                let rest = r#"{"type":"string","enum":["b","a"]}"#;
                (
                    format!(r#"{{"type":"object","properties":{{"{mark}":{rest}}},"required":["{mark}"]}}"#),
                    rest,
                )
            } else {
                (format!(r#"{{"type":"object","{mark}":[{{}},1.50]}}"#), "[{},1.50]")
            };
            let between = if is_list { "," } else { ":" };
            let whole = format!("\"{mark}\"{between}{rest}");
            (json, Mark::Found(mark), Some(whole))
        })
    }

    /// Texts are words; addresses are data in half of the documents; a result names the call before it.
    fn marked_text(&mut self, like: Option<&str>) -> bool {
        let Some(marks) = &mut self.marks else { return false };
        let member = marks.member().to_owned();
        if let Some(same) = like {
            if same.is_empty() || FIXED.contains(&member.as_str()) {
                self.string_literal(same);
                return true;
            }
            if let Some((_, other)) = EXCHANGED.iter().find(|(word, _)| *word == same) {
                return self.mark(|_, _| (quoted(same), Mark::Instead(quoted(other))));
            }
            let document: Option<Value> = serde_json::from_str(same).ok();
            if document.is_some_and(|document| document.is_object()) {
                return self.mark_whole(|_, count| {
                    let mark = format!("j{count}z");
                    let whole = format!(r#""{mark}":[{{}},1.50]"#);
                    (quoted(&format!("{{{whole}}}")), Mark::Found(mark), Some(whole))
                });
            }
        }
        let (call, odd) = (marks.call.clone(), marks.odd);
        let is_spoken = marks.is_in_turns() && SPOKEN.contains(&member.as_str());
        let known = like.filter(|_| !is_spoken);
        let known = known.and_then(|same| marks.words.get(same).cloned());
        let is_data = match like {
            Some(same) => same.starts_with("data:"),
            None => matches!(member.as_str(), "url" | "file_data") && self.rng.bool(),
        };
        let is_address = like.is_some_and(|same| same.starts_with("http"));
        let is_name = match like {
            Some(same) => !same.contains(' '),
            // What a provider gives out is plain.
            None => PLAIN.contains(&member.as_str()),
        };
        let mut said = String::new();
        self.mark_whole(|rng, count| {
            if is_data {
                let data = format!("QUJD{count:08}");
                let head = like.and_then(|same| same.split_once(',')).map(|(head, _)| head.to_owned());
                let head = head.unwrap_or_else(|| {
                    let kind = if member == "url" { "image/png" } else { "application/pdf" };
                    format!("data:{kind};base64")
                });
                return (quoted(&format!("{head},{data}")), Mark::Found(data), None);
            }
            said = match (known, call) {
                (Some(word), _) => word,
                (None, Some(id))
                    if like.is_none()
                        && matches!(member.as_str(), "tool_call_id" | "tool_use_id")
                        && rng.u8(..) < 200 =>
                {
                    id
                }
                _ => format!("w{count}z"),
            };
            if is_address {
                return (quoted(&format!("https://example.com/{said}")), Mark::Found(said.clone()), None);
            }
            // Half of the texts, so that names and ids that have to be plain stand beside them.
            if odd && !is_name && rng.bool() && !said.is_empty() {
                let whole = format!("{said}{}", ODD[rng.usize(..ODD.len())]);
                return (quoted(&whole), Mark::Found(said.clone()), Some(whole));
            }
            (quoted(&said), Mark::Found(said.clone()), None)
        });
        if let Some(marks) = &mut self.marks {
            if let Some(same) = like {
                marks.words.entry(same.to_owned()).or_insert_with(|| said.clone());
            }
            if member == "id" && marks.path.len() > 1 {
                marks.call = Some(said);
            }
        }
        true
    }
}

/// Eight digits that are another number's neither as they are nor after a sum.
fn apart(count: u32) -> String {
    let mixed = (u64::from(count) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    // Without this, sums of counts would be sums of the digits.
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    format!("{:03}{:05}", count % 1000, (mixed >> 40) % 100_000)
}

fn number(spelling: String) -> (String, Mark) {
    (spelling.clone(), Mark::Number(spelling))
}
