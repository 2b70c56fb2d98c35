//! Members of an object with the type each has, and what is said of one that breaks it.

use serde_json::{Map, Value};

use crate::simulator::refusal::Refusal;

/// What a member may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Is {
    Text,
    Flag,
    Integer,
    Number,
    List,
    Object,
    TextOrList,
    TextOrObject,
    Any,
    /// One of a few words.
    Word(&'static [&'static str]),
}

/// Whether a member has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Must,
    /// It has to be there, but `null` will do.
    Null,
    May,
}

/// One member.
pub(super) type Member = (&'static str, Is, Need);

pub(super) const STATUS: Is = Is::Word(&["in_progress", "completed", "incomplete"]);

/// Checks that an object has these members and no other.
pub(super) fn shape(map: &Map<String, Value>, path: &str, members: &[Member]) -> Result<(), Refusal> {
    if let Some(name) = map.keys().find(|name| !members.iter().any(|(known, ..)| known == name)) {
        let path = at(path, name);
        return Err(Refusal::field(format!("Unknown parameter: '{path}'."), path, Some("unknown_parameter")));
    }
    for (name, is, need) in members {
        let path = at(path, name);
        match map.get(*name) {
            None if *need == Need::May => {}
            None => return Err(missing(&path)),
            Some(Value::Null) if *need != Need::Must => {}
            Some(value) => of_kind(value, *is, &path)?,
        }
    }
    Ok(())
}

/// The path of a member.
pub(super) fn at(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn of_kind(value: &Value, is: Is, path: &str) -> Result<(), Refusal> {
    let (fits, wanted) = match is {
        Is::Any => return Ok(()),
        Is::Text => (value.is_string(), "a string"),
        Is::Flag => (value.is_boolean(), "a boolean"),
        Is::Integer => (value.is_i64() || value.is_u64(), "an integer"),
        Is::Number => (value.is_number(), "a decimal"),
        Is::List => (value.is_array(), "an array"),
        Is::Object => (value.is_object(), "an object"),
        Is::TextOrList => (value.is_string() || value.is_array(), "one of an array of objects or string"),
        Is::TextOrObject => (value.is_string() || value.is_object(), "one of a string or object"),
        Is::Word(words) => {
            let word = value.as_str().ok_or_else(|| kind(path, "a string", value))?;
            return one_of(word, words, path);
        }
    };
    if fits { Ok(()) } else { Err(kind(path, wanted, value)) }
}

/// Checks that a word is one of a few.
pub(super) fn one_of(word: &str, words: &[&str], path: &str) -> Result<(), Refusal> {
    if words.contains(&word) { Ok(()) } else { Err(value(path, word, words)) }
}

/// A word outside of the few that are allowed.
pub(super) fn value(path: &str, word: &str, words: &[&str]) -> Refusal {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let list = match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [more @ .., last] => format!("{}, and {last}", more.join(", ")),
    };
    invalid(path, format!("Invalid value: '{word}'. Supported values are: {list}."))
}

/// A value that breaks a rule of its own.
pub(super) fn invalid(path: &str, said: impl Into<String>) -> Refusal {
    Refusal::field(said, path, Some("invalid_value"))
}

/// A value of the wrong type.
pub(super) fn kind(path: &str, wanted: &str, got: &Value) -> Refusal {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Refusal::field(
        format!("Invalid type for '{path}': expected {wanted}, but got {got} instead."),
        path,
        Some("invalid_type"),
    )
}

/// A member that is not there.
pub(super) fn missing(path: &str) -> Refusal {
    Refusal::field(format!("Missing required parameter: '{path}'."), path, Some("missing_required_parameter"))
}

/// An object.
pub(super) fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Map<String, Value>, Refusal> {
    value.as_object().ok_or_else(|| kind(path, "an object", value))
}

/// A member that has to be there and be a string.
pub(super) fn text<'a>(map: &'a Map<String, Value>, path: &str, name: &str) -> Result<&'a str, Refusal> {
    let path = at(path, name);
    let value = map.get(name).ok_or_else(|| missing(&path))?;
    value.as_str().ok_or_else(|| kind(&path, "a string", value))
}

/// A member that is there and is not `null`.
pub(super) fn set<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).filter(|value| !value.is_null())
}

/// The entries of a list; none where it is not there.
pub(super) fn list<'a>(map: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    map.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Refuses a string of more characters than allowed.
pub(super) fn too_long(text: &str, path: &str, most: usize) -> Result<(), Refusal> {
    let length = text.chars().count();
    if length <= most {
        return Ok(());
    }
    Err(Refusal::field(
        format!(
            "Invalid '{path}': string too long. Expected a string with maximum length {most}, but got a string with length {length} instead."
        ),
        path,
        Some("string_above_max_length"),
    ))
}

/// Refuses a list of more entries than allowed.
pub(super) fn too_many(length: usize, path: &str, most: usize) -> Result<(), Refusal> {
    if length <= most {
        return Ok(());
    }
    Err(Refusal::field(
        format!(
            "Invalid '{path}': array too long. Expected an array with maximum length {most}, but got an array with length {length} instead."
        ),
        path,
        Some("array_above_max_length"),
    ))
}

/// Refuses a list without entries.
pub(super) fn not_empty(entries: &[Value], path: &str) -> Result<(), Refusal> {
    if !entries.is_empty() {
        return Ok(());
    }
    Err(Refusal::field(
        format!(
            "Invalid '{path}': empty array. Expected an array with minimum length 1, but got an empty array instead."
        ),
        path,
        Some("empty_array"),
    ))
}

/// Refuses a number outside of its range; `what` is `integer` or `decimal`.
pub(super) fn within(given: &Value, path: &str, what: Range) -> Result<(), Refusal> {
    let Some(number) = given.as_f64() else { return Ok(()) };
    let (word, low, high) = match what {
        Range::Integer(..) => ("integer", "integer_below_min_value", "integer_above_max_value"),
        Range::Decimal(..) => ("decimal", "decimal_below_min_value", "decimal_above_max_value"),
    };
    let (Range::Integer(least, most) | Range::Decimal(least, most)) = what;
    let (side, sign, limit, code) = if number < least {
        ("below minimum", ">=", least, low)
    } else if number > most {
        ("above maximum", "<=", most, high)
    } else {
        return Ok(());
    };
    Err(Refusal::field(
        format!(
            "Invalid '{path}': {word} {side} value. Expected a value {sign} {limit}, but got {given} instead."
        ),
        path,
        Some(code),
    ))
}

/// Least and most.
#[derive(Clone, Copy, Debug)]
pub(super) enum Range {
    Integer(f64, f64),
    Decimal(f64, f64),
}

/// Checks the name of a function, a free-form tool or a schema.
pub(super) fn name(name: &str, path: &str, most: usize) -> Result<(), Refusal> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if name.is_empty() {
        return Err(Refusal::field(
            format!(
                "Invalid '{path}': empty string. Expected a string with minimum length 1, but got an empty string instead."
            ),
            path,
            Some("empty_string"),
        ));
    }
    if !plain {
        return Err(invalid(
            path,
            format!(
                "Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
            ),
        ));
    }
    too_long(name, path, most)
}
