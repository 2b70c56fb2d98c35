//! Calls beside generation: handed to a provider of the same API as they are, and its answers back.

use busbar_protocols::{EffectKind, Ledger};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::forwarded::{Held, Pieces, next, whole};
use super::{Gateway, PROVIDER_HEADER, context, lane, translated};
use crate::Protocol;
use crate::config::raw::Fidelity;
use crate::config::{Limits, Provider, Settings};
use crate::dialect::passthrough::{Place, Way, renamed, same_api, upstream_path, way};
use crate::dialect::sniff::Sniffed;
use crate::dialect::{Call, Operation, headers};
use crate::fault::{Class, Fault};
use crate::observe::metrics::Tokens;
use crate::route::Choice;
use crate::translate::embed::{self, Form, Outbound, Reply};
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
    let message =
        format!("a provider that speaks {backend} has no `{name}` as the {} API has it", call.protocol);
    let mut fault = Fault::client(Class::NotFound, message).with_param("model");
    fault.retry_safe = true;
    fault
}

/// A wish for embeddings, as another API has it.
#[derive(Debug)]
pub(super) struct Embedding {
    pub(super) plan: lane::Plan,
    pub(super) reply: Reply,
    pub(super) ledger: Ledger,
}

/// The translation of a wish for embeddings; none where it is another call, or needs none, or has none.
pub(super) fn embedding(
    call: &Call<'_>,
    backend: Protocol,
    choice: &Choice<'_>,
    body: &[u8],
    fidelity: Fidelity,
) -> Result<Option<Embedding>, Fault> {
    let (Some(from), Some((to, rest))) = (Form::of(call.protocol, call.rest), Form::towards(backend)) else {
        return Ok(None);
    };
    if same_api(call.protocol, backend) {
        return Ok(None);
    }
    let model = &*choice.upstream_model;
    let Outbound { body, reply, ledger } = embed::request(from, to, body, model).map_err(|refused| {
        let mut fault = Fault::client(Class::InvalidRequest, refused.to_string());
        fault.retry_safe = refused.elsewhere;
        if refused.path.is_empty() { fault } else { fault.with_param(refused.path) }
    })?;
    let lost = ledger.effects().iter().find(|effect| effect.kind == EffectKind::Dropped);
    if let Some(lost) = lost.filter(|_| fidelity == Fidelity::Strict) {
        let message = format!("`{}` would be lost, and the request is strict: {}", lost.path, lost.reason);
        let mut fault = Fault::client(Class::InvalidRequest, message).with_param(lost.path.clone());
        fault.retry_safe = true;
        return Err(fault);
    }
    let there = Call { protocol: backend, version: "v1beta", rest, ..call.clone() };
    let there = Call {
        operation: Operation::Passed(Way {
            name: "embeddings",
            model: if to == Form::GeminiBatch { Place::Path } else { Place::Body },
        }),
        ..there
    };
    let plan = lane::Plan {
        path: upstream_path(&there, model).into_owned(),
        body: [Bytes::from(body), Bytes::new(), Bytes::new()],
        goes_up: headers::goes_up_anywhere,
        accept: Some("application/json"),
    };
    Ok(Some(Embedding { plan, reply, ledger }))
}

/// Makes a provider's vectors into the caller's.
pub(super) async fn vectors(
    answer: &mut upstream::Answer,
    reply: &Reply,
    limits: &Limits,
) -> Result<translated::Answer, Fault> {
    let body = translated::whole(&mut answer.body, limits.response).await?;
    let (body, counted, ledger) =
        embed::response(reply, &body).map_err(|wrong| Fault::upstream(Class::Malformed, wrong))?;
    let tokens = Tokens { input: counted, ..Tokens::default() };
    Ok(translated::Answer::Whole(body, ledger, tokens))
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
