//! The operators' listener.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::gateway::Shared;
use crate::observe::metrics;

/// Most connections at a time; operators are few.
const MAX_CONNECTIONS: usize = 64;
/// Time for a request's head, and for an idle connection to stay.
const HEADER_READ: Duration = Duration::from_secs(30);
/// How long accepting rests after a failure that time alone can heal.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Serves operators until it is dropped.
pub async fn serve(shared: Arc<Shared>, listener: TcpListener) {
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
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service =
                service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&shared, &request))));
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER_READ);
            if let Err(error) = builder.serve_connection(TokioIo::new(socket), service).await {
                tracing::debug!(%error, "an operator's connection ended");
            }
            drop(place);
        });
    }
}

fn answer<B>(shared: &Shared, request: &Request<B>) -> Response<Full<Bytes>> {
    let text = |status, kind, body: Bytes| {
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    };
    const PLAIN: &str = "text/plain; charset=utf-8";
    match (request.method(), request.uri().path()) {
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
        (_, "/metrics" | "/busbar/lanes") => {
            text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, Bytes::from_static(b"GET is allowed here\n"))
        }
        _ => text(StatusCode::NOT_FOUND, PLAIN, Bytes::from_static(b"there is nothing at this path\n")),
    }
}
