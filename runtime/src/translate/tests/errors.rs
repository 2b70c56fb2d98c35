//! What providers really say: `errors/<protocol>.toml`, read as an answer. Streams are read beside the streams.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName};
use serde::Deserialize;

use super::super::{repair_of, upstream_error};
use crate::Protocol;
use crate::fault::{render, stream_error};

/// Fewest errors of each protocol that are tried.
const LEAST: usize = 15;
/// Sun, 06 Nov 1994 08:49:07 GMT, when all of it is said.
const NOW: Duration = Duration::from_secs(784_111_747);

/// An error, and what it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// The status of an answer; a stream has none.
    #[serde(default)]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    /// What a stream says, with its framing; Bedrock's without.
    #[serde(default)]
    pub(crate) stream: String,
    /// The name of an exception of Bedrock's.
    #[serde(default)]
    pub(crate) exception: String,
    pub(crate) class: String,
    /// What to change, as it is printed for programmers; empty where nothing is to be changed.
    #[serde(default)]
    repair: String,
    /// The wait in milliseconds.
    pub(crate) wait: Option<u64>,
    /// The status that the caller gets, where it is not the provider's.
    pub(crate) told: Option<u16>,
}

/// The errors of a protocol.
pub(crate) fn cases(protocol: Protocol) -> Vec<Case> {
    #[derive(Deserialize)]
    struct File {
        case: Vec<Case>,
    }
    let text = match protocol {
        Protocol::OpenaiChat => include_str!("errors/openai_chat.toml"),
        Protocol::OpenaiResponses => include_str!("errors/openai_responses.toml"),
        Protocol::Anthropic => include_str!("errors/anthropic.toml"),
        Protocol::Gemini => include_str!("errors/gemini.toml"),
        Protocol::Bedrock => include_str!("errors/bedrock.toml"),
        Protocol::Cohere => include_str!("errors/cohere.toml"),
    };
    let file: File = toml::from_str(text).unwrap_or_else(|error| panic!("{protocol}: {error}"));
    file.case
}

/// Every client compacts its conversation, whoever serves it.
#[test]
fn an_overflow_is_told_to_each_client_in_its_own_words() {
    let mut tried = 0;
    for backend in Protocol::ALL {
        let overflows = cases(backend).into_iter().filter(|case| case.class == "context_length");
        for case in overflows.filter(|case| case.stream.is_empty()) {
            let headers = HeaderMap::new();
            let now = SystemTime::UNIX_EPOCH;
            let fault =
                upstream_error(backend, case.status, &headers, case.body.as_bytes(), now).into_fault();
            for client in Protocol::ALL {
                let whole = String::from_utf8(render(client, &fault, "r").body).unwrap();
                let within = String::from_utf8(stream_error(client, &fault, "r").data).unwrap();
                let words = match client {
                    Protocol::OpenaiChat | Protocol::OpenaiResponses => r#""code":"context_length_exceeded""#,
                    Protocol::Anthropic => "prompt is too long",
                    Protocol::Gemini => "exceeds the maximum number of tokens allowed",
                    Protocol::Bedrock => "Input is too long for requested model",
                    Protocol::Cohere => "too many tokens",
                };
                assert!(whole.contains(words), "{backend} to {client}: {}: {whole}", case.name);
                assert!(within.contains(words), "{backend} to {client}: {}: {within}", case.name);
                assert_eq!(render(client, &fault, "r").status, 400, "{backend} to {client}: {}", case.name);
                tried += 1;
            }
        }
    }
    assert!(tried >= 6 * 6, "{tried}");
}

#[test]
fn what_providers_say_is_understood() {
    let mut wrong = Vec::new();
    for protocol in Protocol::ALL {
        let cases = cases(protocol);
        let answers: Vec<_> = cases.iter().filter(|case| case.stream.is_empty()).collect();
        assert!(answers.len() >= LEAST, "{protocol} has {} errors", answers.len());
        for case in answers {
            let headers: HeaderMap = case
                .headers
                .iter()
                .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
                .collect();
            let now = SystemTime::UNIX_EPOCH + NOW;
            let error = upstream_error(protocol, case.status, &headers, case.body.as_bytes(), now);
            let repair = repair_of(protocol, &error).map_or(String::new(), |repair| format!("{repair:?}"));
            let wait = error.retry_after.map(|wait| wait.as_millis().try_into().unwrap());
            let class = error.class.name().to_owned();
            let found = (class, repair, wait, error.into_fault().status);
            let told = case.told.unwrap_or(case.status);
            let expected = (case.class.clone(), case.repair.clone(), case.wait, told);
            if found != expected {
                wrong.push(format!("{protocol}: {}:\n  {found:?}\nfor {expected:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
