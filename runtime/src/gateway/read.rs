//! Reads a request's body, bounded in size and time.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use hyper::body::{Body as _, Incoming};

use crate::config::Limits;
use crate::fault::{Class, Fault};
use crate::upstream;

/// Most bytes that are set aside on the caller's word.
const TRUSTED_LENGTH: usize = 4 << 20;
/// Most bytes that are held back of a failure's words.
const MAX_HELD: usize = 64 << 10;

/// The whole body as one piece; a body that came as one piece is not copied.
pub(super) async fn body(
    mut incoming: Incoming,
    headers: &HeaderMap,
    limits: &Limits,
) -> Result<Bytes, Fault> {
    let too_large =
        || Fault::client(Class::TooLarge, format!("the body is larger than {} bytes", limits.body));
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limits.body) {
        return Err(too_large());
    }
    let mut first: Option<Bytes> = None;
    let mut rest: Option<BytesMut> = None;
    let mut received = 0_usize;
    while let Some(piece) = next(&mut incoming, limits).await? {
        received += piece.len();
        if received > limits.body {
            return Err(too_large());
        }
        match (&mut first, &mut rest) {
            (None, None) if incoming.is_end_stream() => return Ok(piece),
            (None, None) => first = Some(piece),
            (_, Some(whole)) => whole.extend_from_slice(&piece),
            (Some(begin), None) => {
                let room = length.unwrap_or(received).min(TRUSTED_LENGTH).max(received);
                let mut whole = BytesMut::with_capacity(room);
                whole.extend_from_slice(begin);
                whole.extend_from_slice(&piece);
                first = None;
                rest = Some(whole);
            }
        }
    }
    Ok(rest.map(BytesMut::freeze).or(first).unwrap_or_default())
}

/// The words of a failure, as far as they are looked at before they are passed on.
///
/// The error is that they broke off: then they cannot be passed on, and only what the status says is true.
pub(super) async fn failure(answer: &mut upstream::Answer) -> Result<Option<Bytes>, upstream::http1::Broken> {
    let mut words = BytesMut::new();
    while words.len() < MAX_HELD
        && let Some(piece) = answer.body.next().await
    {
        words.extend_from_slice(&piece?);
    }
    Ok((!words.is_empty()).then(|| words.freeze()))
}

/// The next piece of data; a timer runs only while nothing comes.
async fn next(incoming: &mut Incoming, limits: &Limits) -> Result<Option<Bytes>, Fault> {
    let mut timer = pin!(None);
    std::future::poll_fn(|cx| {
        loop {
            match Pin::new(&mut *incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Poll::Ready(Ok(Some(data))),
                    // Trailers mean nothing to any of the protocols.
                    Err(_) => {}
                },
                Poll::Ready(Some(Err(_))) => {
                    return Poll::Ready(Err(Fault::client(Class::InvalidRequest, "the body broke off")));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Pending => break,
            }
        }
        if timer.is_none() {
            timer.set(Some(tokio::time::sleep(limits.body_read)));
        }
        if let Some(timer) = timer.as_mut().as_pin_mut() {
            ready!(timer.poll(cx));
        }
        let fault = Fault::client(Class::Timeout, "the body did not arrive in time");
        Poll::Ready(Err(fault.with_status(408)))
    })
    .await
}
