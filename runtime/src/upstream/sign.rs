//! The head of a request to a provider: address, credential, the caller's vendor headers.

use busbar_catalog::Protocol;
use bytes::Bytes;
use secrecy::ExposeSecret;

use super::Request;
use crate::config::{BaseUrl, Credential};
use crate::fault::{Class, Fault};

/// The version of its API that Anthropic is asked for when the caller names none.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Writes the head of a request; it holds a secret and is never logged.
pub(super) fn head(base: &BaseUrl, credential: &Credential, request: &Request<'_>) -> Result<Vec<u8>, Fault> {
    let length: usize = request.body.iter().map(Bytes::len).sum();
    let mut head = Vec::with_capacity(512);
    head.extend_from_slice(b"POST ");
    head.extend_from_slice(base.path.as_bytes());
    head.extend_from_slice(request.path.as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
    field(&mut head, "host", base.authority.as_bytes());
    match credential {
        Credential::None => {}
        Credential::Key(key) => {
            let key = key.expose_secret().as_bytes();
            match request.protocol {
                Protocol::Anthropic => field(&mut head, "x-api-key", key),
                Protocol::Gemini => field(&mut head, "x-goog-api-key", key),
                _ => bearer(&mut head, key),
            }
        }
        Credential::SigV4 { .. } => {
            return Err(Fault::gateway(Class::Unsupported, "signed requests are not available"));
        }
    }
    for (name, value) in request.headers.iter().filter(|(name, _)| (request.goes_up)(name)) {
        field(&mut head, name.as_str(), value.as_bytes());
    }
    if request.protocol == Protocol::Anthropic && !request.headers.contains_key("anthropic-version") {
        field(&mut head, "anthropic-version", ANTHROPIC_VERSION.as_bytes());
    }
    // Whatever the caller said it was: it has been read as JSON.
    field(&mut head, "content-type", b"application/json");
    field(&mut head, "accept-encoding", b"identity");
    field(&mut head, "content-length", length.to_string().as_bytes());
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

fn field(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

fn bearer(head: &mut Vec<u8>, key: &[u8]) {
    head.extend_from_slice(b"authorization: Bearer ");
    head.extend_from_slice(key);
    head.extend_from_slice(b"\r\n");
}
