use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::Limits;

async fn upstream() -> (Arc<Upstream>, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let provider = Provider {
        name: "p".into(),
        protocols: vec![Protocol::OpenaiChat],
        base: BaseUrl {
            tls: false,
            host: address.ip().to_string(),
            port: address.port(),
            authority: address.to_string(),
            path: "/v1".into(),
        },
        credential: Credential::Key(SecretString::from("k")),
        ca_file: None,
        catalog: "test".into(),
        facts: crate::config::Facts::default(),
        said: Box::default(),
        timeouts: Timeouts::of(&Limits::default()),
        cache_ttl: Duration::ZERO,
    };
    (Arc::new(Upstream::new(&provider).unwrap()), listener)
}

async fn send(upstream: &Arc<Upstream>) -> Result<Answer, Fault> {
    send_within(upstream, Timeouts::of(&Limits::default())).await
}

async fn send_within(upstream: &Arc<Upstream>, timeouts: Timeouts) -> Result<Answer, Fault> {
    let headers = HeaderMap::new();
    let body = [Bytes::from_static(b"{\"a\":"), Bytes::from_static(b"1"), Bytes::from_static(b"}")];
    let deadline = Instant::now() + Duration::from_secs(20);
    let request = Request {
        protocol: Protocol::OpenaiChat,
        path: "/x",
        headers: &headers,
        accept: None,
        goes_up: |_| false,
        body,
        deadline,
        content_by: deadline.min(Instant::now() + timeouts.first_content),
        timeouts,
        keep: |name| name.starts_with("x-"),
    };
    upstream.send(request).await
}

async fn whole(answer: &mut Answer) -> Result<Vec<u8>, Broken> {
    let mut all = Vec::new();
    while let Some(piece) = answer.body.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

/// Reads one request of [`send`].
async fn request(socket: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    while !text.ends_with(b"{\"a\":1}") {
        let count = socket.read(&mut buffer).await.unwrap();
        assert_ne!(count, 0, "the request breaks off: {}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(text).unwrap()
}

const CHUNKED: &[u8] =
    b"HTTP/1.1 200 OK\r\nX-Kept: 1\r\nset-cookie: no\r\nTransfer-Encoding: chunked\r\n\r\n\
    5;ext=1\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\ntrailer: x\r\n\r\n";

#[tokio::test]
async fn any_split_of_the_bytes_gives_the_same_answer() {
    for split in 1..CHUNKED.len() {
        let (upstream, listener) = upstream().await;
        let peer = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let said = request(&mut socket).await;
            assert!(said.starts_with("POST /v1/x HTTP/1.1\r\n"), "{said}");
            socket.write_all(&CHUNKED[..split]).await.unwrap();
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            socket.write_all(&CHUNKED[split..]).await.unwrap();
            socket
        };
        let client = async {
            let mut answer = send(&upstream).await.unwrap();
            let body = whole(&mut answer).await.unwrap();
            (answer, body)
        };
        let (_socket, (answer, body)) = tokio::join!(peer, client);
        assert_eq!(String::from_utf8(body).unwrap(), "hello 0123456789", "split at {split}");
        assert_eq!(answer.headers.len(), 1);
        assert_eq!(answer.headers["x-kept"], "1");
        assert_eq!(upstream.idle.lock().unwrap().len(), 1, "the connection is kept");
    }
}

#[tokio::test]
async fn chunks_that_came_together_leave_together() {
    let (upstream, listener) = upstream().await;
    let peer = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        socket.write_all(CHUNKED).await.unwrap();
        socket
    };
    let (_socket, answer) = tokio::join!(peer, send(&upstream));
    let mut answer = answer.unwrap();
    assert_eq!(answer.body.next().await.unwrap().unwrap(), "hello 0123456789");
    assert_eq!(answer.body.next().await, None);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced_once() {
    let (upstream, listener) = upstream().await;
    let first = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        socket
    };
    let (mut socket, answer) = tokio::join!(first, async {
        let mut answer = send(&upstream).await.unwrap();
        assert_eq!(whole(&mut answer).await.unwrap(), b"ok");
    });
    let () = answer;
    // The provider reads the next request on the kept connection and closes instead of answering.
    let second = async {
        request(&mut socket).await;
        drop(socket);
        let (mut fresh, _) = listener.accept().await.unwrap();
        request(&mut fresh).await;
        fresh.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfresh").await.unwrap();
        fresh
    };
    let (_fresh, body) = tokio::join!(second, async {
        let mut answer = send(&upstream).await.unwrap();
        whole(&mut answer).await.unwrap()
    });
    assert_eq!(body, b"fresh");
}

#[tokio::test]
async fn a_fresh_connection_that_closes_is_a_fault_and_not_tried_again() {
    let (upstream, listener) = upstream().await;
    let peer = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
    };
    let ((), answer) = tokio::join!(peer, send(&upstream));
    let fault = answer.unwrap_err();
    assert_eq!((fault.class, fault.status, fault.retry_safe), (Class::Connection, 502, true));
    let again = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(again.is_err(), "a second attempt was made");
}

#[tokio::test]
async fn silence_is_bounded_before_and_within_an_answer() {
    let (upstream, listener) = upstream().await;
    let timeouts = Timeouts {
        first_byte: Duration::from_millis(60),
        idle: Duration::from_millis(60),
        ..Timeouts::of(&Limits::default())
    };
    let send = |upstream| send_within(upstream, timeouts);
    let silent = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        socket
    };
    let (_socket, answer) = tokio::join!(silent, send(&upstream));
    let fault = answer.unwrap_err();
    assert_eq!((fault.class, fault.status), (Class::FirstByteTimeout, 504));
    let halting = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await.unwrap();
        socket
    };
    let (_socket, body) = tokio::join!(halting, async {
        let mut answer = send(&upstream).await.unwrap();
        whole(&mut answer).await
    });
    assert_eq!(body, Err(Broken::Late(Wait::Idle)));
}

#[tokio::test]
async fn an_answer_that_says_nothing_is_late_and_one_that_has_spoken_may_pause() {
    let (upstream, listener) = upstream().await;
    let timeouts = Timeouts { first_content: Duration::from_millis(60), ..Timeouts::of(&Limits::default()) };
    for has_spoken in [false, true] {
        let (go, gate) = tokio::sync::oneshot::channel();
        let slow = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            request(&mut socket).await;
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf").await.unwrap();
            // The other half comes once the first has been found late, or taken.
            let _ = gate.await;
            let _ = socket.write_all(b"half").await;
            socket
        };
        let (_socket, body) = tokio::join!(slow, async {
            let mut answer = send_within(&upstream, timeouts).await.unwrap();
            if has_spoken {
                answer.body.settle_down();
                tokio::time::sleep(2 * timeouts.first_content).await;
                go.send(()).unwrap();
                return whole(&mut answer).await;
            }
            let body = whole(&mut answer).await;
            drop(go);
            body
        });
        assert_eq!(
            body.map(|body| body.len()),
            if has_spoken { Ok(8) } else { Err(Broken::Late(Wait::Content)) }
        );
    }
}

#[tokio::test]
async fn dropping_an_answer_closes_its_connection() {
    let (upstream, listener) = upstream().await;
    let peer = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n").await.unwrap();
        socket
    };
    let (mut socket, answer) = tokio::join!(peer, send(&upstream));
    let mut answer = answer.unwrap();
    assert_eq!(answer.body.next().await.unwrap().unwrap(), "x");
    drop(answer);
    assert_eq!(socket.read(&mut [0; 8]).await.unwrap(), 0);
    assert!(upstream.idle.lock().unwrap().is_empty());
}

#[tokio::test]
async fn answers_that_could_be_smuggled_are_refused() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "SSH-2.0-x\r\n",
    ] {
        let (upstream, listener) = upstream().await;
        let peer = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            request(&mut socket).await;
            socket.write_all(head.as_bytes()).await.unwrap();
            socket
        };
        let (_socket, answer) = tokio::join!(peer, send(&upstream));
        assert_eq!(answer.unwrap_err().status, 502, "{head}");
    }
    for body in ["x\r\n", "\r\n", "5\r\nhelloX\r\n", "fffffffffffffffff\r\n"] {
        let (upstream, listener) = upstream().await;
        let peer = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            request(&mut socket).await;
            let text = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}");
            socket.write_all(text.as_bytes()).await.unwrap();
            socket
        };
        let (_socket, body) = tokio::join!(peer, async { whole(&mut send(&upstream).await.unwrap()).await });
        assert!(matches!(body, Err(Broken::Malformed(_))), "{body:?}");
    }
}

#[tokio::test]
async fn a_body_without_a_length_ends_with_its_connection() {
    let (upstream, listener) = upstream().await;
    let peer = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nto the end").await.unwrap();
    };
    let ((), body) = tokio::join!(peer, async { whole(&mut send(&upstream).await.unwrap()).await });
    assert_eq!(body.unwrap(), b"to the end");
    assert!(upstream.idle.lock().unwrap().is_empty());
}
