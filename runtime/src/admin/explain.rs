//! `POST /busbar/explain/<client path>`: what would become of a client's request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::gateway::{Gateway, Shared};

/// What stands before the client's own path.
pub(super) const PREFIX: &str = "/busbar/explain";
/// Time for the whole body.
const BODY_READ: Duration = Duration::from_secs(60);

/// The explanation, with the status that the question itself deserves.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> (StatusCode, Value) {
    let wrong = |status, error: String| (status, json!({ "error": error }));
    let (mut parts, body) = request.into_parts();
    let asked = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let Some(Ok(uri)) = asked.strip_prefix(PREFIX).map(str::parse::<Uri>) else {
        return wrong(StatusCode::BAD_REQUEST, "the client's own path is to follow".into());
    };
    parts.uri = uri;
    let most = shared.settings.limits.body;
    let body = match tokio::time::timeout(BODY_READ, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            let message = format!("the body broke off, or is larger than {most} bytes");
            return wrong(StatusCode::PAYLOAD_TOO_LARGE, message);
        }
        Err(_) => return wrong(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time".into()),
    };
    // A long prompt is translated for every lane: not on the thread that heeds signals.
    let explained = tokio::task::spawn_blocking(move || explain(shared, &parts, &body)).await;
    match explained {
        Ok(Ok(explained)) => (StatusCode::OK, explained),
        Ok(Err(error)) => wrong(StatusCode::INTERNAL_SERVER_ERROR, error),
        Err(_) => wrong(StatusCode::INTERNAL_SERVER_ERROR, "the request could not be explained".into()),
    }
}

fn explain(shared: Arc<Shared>, parts: &http::request::Parts, body: &Bytes) -> Result<Value, String> {
    // One of its own: a worker's connections are the worker's.
    let gateway = Gateway::new(shared).map_err(|error| error.to_string())?;
    Ok(gateway.explain(parts, body))
}
