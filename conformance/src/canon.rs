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
    use super::canonical;

    #[test]
    fn order_and_escapes_do_not_matter_and_spelling_does() {
        let a = canonical(r#"{"b": 1.50, "a": ["\u00e9", {}]}"#).unwrap();
        assert_eq!(a, canonical("{\"a\":[\"é\",{ }],\"b\":1.50}").unwrap());
        assert_ne!(a, canonical("{\"a\":[\"é\",{ }],\"b\":1.5}").unwrap());
        assert_ne!(canonical("[]").unwrap(), canonical("{}").unwrap());
    }
}
