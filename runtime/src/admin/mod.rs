//! The operators' listener.

mod explain;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::gateway::Shared;
use crate::observe::metrics;

/// Most connections at a time; operators are few.
const MAX_CONNECTIONS: usize = 64;
/// Time for a request's head, and for an idle connection to stay.
const HEADER_READ: Duration = Duration::from_secs(30);
/// How long accepting rests after a failure that time alone can heal.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// An operator's wish to read the configuration again; the answer is how often that was done, or what is wrong.
pub type Wish = oneshot::Sender<Result<usize, String>>;

/// Serves operators until it is dropped; what they wish of the configuration goes to `wish`.
pub async fn serve(shared: Arc<ArcSwap<Shared>>, wish: mpsc::Sender<Wish>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "an operator's connection could not be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let (shared, wish) = (Arc::clone(&shared), wish.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let (shared, wish) = (shared.load_full(), wish.clone());
                async move { Ok::<_, Infallible>(answer(shared, &wish, request).await) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER_READ);
            if let Err(error) = builder.serve_connection(TokioIo::new(socket), service).await {
                tracing::debug!(%error, "an operator's connection ended");
            }
            drop(place);
        });
    }
}

async fn answer(
    shared: Arc<Shared>,
    wish: &mpsc::Sender<Wish>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let text = |status, kind, body: Bytes| {
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    };
    const PLAIN: &str = "text/plain; charset=utf-8";
    match (request.method(), request.uri().path()) {
        // Here they can be asked while running requests end, when the data port takes no more connections.
        (&Method::GET | &Method::HEAD, "/healthz") => {
            text(StatusCode::OK, PLAIN, Bytes::from_static(b"alive\n"))
        }
        (&Method::GET | &Method::HEAD, "/readyz") if shared.is_draining() => {
            text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, Bytes::from_static(b"draining\n"))
        }
        (&Method::GET | &Method::HEAD, "/readyz") => {
            text(StatusCode::OK, PLAIN, Bytes::from_static(b"serving\n"))
        }
        (&Method::GET | &Method::HEAD, "/busbar/lanes") => match shared.lanes_shown() {
            Ok(body) => text(StatusCode::OK, "application/json", body.into()),
            Err(error) => {
                tracing::error!(%error, "the lanes could not be encoded");
                text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    PLAIN,
                    Bytes::from_static(b"the lanes are not available\n"),
                )
            }
        },
        (&Method::GET | &Method::HEAD, "/metrics") => {
            match metrics::render(shared.running(), shared.lane_states()) {
                Ok(body) => text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", body.into()),
                Err(error) => {
                    tracing::error!(%error, "the metrics could not be encoded");
                    text(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        PLAIN,
                        Bytes::from_static(b"metrics are not available\n"),
                    )
                }
            }
        }
        (&Method::POST, path) if path.starts_with(explain::PREFIX) => {
            let (status, said) = explain::answer(shared, request).await;
            text(status, "application/json", format!("{said:#}\n").into())
        }
        (&Method::POST, "/busbar/reload") => {
            let (answer, answered) = oneshot::channel();
            // Neither can be closed while operators are served.
            let _ = wish.send(answer).await;
            let (status, said) = match answered.await {
                Ok(Ok(changes)) => (StatusCode::OK, json!({ "changes": changes })),
                Ok(Err(error)) => (StatusCode::UNPROCESSABLE_ENTITY, json!({ "error": error })),
                Err(_) => (StatusCode::SERVICE_UNAVAILABLE, json!({ "error": "the gateway is stopping" })),
            };
            text(status, "application/json", said.to_string().into())
        }
        (_, path) if path == "/busbar/reload" || path.starts_with(explain::PREFIX) => {
            text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, Bytes::from_static(b"POST is allowed here\n"))
        }
        (_, "/metrics" | "/busbar/lanes") => {
            text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, Bytes::from_static(b"GET is allowed here\n"))
        }
        _ => text(StatusCode::NOT_FOUND, PLAIN, Bytes::from_static(b"there is nothing at this path\n")),
    }
}
