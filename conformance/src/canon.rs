//! One spelling of a JSON value that keeps what a tree of values would lose.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Members sorted, strings decoded, white space gone; numbers as they are spelled.
///
/// Two documents with the same canonical text are equal as JSON, number spelling included. A repeated
/// member counts by its last value.
pub fn canonical(json: &str) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    write(json, &mut out)?;
    Ok(out)
}

/// The value that a JSON pointer leads to, as it is spelled.
pub fn at<'j>(json: &'j str, pointer: &str) -> Option<&'j str> {
    let mut json = json.trim();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        json = match json.as_bytes().first()? {
            b'{' => {
                let mut members: BTreeMap<String, &'j RawValue> = serde_json::from_str(json).ok()?;
                members.remove(&step)?.get()
            }
            b'[' => {
                let items: Vec<&'j RawValue> = serde_json::from_str(json).ok()?;
                items.get(step.parse::<usize>().ok()?)?.get()
            }
            _ => return None,
        }
        .trim();
    }
    Some(json)
}

/// The document with a member or an item a line; short values stay on one line.
pub fn pretty(json: &str) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    lay_out(json, 0, &mut out)?;
    Ok(out)
}

/// Values up to this many bytes stay on one line, if they are on one.
const SHORT: usize = 100;

fn lay_out(json: &str, depth: usize, out: &mut String) -> Result<(), serde_json::Error> {
    let json = json.trim();
    let is_list = json.starts_with('[');
    let is_short = json.len() <= SHORT && !json.contains('\n');
    if is_short || !(is_list || json.starts_with('{')) {
        out.push_str(json);
        return Ok(());
    }
    let entries: Vec<(Option<String>, Box<RawValue>)> = if is_list {
        serde_json::from_str::<Vec<Box<RawValue>>>(json)?.into_iter().map(|item| (None, item)).collect()
    } else {
        serde_json::from_str::<Ordered>(json)?.0.into_iter().map(|(name, item)| (Some(name), item)).collect()
    };
    let count = entries.len();
    out.push(if is_list { '[' } else { '{' });
    for (index, (name, item)) in entries.into_iter().enumerate() {
        out.push('\n');
        out.push_str(&"  ".repeat(depth + 1));
        if let Some(name) = name {
            out.push_str(&serde_json::to_string(&name)?);
            out.push_str(": ");
        }
        lay_out(item.get(), depth + 1, out)?;
        if index + 1 < count {
            out.push(',');
        }
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push(if is_list { ']' } else { '}' });
    Ok(())
}

/// The members of an object, in their order.
struct Ordered(Vec<(String, Box<RawValue>)>);

impl<'de> serde::Deserialize<'de> for Ordered {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> serde::de::Visitor<'de> for Members {
            type Value = Ordered;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Ordered(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn write(json: &str, out: &mut String) -> Result<(), serde_json::Error> {
    let json = json.trim();
    match json.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json)?;
            out.push('{');
            for (name, value) in members {
                out.push_str(&serde_json::to_string(&name)?);
                out.push(':');
                write(value.get(), out)?;
                out.push(',');
            }
            out.push('}');
        }
        Some(b'[') => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(json)?;
            out.push('[');
            for item in items {
                write(item.get(), out)?;
                out.push(',');
            }
            out.push(']');
        }
        Some(b'"') => {
            let text: String = serde_json::from_str(json)?;
            out.push_str(&serde_json::to_string(&text)?);
        }
        _ => {
            let token: Box<RawValue> = serde_json::from_str(json)?;
            out.push_str(token.get());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{at, canonical, pretty};

    #[test]
    fn pointers_lead_to_values_as_they_are_spelled() {
        let json = r#"{"a": [{"b/c": 1.50}], "": null}"#;
        assert_eq!(at(json, "/a/0/b~1c"), Some("1.50"));
        assert_eq!(at(json, "/"), Some("null"));
        assert_eq!(at(json, "/a/1"), None);
    }

    #[test]
    fn a_long_document_is_laid_out_and_stays_the_same() {
        let json = format!(r#"{{"long": "{}", "b": [1.0, {{}}], "a": 1}}"#, "x".repeat(120));
        let laid = pretty(&json).unwrap();
        assert_eq!(laid.lines().count(), 5, "{laid}");
        assert_eq!(canonical(&laid).unwrap(), canonical(&json).unwrap());
    }

    #[test]
    fn order_and_escapes_do_not_matter_and_spelling_does() {
        let a = canonical(r#"{"b": 1.50, "a": ["\u00e9", {}]}"#).unwrap();
        assert_eq!(a, canonical("{\"a\":[\"é\",{ }],\"b\":1.50}").unwrap());
        assert_ne!(a, canonical("{\"a\":[\"é\",{ }],\"b\":1.5}").unwrap());
        assert_ne!(canonical("[]").unwrap(), canonical("{}").unwrap());
    }
}
