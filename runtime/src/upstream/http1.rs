//! HTTP/1.1 towards a provider: one exchange at a time on one connection, driven by whoever waits for it.
//!
//! No task and no channel stands between the socket and the pump: the task that serves the client writes the
//! request, reads the answer and hands on what one read brought as one piece, so that a hundred small chunks
//! that arrived together leave together. Chunked framing is taken off in place, without a second buffer.

use std::future::Future;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_rustls::client::TlsStream;
use tokio_util::io::poll_read_buf;

/// The largest head of an answer, in bytes.
pub const MAX_HEAD: usize = 64 << 10;
/// Most header fields in an answer.
pub const MAX_FIELDS: usize = 128;
/// The longest line that gives the size of a chunk, and the longest trailer, in bytes.
pub const MAX_CHUNK_LINE: usize = 4096;
/// Most interim answers (1xx) before the final one.
pub const MAX_INTERIM: usize = 8;

/// What one read asks for at first, and at most once reads come back full.
const READ_FIRST: usize = 16 << 10;
/// Less room than this in the buffer is not read into.
const READ_LEAST: usize = 2 << 10;
const READ_MOST: usize = 256 << 10;

/// What went wrong on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The peer closed it.
    Closed,
    /// The peer or the network broke it.
    Io(io::ErrorKind),
    /// The peer does not speak HTTP/1.1.
    Malformed(&'static str),
    /// Nothing came in time.
    Late(Wait),
}

/// What was waited for in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The head of an answer.
    FirstByte,
    /// The first content of an answer whose head has come.
    Content,
    /// The next piece of an answer.
    Idle,
    /// The end, before the request's whole time was used up.
    Total,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Io(error.kind())
    }
}

/// A request, ready to be written: its head, and its body in pieces that need not be joined.
#[derive(Debug)]
pub struct Outgoing {
    /// Request line and header fields, with the blank line.
    pub head: Vec<u8>,
    /// The body; its length stands in the head.
    pub body: [Bytes; 3],
}

impl Outgoing {
    fn total(&self) -> usize {
        self.head.len() + self.body.iter().map(Bytes::len).sum::<usize>()
    }

    /// What is left after `sent` bytes, as slices for one write.
    fn slices(&self, sent: usize) -> ([IoSlice<'_>; 4], usize) {
        let mut slices = [IoSlice::new(&[]); 4];
        let mut count = 0;
        let mut skip = sent;
        for part in std::iter::once(self.head.as_slice()).chain(self.body.iter().map(Bytes::as_ref)) {
            if skip < part.len() {
                slices[count] = IoSlice::new(&part[skip..]);
                count += 1;
                skip = 0;
            } else {
                skip -= part.len();
            }
        }
        (slices, count)
    }
}

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The header fields that the caller asked to keep.
    pub headers: HeaderMap,
    /// How many bytes the body has, if the head says so.
    pub length: Option<u64>,
    framing: Framing,
    reusable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked(Chunk),
    UntilClosed,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    Size,
    Data(u64),
    DataEnd,
    Trailer,
}

/// A socket, with or without TLS.
#[derive(Debug)]
pub(super) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One connection to a provider.
#[derive(Debug)]
pub struct Connection {
    io: Io,
    buffer: BytesMut,
    read_size: usize,
    timer: Pin<Box<Sleep>>,
    /// When it became idle.
    pub(super) idle_since: Instant,
}

impl Connection {
    pub(super) fn new(io: Io) -> Self {
        let now = Instant::now();
        Self {
            io,
            buffer: BytesMut::new(),
            read_size: READ_FIRST,
            timer: Box::pin(tokio::time::sleep_until(now)),
            idle_since: now,
        }
    }

    /// Prepares for a rest between two requests: what is idle holds no buffer.
    pub(super) fn rest(&mut self) {
        self.idle_since = Instant::now();
        self.buffer = BytesMut::new();
        self.read_size = READ_FIRST;
    }

    /// Whether nothing has happened on an idle connection: neither an end nor bytes nobody asked for.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0_u8; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        self.poll_io_read(&mut context, &mut buffer).is_pending()
    }

    /// Writes a request and reads the head of the answer; the other way round if the answer comes early.
    ///
    /// # Errors
    /// What broke, and whether any byte of an answer had been seen.
    pub async fn exchange(
        &mut self,
        request: &Outgoing,
        deadline: Instant,
        keep: fn(&str) -> bool,
    ) -> Result<Head, (Broken, bool)> {
        let mut sent = 0;
        let total = request.total();
        let mut write_error = None;
        let mut interim = 0;
        let mut seen = false;
        self.timer.as_mut().reset(deadline);
        std::future::poll_fn(|cx| {
            if sent < total && write_error.is_none() {
                match self.poll_write_all(cx, request, &mut sent) {
                    Poll::Ready(Err(error)) => write_error = Some(error),
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                }
            }
            loop {
                match self.parse_head(keep) {
                    Ok(Some(head)) if head.status.is_informational() => {
                        interim += 1;
                        if head.status == StatusCode::SWITCHING_PROTOCOLS || interim > MAX_INTERIM {
                            return Poll::Ready(Err((Broken::Malformed("an interim answer"), true)));
                        }
                        continue;
                    }
                    Ok(Some(mut head)) => {
                        head.reusable &= sent == total;
                        return Poll::Ready(Ok(head));
                    }
                    Ok(None) => {}
                    Err(broken) => return Poll::Ready(Err((broken, true))),
                }
                match self.poll_fill(cx) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err((Broken::Closed, seen))),
                    Poll::Ready(Ok(_)) => seen = true,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err((error.into(), seen))),
                    Poll::Pending => break,
                }
            }
            if let Some(error) = write_error.take() {
                return Poll::Ready(Err((error.into(), seen)));
            }
            ready!(self.timer.as_mut().poll(cx));
            Poll::Ready(Err((Broken::Late(Wait::FirstByte), seen)))
        })
        .await
    }

    fn poll_write_all(
        &mut self,
        cx: &mut Context<'_>,
        request: &Outgoing,
        sent: &mut usize,
    ) -> Poll<io::Result<()>> {
        while *sent < request.total() {
            let (slices, count) = request.slices(*sent);
            let wrote = match &mut self.io {
                Io::Plain(io) => ready!(Pin::new(io).poll_write_vectored(cx, &slices[..count]))?,
                Io::Tls(io) => ready!(Pin::new(io).poll_write_vectored(cx, &slices[..count]))?,
            };
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *sent += wrote;
        }
        match &mut self.io {
            Io::Plain(_) => Poll::Ready(Ok(())),
            Io::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_io_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            Io::Tls(io) => Pin::new(io).poll_read(cx, buffer),
        }
    }

    /// Reads once; with more room after a read that filled what it had.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = self.buffer.capacity() - self.buffer.len();
        if room < READ_LEAST || room < self.read_size / 4 {
            self.buffer.reserve(self.read_size);
            room = self.buffer.capacity() - self.buffer.len();
        }
        let count = match &mut self.io {
            Io::Plain(io) => ready!(poll_read_buf(Pin::new(io), cx, &mut self.buffer))?,
            Io::Tls(io) => ready!(poll_read_buf(Pin::new(io.as_mut()), cx, &mut self.buffer))?,
        };
        if count == room {
            self.read_size = (self.read_size * 2).min(READ_MOST);
        }
        Poll::Ready(Ok(count))
    }

    /// The head of an answer, once all of it is there.
    fn parse_head(&mut self, keep: fn(&str) -> bool) -> Result<Option<Head>, Broken> {
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut parsed = httparse::Response::new(&mut []);
        let status = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut parsed, &self.buffer, &mut fields)
            .map_err(|_| Broken::Malformed("the head of the answer"))?;
        let length = match status {
            httparse::Status::Complete(length) if length <= MAX_HEAD => length,
            httparse::Status::Partial if self.buffer.len() < MAX_HEAD => return Ok(None),
            _ => return Err(Broken::Malformed("a head that is too large")),
        };
        let status = parsed
            .code
            .and_then(|code| StatusCode::from_u16(code).ok())
            .ok_or(Broken::Malformed("the status of the answer"))?;
        let mut facts = Facts { reusable: parsed.version == Some(1), ..Facts::default() };
        let base = self.buffer.as_ptr() as usize;
        let mut headers = HeaderMap::new();
        let mut ranges: Vec<(HeaderName, std::ops::Range<usize>)> = Vec::new();
        for field in parsed.headers.iter() {
            let Ok(name) = HeaderName::from_bytes(field.name.as_bytes()) else {
                return Err(Broken::Malformed("a header field's name"));
            };
            facts.note(&name, field.value)?;
            if keep(name.as_str()) {
                let from = field.value.as_ptr() as usize - base;
                ranges.push((name, from..from + field.value.len()));
            }
        }
        let framing = facts.framing(status)?;
        let head = self.buffer.split_to(length).freeze();
        for (name, range) in ranges {
            if let Ok(value) = HeaderValue::from_maybe_shared(head.slice(range)) {
                headers.append(name, value);
            }
        }
        let length = match framing {
            Framing::Length(length) => Some(length),
            Framing::Done => Some(0),
            Framing::Chunked(_) | Framing::UntilClosed => None,
        };
        let reusable = facts.reusable && framing != Framing::UntilClosed;
        Ok(Some(Head { status, headers, length, framing, reusable }))
    }

    /// What the buffer holds of the body, as one piece; none if that is nothing.
    fn take(&mut self, framing: &mut Framing) -> Result<Option<Bytes>, Broken> {
        match framing {
            Framing::Done => Ok(None),
            _ if self.buffer.is_empty() => Ok(None),
            Framing::UntilClosed => Ok(Some(self.buffer.split().freeze())),
            Framing::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
                *left -= count as u64;
                if *left == 0 {
                    *framing = Framing::Done;
                }
                Ok(Some(self.buffer.split_to(count).freeze()))
            }
            Framing::Chunked(chunk) => {
                let (data, consumed, done) = unchunk(&mut self.buffer, chunk)?;
                if done {
                    *framing = Framing::Done;
                }
                let mut piece = self.buffer.split_to(consumed);
                piece.truncate(data.end);
                piece.advance(data.start);
                Ok((!piece.is_empty()).then(|| piece.freeze()))
            }
        }
    }
}

/// The part of a head that says how the answer is framed.
#[derive(Default)]
struct Facts {
    length: Option<u64>,
    chunked: bool,
    reusable: bool,
}

impl Facts {
    fn note(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Broken> {
        if name == CONTENT_LENGTH {
            let digits = std::str::from_utf8(value).ok().map(str::trim);
            let digits =
                digits.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
            let length =
                digits.and_then(|text| text.parse().ok()).ok_or(Broken::Malformed("the content length"))?;
            if self.length.is_some_and(|earlier| earlier != length) {
                return Err(Broken::Malformed("two content lengths"));
            }
            self.length = Some(length);
        } else if name == TRANSFER_ENCODING {
            let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
            if !last.eq_ignore_ascii_case(b"chunked") || self.chunked {
                return Err(Broken::Malformed("the transfer encoding"));
            }
            self.chunked = true;
        } else if name == CONNECTION {
            for token in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                if token.eq_ignore_ascii_case(b"close") {
                    self.reusable = false;
                }
            }
        }
        Ok(())
    }

    fn framing(&mut self, status: StatusCode) -> Result<Framing, Broken> {
        if status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok(Framing::Done);
        }
        Ok(match (self.chunked, self.length) {
            (true, length) => {
                // Both at once is how a smuggled answer looks: read it as the standard says, then close.
                self.reusable &= length.is_none();
                Framing::Chunked(Chunk::Size)
            }
            (false, Some(0)) => Framing::Done,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::UntilClosed,
        })
    }
}

/// Takes chunked framing off in place, as far as the buffer goes.
///
/// Gives the range that then holds the data, how many bytes of the buffer are used up, and whether the body is over.
fn unchunk(buffer: &mut [u8], state: &mut Chunk) -> Result<(std::ops::Range<usize>, usize, bool), Broken> {
    let mut at = 0;
    // The first piece of data stays where it is; later ones move up to it.
    let mut data: Option<std::ops::Range<usize>> = None;
    let mut done = false;
    while !done && at < buffer.len() {
        match state {
            Chunk::Data(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len() - at);
                match &mut data {
                    None => data = Some(at..at + count),
                    Some(data) => {
                        buffer.copy_within(at..at + count, data.end);
                        data.end += count;
                    }
                }
                at += count;
                *left -= count as u64;
                if *left == 0 {
                    *state = Chunk::DataEnd;
                }
            }
            Chunk::Size | Chunk::DataEnd | Chunk::Trailer => {
                let Some(end) = memchr::memchr(b'\n', &buffer[at..]) else {
                    if buffer.len() - at > MAX_CHUNK_LINE {
                        return Err(Broken::Malformed("a chunk's size"));
                    }
                    break;
                };
                let line = buffer[at..at + end].strip_suffix(b"\r").unwrap_or(&buffer[at..at + end]);
                match state {
                    Chunk::DataEnd if line.is_empty() => *state = Chunk::Size,
                    Chunk::DataEnd => return Err(Broken::Malformed("the end of a chunk")),
                    Chunk::Trailer => done = line.is_empty(),
                    _ => {
                        *state = match chunk_size(line)? {
                            0 => Chunk::Trailer,
                            size => Chunk::Data(size),
                        }
                    }
                }
                at += end + 1;
            }
        }
    }
    Ok((data.unwrap_or(0..0), at, done))
}

fn chunk_size(line: &[u8]) -> Result<u64, Broken> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if digits.is_empty() || digits.len() > 15 {
        return Err(Broken::Malformed("a chunk's size"));
    }
    digits.iter().try_fold(0_u64, |size, byte| {
        let digit = char::from(*byte).to_digit(16).ok_or(Broken::Malformed("a chunk's size"))?;
        Ok(size << 4 | u64::from(digit))
    })
}

/// The body of an answer, read from its connection piece by piece.
#[derive(Debug)]
pub struct Reader {
    connection: Option<Box<Connection>>,
    framing: Framing,
    reusable: bool,
    idle: Duration,
    /// When something must have been said, until it has.
    content_by: Instant,
    deadline: Instant,
    armed: bool,
}

impl Reader {
    pub(super) fn new(
        connection: Box<Connection>,
        head: &Head,
        idle: Duration,
        content_by: Instant,
        deadline: Instant,
    ) -> Self {
        let connection = Some(connection);
        let Head { framing, reusable, .. } = *head;
        Self { connection, framing, reusable, idle, content_by, deadline, armed: false }
    }

    /// The next piece: all that is there, or else what the next read brings; none at the end.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let Some(connection) = self.connection.as_mut() else { return Poll::Ready(None) };
        loop {
            match connection.take(&mut self.framing) {
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(piece))),
                Ok(None) if self.framing == Framing::Done => return Poll::Ready(None),
                Ok(None) => {}
                Err(broken) => return self.fail(broken),
            }
            match connection.poll_fill(cx) {
                Poll::Ready(Ok(0)) if self.framing == Framing::UntilClosed => {
                    self.framing = Framing::Done;
                    return Poll::Ready(None);
                }
                Poll::Ready(Ok(0)) => return self.fail(Broken::Closed),
                Poll::Ready(Ok(_)) => self.armed = false,
                Poll::Ready(Err(error)) => return self.fail(error.into()),
                Poll::Pending => break,
            }
        }
        if !self.armed {
            self.armed = true;
            connection.timer.as_mut().reset((Instant::now() + self.idle).min(self.content_by));
        }
        ready!(connection.timer.as_mut().poll(cx));
        let now = Instant::now();
        let wait = match () {
            () if now >= self.deadline => Wait::Total,
            () if now >= self.content_by => Wait::Content,
            () => Wait::Idle,
        };
        self.fail(Broken::Late(wait))
    }

    fn fail(&mut self, broken: Broken) -> Poll<Option<Result<Bytes, Broken>>> {
        self.connection = None;
        Poll::Ready(Some(Err(broken)))
    }

    pub(super) fn settle_down(&mut self) {
        self.content_by = self.deadline;
        self.armed = false;
    }

    pub(super) fn hurry(&mut self, wait: Duration) {
        self.deadline = self.deadline.min(Instant::now() + wait);
        self.content_by = self.content_by.min(self.deadline);
        self.armed = false;
    }

    /// Whether all of the body has been taken.
    pub fn is_done(&self) -> bool {
        self.framing == Framing::Done
    }

    /// The connection, once the body is over and if another request may use it.
    pub(super) fn reclaim(&mut self) -> Option<Box<Connection>> {
        if self.framing != Framing::Done || !self.reusable {
            return None;
        }
        self.connection.take().filter(|connection| connection.buffer.is_empty())
    }
}
