//! HTTP/1.1 by hand, so that a test decides about every byte and when it is sent.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

/// Longest wait for the peer to say anything.
pub const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a wait for two things looks at the second one.
const CLOSE_POLL: Duration = Duration::from_millis(5);

/// Largest answer a test accepts.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// A request or response, its body without the framing.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The first line.
    pub line: String,
    /// Header names in lower case, and their values, in order.
    pub headers: Vec<(String, String)>,
    /// The decoded body.
    pub body: Vec<u8>,
}

impl Message {
    /// The status of a response.
    pub fn status(&self) -> u16 {
        self.line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// The first value of a header, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {} {}", self.line, self.text()))
    }
}

/// Writes a request with a length.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nhost: busbar.test\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// Sends a JSON body to a path and reads the whole answer.
pub fn post(address: SocketAddr, target: &str, headers: &[(&str, &str)], body: &str) -> Result<Message> {
    send(address, &request("POST", target, headers, body.as_bytes()))
}

/// Sends bytes on a connection of their own and reads one whole answer.
pub fn send(address: SocketAddr, bytes: &[u8]) -> Result<Message> {
    let mut connection = Connection::open(address)?;
    connection.write(bytes)?;
    connection.message()
}

/// A connection that is read as a test likes it.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, READ_TIMEOUT).context("cannot connect")?;
        Self::over(stream)
    }

    /// Takes over an accepted or opened stream.
    pub fn over(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_write_timeout(Some(READ_TIMEOUT))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Writes bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will be written.
    pub fn finish_writing(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Reads until what came, framing included, holds a text, and returns everything up to and with it.
    pub fn read_until(&mut self, text: &str) -> Result<String> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, text.as_bytes()) {
                let taken: Vec<u8> = self.buffer.drain(..at + text.len()).collect();
                return Ok(String::from_utf8_lossy(&taken).into_owned());
            }
            if self.fill()? == 0 {
                bail!("closed before {text:?}; got {:?}", String::from_utf8_lossy(&self.buffer));
            }
        }
    }

    /// Reads one whole message.
    pub fn message(&mut self) -> Result<Message> {
        let mut message = self.head()?;
        if message.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
            while self.chunk(&mut message.body)? {}
            return Ok(message);
        }
        let bodiless = matches!(message.status(), 204 | 304);
        match message.header("content-length") {
            Some(length) => message.body = self.take(length.parse()?)?,
            None if message.line.starts_with("HTTP/") && !bodiless => message.body = self.rest()?,
            None => {}
        }
        Ok(message)
    }

    /// Reads a message's first line and headers; its body stays to be read.
    pub fn head(&mut self) -> Result<Message> {
        let head = self.read_until("\r\n\r\n")?;
        let mut lines = head.trim_end().split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Ok(Message { line, headers, body: Vec::new() })
    }

    /// Reads chunks to their end, or for as long as they come; says whether the end was the proper one.
    pub fn chunks(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            match self.chunk(&mut body) {
                Ok(true) => {}
                Ok(false) => return (body, true),
                Err(_) => return (body, false),
            }
        }
    }

    /// Reads one chunk; says whether it was not the last.
    fn chunk(&mut self, body: &mut Vec<u8>) -> Result<bool> {
        let line = self.read_until("\r\n")?;
        let size = line.trim_end().split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).with_context(|| format!("chunk size {line:?}"))?;
        body.extend(self.take(size)?);
        if self.take(2)? != b"\r\n" {
            bail!("a chunk does not end where it said");
        }
        Ok(size > 0)
    }

    /// Reads until the peer closes, cleanly or not, and returns what came.
    pub fn rest(&mut self) -> Result<Vec<u8>> {
        loop {
            match self.fill() {
                Ok(0) => return Ok(std::mem::take(&mut self.buffer)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(std::mem::take(&mut self.buffer));
                }
                Err(error) => return Err(error).context("the peer did not close"),
            }
        }
    }

    /// Waits until a test says to go on; fails when the peer closes before.
    pub fn wait_for_close_or(&mut self, gate: &Receiver<()>) -> Result<()> {
        self.stream.set_nonblocking(true)?;
        let deadline = Instant::now() + READ_TIMEOUT;
        let outcome = loop {
            // Two things to wait for, of which the standard library can wait for one at a time.
            match gate.recv_timeout(CLOSE_POLL) {
                Ok(()) => break Ok(()),
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(_) => break Err(anyhow!("nobody said to go on")),
            }
            match self.fill() {
                Ok(0) => break Err(anyhow!("the peer closed")),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => break Err(error.into()),
                _ => {}
            }
        };
        self.stream.set_nonblocking(false)?;
        outcome
    }

    /// Whether the peer has closed and had nothing more to say; waits for it.
    pub fn closed(&mut self) -> Result<bool> {
        Ok(self.rest()?.is_empty())
    }

    /// Reads so many bytes.
    pub fn bytes(&mut self, count: usize) -> Result<Vec<u8>> {
        self.take(count)
    }

    fn take(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < count {
            if self.fill()? == 0 {
                bail!("closed inside a body; got {:?}", String::from_utf8_lossy(&self.buffer));
            }
        }
        Ok(self.buffer.drain(..count).collect())
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 64 * 1024];
        let count = self.stream.read(&mut piece)?;
        self.buffer.extend_from_slice(&piece[..count]);
        if self.buffer.len() > MAX_ANSWER {
            return Err(io::Error::other("the answer is larger than any test expects"));
        }
        Ok(count)
    }
}
