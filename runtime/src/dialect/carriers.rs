//! Where a caller's key may stand: any carrier of the six protocols, whatever the protocol of the call.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Headers that carry nothing but a key.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "x-goog-api-key", "api-key"];

/// The query parameter that Gemini clients may put a key in.
pub const KEY_PARAMETER: &str = "key";

/// The caller's key, from the first carrier that holds one.
///
/// Of an AWS signature, the access key id stands for the caller.
pub fn key<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<&'a str> {
    let from_header = KEY_HEADERS.iter().find_map(|name| headers.get(*name)?.to_str().ok());
    from_header
        .or_else(|| headers.get(AUTHORIZATION)?.to_str().ok().and_then(authorization))
        .or_else(|| parameters(query).find_map(|(name, value)| (name == KEY_PARAMETER).then_some(value)))
        .map(str::trim)
        .filter(|key| !key.is_empty())
}

fn authorization(value: &str) -> Option<&str> {
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest);
    }
    if !scheme.starts_with("AWS4-HMAC-") {
        return None;
    }
    let credential = rest.split(',').find_map(|part| part.trim().strip_prefix("Credential="))?;
    credential.split('/').next()
}

/// The query without the key; none when nothing is left.
pub fn without_key(query: Option<&str>) -> Option<String> {
    let kept: Vec<&str> = query?
        .split('&')
        .filter(|pair| pair.split('=').next() != Some(KEY_PARAMETER) && !pair.is_empty())
        .collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

fn parameters(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn every_carrier_is_read() {
        for name in KEY_HEADERS {
            assert_eq!(key(&with(name, "k1"), None), Some("k1"));
        }
        assert_eq!(key(&with("authorization", "Bearer k2"), None), Some("k2"));
        assert_eq!(key(&with("authorization", "bearer k2"), None), Some("k2"));
        let signature = "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=ab";
        assert_eq!(key(&with("authorization", signature), None), Some("AKID"));
        assert_eq!(key(&HeaderMap::new(), Some("alt=sse&key=k3")), Some("k3"));
        assert_eq!(key(&HeaderMap::new(), Some("monkey=k3")), None);
    }

    #[test]
    fn the_key_leaves_the_query() {
        assert_eq!(without_key(Some("alt=sse&key=k3")).as_deref(), Some("alt=sse"));
        assert_eq!(without_key(Some("key=k3")), None);
        assert_eq!(without_key(Some("beta=true")).as_deref(), Some("beta=true"));
        assert_eq!(without_key(None), None);
    }
}
