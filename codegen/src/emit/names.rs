//! Rust names for wire names.

use proc_macro2::{Ident, Span};
use quote::format_ident;

/// A type name; schema names are UpperCamelCase already.
pub(crate) fn ty(name: &str) -> Ident {
    format_ident!("{name}")
}

/// A field or function name: snake_case, keywords made raw.
pub(crate) fn field(wire: &str) -> Ident {
    let name = snake(wire);
    match name.as_str() {
        "self" | "super" | "crate" | "unknown" => Ident::new(&format!("{name}_"), Span::call_site()),
        _ => syn::parse_str::<Ident>(&name).unwrap_or_else(|_| Ident::new_raw(&name, Span::call_site())),
    }
}

/// An enum variant for a wire word.
pub(crate) fn variant(word: &str) -> Ident {
    let mut name = String::new();
    let mut upper = true;
    let mut lower_before = false;
    for c in word.chars() {
        if !c.is_ascii_alphanumeric() {
            upper = true;
            lower_before = false;
            continue;
        }
        if upper || (c.is_ascii_uppercase() && lower_before) {
            name.push(c.to_ascii_uppercase());
        } else {
            name.push(c.to_ascii_lowercase());
        }
        upper = false;
        lower_before = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, 'V');
    }
    match name.as_str() {
        "Other" => format_ident!("OtherWord"),
        "Self" => format_ident!("SelfWord"),
        _ => format_ident!("{name}"),
    }
}

/// snake_case of a wire or type name.
pub(crate) fn snake(name: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = name.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            if !out.ends_with('_') && !out.is_empty() {
                out.push('_');
            }
            continue;
        }
        if c.is_ascii_uppercase() && i > 0 {
            let before = chars[i - 1];
            let after = chars.get(i + 1).copied().unwrap_or('_');
            if before.is_ascii_lowercase()
                || before.is_ascii_digit()
                || (before.is_ascii_uppercase() && after.is_ascii_lowercase())
            {
                out.push('_');
            }
        }
        out.push(c.to_ascii_lowercase());
    }
    if out.is_empty() || out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_names_become_rust_names() {
        assert_eq!(field("maxOutputTokens").to_string(), "max_output_tokens");
        assert_eq!(field("type").to_string(), "r#type");
        assert_eq!(snake("URLImageSource"), "url_image_source");
        assert_eq!(snake("$schema"), "schema");
        assert_eq!(variant("end_turn").to_string(), "EndTurn");
        assert_eq!(variant("MAX_TOKENS").to_string(), "MaxTokens");
        assert_eq!(variant("web_search_20250305").to_string(), "WebSearch20250305");
        assert_eq!(variant("1h").to_string(), "V1h");
        assert_eq!(variant("response.output_text.delta").to_string(), "ResponseOutputTextDelta");
    }
}
