//! A strict simulator of the six providers, on one loopback listener.
//!
//! It refuses what the real providers refuse and answers scripted scenarios in their native forms,
//! buffered and streamed. It is what a newcomer without a key talks to, the peer in tests, and the
//! upstream of the conformance runner; so it shares no code with the codecs it judges.
//!
//! A scenario is chosen by the model's name (`sim-tools`) or by a marker in the user's last text
//! (`[[sim:tools]]`), which outranks it; any other model answers with a plain report of what was
//! seen. The names: `text`, `echo`, `tools`, `think`, `think-tools`, `redacted`, `interleaved`,
//! `json`, `refusal`, `blocked`, `filter`, `length`, `window`, `length-tools`, `broken-call`, `stop`, `empty`,
//! `usage`, `slow`, `slow-<ms>`, `unicode`, `citations`, `cut`, `error-mid`, `error-early`, `failed`,
//! `silent`, `garbage`, `error-<status>`, `error-<status>-overflow`, `error-<status>-quota`. Any other
//! `sim-` name is an unknown model. `GET /__sim/requests` gives the last requests, without credentials.
//!
//! A [`Script`] puts faults into the answers of the models that it names, request by request (`fault` has
//! the words for them): the request is judged as always, what the scenario answers is then delayed, cut,
//! replaced or broken. `GET /__sim/lanes` counts the requests of each scripted model and what they got.
//!
//! Where the rules come from. Known fields, types and enumerations: the request models of the
//! providers' own SDK packages. Ranges, name patterns, pairing of calls and results, rules around
//! thinking, counts of stop sequences and cache marks, and the words of the errors: what the APIs
//! document and are seen to answer. Two leniences: any model name is served, and
//! `openai_chat` takes `reasoning_content` back, as compatible servers do.

mod answer;
mod anthropic;
mod bedrock;
mod cohere;
mod count;
mod fault;
mod faulty;
mod frames;
mod gemini;
mod lanes;
mod openai_chat;
mod openai_responses;
mod play;
mod raw;
mod refusal;
mod route;
mod scenario;
mod serve;
mod sign;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use lanes::Script;

/// The protocol that a path speaks; its own type, since nothing is shared with what is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    OpenaiChat,
    OpenaiResponses,
    Anthropic,
    Gemini,
    Bedrock,
    Cohere,
}

/// What can be set about a simulator.
#[derive(Clone, Debug)]
pub struct Options {
    /// The pause between tokens of the `slow` scenario.
    pub slow: Duration,
    /// How long the `silent` scenario holds a connection before it breaks it.
    pub silent: Duration,
    /// Lanes whose answers have faults.
    pub script: Script,
}

impl Default for Options {
    fn default() -> Self {
        Self { slow: Duration::from_millis(50), silent: Duration::from_secs(30), script: Script::default() }
    }
}

/// Serves on a listener until `shutdown` is done; open connections are then dropped.
pub async fn serve(listener: TcpListener, options: Options, shutdown: impl Future<Output = ()>) {
    serve::accept(listener, options, shutdown).await;
}

/// Listens at an address, tells the real one to `ready`, and serves until `shutdown` is done.
///
/// # Errors
/// When the address cannot be listened at.
pub async fn run(
    listen: SocketAddr,
    options: Options,
    ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    ready(listener.local_addr()?);
    serve(listener, options, shutdown).await;
    Ok(())
}

/// A simulator on a thread of its own at a free loopback port; dropping it ends it.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Simulator {
    /// Starts a simulator; it is ready to be called when this returns.
    ///
    /// # Errors
    /// When no loopback port or no thread can be had.
    pub fn start(options: Options) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("simulator".to_owned()).spawn(move || {
            let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match built {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error))),
            };
            runtime.block_on(async move {
                let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
                match bound.and_then(|listener| Ok((listener.local_addr()?, listener))) {
                    Ok((address, listener)) => {
                        drop(tell.send(Ok(address)));
                        // A dropped sender ends it as well as a message does.
                        serve(listener, options, async move { drop(stopped.await) }).await;
                    }
                    Err(error) => drop(tell.send(Err(error))),
                }
            });
        })?;
        let address = told.recv().map_err(|_| io::Error::other("the simulator's thread ended at once"))??;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been told on standard error already.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests;
