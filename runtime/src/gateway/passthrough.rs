//! Calls beside generation: handed to a provider of the same API as they are, and its answers back.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::forwarded::{Held, Pieces, next, whole};
use super::{Gateway, PROVIDER_HEADER, context, lane};
use crate::Protocol;
use crate::config::{Provider, Settings};
use crate::dialect::passthrough::{Way, renamed, same_api, upstream_path, way};
use crate::dialect::sniff::Sniffed;
use crate::dialect::{Call, headers};
use crate::fault::{Class, Fault};
use crate::observe::metrics::Tokens;
use crate::route::Choice;
use crate::upstream;

/// A call as a lane gets it; refused, so that another may serve, where the lane has another API.
pub(super) fn plan(
    call: &Call<'_>,
    way: Way,
    backend: Protocol,
    parts: &http::request::Parts,
    choice: &Choice<'_>,
    sniffed: &Sniffed,
    body: &Bytes,
) -> Result<lane::Plan, Fault> {
    if !same_api(call.protocol, backend) {
        return Err(elsewhere(call, way, backend));
    }
    let mut path = upstream_path(call, &choice.upstream_model).into_owned();
    lane::push_query(&mut path, parts);
    let again = match (&call.model, call.protocol) {
        (Some(asked), Protocol::Gemini) => renamed(body, asked, &choice.upstream_model),
        _ => None,
    };
    let body = match again {
        Some(body) => [body, Bytes::new(), Bytes::new()],
        None => lane::spliced(sniffed, &choice.upstream_model, body.clone())?,
    };
    Ok(lane::Plan { path, body, goes_up: headers::goes_up, accept: None })
}

/// A lane whose provider has no such call; another may.
fn elsewhere(call: &Call<'_>, way: Way, backend: Protocol) -> Fault {
    let name = way.name;
    let message = format!(
        "`{name}` of the {} API is not served by a provider that speaks {backend}: such calls are handed on as \
         they are",
        call.protocol
    );
    let mut fault = Fault::client(Class::NotFound, message).with_param("model");
    fault.retry_safe = true;
    fault
}

impl Gateway {
    /// Where a call goes that names no model: the provider that the caller names, else the one that the
    /// configuration does, else the only one that has the API.
    pub(super) fn home(&self, call: &Call<'_>, headers: &HeaderMap) -> Result<Choice<'static>, Fault> {
        let settings = &self.shared.settings;
        let has_api =
            |provider: &Provider| provider.protocols.iter().any(|backend| same_api(call.protocol, *backend));
        let refused = |message: String| Err(Fault::client(Class::NotFound, message));
        let place = if let Some(name) = headers.get(PROVIDER_HEADER) {
            let name = String::from_utf8_lossy(name.as_bytes());
            let place = settings.providers.iter().position(|provider| provider.name == name);
            let name = context::excerpt(&name, context::MAX_EXCERPT);
            match place {
                None => return refused(format!("{PROVIDER_HEADER}: there is no provider `{name}`")),
                Some(place) if !has_api(&settings.providers[place]) => {
                    return refused(format!("{PROVIDER_HEADER}: `{name}` does not speak {}", call.protocol));
                }
                Some(place) => place,
            }
        } else if let Some(place) = default_of(settings, call.protocol) {
            place
        } else {
            let known = settings.providers.iter().enumerate();
            let mut able = known.filter(|(_, one)| one.is_first_key() && has_api(one)).map(|(at, _)| at);
            match (able.next(), able.next()) {
                (Some(only), None) => only,
                (None, _) => return refused(format!("no provider speaks {}", call.protocol)),
                (Some(_), Some(_)) => {
                    return refused(format!(
                        "the request names no model and several providers speak {0}: name one in the header                          {PROVIDER_HEADER}, or have one configured as default_providers.{0}",
                        call.protocol
                    ));
                }
            }
        };
        Ok(Choice { lane: None, provider: place, upstream_model: "".into(), pool: None })
    }
}

fn default_of(settings: &Settings, protocol: Protocol) -> Option<usize> {
    let of = |protocol| settings.default_providers.get(&protocol).copied();
    of(protocol).or_else(|| Protocol::ALL.into_iter().filter(|other| same_api(*other, protocol)).find_map(of))
}

/// Whether the call is one that is handed on.
pub(super) fn is_passed(call: &Call<'_>) -> bool {
    way(call).is_some()
}

/// The tokens that an answer's head counts, as Bedrock's does whatever the model's own form is.
pub(super) fn counted_in(headers: &HeaderMap) -> Tokens {
    let count = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
    Tokens {
        input: count("x-amzn-bedrock-input-token-count"),
        output: count("x-amzn-bedrock-output-token-count"),
        ..Tokens::default()
    }
}

/// Reads an answer until it is sure that it is one: a document to its end, of anything else the first piece.
pub(super) async fn begin(answer: &mut upstream::Answer, streamed: bool) -> Result<Held, Fault> {
    if !streamed && context::is_of_type(answer, "application/json") {
        return Ok(Held { pieces: whole(answer).await?.0, ends_itself: false });
    }
    let first = next(answer).await?;
    answer.body.settle_down();
    if first.is_none() && answer.headers.contains_key(CONTENT_TYPE) {
        return Err(Fault::upstream(Class::Cut, "the provider's answer is empty"));
    }
    Ok(Held { pieces: first.into_iter().collect::<Pieces>(), ends_itself: false })
}
