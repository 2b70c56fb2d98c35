//! What goes to a lane: the caller's own bytes with the model's name put in, or their translation.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName};

use crate::config::raw::Fidelity;
use crate::dialect::sniff::Sniffed;
use crate::dialect::{self, Call, carriers, headers};
use crate::fault::{Class, Fault};
use crate::route::Choice;
use crate::translate::{self, carriage};

/// How much a caller allows to be lost, in a request; and what was, in an answer.
pub const FIDELITY_HEADER: HeaderName = HeaderName::from_static("busbar-fidelity");

/// A request as one lane gets it.
#[derive(Debug)]
pub(super) struct Plan {
    /// Path below the provider's base URL, with the query.
    pub(super) path: String,
    /// The body, in pieces.
    pub(super) body: [Bytes; 3],
    /// Which of the caller's header fields go along.
    pub(super) goes_up: fn(&HeaderName) -> bool,
    /// The type of answer to ask for, where the caller's own wish does not go along.
    pub(super) accept: Option<&'static str>,
}

/// How much the request says may be lost; none when it does not say.
pub(super) fn asked_fidelity(headers: &HeaderMap) -> Result<Option<Fidelity>, Fault> {
    match headers.get(FIDELITY_HEADER).map(http::HeaderValue::as_bytes) {
        None => Ok(None),
        Some(b"strict") => Ok(Some(Fidelity::Strict)),
        Some(b"report") => Ok(Some(Fidelity::Report)),
        Some(b"allow") => Ok(Some(Fidelity::Allow)),
        Some(_) => {
            let message = "the header `busbar-fidelity` must be `strict`, `report` or `allow`";
            Err(Fault::client(Class::InvalidRequest, message).with_param(FIDELITY_HEADER.as_str()))
        }
    }
}

/// The forward lane: nothing changes but the model's name, in the body or in the path.
pub(super) fn forward(
    call: &Call<'_>,
    parts: &Parts,
    choice: &Choice<'_>,
    sniffed: &Sniffed,
    body: Bytes,
) -> Result<Plan, Fault> {
    let mut path =
        dialect::upstream_path(call.protocol, call.operation, &choice.upstream_model, call.version)
            .into_owned();
    push_query(&mut path, parts);
    let body = spliced(sniffed, &choice.upstream_model, body)?;
    Ok(Plan { path, body, goes_up: headers::goes_up, accept: None })
}

/// A body with the upstream's name of the model in the place of the caller's.
pub(super) fn spliced(sniffed: &Sniffed, upstream_model: &str, body: Bytes) -> Result<[Bytes; 3], Fault> {
    Ok(match &sniffed.model {
        Some((model, range)) if model != upstream_model => {
            let name = serde_json::to_vec(upstream_model)
                .map_err(|error| Fault::gateway(Class::Internal, error.to_string()))?;
            [body.slice(..range.start), Bytes::from(name), body.slice(range.end..)]
        }
        _ => [body, Bytes::new(), Bytes::new()],
    })
}

/// Whether a history may hold what the gateway left in it, so that it cannot go up unread.
///
/// A caller keeps its history when it changes the model: what was made of another protocol's answer comes along,
/// and the provider of the caller's own protocol cannot read it.
pub(super) fn holds_envelopes(call: &Call<'_>, body: &[u8]) -> bool {
    translate::translates(call.protocol, call.protocol) && carriage::mentions(body)
}

/// A plan that was made for another reason than another protocol: all goes up that does when forwarded.
pub(super) fn at_home(mut plan: Plan, parts: &Parts) -> Plan {
    push_query(&mut plan.path, parts);
    plan.goes_up = headers::goes_up;
    plan.accept = None;
    plan
}

pub(super) fn push_query(path: &mut String, parts: &Parts) {
    if let Some(query) = carriers::without_key(parts.uri.query()) {
        path.push('?');
        path.push_str(&query);
    }
}
