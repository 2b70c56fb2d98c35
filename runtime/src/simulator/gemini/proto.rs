//! How Google's servers read JSON into a message: names, types and lists, with their own complaints.
//!
//! Both spellings of a name are taken, integers may be strings, bytes come in either alphabet, words
//! in any case, a null is nothing, and one value stands for a list of one, as the documents' own
//! examples have it. All violations are told at once, each with its path.

use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, Engine};
use serde_json::{Map, Value, json};

use crate::simulator::refusal::Refusal;
use crate::simulator::sign;

/// Violations that are told of one request.
const MAX_VIOLATIONS: usize = 32;

/// Characters of a bad value that are quoted.
const MAX_QUOTE: usize = 200;

/// What a message is called in type names.
const PACKAGE: &str = "type.googleapis.com/google.ai.generativelanguage.v1beta.";

/// Base64 with or without its padding.
const LOOSE: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A message: its name, its fields, and those of which one alone may be set.
pub(super) struct Message {
    pub(super) name: &'static str,
    pub(super) fields: &'static [(&'static str, Kind)],
    pub(super) one_of: &'static [&'static str],
}

/// What a field holds.
pub(super) enum Kind {
    Text,
    Bytes,
    Bool,
    Int32,
    Int64,
    Number,
    /// One word of an enumeration with a name.
    Word(&'static str, &'static [&'static str]),
    /// Any object.
    Object,
    /// Any value.
    Any,
    Of(&'static Message),
    List(&'static Kind),
    Map(&'static Kind),
}

/// Reads a body into the form that the rest of the checks sees.
///
/// Names come out in camel case, nulls are gone, integers are numbers, bytes are standard base64,
/// words are as they are declared.
pub(super) fn read(message: &Message, body: &Value) -> Result<Map<String, Value>, Refusal> {
    let Some(given) = body.as_object() else {
        return Err(Refusal::invalid(
            "Invalid JSON payload received. Unknown name \"\": Root element must be a message.",
        ));
    };
    let mut reader = Reader { violations: Vec::new() };
    let map = reader.message(message, given, "");
    if reader.violations.is_empty() {
        return Ok(map);
    }
    let said: Vec<&str> = reader.violations.iter().map(|(_, said)| said.as_str()).collect();
    let fields: Vec<Value> = reader
        .violations
        .iter()
        .map(|(path, said)| {
            if path.is_empty() {
                json!({"description": said})
            } else {
                json!({"field": path, "description": said})
            }
        })
        .collect();
    let mut refusal = Refusal::invalid(said.join("\n"));
    refusal.details =
        vec![json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields})];
    Err(refusal)
}

/// The bytes of a text in either alphabet, padded or not.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    LOOSE.decode(sign::standard(text)).ok()
}

/// The spelling with underscores, which complaints use.
pub(super) fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

struct Reader {
    violations: Vec<(String, String)>,
}

impl Reader {
    fn tell(&mut self, path: &str, said: String) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push((path.to_owned(), said));
        }
    }

    /// A complaint about a name, at the message that holds it.
    fn name(&mut self, at: &str, name: &str, said: &str) {
        let place = if at.is_empty() { String::new() } else { format!(" at '{at}'") };
        self.tell(at, format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: {said}"));
    }

    fn value(&mut self, path: &str, kind: &str, given: &Value) {
        let quote: String = given.to_string().chars().take(MAX_QUOTE).collect();
        self.tell(path, format!("Invalid value at '{path}' ({kind}), {quote}"));
    }

    fn message(&mut self, message: &Message, given: &Map<String, Value>, at: &str) -> Map<String, Value> {
        let mut out = Map::new();
        for (name, value) in given {
            let known = message.fields.iter().find(|(field, _)| field == name || snake(field) == *name);
            let Some((field, kind)) = known else {
                self.name(at, name, "Cannot find field.");
                continue;
            };
            if value.is_null() && !matches!(kind, Kind::Any) {
                continue;
            }
            let path = if at.is_empty() { snake(field) } else { format!("{at}.{}", snake(field)) };
            if message.one_of.contains(field)
                && let Some(other) = message.one_of.iter().find(|other| out.contains_key(**other))
                && other != field
            {
                let said = format!(
                    "Invalid value at '{at}' (oneof), oneof field 'data' is already set. Cannot set '{name}'"
                );
                self.tell(at, said);
                continue;
            }
            if let Some(value) = self.field(kind, value, at, name, &path)
                && out.insert((*field).to_owned(), value).is_some()
            {
                self.name(at, name, "Proto field is set twice.");
            }
        }
        out
    }

    fn field(&mut self, kind: &Kind, given: &Value, at: &str, name: &str, path: &str) -> Option<Value> {
        match (kind, given) {
            (Kind::List(inner), Value::Array(list)) => {
                let mut out = Vec::with_capacity(list.len());
                for (n, given) in list.iter().enumerate() {
                    out.extend(self.one(inner, given, &format!("{path}[{n}]")));
                }
                Some(Value::Array(out))
            }
            (Kind::List(inner), given) => self.one(inner, given, path).map(|value| Value::Array(vec![value])),
            (Kind::Any, given) => Some(given.clone()),
            (_, Value::Array(_)) => {
                self.name(at, name, "Proto field is not repeating, cannot start list.");
                None
            }
            (Kind::Map(inner), Value::Object(map)) => {
                let mut out = Map::new();
                for (n, (name, given)) in map.iter().enumerate() {
                    if let Some(value) = self.one(inner, given, &format!("{path}[{n}].value")) {
                        out.insert(name.clone(), value);
                    }
                }
                Some(Value::Object(out))
            }
            (kind, given) => self.one(kind, given, path),
        }
    }

    fn one(&mut self, kind: &Kind, given: &Value, path: &str) -> Option<Value> {
        let (kind, read) = match (kind, given) {
            (Kind::Any, given) => return Some(given.clone()),
            (Kind::Of(message), Value::Object(map)) => {
                return Some(Value::Object(self.message(message, map, path)));
            }
            (Kind::Of(message), _) => (format!("{PACKAGE}{}", message.name), None),
            (Kind::Object, given) => (
                "type.googleapis.com/google.protobuf.Struct".to_owned(),
                given.is_object().then(|| given.clone()),
            ),
            (Kind::Map(_) | Kind::List(_), _) => ("Map".to_owned(), None),
            (Kind::Text, given) => ("TYPE_STRING".to_owned(), given.is_string().then(|| given.clone())),
            (Kind::Bool, given) => ("TYPE_BOOL".to_owned(), given.is_boolean().then(|| given.clone())),
            (Kind::Bytes, given) => {
                let read = given.as_str().and_then(bytes);
                if let (None, Some(text)) = (&read, given.as_str()) {
                    let quote: String = text.chars().take(MAX_QUOTE).collect();
                    let said = format!(
                        "Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for \"{quote}\""
                    );
                    self.tell(path, said);
                    return None;
                }
                ("TYPE_BYTES".to_owned(), read.map(|bytes| Value::from(STANDARD.encode(bytes))))
            }
            (Kind::Number, given) => {
                let text = given.as_str().and_then(|text| text.parse::<f64>().ok());
                ("TYPE_FLOAT".to_owned(), given.as_f64().or(text).map(Value::from))
            }
            (Kind::Int32, given) => {
                let read = integer(given).filter(|number| i32::try_from(*number).is_ok());
                ("TYPE_INT32".to_owned(), read.map(Value::from))
            }
            (Kind::Int64, given) => ("TYPE_INT64".to_owned(), integer(given).map(Value::from)),
            (Kind::Word(name, words), given) => {
                let named = given
                    .as_str()
                    .and_then(|word| words.iter().find(|known| known.eq_ignore_ascii_case(word)));
                let numbered = given.as_u64().and_then(|n| words.get(usize::try_from(n).ok()?));
                (format!("{PACKAGE}{name}"), named.or(numbered).map(|word| Value::from(*word)))
            }
        };
        if read.is_none() {
            self.value(path, &kind, given);
        }
        read
    }
}

/// A whole number: itself, spelled as a text, or with nothing after the point.
fn integer(given: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is in range")]
    let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64);
    match given {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64().or_else(|| other.as_f64().and_then(whole)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static LEAF: Message = Message {
        name: "Leaf",
        fields: &[("someText", Kind::Text), ("bytes", Kind::Bytes), ("count", Kind::Int64)],
        one_of: &["someText", "bytes"],
    };
    static ROOT: Message = Message {
        name: "Root",
        fields: &[
            ("theLeaf", Kind::Of(&LEAF)),
            ("leaves", Kind::List(&Kind::Of(&LEAF))),
            ("byName", Kind::Map(&Kind::Of(&LEAF))),
            ("word", Kind::Word("Root.Word", &["NO", "YES"])),
            ("small", Kind::Int32),
            ("free", Kind::Object),
        ],
        one_of: &[],
    };

    #[test]
    fn every_spelling_comes_out_as_one() {
        let body = json!({
            "the_leaf": {"some_text": "a", "count": "7"}, "leaves": {"bytes": "-_8"}, "word": "yes", "small": 3.0,
            "byName": {"x": {"count": 1}}, "free": null,
        });
        let read = read(&ROOT, &body).expect("is read");
        assert_eq!(
            Value::Object(read),
            json!({
                "theLeaf": {"someText": "a", "count": 7}, "leaves": [{"bytes": "+/8="}], "word": "YES", "small": 3,
                "byName": {"x": {"count": 1}},
            })
        );
    }

    #[test]
    fn violations_are_told_together_with_their_paths() {
        let body = json!({
            "byName": {"x": {"no_such": 1}}, "leaves": [{"someText": "a", "bytes": "AA=="}, 3, {"bytes": "%"}],
            "small": 3_000_000_000_u64, "theLeaf": [1], "word": "maybe", "free": "x", "z": 1,
        });
        let refusal = read(&ROOT, &body).expect_err("is refused");
        let violations = refusal.details[0]["fieldViolations"].as_array().expect("a list");
        let told: Vec<&str> = violations.iter().filter_map(|told| told["description"].as_str()).collect();
        assert_eq!(refusal.message, told.join("\n"));
        for said in [
            "Invalid JSON payload received. Unknown name \"no_such\" at 'by_name[0].value': Cannot find field.",
            "Invalid value at 'leaves[0]' (oneof), oneof field 'data' is already set. Cannot set 'bytes'",
            "Invalid value at 'leaves[1]' (type.googleapis.com/google.ai.generativelanguage.v1beta.Leaf), 3",
            "Invalid value at 'leaves[2].bytes' (TYPE_BYTES), Base64 decoding failed for \"%\"",
            "Invalid value at 'small' (TYPE_INT32), 3000000000",
            "Invalid JSON payload received. Unknown name \"theLeaf\": Proto field is not repeating, cannot start list.",
            "Invalid value at 'word' (type.googleapis.com/google.ai.generativelanguage.v1beta.Root.Word), \"maybe\"",
            "Invalid value at 'free' (type.googleapis.com/google.protobuf.Struct), \"x\"",
            "Invalid JSON payload received. Unknown name \"z\": Cannot find field.",
        ] {
            assert!(told.contains(&said), "{said} is not in {told:#?}");
        }
        assert_eq!(told.len(), 9);
        let many: Map<String, Value> = (0..99).map(|n| (format!("x{n}"), Value::from(n))).collect();
        let refusal = read(&ROOT, &Value::Object(many)).expect_err("is refused");
        assert_eq!(refusal.message.lines().count(), MAX_VIOLATIONS);
    }
}
