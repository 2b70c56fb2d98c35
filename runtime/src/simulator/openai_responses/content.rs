//! The rules for the parts of messages and of tools' outputs.

use serde_json::{Map, Value};

use super::shape::Is::{List, Object, Text, Word};
use super::shape::Need::{May, Must};
use super::shape::{Member, at, invalid, list, missing, object, set, shape, text, value};
use crate::simulator::answer::Seen;
use crate::simulator::refusal::Refusal;
use crate::simulator::sign;

/// What somebody tells the model.
pub(super) const INPUT: &[&str] = &["input_text", "input_image", "input_file"];
/// What the model said.
pub(super) const OUTPUT: &[&str] = &["output_text", "refusal"];

/// Every part that some content has.
const PARTS: &[(&str, &[Member])] = &[
    ("input_text", &[("type", Text, Must), ("text", Text, Must), BREAKPOINT]),
    (
        "input_image",
        &[
            ("type", Text, Must),
            ("detail", Word(&["low", "high", "auto", "original"]), May),
            ("file_id", Text, May),
            ("image_url", super::shape::Is::Any, May),
            BREAKPOINT,
        ],
    ),
    (
        "input_file",
        &[
            ("type", Text, Must),
            ("detail", Word(&["auto", "low", "high"]), May),
            ("file_data", Text, May),
            ("file_id", Text, May),
            ("file_url", Text, May),
            ("filename", Text, May),
            BREAKPOINT,
        ],
    ),
    (
        "output_text",
        &[("type", Text, Must), ("text", Text, Must), ("annotations", List, May), ("logprobs", List, May)],
    ),
    ("refusal", &[("type", Text, Must), ("refusal", Text, Must)]),
];

const BREAKPOINT: Member = ("prompt_cache_breakpoint", Object, May);

const ANNOTATIONS: &[(&str, &[Member])] = &[
    (
        "url_citation",
        &[
            ("type", Text, Must),
            ("url", Text, Must),
            ("title", Text, Must),
            ("start_index", super::shape::Is::Integer, Must),
            ("end_index", super::shape::Is::Integer, Must),
        ],
    ),
    (
        "file_citation",
        &[
            ("type", Text, Must),
            ("file_id", Text, Must),
            ("filename", Text, Must),
            ("index", super::shape::Is::Integer, Must),
        ],
    ),
    (
        "container_file_citation",
        &[
            ("type", Text, Must),
            ("container_id", Text, Must),
            ("file_id", Text, Must),
            ("filename", Text, Must),
            ("start_index", super::shape::Is::Integer, Must),
            ("end_index", super::shape::Is::Integer, Must),
        ],
    ),
    (
        "file_path",
        &[("type", Text, Must), ("file_id", Text, Must), ("index", super::shape::Is::Integer, Must)],
    ),
];

const IMAGE_TYPES: &[&str] = &["image/jpeg", "image/jpg", "image/png", "image/gif", "image/webp"];

/// Checks a list of parts and gives its text.
pub(super) fn check(
    parts: &[Value],
    path: &str,
    allowed: &[&str],
    seen: &mut Seen,
) -> Result<String, Refusal> {
    let mut said = String::new();
    for (n, part) in parts.iter().enumerate() {
        let path = format!("{path}[{n}]");
        let part = object(part, &path)?;
        let word = text(part, &path, "type")?;
        let Some((_, members)) = PARTS.iter().find(|(name, _)| *name == word) else {
            let words: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
            return Err(value(&at(&path, "type"), word, &words));
        };
        if !allowed.contains(&word) {
            return Err(value(&path, word, allowed));
        }
        shape(part, &path, members)?;
        if let Some(mark) = part.get("prompt_cache_breakpoint").and_then(Value::as_object) {
            let members = [("mode", Word(&["explicit"]), Must), ("ttl", Word(&["30m", "12h"]), May)];
            shape(mark, &at(&path, "prompt_cache_breakpoint"), &members)?;
        }
        match word {
            "input_image" => {
                image(part, &path)?;
                seen.images += 1;
            }
            "input_file" => {
                file(part, &path)?;
                seen.documents += 1;
            }
            "refusal" => said.push_str(text(part, &path, "refusal")?),
            _ => {
                annotations(part, &path)?;
                said.push_str(text(part, &path, "text")?);
            }
        }
    }
    Ok(said)
}

fn annotations(part: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
    for (n, annotation) in list(part, "annotations").iter().enumerate() {
        let path = format!("{path}.annotations[{n}]");
        let map = object(annotation, &path)?;
        let word = text(map, &path, "type")?;
        match ANNOTATIONS.iter().find(|(name, _)| *name == word) {
            Some((_, members)) => shape(map, &path, members)?,
            None => {
                let words: Vec<&str> = ANNOTATIONS.iter().map(|(name, _)| *name).collect();
                return Err(value(&at(&path, "type"), word, &words));
            }
        }
    }
    Ok(())
}

fn image(part: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
    let place = at(path, "image_url");
    let url = match (set(part, "image_url"), set(part, "file_id")) {
        (None, None) => return Err(missing(&place)),
        (None, Some(_)) => return Ok(()),
        (Some(_), Some(_)) => return Err(exclusive(path, "image_url", "file_id")),
        (Some(Value::String(url)), None) => url,
        (Some(other), None) => return Err(super::shape::kind(&place, "an image URL", other)),
    };
    if address(url) {
        return Ok(());
    }
    let wanted = "a base64-encoded data URL with an image MIME type (e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU=')";
    match data_url(url) {
        None if !url.starts_with("data:") => Err(invalid(
            &place,
            format!("Invalid '{place}'. Expected {wanted}, but got a value without the 'data:' prefix."),
        )),
        None => Err(invalid(
            &place,
            format!("Invalid '{place}'. Expected {wanted}, but got an invalid data URL."),
        )),
        Some((media, _)) if !IMAGE_TYPES.contains(&media) => Err(invalid(
            &place,
            format!("Invalid '{place}'. Expected {wanted}, but got unsupported MIME type '{media}'."),
        )),
        Some((_, data)) if sign::is_base64(data) => Ok(()),
        Some(_) => Err(Refusal::field("Invalid base64 image_url.", place, Some("invalid_base64"))),
    }
}

fn file(part: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
    let sources: Vec<&str> =
        ["file_data", "file_id", "file_url"].into_iter().filter(|name| set(part, name).is_some()).collect();
    match sources.as_slice() {
        [] => Err(missing(&at(path, "file_id"))),
        [first, second, ..] => Err(exclusive(path, first, second)),
        ["file_url"] => {
            let place = at(path, "file_url");
            if address(text(part, path, "file_url")?) {
                return Ok(());
            }
            Err(invalid(
                &place,
                format!("Invalid '{place}'. Expected a valid URL, but got a value with an invalid format."),
            ))
        }
        ["file_data"] => {
            let place = at(path, "file_data");
            let data = text(part, path, "file_data")?;
            let wanted = "a base64-encoded data URL with an application/pdf MIME type (e.g. 'data:application/pdf;base64,aW1nIGJ5dGVzIGhlcmU=')";
            match data_url(data) {
                None => Err(invalid(
                    &place,
                    format!(
                        "Invalid '{place}'. Expected {wanted}, but got a value without the 'data:' prefix."
                    ),
                )),
                Some((media, _)) if !media.starts_with("application/") && !media.starts_with("text/") => {
                    Err(invalid(
                        &place,
                        format!(
                            "Invalid '{place}'. Expected {wanted}, but got unsupported MIME type '{media}'."
                        ),
                    ))
                }
                Some((_, data)) if !sign::is_base64(data) => {
                    Err(Refusal::field("Invalid base64 file_data.", place, Some("invalid_base64")))
                }
                Some(_) => text(part, path, "filename").map(drop),
            }
        }
        _ => Ok(()),
    }
}

fn exclusive(path: &str, one: &str, other: &str) -> Refusal {
    Refusal::field(
        format!(
            "Mutually exclusive parameters: '{path}.{one}' and '{path}.{other}'. Ensure you are only providing one of: '{one}' or '{other}'."
        ),
        path,
        Some("mutually_exclusive_parameters"),
    )
}

fn address(url: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}
