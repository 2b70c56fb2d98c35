//! A small HTTP/1.1 client: one call a connection, everything bounded.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Longest wait for a connection, and for the whole of an answer.
const CONNECT: Duration = Duration::from_secs(5);

/// Largest answer that is read.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Where a server is.
#[derive(Debug, Clone)]
pub struct Server {
    address: SocketAddr,
    host: String,
    base: String,
    /// Longest time that one call may take.
    pub patience: Duration,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

impl Server {
    /// The server at `http://host:port/base`.
    ///
    /// # Errors
    /// When it is no such URL, or the host has no address.
    pub fn new(url: &str, patience: Duration) -> Result<Self> {
        let rest = url.strip_prefix("http://").context("the URL begins with http://")?;
        let (host, base) =
            rest.split_once('/').map_or((rest, String::new()), |(host, base)| (host, format!("/{base}")));
        let with_port = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let address = with_port.to_socket_addrs()?.next().context("the host has no address")?;
        Ok(Self { address, host: host.to_owned(), base: base.trim_end_matches('/').to_owned(), patience })
    }

    /// One call; a body makes it a POST.
    ///
    /// # Errors
    /// When the server cannot be reached, says no HTTP, or takes too long.
    pub fn call(&self, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Result<Answer> {
        let until = Instant::now() + self.patience;
        let mut stream = TcpStream::connect_timeout(&self.address, CONNECT)?;
        stream.set_write_timeout(Some(self.patience))?;
        let method = if body.is_some() { "POST" } else { "GET" };
        let mut head =
            format!("{method} {}{path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.base, self.host);
        if let Some(body) = body {
            head.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        // In one piece: a second one would wait until the first is acknowledged.
        head.push_str(body.unwrap_or_default());
        stream.write_all(head.as_bytes())?;
        let mut seen = Vec::new();
        let mut piece = [0; 64 * 1024];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "no whole answer within {:?}", self.patience);
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => seen.extend_from_slice(&piece[..count]),
                // A peer that breaks off has said what it has said; whether that is whole shows later.
                Err(_) if seen.windows(4).any(|four| four == b"\r\n\r\n") => break,
                Err(error) => return Err(error.into()),
            }
            ensure!(seen.len() <= MAX_ANSWER, "an answer of more than {MAX_ANSWER} bytes");
            if is_whole(&seen) {
                break;
            }
        }
        parse(&seen)
    }
}

fn split(seen: &[u8]) -> Option<(&str, &[u8])> {
    let end = seen.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&seen[..end]).ok()?, &seen[end + 4..]))
}

/// Whether an answer of known length is there; servers may keep a connection open all the same.
fn is_whole(seen: &[u8]) -> bool {
    let Some((head, body)) = split(seen) else { return false };
    let head = head.to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    match length {
        Some(length) => body.len() >= length,
        None => head.contains("transfer-encoding: chunked") && body.ends_with(b"0\r\n\r\n"),
    }
}

fn parse(seen: &[u8]) -> Result<Answer> {
    let (head, body) = split(seen).context("the answer is no HTTP")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("the answer has no status")?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked =
        headers.iter().any(|(name, value)| name == "transfer-encoding" && value.contains("chunked"));
    let body = if chunked { dechunked(body)? } else { body.to_vec() };
    Ok(Answer { status: status.parse()?, headers, body })
}

fn dechunked(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end])?.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16)?;
        if size == 0 {
            return Ok(whole);
        }
        let from = end + 2;
        let Some(piece) = rest.get(from..from + size) else { bail!("the answer breaks off inside a chunk") };
        whole.extend_from_slice(piece);
        rest = rest.get(from + size + 2..).unwrap_or_default();
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::{is_whole, parse};

    #[test]
    fn answers_are_read_in_both_framings() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA-B: c\r\n\r\nhi";
        assert!(is_whole(plain) && !is_whole(&plain[..plain.len() - 1]));
        let plain = parse(plain).unwrap();
        assert_eq!((plain.status, plain.header("a-b"), &plain.body[..]), (200, "c", &b"hi"[..]));
        let chunked =
            b"HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n2;x\r\nhi\r\n1\r\n!\r\n0\r\n\r\n";
        assert!(is_whole(chunked));
        assert_eq!(parse(chunked).unwrap().body, b"hi!");
        assert!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhi").is_err());
    }
}
