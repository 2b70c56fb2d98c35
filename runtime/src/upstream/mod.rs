//! Providers as this worker reaches them: connect, send, read, reuse.
//!
//! Each worker thread has its own upstreams with their own idle connections, so that nothing on a request's
//! way is shared between threads.

pub mod http1;
mod mask;
mod sign;
mod tls;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::Protocol;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use secrecy::ExposeSecret as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

use self::http1::{Broken, Connection, Io, Outgoing, Reader, Wait};
use crate::config::{BaseUrl, Credential, Provider, Timeouts};
use crate::fault::{Class, Fault};

pub use tls::{TlsError, Trust, client_config};

/// Most idle connections a worker keeps to one provider.
pub const MAX_IDLE: usize = 512;
/// How long a connection may be idle and still be used.
pub const IDLE_AGE: Duration = Duration::from_secs(55);
/// Most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;

/// One provider, as one worker reaches it.
#[derive(Debug)]
pub struct Upstream {
    base: BaseUrl,
    credential: Credential,
    trust: Option<Trust>,
    idle: Mutex<VecDeque<Box<Connection>>>,
}

/// A call, ready to be addressed and sent.
#[derive(Debug)]
pub struct Request<'a> {
    /// The protocol that is spoken, which decides how the key is shown.
    pub protocol: Protocol,
    /// Path below the base URL, with the query.
    pub path: &'a str,
    /// The caller's header fields.
    pub headers: &'a HeaderMap,
    /// Which of them go up.
    pub goes_up: fn(&HeaderName) -> bool,
    /// The type of answer to ask for, if the caller's own wish does not go up.
    pub accept: Option<&'a str>,
    /// The body, in pieces.
    pub body: [Bytes; 3],
    /// When the whole must be over.
    pub deadline: Instant,
    /// When the answer must have begun to say something; [`Body::settle_down`] ends that.
    pub content_by: Instant,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// Which header fields of the answer are of use.
    pub keep: fn(&str) -> bool,
}

/// An answer whose head has arrived.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields that were asked for.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Body,
}

/// The body of an answer; its connection is kept for the next request once it is over, and closed when it is dropped before.
#[derive(Debug)]
pub struct Body {
    reader: Reader,
    length: Option<u64>,
    upstream: Arc<Upstream>,
}

impl Body {
    /// The next piece; none at the end.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let polled = self.reader.poll(cx);
        if self.reader.is_done()
            && let Some(connection) = self.reader.reclaim()
        {
            self.upstream.keep(connection);
        }
        polled
    }

    /// The next piece; none at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// The answer has said something: from now on its pauses and its whole length are bounded, not its beginning.
    pub fn settle_down(&mut self) {
        self.reader.settle_down();
    }

    /// Ends it after that long, if it has not ended by itself.
    pub fn hurry(&mut self, wait: Duration) {
        self.reader.hurry(wait);
    }

    /// Its length, if the head said so.
    pub const fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether all of it has been taken.
    pub fn is_done(&self) -> bool {
        self.reader.is_done()
    }
}

impl Upstream {
    /// The words of a failure, with the key that this provider knows us by starred out.
    ///
    /// Some providers repeat a key that they refuse. It is the gateway's own, and no caller's business. The
    /// length stays, so that the answer's framing holds.
    pub fn masked(&self, words: Bytes) -> Bytes {
        match &self.credential {
            Credential::Key(key) => mask::mask(words, key.expose_secret().as_bytes()),
            Credential::SigV4 { secret_key, .. } => mask::mask(words, secret_key.expose_secret().as_bytes()),
            Credential::None => words,
        }
    }

    /// A provider as configured.
    ///
    /// # Errors
    /// [`TlsError`] when its certificates or its host name cannot be used.
    pub fn new(provider: &Provider) -> Result<Self, TlsError> {
        let trust = if provider.base.tls {
            Some(Trust::new(&provider.base.host, provider.ca_file.as_deref())?)
        } else {
            None
        };
        Ok(Self {
            base: provider.base.clone(),
            credential: provider.credential.clone(),
            trust,
            idle: Mutex::new(VecDeque::new()),
        })
    }

    /// The fields of the head that a request would be sent with, secrets included: see [`Upstream::is_secret`].
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn head(&self, request: &Request<'_>) -> Result<Vec<(String, String)>, Fault> {
        let head = sign::head(&self.base, &self.credential, request)?;
        let head = String::from_utf8_lossy(&head);
        let fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
        Ok(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Whether a field of a request's head is what the provider knows us by.
    pub fn is_secret(name: &str) -> bool {
        ["authorization", "x-api-key", "x-goog-api-key", "x-amz-security-token"].contains(&name)
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// A kept connection that turns out to be closed before a byte of the answer is replaced, once.
    ///
    /// # Errors
    /// A [`Fault`] that says who is to blame and whether another lane may be tried.
    pub async fn send(self: &Arc<Self>, mut request: Request<'_>) -> Result<Answer, Fault> {
        let head = sign::head(&self.base, &self.credential, &request)?;
        let outgoing = Outgoing { head, body: std::mem::take(&mut request.body) };
        let mut kept = self.checkout();
        loop {
            let reused = kept.is_some();
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => Box::new(self.connect(&request).await?),
            };
            let deadline = (Instant::now() + request.timeouts.first_byte).min(request.content_by);
            match connection.exchange(&outgoing, deadline, request.keep).await {
                Ok(head) => {
                    let idle = request.timeouts.idle;
                    let reader = Reader::new(connection, &head, idle, request.content_by, request.deadline);
                    let body = Body { reader, length: head.length, upstream: Arc::clone(self) };
                    return Ok(Answer { status: head.status, headers: head.headers, body });
                }
                Err((Broken::Closed | Broken::Io(_), false)) if reused => {}
                Err((broken, _)) => return Err(unanswered(broken, request.deadline)),
            }
        }
    }

    /// A kept connection that is still good, the one used last.
    fn checkout(&self) -> Option<Box<Connection>> {
        let now = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut connection) = idle.pop_back() {
            if now.duration_since(connection.idle_since) < IDLE_AGE && connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, mut connection: Box<Connection>) {
        connection.rest();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push_back(connection);
        }
    }

    /// Closes kept connections that are too old or that the provider has closed.
    pub fn sweep(&self) {
        let now = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain_mut(|connection| {
            now.duration_since(connection.idle_since) < IDLE_AGE && connection.is_quiet()
        });
    }

    async fn connect(&self, request: &Request<'_>) -> Result<Connection, Fault> {
        let deadline = (Instant::now() + request.timeouts.connect).min(request.content_by);
        let late = || Fault::upstream(Class::ConnectTimeout, "the provider could not be reached in time");
        let addresses = tokio::net::lookup_host((self.base.host.as_str(), self.base.port));
        let addresses = tokio::time::timeout_at(deadline, addresses)
            .await
            .map_err(|_| late())?
            .map_err(|_| Fault::upstream(Class::Connection, "the provider's name could not be resolved"))?;
        let addresses: Vec<_> = addresses.take(MAX_ADDRESSES).collect();
        let mut failure = Fault::upstream(Class::Connection, "the provider's name has no address");
        for (at, address) in addresses.iter().enumerate() {
            // An address that swallows packets must not use up the time of those behind it.
            let share = (deadline - Instant::now()) / u32::try_from(addresses.len() - at).unwrap_or(1);
            match tokio::time::timeout(share, self.connect_to(*address)).await {
                Ok(Ok(io)) => return Ok(Connection::new(io)),
                Ok(Err(fault)) => failure = fault,
                Err(_) => failure = late(),
            }
        }
        Err(failure)
    }

    async fn connect_to(&self, address: std::net::SocketAddr) -> Result<Io, Fault> {
        let unreachable = |error: std::io::Error| {
            Fault::upstream(Class::Connection, format!("the provider could not be reached: {}", error.kind()))
        };
        let socket = TcpStream::connect(address).await.map_err(unreachable)?;
        socket.set_nodelay(true).map_err(unreachable)?;
        match &self.trust {
            None => Ok(Io::Plain(socket)),
            Some(trust) => Ok(Io::Tls(Box::new(trust.connect(socket).await.map_err(|error| {
                tracing::warn!(host = %self.base.host, %error, "TLS handshake with a provider failed");
                Fault::upstream(Class::Connection, "the TLS handshake with the provider failed")
            })?))),
        }
    }
}

/// What an exchange that broke before the head of an answer means to the caller.
fn unanswered(broken: Broken, deadline: Instant) -> Fault {
    match broken {
        Broken::Closed => {
            Fault::upstream(Class::Connection, "the provider closed the connection before it answered")
        }
        Broken::Io(kind) => {
            Fault::upstream(Class::Connection, format!("the connection to the provider broke: {kind}"))
        }
        Broken::Late(_) if Instant::now() >= deadline => fault(Broken::Late(Wait::Total)),
        Broken::Malformed(_) | Broken::Late(_) => fault(broken),
    }
}

/// What an answer that broke means to the caller.
pub fn fault(broken: Broken) -> Fault {
    match broken {
        Broken::Closed => {
            Fault::upstream(Class::Cut, "the provider closed the connection before its answer was complete")
        }
        Broken::Io(kind) => {
            Fault::upstream(Class::Cut, format!("the connection to the provider broke: {kind}"))
        }
        Broken::Malformed(what) => {
            Fault::upstream(Class::Malformed, format!("the provider's answer could not be read: {what}"))
        }
        Broken::Late(wait) => {
            let (class, message) = match wait {
                Wait::FirstByte => (Class::FirstByteTimeout, "the provider did not answer in time"),
                Wait::Content => (Class::FirstByteTimeout, "the provider did not begin to answer in time"),
                Wait::Idle => (Class::IdleTimeout, "the provider fell silent within its answer"),
                Wait::Total => (Class::TotalTimeout, "the time for the whole request is used up"),
            };
            Fault::upstream(class, message)
        }
    }
}

#[cfg(test)]
mod tests;
