//! Listens and serves: one thread for each worker, each with its own listener, runtime and connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::admin;
use crate::config::{Limits, Settings};
use crate::gateway::{Body, Gateway, Shared, json};
use crate::observe::access;

/// Connections that wait to be accepted, for each worker.
const BACKLOG: i32 = 4096;
/// The shortest pause between two probes of a silent client; the kernel counts in seconds.
const LEAST_PROBE: Duration = Duration::from_secs(1);
/// How often idle connections to providers are looked at.
const SWEEP: Duration = Duration::from_secs(10);
/// How often access records are written.
const FLUSH: Duration = Duration::from_millis(250);
/// How long accepting rests after a failure that time alone can heal.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Listeners on one address, one for each worker; the kernel spreads connections over them.
///
/// `stall` is how long a client may take nothing of what is sent to it.
///
/// # Errors
/// When the address cannot be listened on.
pub fn listen(
    address: SocketAddr,
    workers: usize,
    stall: Duration,
) -> anyhow::Result<(SocketAddr, Vec<std::net::TcpListener>)> {
    let first =
        listener(address, workers > 1, stall).with_context(|| format!("cannot listen on {address}"))?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..workers {
        listeners
            .push(listener(address, true, stall).with_context(|| format!("cannot listen on {address}"))?);
    }
    Ok((address, listeners))
}

fn listener(address: SocketAddr, shared: bool, stall: Duration) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit these: a client that is gone without a word, or that takes nothing, is let go even
    // while the gateway waits for room to write and so cannot see it.
    let probe = TcpKeepalive::new()
        .with_time((stall / 2).max(LEAST_PROBE))
        .with_interval((stall / 4).max(LEAST_PROBE))
        .with_retries(2);
    socket.set_tcp_keepalive(&probe)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(stall))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Serves with these settings until a signal says to stop, and all workers have drained.
///
/// `ready` is called once connections are accepted and signals are heeded.
///
/// # Errors
/// When a worker cannot be set up, or fails.
pub fn run(
    settings: Settings,
    listeners: Vec<std::net::TcpListener>,
    admin: std::net::TcpListener,
    ready: impl FnOnce() -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let shared = Arc::new(Shared::new(Arc::new(settings)));
    let (stop, stopped) = watch::channel(false);
    let mut workers = Vec::new();
    // All of them before any thread, so that what is wrong with the settings stops the start.
    let gateways: Vec<_> =
        listeners.iter().map(|_| Gateway::new(Arc::clone(&shared))).collect::<Result<_, _>>()?;
    for (number, (listener, gateway)) in listeners.into_iter().zip(gateways).enumerate() {
        let (shared, stopped) = (Arc::clone(&shared), stopped.clone());
        let worker = std::thread::Builder::new().name(format!("worker-{number}"));
        workers.push(worker.spawn(move || work(shared, gateway, listener, stopped))?);
    }
    // The rim: signals and operators, apart from the workers.
    let rim = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    rim.block_on(async {
        let operators = tokio::spawn(admin::serve(Arc::clone(&shared), TcpListener::from_std(admin)?));
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        ready()?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        operators.abort();
        std::io::Result::Ok(())
    })?;
    tracing::info!("stopping: no new requests; running ones are drained");
    shared.draining.store(true, Ordering::Relaxed);
    stop.send_replace(true);
    for worker in workers {
        worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
    }
    Ok(())
}

/// Serves until `stop` says so, then lets running requests go on for as long as the drain limit allows.
///
/// Blocks the calling thread, which is to be a worker's own.
///
/// # Errors
/// When the runtime or the listener cannot be set up.
pub fn work(
    shared: Arc<Shared>,
    gateway: Gateway,
    listener: std::net::TcpListener,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(serve(shared, gateway, listener, stop))
}

async fn serve(
    shared: Arc<Shared>,
    gateway: Gateway,
    listener: std::net::TcpListener,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let limits = shared.settings.limits;
    let listener = TcpListener::from_std(listener)?;
    let gateway = Arc::new(gateway);
    let connections = GracefulShutdown::new();
    let most = limits.connections.div_ceil(shared.settings.workers);
    let builder = builder(&limits);
    let mut sweep = tokio::time::interval(SWEEP);
    let mut flush = tokio::time::interval(FLUSH);
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_REST).await;
                    continue;
                }
            },
            _ = sweep.tick() => {
                gateway.sweep();
                continue;
            }
            _ = flush.tick() => {
                access::flush();
                continue;
            }
            _ = stop.wait_for(|stop| *stop) => break,
        };
        if connections.count() >= most || socket.set_nodelay(true).is_err() {
            continue;
        }
        let gateway = Arc::clone(&gateway);
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let gateway = Arc::clone(&gateway);
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(answer(&gateway, &shared, request).await) }
        });
        let connection = builder.serve_connection(TokioIo::new(socket), service).into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a client's connection ended");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain, connections.shutdown()).await.is_err() {
        tracing::warn!("requests still ran after the drain limit and were cut");
    }
    access::flush();
    Ok(())
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    // Room beyond the limit, so that a head over it can still be answered in the caller's dialect.
    let room = limits.headers.max(16 << 10).saturating_mul(4);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_buf_size(room)
        .pipeline_flush(true);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(u32::try_from(room).unwrap_or(u32::MAX));
    builder
}

async fn answer(gateway: &Gateway, shared: &Shared, request: Request<Incoming>) -> Response<Body> {
    match request.uri().path() {
        "/healthz" => json(StatusCode::OK, r#"{"status":"alive"}"#),
        "/readyz" if shared.draining.load(Ordering::Relaxed) => {
            json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining"}"#)
        }
        "/readyz" => json(StatusCode::OK, r#"{"status":"serving"}"#),
        "/" if request.method() == Method::HEAD || request.method() == Method::GET => {
            json(StatusCode::OK, r#"{"name":"busbar"}"#)
        }
        _ => gateway.handle(request).await,
    }
}
