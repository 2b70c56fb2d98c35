//! Documents of the kind that clients and providers send, for the maker to follow.

use std::path::Path;

use anyhow::{Context, Result};
use busbar::Protocol;
use serde_json::Value;

use super::Root;
use crate::accumulate::{accumulate, framed};
use crate::data;
use crate::suite::{Input, load};

/// The documents of this kind: those of the suites, what their streams add up to, and those in `corpus/`.
///
/// # Errors
/// When one cannot be read.
pub fn examples(protocol: Protocol, root: Root) -> Result<Vec<Value>> {
    let mut examples = Vec::new();
    let kind = match root {
        Root::Request => "request",
        Root::Response => "response",
        Root::Stream | Root::Error => return Ok(examples),
    };
    let folder = data("corpus").join(protocol.name());
    for path in files(&folder)? {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(kind)) {
            examples.push(value);
        }
    }
    for case in load(&data("suites"), None)?.into_iter().filter(|case| case.source == protocol) {
        let value = match (&case.input, root) {
            (Input::Request(body), Root::Request) | (Input::Response(body), Root::Response) => {
                serde_json::from_str(body).ok()
            }
            (Input::Stream(stream), Root::Response) => {
                let sent = match protocol {
                    Protocol::Bedrock => framed(stream),
                    _ => stream.as_bytes().to_vec(),
                };
                accumulate(protocol, &sent).ok()
            }
            _ => None,
        };
        examples.extend(value.filter(Value::is_object));
    }
    Ok(examples)
}

fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
