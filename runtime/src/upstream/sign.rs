//! The head of a request to a provider: address, credential, the caller's vendor headers.

use std::time::SystemTime;

use crate::Protocol;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use secrecy::ExposeSecret;

use super::Request;
use crate::config::{BaseUrl, Credential};
use crate::fault::{Class, Fault};

/// The version of its API that Anthropic is asked for when the caller names none.
const ANTHROPIC_VERSION: &str = "2023-06-01";
/// Where it stands.
const VERSION_FIELD: &str = "anthropic-version";

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
        Credential::SigV4 { .. } => signature(&mut head, base, credential, request, SystemTime::now())?,
    }
    for (name, value) in request.headers.iter().filter(|(name, _)| (request.goes_up)(name)) {
        field(&mut head, name.as_str(), value.as_bytes());
    }
    // The caller's own stays at home where it speaks to another protocol.
    let is_said =
        request.headers.keys().any(|name| name.as_str() == VERSION_FIELD && (request.goes_up)(name));
    if request.protocol == Protocol::Anthropic && !is_said {
        field(&mut head, VERSION_FIELD, ANTHROPIC_VERSION.as_bytes());
    }
    if let Some(accept) = request.accept {
        field(&mut head, "accept", accept.as_bytes());
    }
    // Whatever the caller said it was: it has been read as JSON.
    field(&mut head, "content-type", b"application/json");
    field(&mut head, "accept-encoding", b"identity");
    field(&mut head, "content-length", length.to_string().as_bytes());
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

/// Signs method, address, host and body as AWS asks for; the caller's header fields stay out of it.
fn signature(
    head: &mut Vec<u8>,
    base: &BaseUrl,
    credential: &Credential,
    request: &Request<'_>,
    now: SystemTime,
) -> Result<(), Fault> {
    let Credential::SigV4 { access_key, secret_key, session_token, region } = credential else {
        return Ok(());
    };
    let token = session_token.as_ref().map(|token| token.expose_secret().to_owned());
    let credentials = Credentials::new(access_key, secret_key.expose_secret(), token, None, "busbar");
    let identity = credentials.into();
    let failed = |_| Fault::upstream(Class::Internal, "the request to the provider could not be signed");
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("bedrock")
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(failed)?;
    let scheme = if base.tls { "https" } else { "http" };
    let url = format!("{scheme}://{}{}{}", base.authority, base.path, request.path);
    let body = request.body.concat();
    let fields = [("host", base.authority.as_str())];
    let unsigned = |_| Fault::upstream(Class::Internal, "the request to the provider could not be signed");
    let signable = SignableRequest::new("POST", &url, fields.into_iter(), SignableBody::Bytes(&body))
        .map_err(unsigned)?;
    let (instructions, _) = sign(signable, &parameters.into()).map_err(unsigned)?.into_parts();
    for (name, value) in instructions.headers() {
        field(head, name, value.as_bytes());
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;
    use secrecy::SecretString;
    use tokio::time::Instant;

    use super::*;

    fn base() -> BaseUrl {
        BaseUrl { tls: true, host: "h".into(), port: 443, authority: "h".into(), path: "/v1".into() }
    }

    fn request(protocol: Protocol, headers: &HeaderMap) -> Request<'_> {
        Request {
            protocol,
            path: "/model/a%3A0/converse",
            headers,
            goes_up: |name| name.as_str().starts_with("x-up"),
            accept: Some("application/json"),
            body: [Bytes::from_static(b"{}"), Bytes::new(), Bytes::new()],
            deadline: Instant::now(),
            content_by: Instant::now(),
            timeouts: crate::config::Timeouts::of(&crate::config::Limits::default()),
            keep: |_| false,
        }
    }

    #[tokio::test]
    async fn each_protocol_has_its_own_place_for_the_key() {
        let headers = HeaderMap::from_iter([
            (http::HeaderName::from_static("x-up-1"), "yes".parse().unwrap()),
            (http::HeaderName::from_static("x-down"), "no".parse().unwrap()),
            (http::HeaderName::from_static(VERSION_FIELD), "another".parse().unwrap()),
        ]);
        let key = Credential::Key(SecretString::from("k"));
        for (protocol, expected) in [
            (Protocol::OpenaiChat, "authorization: Bearer k\r\n"),
            (Protocol::Anthropic, "x-api-key: k\r\n"),
            (Protocol::Gemini, "x-goog-api-key: k\r\n"),
            (Protocol::Bedrock, "authorization: Bearer k\r\n"),
            (Protocol::Cohere, "authorization: Bearer k\r\n"),
        ] {
            let head = String::from_utf8(head(&base(), &key, &request(protocol, &headers)).unwrap()).unwrap();
            assert!(head.starts_with("POST /v1/model/a%3A0/converse HTTP/1.1\r\nhost: h\r\n"), "{head}");
            assert!(head.contains(expected), "{head}");
            assert_eq!(head.matches("accept: application/json\r\n").count(), 1, "{head}");
            assert!(head.contains("x-up-1: yes\r\n") && !head.contains("x-down"), "{head}");
            assert!(head.ends_with("content-length: 2\r\n\r\n"), "{head}");
            assert_eq!(head.contains("anthropic-version: 2023-06-01"), protocol == Protocol::Anthropic);
        }
    }

    #[tokio::test]
    async fn a_signature_covers_time_region_and_token() {
        let credential = Credential::SigV4 {
            access_key: "AKIDEXAMPLE".into(),
            secret_key: SecretString::from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: Some(SecretString::from("token")),
            region: "eu-west-1".into(),
        };
        let headers = HeaderMap::new();
        let mut head = Vec::new();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        signature(&mut head, &base(), &credential, &request(Protocol::Bedrock, &headers), now).unwrap();
        let head = String::from_utf8(head).unwrap();
        assert!(head.contains("x-amz-date: 20260101T000000Z\r\n"), "{head}");
        assert!(head.contains("x-amz-security-token: token\r\n"), "{head}");
        let scope = "Credential=AKIDEXAMPLE/20260101/eu-west-1/bedrock/aws4_request";
        assert!(
            head.contains(scope) && head.contains("SignedHeaders=host;x-amz-date;x-amz-security-token"),
            "{head}"
        );
        // What botocore makes of the same request: an escaped path is escaped once more to be signed.
        let signature = "Signature=c0f304d2121d545d2e432106cd8628c46c9488c179e7a6b139d24d4b0138a82a";
        assert!(head.contains(signature), "{head}");
        assert!(!head.contains("wJalr"));
    }
}
