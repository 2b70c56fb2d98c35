//! Several calls of one lane for the several answers that one request wants.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::upstream::Body;
use crate::upstream::http1::Broken;

/// Something that is under way.
pub(super) type Going<'f, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'f>>;

/// What all of them give, in their order.
///
/// # Errors
/// The first of theirs; what is still under way then is given up.
pub(super) async fn all<T, E>(mut going: Vec<Going<'_, T, E>>) -> Result<Vec<T>, E> {
    let mut given: Vec<Option<T>> = going.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, given) in going.iter_mut().zip(&mut given) {
            if given.is_none()
                && let Poll::Ready(result) = future.as_mut().poll(cx)
            {
                match result {
                    Ok(value) => *given = Some(value),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        }
        if given.iter().all(Option::is_some) { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await?;
    Ok(given.into_iter().flatten().collect())
}

/// The next piece of any of several bodies, and whose it is; each has its turn.
pub(super) fn poll_any(
    cx: &mut Context<'_>,
    first: &mut Body,
    others: &mut [Body],
    is_over: impl Fn(usize) -> bool,
    turn: &mut usize,
) -> Poll<(usize, Option<Result<Bytes, Broken>>)> {
    let count = others.len() + 1;
    for step in 0..count {
        let source = (*turn + step) % count;
        if is_over(source) {
            continue;
        }
        let body = match source.checked_sub(1) {
            Some(place) => &mut others[place],
            None => &mut *first,
        };
        if let Poll::Ready(polled) = body.poll(cx) {
            *turn = (source + 1) % count;
            return Poll::Ready((source, polled));
        }
    }
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_are_waited_for_and_keep_their_order_and_an_error_ends_it() {
        let (late, wait) = tokio::sync::oneshot::channel::<u8>();
        let going: Vec<Going<'_, u8, &str>> = vec![
            Box::pin(async { wait.await.map_err(|_| "gone") }),
            Box::pin(async move {
                late.send(1).map_err(|_| "gone")?;
                Ok(2)
            }),
        ];
        assert_eq!(all(going).await, Ok(vec![1, 2]));
        let never: Going<'_, u8, &str> = Box::pin(std::future::pending());
        assert_eq!(all(vec![never, Box::pin(async { Err("no") })]).await, Err("no"));
    }
}
