//! Just enough HTTP/1.1 for both ends of a load: find where a message ends, throw its body away.

use std::io;

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Room for one read; also the largest head accepted.
const BUFFER: usize = 256 * 1024;

/// How a chunked body ends; no body in this bench holds these bytes of its own.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What one message was.
#[derive(Debug, Default, Clone)]
pub(crate) struct Message {
    /// The status of a response, 0 for a request.
    pub status: u16,
    /// Bytes of the body as framed.
    pub body: usize,
    /// The body, when it was asked for.
    pub kept: Vec<u8>,
}

/// A reader of consecutive messages from one connection.
#[derive(Debug)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; BUFFER] }
    }

    /// Reads one whole message; `None` when the peer closed before it began.
    pub(crate) async fn message(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        keep: bool,
    ) -> io::Result<Option<Message>> {
        let mut filled = 0;
        let head = loop {
            if let Some(end) = memmem::find(&self.buffer[..filled], b"\r\n\r\n") {
                break end + 4;
            }
            if filled == BUFFER {
                return Err(broken("the head is too long"));
            }
            match io.read(&mut self.buffer[filled..]).await? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(broken("cut inside the head")),
                count => filled += count,
            }
        };
        let (status, framing) = parse_head(&self.buffer[..head])?;
        let mut message = Message { status, body: filled - head, kept: Vec::new() };
        if keep {
            message.kept.extend_from_slice(&self.buffer[head..filled]);
        }
        let mut tail = [0_u8; LAST_CHUNK.len()];
        remember(&mut tail, &self.buffer[head..filled]);
        loop {
            let complete = match framing {
                Framing::Length(length) if message.body > length => return Err(broken("more than promised")),
                Framing::Length(length) => message.body == length,
                Framing::Chunked => tail == LAST_CHUNK,
            };
            if complete {
                return Ok(Some(message));
            }
            let count = io.read(&mut self.buffer).await?;
            if count == 0 {
                return Err(broken("cut inside the body"));
            }
            message.body += count;
            remember(&mut tail, &self.buffer[..count]);
            if keep {
                message.kept.extend_from_slice(&self.buffer[..count]);
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

fn parse_head(head: &[u8]) -> io::Result<(u16, Framing)> {
    let head = std::str::from_utf8(head).map_err(|_| broken("the head is not text"))?;
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or("0");
    let status = status.parse().map_err(|_| broken("no status"))?;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.trim().parse().map_err(|_| broken("no length"))?;
            return Ok((status, Framing::Length(length)));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok((status, Framing::Chunked));
        }
    }
    Ok((status, Framing::Length(0)))
}

/// Keeps the last bytes seen, however the body was cut into reads.
fn remember(tail: &mut [u8; LAST_CHUNK.len()], seen: &[u8]) {
    let fresh = &seen[seen.len().saturating_sub(tail.len())..];
    tail.copy_within(fresh.len().., 0);
    let start = tail.len() - fresh.len();
    tail[start..].copy_from_slice(fresh);
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
