//! How the service reads JSON into the shapes of its model: members, types, and the constraints on them.
//!
//! What cannot be read is told at once; constraints that do not hold are told together, each with its
//! path, in which elements of lists count from one.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::simulator::refusal::Refusal;

/// Constraints that are told of one request.
const MAX_TOLD: usize = 32;

/// Characters of a bad value that are quoted.
const MAX_QUOTE: usize = 200;

/// A structure, or a union, of which exactly one member may be set.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) union: bool,
    pub(super) members: &'static [Member],
}

/// A member: its name, what it holds, whether it has to be there.
pub(super) type Member = (&'static str, Kind, bool);

/// What a member holds.
pub(super) enum Kind {
    /// A text of so many characters, at least and at most.
    Text(usize, usize),
    /// A text that a pattern has to match as a whole.
    Like(usize, usize, Pattern),
    /// One word of an enumeration.
    Word(&'static [&'static str]),
    /// Base64 of at least so many bytes.
    Bytes(usize),
    Bool,
    /// A whole number of at least so much.
    Int(i64),
    /// A number between two others.
    Number(f64, f64),
    /// Any JSON.
    Document,
    Of(&'static Shape),
    /// So many elements, at least and at most.
    List(usize, usize, &'static Kind),
    /// So many entries, at least and at most, of keys and values.
    Map(usize, usize, &'static Kind, &'static Kind),
}

/// A pattern as the model spells it, and the same as a function.
#[derive(Clone, Copy)]
pub(super) struct Pattern {
    pub(super) said: &'static str,
    pub(super) holds: fn(&str) -> bool,
}

/// Reads a body into the form that the other checks see: members that are null are gone.
pub(super) fn read(shape: &Shape, body: &Value) -> Result<Map<String, Value>, Refusal> {
    let mut reader = Reader { path: Vec::new(), told: Vec::new() };
    let Value::Object(given) = body else { return Err(unreadable(body)) };
    let map = reader.structure(shape, given)?;
    match reader.told.len() {
        0 => Ok(map),
        count => {
            let errors = if count == 1 { "error" } else { "errors" };
            Err(Refusal::invalid(format!("{count} validation {errors} detected: {}", reader.told.join("; "))))
        }
    }
}

/// A request that the service cannot make sense of.
pub(super) fn malformed(said: &str) -> Refusal {
    Refusal::invalid(format!("Malformed input request: {said}, please reformat your input and try again."))
}

/// JSON that does not fit the type it is for.
fn serialization(said: impl Into<String>) -> Refusal {
    Refusal { code: Some("SerializationException"), ..Refusal::invalid(said) }
}

/// A value of a kind that has no place there.
fn unreadable(given: &Value) -> Refusal {
    serialization(match given {
        Value::Object(_) => "Start of structure or map found where not expected.",
        Value::Array(_) => "Start of list found where not expected.",
        _ => "Unexpected value type in payload.",
    })
}

enum Step {
    Name(String),
    Element(usize),
}

struct Reader {
    path: Vec<Step>,
    told: Vec<String>,
}

impl Reader {
    /// Tells of a constraint that does not hold.
    fn tell(&mut self, given: Option<&Value>, constraint: &str) {
        if self.told.len() >= MAX_TOLD {
            return;
        }
        let quote = match given {
            None | Some(Value::Null) => "null".to_owned(),
            Some(Value::String(text)) => format!("'{}'", text.chars().take(MAX_QUOTE).collect::<String>()),
            Some(other) => format!("'{}'", other.to_string().chars().take(MAX_QUOTE).collect::<String>()),
        };
        let mut path = String::new();
        for step in &self.path {
            let dot = if path.is_empty() { "" } else { "." };
            // Writing to a string cannot fail.
            let _ = match step {
                Step::Name(name) => write!(path, "{dot}{name}"),
                Step::Element(n) => write!(path, "{dot}{}.member", n + 1),
            };
        }
        self.told.push(format!("Value {quote} at '{path}' failed to satisfy constraint: {constraint}"));
    }

    /// The path with elements counted from zero, as the checks behind the model have it.
    fn place(&self) -> String {
        let steps = self.path.iter().map(|step| match step {
            Step::Name(name) => name.clone(),
            Step::Element(n) => n.to_string(),
        });
        steps.collect::<Vec<_>>().join(".")
    }

    fn inside<T>(
        &mut self,
        step: Step,
        read: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.path.push(step);
        let read = read(self);
        self.path.pop();
        read
    }

    fn structure(
        &mut self,
        shape: &Shape,
        given: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Refusal> {
        let mut out = Map::new();
        for (name, value) in given {
            let Some((_, kind, _)) = shape.members.iter().find(|(known, ..)| known == name) else {
                let place = self.place().replace('.', "/");
                let place = if place.is_empty() { place } else { format!("#/{place}: ") };
                return Err(malformed(&format!("{place}extraneous key [{name}] is not permitted")));
            };
            if value.is_null() && !matches!(kind, Kind::Document) {
                continue;
            }
            let value = self.inside(Step::Name(name.clone()), |reader| reader.value(kind, value))?;
            out.insert(name.clone(), value);
        }
        for (name, _, _) in shape.members.iter().filter(|(name, _, must)| *must && !out.contains_key(*name)) {
            self.inside(Step::Name((*name).to_owned()), |reader| {
                reader.tell(None, "Member must not be null");
                Ok(())
            })?;
        }
        if shape.union && out.len() != 1 {
            let names: Vec<&str> = shape.members.iter().map(|(name, ..)| *name).collect();
            let how = if out.is_empty() { "one" } else { "only one" };
            return Err(Refusal::invalid(format!(
                "The {} object at {} must set {how} of the following keys: {}.",
                shape.name,
                self.place(),
                names.join(", ")
            )));
        }
        Ok(out)
    }

    fn value(&mut self, kind: &Kind, given: &Value) -> Result<Value, Refusal> {
        match (kind, given) {
            (Kind::Document, given) => return Ok(given.clone()),
            (Kind::Of(shape), Value::Object(map)) => return self.structure(shape, map).map(Value::Object),
            (Kind::List(least, most, inner), Value::Array(list)) => {
                self.length(given, list.len(), *least, *most);
                let mut out = Vec::with_capacity(list.len());
                for (n, given) in list.iter().enumerate() {
                    if given.is_null() {
                        self.inside(Step::Element(n), |reader| {
                            reader.tell(None, "Member must not be null");
                            Ok(())
                        })?;
                    } else {
                        out.push(self.inside(Step::Element(n), |reader| reader.value(inner, given))?);
                    }
                }
                return Ok(Value::Array(out));
            }
            (Kind::Map(least, most, key, inner), Value::Object(map)) => {
                self.length(given, map.len(), *least, *most);
                let mut out = Map::new();
                for (name, given) in map {
                    self.value(key, &Value::from(name.as_str()))?;
                    let step = Step::Name(format!("{name}.member"));
                    out.insert(name.clone(), self.inside(step, |reader| reader.value(inner, given))?);
                }
                return Ok(Value::Object(out));
            }
            (Kind::Text(least, most), Value::String(text)) => {
                self.length(given, text.chars().count(), *least, *most);
            }
            (Kind::Like(least, most, pattern), Value::String(text)) => {
                self.length(given, text.chars().count(), *least, *most);
                if !(pattern.holds)(text) {
                    let said = format!("Member must satisfy regular expression pattern: {}", pattern.said);
                    self.tell(Some(given), &said);
                }
            }
            (Kind::Word(words), Value::String(text)) => {
                if !words.contains(&text.as_str()) {
                    let said = format!("Member must satisfy enum value set: [{}]", words.join(", "));
                    self.tell(Some(given), &said);
                }
            }
            (Kind::Bytes(least), Value::String(text)) => {
                let bytes = STANDARD.decode(text).map_err(|_| {
                    serialization(format!("The value at {} is not valid base64.", self.place()))
                })?;
                self.length(given, bytes.len(), *least, usize::MAX);
            }
            (Kind::Bool, Value::Bool(_)) => {}
            (Kind::Int(least), Value::Number(number)) => {
                let Some(number) = number.as_i64().filter(|number| i32::try_from(*number).is_ok()) else {
                    return Err(serialization("NUMBER_VALUE can not be converted to an Integer"));
                };
                if number < *least {
                    self.tell(
                        Some(given),
                        &format!("Member must have value greater than or equal to {least}"),
                    );
                }
            }
            (Kind::Number(least, most), Value::Number(number)) => {
                let number = number.as_f64().unwrap_or(f64::NAN);
                if number < *least {
                    self.tell(
                        Some(given),
                        &format!("Member must have value greater than or equal to {least}"),
                    );
                } else if number > *most {
                    self.tell(Some(given), &format!("Member must have value less than or equal to {most}"));
                }
            }
            (kind, given) => return Err(mismatch(kind, given)),
        }
        Ok(given.clone())
    }

    fn length(&mut self, given: &Value, length: usize, least: usize, most: usize) {
        if length < least {
            self.tell(Some(given), &format!("Member must have length greater than or equal to {least}"));
        } else if length > most {
            self.tell(Some(given), &format!("Member must have length less than or equal to {most}"));
        }
    }
}

/// A value of the wrong type.
fn mismatch(kind: &Kind, given: &Value) -> Refusal {
    let wanted = match kind {
        Kind::Text(..) | Kind::Like(..) | Kind::Word(_) => "a String",
        Kind::Bytes(_) => "a Blob",
        Kind::Bool => "a Boolean",
        Kind::Int(_) => "an Integer",
        Kind::Number(..) => "a Float",
        _ => return unreadable(given),
    };
    let token = match given {
        Value::String(_) => "STRING_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        _ => return unreadable(given),
    };
    serialization(format!("{token} can not be converted to {wanted}"))
}
