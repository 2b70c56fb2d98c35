//! Answers that break the rules of HTTP or of the connection: written byte by byte past the server.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Lets what was written reach the peer before a reset throws away what waits.
const FLUSH: Duration = Duration::from_millis(20);

/// An alert that ends a handshake of TLS: fatal, no parameters in common.
const ALERT: &[u8] = &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28];

/// What neither is HTTP nor TLS nor any other thing.
const NOISE: &[u8] = b"\x00\xff\xfeno protocol at all\r\n\r\n\x07";

/// What is written, and how the connection ends.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) wait: Duration,
    pub(super) head: Bytes,
    pub(super) hold: Duration,
    pub(super) body: Bytes,
    pub(super) end: End,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Close,
    Reset,
    /// Nothing more is said, and what the peer says is heard.
    Half,
    /// Nothing happens until the peer leaves.
    Silence,
}

impl Script {
    /// Bytes at once, then the end.
    pub(super) fn only(wait: Duration, bytes: &'static [u8], end: End) -> Self {
        Self { wait, head: Bytes::from_static(bytes), hold: Duration::ZERO, body: Bytes::new(), end }
    }

    pub(super) fn noise(wait: Duration) -> Self {
        Self::only(wait, NOISE, End::Close)
    }

    pub(super) fn alert(wait: Duration) -> Self {
        Self::only(wait, ALERT, End::Close)
    }

    /// Writes it; `patience` bounds how long a silence is held.
    pub(super) async fn play(self, mut stream: TcpStream, patience: Duration) -> io::Result<()> {
        for (pause, bytes) in [(self.wait, self.head), (self.hold, self.body)] {
            if !pause.is_zero() && left_within(&mut stream, pause).await {
                return Ok(());
            }
            stream.write_all(&bytes).await?;
        }
        match self.end {
            End::Close => stream.shutdown().await,
            End::Reset => {
                sleep(FLUSH).await;
                stream.set_zero_linger()
            }
            End::Half => {
                stream.shutdown().await?;
                left_within(&mut stream, patience).await;
                Ok(())
            }
            End::Silence => {
                left_within(&mut stream, patience).await;
                Ok(())
            }
        }
    }
}

/// Waits, and says whether the peer left meanwhile; what it says is not heeded.
async fn left_within(stream: &mut TcpStream, time: Duration) -> bool {
    let left = async {
        let mut piece = [0; 1024];
        while matches!(stream.read(&mut piece).await, Ok(count) if count > 0) {}
    };
    timeout(time, left).await.is_ok()
}

/// The head of an answer of status 200 that ends its connection; without a length its body is in chunks.
pub(super) fn head(headers: &HeaderMap, length: Option<usize>) -> Bytes {
    let mut head = String::from("HTTP/1.1 200 OK\r\nconnection: close\r\n");
    for (name, value) in headers {
        // A string takes whatever is written into it.
        let _ = write!(head, "{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
    }
    match length {
        Some(length) => head.push_str(&format!("content-length: {length}\r\n\r\n")),
        None => head.push_str("transfer-encoding: chunked\r\n\r\n"),
    }
    Bytes::from(head)
}

/// Frames as chunks, of which `sent` bytes are written: the last chunk may announce more than comes.
pub(super) fn chunks(frames: &[Bytes], mut sent: usize) -> Bytes {
    let mut body = Vec::new();
    for frame in frames.iter().filter(|frame| !frame.is_empty()) {
        if sent == 0 {
            break;
        }
        let part = frame.slice(..frame.len().min(sent));
        sent -= part.len();
        body.extend_from_slice(format!("{:x}\r\n", frame.len()).as_bytes());
        body.extend_from_slice(&part);
        if part.len() == frame.len() {
            body.extend_from_slice(b"\r\n");
        }
    }
    Bytes::from(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_inside_a_chunk_leaves_it_short() {
        let frames = [Bytes::from_static(b"abc"), Bytes::new(), Bytes::from_static(b"defg")];
        assert_eq!(chunks(&frames, 99), "3\r\nabc\r\n4\r\ndefg\r\n");
        assert_eq!(chunks(&frames, 5), "3\r\nabc\r\n4\r\nde");
        assert_eq!(chunks(&frames, 3), "3\r\nabc\r\n");
        assert_eq!(chunks(&frames, 0), "");
    }
}
