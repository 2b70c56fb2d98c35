//! Single values, from what is written to what is meant.

use std::path::Path;

use super::settings::BaseUrl;

/// The largest file of a secret that is read, in bytes.
const MAX_SECRET: u64 = 64 << 10;

/// Whether a text may be shown as the name of a variable: a secret put there by mistake is not.
pub(super) fn is_variable_name(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// That a name leads nowhere, and which one is close to it.
pub(super) fn no_such<'a>(
    what: &str,
    name: &str,
    names: impl Iterator<Item = &'a str>,
    section: &str,
) -> String {
    let close =
        names.map(|known| (distance(known, name), known)).min().filter(|(distance, _)| *distance <= 2);
    match close {
        Some((_, known)) => format!("there is no {what} `{name}`; did you mean `{known}`?"),
        None => format!("there is no {what} `{name}` under `{section}`"),
    }
}

/// Edits between two names; names are short, and both are the operator's own.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// A provider's address.
pub(super) fn parse_base_url(text: &str) -> Result<BaseUrl, &'static str> {
    let uri: http::Uri = text.parse().map_err(|_| "is not a URL")?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err("begins with neither https:// nor http://"),
    };
    let authority = uri.authority().ok_or("names no host")?;
    if authority.as_str().contains('@') {
        return Err("holds a user name; name a key by `api_key_env` instead");
    }
    if uri.query().is_some() {
        return Err("holds a query");
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() {
        return Err("names no host");
    }
    Ok(BaseUrl {
        tls,
        host,
        port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        authority: authority.as_str().to_owned(),
        path: uri.path().trim_end_matches('/').to_owned(),
    })
}

/// The region that a regional endpoint's name holds, as in `bedrock-runtime.eu-west-1.amazonaws.com`.
pub(super) fn region_of_host(host: &str) -> Option<String> {
    let mut labels = host.split('.').skip(1);
    let region = labels.next()?;
    (labels.next()? == "amazonaws").then(|| region.to_owned())
}

/// A secret that a file holds, without the line's end.
pub(super) fn read_secret(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_SECRET {
        return Err(format!("the file has {length} bytes, more than {MAX_SECRET}"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let text = text.trim();
    if text.is_empty() || http::HeaderValue::from_str(text).is_err() {
        return Err("what it holds cannot be sent in a header".to_owned());
    }
    Ok(text.to_owned())
}
