//! What the API refuses of the contents: roles, parts, media, calls and results, signatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::fields::PART;
use super::request::{Model, at};
use crate::simulator::answer::Seen;
use crate::simulator::refusal::Refusal;
use crate::simulator::sign;

/// What stands for a signature that a call never had, as the provider documents.
const SKIP: &[&str] = &["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];

/// The media types that are documented for prompts.
const MEDIA: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/heic",
    "image/heif",
    "application/pdf",
    "text/plain",
    "text/html",
    "text/css",
    "text/csv",
    "text/xml",
    "text/rtf",
    "text/md",
    "text/markdown",
    "text/javascript",
    "audio/wav",
    "audio/x-wav",
    "audio/mp3",
    "audio/mpeg",
    "audio/mpga",
    "audio/mp4",
    "audio/m4a",
    "audio/aiff",
    "audio/aac",
    "audio/ogg",
    "audio/opus",
    "audio/flac",
    "audio/pcm",
    "audio/webm",
    "video/mp4",
    "video/mpeg",
    "video/mov",
    "video/quicktime",
    "video/avi",
    "video/x-flv",
    "video/flv",
    "video/mpg",
    "video/mpegps",
    "video/webm",
    "video/wmv",
    "video/3gpp",
];

/// The media types that are documented for what a function answers.
const RESPONSE_MEDIA: &[&str] = &["image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"];

/// The member of a part that is its data.
pub(super) fn data(part: &Value) -> Option<&'static str> {
    PART.one_of.iter().copied().find(|name| part.get(name).is_some())
}

/// A part without any.
pub(super) fn no_data(path: &str) -> Refusal {
    at(&format!("{path}.data"), "required oneof field 'data' must have one initialized field")
}

/// A content as far as the order of turns goes.
#[derive(Default)]
struct Turn {
    model: bool,
    calls: usize,
    results: usize,
    /// Something a user says, which begins a new turn of the conversation.
    said: bool,
    /// The place and name of the first call, when it came without a signature.
    unsigned: Option<(usize, String)>,
}

/// Checks the contents.
pub(super) fn contents(body: &Map<String, Value>, model: &Model, seen: &mut Seen) -> Result<(), Refusal> {
    let list = body.get("contents").and_then(Value::as_array).filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| at("contents", "contents is not specified"))?;
    seen.messages = list.len();
    let mut turns: Vec<Turn> = Vec::with_capacity(list.len());
    for (n, content) in list.iter().enumerate() {
        let turn = turn(content, n, seen)?;
        match turns.last_mut() {
            // The SDK's chats keep each chunk of a stream as a content of its own: one turn, one step.
            Some(before) if before.model && turn.model => {
                if before.calls == 0 {
                    before.unsigned = turn.unsigned;
                }
                before.calls += turn.calls;
            }
            _ => turns.push(turn),
        }
    }
    order(&turns)?;
    let current = turns.iter().rposition(|turn| turn.said).map_or(0, |at| at + 1);
    let missing = turns.iter().skip(current).find_map(|turn| turn.unsigned.as_ref());
    match missing {
        Some((n, name)) if model.signed_calls => Err(Refusal::invalid(format!(
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call `default_api:{name}` , position {}. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
            n + 1
        ))),
        _ => Ok(()),
    }
}

/// Calls follow users and results; results follow calls and are as many.
fn order(turns: &[Turn]) -> Result<(), Refusal> {
    let mut before: Option<&Turn> = None;
    for turn in turns {
        if turn.calls > 0 && before.is_none() {
            return Err(Refusal::invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
            ));
        }
        if before.is_none() && turn.model {
            return Err(Refusal::invalid(if turns.len() == 1 {
                "Please ensure that single turn requests end with a user role or the role field is empty."
            } else {
                "Please ensure that multiturn requests alternate between user and model."
            }));
        }
        let calls = before.map_or(0, |before| before.calls);
        if turn.results > 0 && calls == 0 {
            return Err(Refusal::invalid(
                "Please ensure that function response turn comes immediately after a function call turn.",
            ));
        }
        if turn.results != calls {
            return Err(Refusal::invalid(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            ));
        }
        before = Some(turn);
    }
    Ok(())
}

fn turn(content: &Value, n: usize, seen: &mut Seen) -> Result<Turn, Refusal> {
    let role = content.get("role").and_then(Value::as_str).unwrap_or_default();
    if !matches!(role, "" | "user" | "model" | "function") {
        return Err(Refusal::invalid("Please use a valid role: user, model."));
    }
    let parts = content.get("parts").and_then(Value::as_array).filter(|parts| !parts.is_empty());
    let parts =
        parts.ok_or_else(|| at(&format!("contents[{n}].parts"), "contents.parts must not be empty."))?;
    let mut turn = Turn { model: role == "model", ..Turn::default() };
    seen.results.clear();
    for (p, part) in parts.iter().enumerate() {
        let path = format!("contents[{n}].parts[{p}]");
        let data = data(part).ok_or_else(|| no_data(&path))?;
        let signed = signature(part, data)?;
        match data {
            "functionCall" => {
                let name = named(&part[data], &format!("{path}.function_call"))?;
                if !turn.model {
                    return Err(at(
                        &format!("{path}.function_call"),
                        "only allowed in a turn of the role model.",
                    ));
                }
                if turn.calls == 0 && !signed {
                    turn.unsigned = Some((n, name.to_owned()));
                }
                turn.calls += 1;
            }
            "functionResponse" => {
                if turn.model {
                    return Err(at(
                        &format!("{path}.function_response"),
                        "only allowed in a turn of the role user.",
                    ));
                }
                seen.results.push(result(&part[data], &format!("{path}.function_response"))?);
                turn.results += 1;
            }
            other => {
                media(other, &part[other], &path, seen)?;
                // A result's pictures may stand beside it: they begin no turn.
                turn.said |= !turn.model;
                if let Some(text) = part.get("text").and_then(Value::as_str).filter(|_| !turn.model) {
                    text.clone_into(&mut seen.user);
                }
            }
        }
    }
    turn.said &= turn.results == 0;
    Ok(turn)
}

fn named<'a>(value: &'a Value, path: &str) -> Result<&'a str, Refusal> {
    let name = value.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
    name.ok_or_else(|| at(&format!("{path}.name"), "Name cannot be empty."))
}

/// Refuses a signature that the simulator did not make for such a part; tells whether there is one.
fn signature(part: &Value, data: &str) -> Result<bool, Refusal> {
    let given = part.get("thoughtSignature").and_then(Value::as_str).filter(|given| !given.is_empty());
    let Some(given) = given else { return Ok(false) };
    let skips = SKIP.iter().any(|skip| given == sign::standard(skip) || given == STANDARD.encode(skip));
    let known = match data {
        // A call's stays with that call.
        "functionCall" => {
            let name = part[data].get("name").and_then(Value::as_str).unwrap_or_default();
            sign::genuine("gemini", name, given)
        }
        _ => {
            let text = part.get("text").and_then(Value::as_str).unwrap_or_default();
            sign::genuine("gemini", "", given) || sign::genuine("gemini", text, given)
        }
    };
    if skips || known { Ok(true) } else { Err(Refusal::invalid("Corrupted thought signature.")) }
}

fn media(data: &str, value: &Value, path: &str, seen: &mut Seen) -> Result<(), Refusal> {
    let kind = value.get("mimeType").and_then(Value::as_str).unwrap_or_default();
    let (place, there) = match data {
        "inlineData" => ("inline_data.data", value.get("data").and_then(Value::as_str)),
        "fileData" => ("file_data.file_uri", value.get("fileUri").and_then(Value::as_str)),
        _ => return Ok(()),
    };
    let there = there.filter(|there| !there.is_empty());
    let there = there.ok_or_else(|| at(&format!("{path}.{place}"), "must not be empty."))?;
    if data == "fileData" && !reachable(there) {
        return Err(Refusal::invalid(format!("Invalid or unsupported file uri: {there}")));
    }
    // Of an uploaded file or a video site the type is known, of anything else it has to be told.
    let known = data == "fileData" && (there.contains("/files/") || is_video_site(there));
    let fits = known && (kind.is_empty() || kind.starts_with("video/"));
    if !fits && !MEDIA.contains(&kind) {
        return Err(Refusal::invalid(format!("Unsupported MIME type: {kind}")));
    }
    if kind.starts_with("image/") {
        seen.images += 1;
    } else {
        seen.documents += 1;
    }
    Ok(())
}

/// Uploaded files, registered buckets, videos, and anything public.
fn reachable(uri: &str) -> bool {
    ["https://", "gs://"].iter().any(|scheme| uri.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

fn is_video_site(uri: &str) -> bool {
    ["https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/"]
        .iter()
        .any(|site| uri.starts_with(site))
}

/// Checks what a function answered; its text.
fn result(value: &Value, path: &str) -> Result<String, Refusal> {
    named(value, path)?;
    let response = value.get("response");
    let response = response.ok_or_else(|| at(&format!("{path}.response"), "required field is not set"))?;
    let parts = value.get("parts").and_then(Value::as_array);
    let mut names = Vec::new();
    for (n, part) in parts.into_iter().flatten().enumerate() {
        let blob = part.get("inlineData").or_else(|| part.get("fileData"));
        let blob = blob.ok_or_else(|| no_data(&format!("{path}.parts[{n}]")))?;
        let kind = blob.get("mimeType").and_then(Value::as_str).unwrap_or_default();
        if !RESPONSE_MEDIA.contains(&kind) {
            return Err(Refusal::invalid(format!("Unsupported MIME type: {kind}")));
        }
        names.extend(blob.get("displayName").and_then(Value::as_str));
    }
    match reference(response, &names) {
        Some(name) => Err(Refusal::invalid(format!(
            "The referenced name `{name}` in function_response.response does not match to a display_name in the function_response.parts."
        ))),
        None => Ok(response.to_string()),
    }
}

/// The first `$ref` that names none of the parts beside it; the key is reserved for those.
fn reference<'a>(value: &'a Value, names: &[&str]) -> Option<&'a str> {
    match value {
        Value::Object(map) => map
            .get("$ref")
            .and_then(Value::as_str)
            .filter(|name| !names.contains(name))
            .or_else(|| map.values().find_map(|value| reference(value, names))),
        Value::Array(list) => list.iter().find_map(|value| reference(value, names)),
        _ => None,
    }
}
