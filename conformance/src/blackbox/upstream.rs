//! The simulator as a process-wide upstream, and what it remembers.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result};
use busbar::simulator::Options;
use serde_json::Value;

use super::http::Server;

/// A simulator on a thread of its own; dropping it ends it.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Serves the strict simulator at an address.
///
/// # Errors
/// When the address cannot be listened at.
pub fn serve(listen: SocketAddr) -> Result<Upstream> {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (tell, told) = mpsc::sync_channel(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = thread::Builder::new().name("upstream".to_owned()).spawn(move || {
        let ready = tell.clone();
        let served = runtime.block_on(busbar::simulator::run(
            listen,
            Options::default(),
            // A receiver that is gone does not want to know.
            |address| drop(ready.send(Ok(address))),
            async move { drop(stopped.await) },
        ));
        if let Err(error) = served {
            drop(tell.send(Err(error)));
        }
    })?;
    let address = told.recv().context("the simulator's thread ended at once")?.context(listen)?;
    Ok(Upstream { address, stop: Some(stop), thread: Some(thread) })
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been told on standard error already.
            drop(thread.join());
        }
    }
}

/// Path and body of the last request that the simulator got with this word in it.
pub(super) fn received(simulator: &Server, nonce: &str) -> Result<Option<(String, String)>> {
    let answer = simulator.call("/__sim/requests", &[], None)?;
    let value: Value = serde_json::from_slice(&answer.body)?;
    let requests = value["requests"].as_array().into_iter().flatten().rev();
    let said =
        |request: &Value| Some((request["path"].as_str()?.to_owned(), request["body"].as_str()?.to_owned()));
    Ok(requests.filter_map(said).find(|(_, body)| body.contains(nonce)))
}
