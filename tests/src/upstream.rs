//! A provider of a test's own making: answers what it is told and reports what happens to it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use anyhow::{Result, bail};

use crate::http::{Connection, Message, READ_TIMEOUT};

/// What a peer saw, in the order it saw it.
#[derive(Clone, Debug)]
pub enum Event {
    /// A whole request came.
    Request(Message),
    /// A connection that had carried a request was closed by the other side.
    Closed,
}

/// A scripted peer on a free port; its threads end with their connections.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    events: Receiver<Event>,
}

impl Upstream {
    /// Starts a peer; `answer` gets each request and the connection to write to.
    pub fn start(answer: impl Fn(&Message, &mut Connection) -> Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (sender, events) = channel();
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let (answer, sender) = (Arc::clone(&answer), sender.clone());
                thread::spawn(move || serve(stream, &*answer, &sender));
            }
        });
        Self { address, events }
    }

    /// A peer that gives every request the same buffered answer.
    pub fn fixed(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let bytes = response(status, headers, body);
        Self::start(move |_, connection| Ok(connection.write(&bytes)?))
    }

    /// A peer that streams these events to every request.
    pub fn streaming(events: &[&str]) -> Self {
        let mut bytes = stream_head();
        for event in events {
            bytes.extend(chunk(event.as_bytes()));
        }
        bytes.extend(b"0\r\n\r\n");
        Self::start(move |_, connection| Ok(connection.write(&bytes)?))
    }

    /// Waits for the next thing that happens.
    pub fn next(&self) -> Result<Event> {
        Ok(self.events.recv_timeout(READ_TIMEOUT)?)
    }

    /// Waits for the next request.
    pub fn next_request(&self) -> Result<Message> {
        match self.next()? {
            Event::Request(message) => Ok(message),
            Event::Closed => bail!("a connection was closed instead of a request"),
        }
    }

    /// How many requests have come since the last look.
    pub fn requests(&self) -> usize {
        self.events.try_iter().filter(|event| matches!(event, Event::Request(_))).count()
    }

    /// Whether nothing has happened so far.
    pub fn untouched(&self) -> bool {
        self.events.try_recv().is_err()
    }
}

/// Writes a buffered response.
pub fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        head.push_str("content-type: application/json\r\n");
    }
    head.push_str("\r\n");
    head.push_str(body);
    head.into_bytes()
}

/// The head of a streamed response.
pub fn stream_head() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec()
}

/// One chunk of a streamed response.
pub fn chunk(payload: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", payload.len()).as_bytes(), payload, b"\r\n"].concat()
}

fn serve(
    stream: TcpStream,
    answer: &(impl Fn(&Message, &mut Connection) -> Result<()> + ?Sized),
    events: &Sender<Event>,
) {
    let Ok(mut connection) = Connection::over(stream) else { return };
    let mut used = false;
    // A test that has seen enough is gone, and nobody misses what is sent to it then.
    while let Ok(request) = connection.message() {
        used = true;
        drop(events.send(Event::Request(request.clone())));
        if answer(&request, &mut connection).is_err() {
            break;
        }
    }
    if used {
        drop(events.send(Event::Closed));
    }
}
