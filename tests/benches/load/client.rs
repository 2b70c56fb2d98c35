//! The load generator: a fixed number of keep-alive connections, each sending when it has its answer.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cases::Case;
use crate::wire::{Message, Reader};

/// Longest wait for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Most requests of one phase.
const MAX_REQUESTS: usize = 400_000;

/// What one phase gave.
#[derive(Debug, Default)]
pub(crate) struct Phase {
    /// Microseconds of each answered request.
    pub latencies: Vec<u32>,
    pub elapsed: Duration,
}

impl Phase {
    /// The latency in microseconds that the given share of requests stayed under.
    pub(crate) fn percentile(&mut self, share: f64) -> f64 {
        self.latencies.sort_unstable();
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * share) as usize).copied().map_or(f64::NAN, f64::from)
    }
}

/// The bytes of one request of a case.
pub(crate) fn request(case: &Case) -> Vec<u8> {
    let body = case.request_body();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\naccept: application/json\r\n\
         user-agent: busbar-bench/1\r\nauthorization: Bearer sk-bench\r\ncontent-length: {}\r\n\r\n",
        case.client.path(),
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// Sends one request and returns its answer, body included.
pub(crate) async fn once(target: SocketAddr, request: &[u8]) -> Result<Message> {
    let mut stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    exchange(&mut stream, &mut Reader::new(), request, true).await
}

/// Loads a target for a while; any answer but 200 ends the phase with an error.
pub(crate) async fn load(
    target: SocketAddr,
    request: &Rc<Vec<u8>>,
    connections: usize,
    lasting: Duration,
) -> Result<Phase> {
    let latencies = Rc::new(RefCell::new(Vec::with_capacity(MAX_REQUESTS)));
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..connections {
        let (request, latencies) = (Rc::clone(request), Rc::clone(&latencies));
        tasks.spawn_local(async move {
            let mut stream = TcpStream::connect(target).await?;
            stream.set_nodelay(true)?;
            let mut reader = Reader::new();
            while start.elapsed() < lasting && latencies.borrow().len() < MAX_REQUESTS {
                let sent = Instant::now();
                let message = exchange(&mut stream, &mut reader, &request, false).await?;
                ensure!(message.status == 200, "status {}", message.status);
                let micros = u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX);
                latencies.borrow_mut().push(micros);
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(Phase { latencies: latencies.take(), elapsed: start.elapsed() })
}

async fn exchange(
    stream: &mut TcpStream,
    reader: &mut Reader,
    request: &[u8],
    keep: bool,
) -> Result<Message> {
    let exchange = async {
        stream.write_all(request).await?;
        reader.message(stream, keep).await
    };
    let message = timeout(ANSWER_TIMEOUT, exchange).await.context("no answer in time")??;
    match message {
        Some(message) => Ok(message),
        None => bail!("the connection was closed instead of an answer"),
    }
}
