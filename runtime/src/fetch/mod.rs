//! Gets what callers name by address, for backends that take bytes alone.
//!
//! A caller decides where this goes, so it goes to public addresses alone (see [`guard`]), takes no credential
//! along, and is bounded in size, time, number and redirects.

pub mod guard;
mod kind;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::config::FetchSettings;
use crate::upstream::{TlsError, client_config};

/// Addresses of one request at most.
pub const MAX_FETCHES: usize = 32;
/// Redirects that are followed for one address.
const MAX_REDIRECTS: usize = 4;
/// Most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;
/// Longest address.
const MAX_ADDRESS: usize = 8 << 10;

/// What was at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its media type, by its bytes where they tell.
    pub media_type: String,
    /// All of it.
    pub bytes: Bytes,
}

/// Why nothing was got; the text is for the caller and holds nothing of what was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFetched {
    /// Which of the addresses it is about.
    pub index: usize,
    /// Why.
    pub reason: String,
}

impl fmt::Display for NotFetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the address could not be fetched: {}", self.reason)
    }
}

/// Gets files from addresses.
#[derive(Clone)]
pub struct Fetcher {
    settings: Arc<FetchSettings>,
    tls: TlsConnector,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Fetcher {
    /// A fetcher with these bounds.
    ///
    /// # Errors
    /// [`TlsError`] when the file of certificates cannot be used.
    pub fn new(settings: FetchSettings) -> Result<Self, TlsError> {
        let tls = TlsConnector::from(client_config(settings.ca_file.as_deref())?);
        Ok(Self { settings: Arc::new(settings), tls })
    }

    /// Whether anything is fetched at all.
    pub fn is_enabled(&self) -> bool {
        self.settings.enabled
    }

    /// What is at each of these addresses, in their order.
    ///
    /// # Errors
    /// [`NotFetched`] for the first one that gives nothing.
    pub async fn all(&self, addresses: Vec<String>) -> Result<Vec<File>, NotFetched> {
        if addresses.len() > MAX_FETCHES {
            let reason = format!("a request may name {MAX_FETCHES} addresses");
            return Err(NotFetched { index: MAX_FETCHES, reason });
        }
        let room = Arc::new(AtomicUsize::new(self.settings.size));
        let mut running = JoinSet::new();
        let count = addresses.len();
        for (index, address) in addresses.into_iter().enumerate() {
            let (fetcher, room) = (self.clone(), Arc::clone(&room));
            running.spawn(async move {
                let file = fetcher.one(&address, &room).await;
                (index, file.map_err(|reason| NotFetched { index, reason }))
            });
        }
        let mut files: Vec<Option<File>> = vec![None; count];
        let gathered = async {
            while let Some(joined) = running.join_next().await {
                let broken = |_| NotFetched { index: 0, reason: "the fetch broke off".to_owned() };
                let (index, file) = joined.map_err(broken)?;
                files[index] = Some(file?);
            }
            Ok(())
        };
        match tokio::time::timeout(self.settings.time, gathered).await {
            Ok(result) => result?,
            Err(_) => {
                let index = files.iter().position(Option::is_none).unwrap_or(0);
                let reason = format!("it took longer than {:?}", self.settings.time);
                return Err(NotFetched { index, reason });
            }
        }
        Ok(files.into_iter().flatten().collect())
    }

    async fn one(&self, address: &str, room: &AtomicUsize) -> Result<File, String> {
        if address.len() > MAX_ADDRESS {
            return Err("it is too long".to_owned());
        }
        let mut url = Url::parse(address).map_err(|error| error.to_string())?;
        for _ in 0..=MAX_REDIRECTS {
            let (response, connection) = self.get(&url).await?;
            let _ended = Ended(connection);
            if response.status().is_redirection() {
                let next = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
                let next = next.ok_or("it redirects to nowhere")?;
                url = url.join(next).map_err(|error| format!("it redirects to no address: {error}"))?;
                continue;
            }
            if !response.status().is_success() {
                return Err(format!("the server answered {}", response.status().as_u16()));
            }
            return file(response, room).await;
        }
        Err(format!("it redirects more than {MAX_REDIRECTS} times"))
    }

    /// Asks one server, over a connection of its own.
    async fn get(&self, url: &Url) -> Result<(Response<Incoming>, AbortHandle), String> {
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err("it is not of http or https".to_owned()),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a name or a password".to_owned());
        }
        let host = url.host().ok_or("it names no host")?;
        let port = url.port_or_known_default().ok_or("it names no port")?;
        let socket = self.connect(&host, port).await?;
        if !secure {
            return ask(socket, url).await;
        }
        let name = match &host {
            Host::Domain(name) => rustls::pki_types::ServerName::try_from((*name).to_owned())
                .map_err(|_| "its host is none that a certificate can have")?,
            Host::Ipv4(address) => std::net::IpAddr::V4(*address).into(),
            Host::Ipv6(address) => std::net::IpAddr::V6(*address).into(),
        };
        let secured = self.tls.connect(name, socket).await;
        ask(secured.map_err(|_| "its server cannot be trusted")?, url).await
    }

    /// A connection to one of the host's addresses that may be reached.
    async fn connect(&self, host: &Host<&str>, port: u16) -> Result<TcpStream, String> {
        let found: Vec<SocketAddr> = match host {
            Host::Domain(name) => tokio::net::lookup_host((*name, port))
                .await
                .map_err(|_| "its host has no address")?
                .take(MAX_ADDRESSES)
                .collect(),
            Host::Ipv4(address) => vec![(*address, port).into()],
            Host::Ipv6(address) => vec![(*address, port).into()],
        };
        let allowed: Vec<_> =
            found.into_iter().filter(|at| guard::may_reach(at.ip(), &self.settings.allow)).collect();
        if allowed.is_empty() {
            return Err("its host is not on the public network".to_owned());
        }
        for address in allowed {
            if let Ok(socket) = TcpStream::connect(address).await {
                return Ok(socket);
            }
        }
        Err("its host cannot be reached".to_owned())
    }
}

/// Ends the work on a connection when it is dropped.
struct Ended(AbortHandle);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn ask(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    url: &Url,
) -> Result<(Response<Incoming>, AbortHandle), String> {
    let broken = |_| "its server broke off".to_owned();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(TokioIo::new(socket))
            .await
            .map_err(broken)?;
    let running = tokio::spawn(async move {
        // How it ended is seen by who reads the answer.
        let _ = connection.await;
    });
    let handle = running.abort_handle();
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let request = Request::get(target)
        .header(HOST, host)
        .header(ACCEPT, "*/*")
        .header(USER_AGENT, concat!("busbar/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())
        .map_err(|error| error.to_string())?;
    match sender.send_request(request).await {
        Ok(response) => Ok((response, handle)),
        Err(error) => {
            handle.abort();
            Err(broken(error))
        }
    }
}

async fn file(response: Response<Incoming>, room: &AtomicUsize) -> Result<File, String> {
    const TOO_LARGE: &str = "there is more than may be fetched";
    let said = |name| response.headers().get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let label = said(CONTENT_TYPE).unwrap_or_default().to_owned();
    let length = said(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > room.load(Ordering::Relaxed)) {
        return Err(TOO_LARGE.to_owned());
    }
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| "its server broke off".to_owned())?;
        let Some(piece) = frame.data_ref() else { continue };
        let taken =
            room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(piece.len()));
        taken.map_err(|_| TOO_LARGE.to_owned())?;
        bytes.extend_from_slice(piece);
    }
    let media_type = kind::of(&bytes, &label).ok_or("what is there is no picture and no document")?;
    Ok(File { media_type, bytes: Bytes::from(bytes) })
}
