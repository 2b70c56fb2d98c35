//! Listens and serves: one thread for each worker, each with its own listener, runtime and connections.

mod reload;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use self::reload::Reload;
pub use self::reload::Source;
use crate::admin::{self, Wish};
use crate::config::{Limits, Settings};
use crate::gateway::{Body, Gateway, Shared, json};
use crate::observe::{access, metrics};

/// Most wishes of operators that wait.
const MAX_WISHES: usize = 16;
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
/// Other settings from `source` are served with as soon as they are there and valid. `ready` is called once
/// connections are accepted and signals are heeded.
///
/// # Errors
/// When a worker cannot be set up, or fails.
pub fn run(
    settings: Settings,
    source: Source,
    listeners: Vec<std::net::TcpListener>,
    admin: std::net::TcpListener,
    ready: impl FnOnce() -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let shared = Arc::new(Shared::new(Arc::new(settings)));
    let (stop, stopped) = watch::channel(false);
    let mut workers = Vec::new();
    // All of them before any thread, so that what is wrong with the settings stops the start.
    let gateways: Vec<_> = listeners
        .iter()
        .map(|_| Gateway::new(Arc::clone(&shared)).map(|gateway| Arc::new(ArcSwap::from_pointee(gateway))))
        .collect::<Result<_, _>>()?;
    for (number, (listener, gateway)) in listeners.into_iter().zip(&gateways).enumerate() {
        let (gateway, stopped) = (Arc::clone(gateway), stopped.clone());
        let worker = std::thread::Builder::new().name(format!("worker-{number}"));
        workers.push(worker.spawn(move || work(gateway, listener, stopped))?);
    }
    let shared = Arc::new(ArcSwap::new(shared));
    // The rim: signals, files and operators, apart from the workers.
    let rim = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    rim.block_on(async {
        let (wish, mut wishes) = mpsc::channel::<Wish>(MAX_WISHES);
        let operators = admin::serve(Arc::clone(&shared), wish, TcpListener::from_std(admin)?);
        let operators = tokio::spawn(operators);
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut reload = Reload::new(source, Arc::clone(&shared), gateways);
        ready()?;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => drop(reload.reload("a signal")),
                () = reload.changed() => drop(reload.reload("a file")),
                Some(answer) = wishes.recv() => {
                    // An operator who has left does not want to know.
                    let _ = answer.send(reload.reload("an operator"));
                }
            }
        }
        // Readiness is for a balancer to see while running requests end.
        shared.load().drain();
        tracing::info!("stopping: no new requests; running ones are drained");
        stop.send_replace(true);
        let ended = tokio::task::spawn_blocking(move || {
            workers.into_iter().map(|worker| worker.join()).collect::<Vec<_>>()
        });
        let ended = ended.await?;
        operators.abort();
        for worker in ended {
            worker.map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        anyhow::Ok(())
    })
}

/// Serves until `stop` says so, then lets running requests go on for as long as the drain limit allows.
///
/// Blocks the calling thread, which is to be a worker's own.
///
/// # Errors
/// When the runtime or the listener cannot be set up.
pub fn work(
    gateway: Arc<ArcSwap<Gateway>>,
    listener: std::net::TcpListener,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(serve(gateway, listener, stop))
}

async fn serve(
    current: Arc<ArcSwap<Gateway>>,
    listener: std::net::TcpListener,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let connections = GracefulShutdown::new();
    let mut sweep = tokio::time::interval(SWEEP);
    let mut flush = tokio::time::interval(FLUSH);
    let mut tasks = 0;
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
                current.load().sweep();
                continue;
            }
            _ = flush.tick() => {
                access::flush();
                let living = tokio::runtime::Handle::current().metrics().num_alive_tasks();
                let living = i64::try_from(living).unwrap_or(i64::MAX);
                metrics::change_tasks(living - tasks);
                tasks = living;
                continue;
            }
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let gateway = current.load();
        let settings = &gateway.shared().settings;
        let most = settings.limits.connections.div_ceil(settings.workers);
        if connections.count() >= most || socket.set_nodelay(true).is_err() {
            continue;
        }
        let builder = builder(&settings.limits);
        let current = Arc::clone(&current);
        let service = service_fn(move |request| {
            // Each request has the settings of its begin, however long its connection is open.
            let gateway = current.load_full();
            async move { Ok::<_, Infallible>(answer(&gateway, request).await) }
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
    let drain = current.load().shared().settings.limits.drain;
    if tokio::time::timeout(drain, connections.shutdown()).await.is_err() {
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

async fn answer(gateway: &Arc<Gateway>, request: Request<Incoming>) -> Response<Body> {
    match request.uri().path() {
        "/healthz" => json(StatusCode::OK, r#"{"status":"alive"}"#),
        "/readyz" if gateway.shared().is_draining() => {
            json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining"}"#)
        }
        "/readyz" => json(StatusCode::OK, r#"{"status":"serving"}"#),
        "/" if request.method() == Method::HEAD || request.method() == Method::GET => {
            json(StatusCode::OK, r#"{"name":"busbar"}"#)
        }
        _ => gateway.handle(request).await,
    }
}
