//! Judges a gateway by what it sends and answers: feature probes of six clients over six backends.
//!
//! The strict simulator is the backend, and remembers what it got. Of the gateway no more is needed than the name of a
//! model for each backend; what it tells of its losses is read from the `busbar-fidelity` header or from a refusal.

pub mod http;
pub mod probes;
pub mod report;
mod upstream;
mod verdict;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use busbar::Protocol;
use busbar::stream::{Limits, Transcoder};
use busbar::translate::{self, CallState, Carriage, TargetFacts};
use busbar_protocols::prelude::Checked;
use serde::Deserialize;

pub use upstream::{Upstream, serve};
pub use verdict::Verdict;

use crate::accumulate::accumulate;
use crate::suite::facts;
use http::{Answer, Server};
use probes::{Of, PROBES, Probe};
use report::{Cell, Report};

/// What is known of a gateway: a file in TOML.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    /// The model that the gateway sends to the backend of each protocol; backends without one are not judged.
    pub models: BTreeMap<String, String>,
    /// What stands before the path of a client's calls, where the gateway has them elsewhere.
    #[serde(default)]
    pub paths: BTreeMap<String, String>,
    /// The backends that the gateway serves to a client, where those are not all: the others are not judged.
    #[serde(default)]
    pub backends: BTreeMap<String, Vec<String>>,
    /// A key that the gateway wants of its clients.
    #[serde(default)]
    pub key: Option<String>,
}

/// Who is asked.
#[derive(Debug)]
pub enum Gateway {
    /// Any gateway, over HTTP.
    There(Server, Models),
    /// The translation of this workspace, called as a function.
    Here,
}

/// The report of the translation of this workspace, over a simulator of its own.
///
/// # Errors
/// When the simulator cannot be asked.
pub fn of_this_workspace() -> Result<Report> {
    let upstream = serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let simulator = Server::new(&format!("http://{}", upstream.address), PATIENCE)?;
    run(&Gateway::Here, &simulator, Duration::from_secs(600), |_| ())
}

/// Longest time for one call.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks every probe, of every client over every backend, buffered and streamed, until `limit` is over.
///
/// # Errors
/// When the simulator cannot be asked.
pub fn run(
    gateway: &Gateway,
    simulator: &Server,
    limit: Duration,
    progress: impl Fn(&Cell) + Sync,
) -> Result<Report> {
    let until = Instant::now() + limit;
    let progress = &progress;
    // Clients do not wait for each other.
    let clients = std::thread::scope(|scope| {
        let clients = Protocol::ALL
            .map(|client| scope.spawn(move || of_client(gateway, simulator, until, client, progress)));
        clients.map(|client| client.join().unwrap_or_else(|_| bail!("a client broke off")))
    });
    let mut report = Report::default();
    for cells in clients {
        report.cells.extend(cells?);
    }
    Ok(report)
}

fn of_client(
    gateway: &Gateway,
    simulator: &Server,
    until: Instant,
    client: Protocol,
    progress: &(impl Fn(&Cell) + Sync),
) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    let mut count = 0_u64;
    for backend in Protocol::ALL {
        let model = match gateway {
            Gateway::Here => "sim-model".to_owned(),
            Gateway::There(_, models) => match models.models.get(backend.name()) {
                Some(model) => model.clone(),
                None => continue,
            },
        };
        let mut cell = Cell::new(client, backend);
        if let Gateway::There(_, models) = gateway
            && models
                .backends
                .get(client.name())
                .is_some_and(|served| !served.iter().any(|one| one == backend.name()))
        {
            cells.push(cell);
            continue;
        }
        'probes: for probe in PROBES {
            for stream in [false, true] {
                if Instant::now() > until {
                    bail!("not done in time");
                }
                count += 1;
                let nonce = format!("probe-{client}-{count:04}z");
                let call = Call { client, backend, probe, stream, model: &model, nonce: &nonce };
                if let Some((verdict, why)) = call.judged(gateway, simulator)? {
                    cell.add(probe.name, stream, verdict, why);
                }
                if cell.is_unserved() {
                    break 'probes;
                }
            }
        }
        progress(&cell);
        cells.push(cell);
    }
    Ok(cells)
}

/// One call of one probe.
struct Call<'c> {
    client: Protocol,
    backend: Protocol,
    probe: &'c Probe,
    stream: bool,
    model: &'c str,
    nonce: &'c str,
}

/// What came of a call.
struct Outcome {
    /// Status at the client.
    status: u16,
    /// What the gateway tells of its losses.
    told: String,
    /// What the client got.
    body: Vec<u8>,
    /// What the backend got, if it was called.
    sent: Option<String>,
}

impl Call<'_> {
    /// The verdict; nothing where client or backend has no form for the feature.
    fn judged(&self, gateway: &Gateway, simulator: &Server) -> Result<Option<(Verdict, String)>> {
        let Some(body) = probes::body(self.client, self.probe, self.model, self.nonce, self.stream) else {
            return Ok(None);
        };
        let mut wants = probes::wants(self.client, self.probe);
        if self.probe.of == Of::Answer {
            // What the backend itself does not say is nothing to lose.
            let Some(said) = self.straight(simulator)? else { return Ok(None) };
            let own = probes::wants(self.backend, self.probe);
            let mut kept = Vec::new();
            for (want, own) in wants.into_iter().zip(own) {
                if verdict::judge(self.backend, self.backend, &[own], &said, "").0 == Verdict::Kept {
                    kept.push(want);
                }
            }
            wants = kept;
            if wants.is_empty() {
                return Ok(None);
            }
        }
        let outcome = match gateway {
            Gateway::Here => self.here(simulator, &body.to_string()),
            Gateway::There(server, models) => self.there(server, models, simulator, &body.to_string()),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return Ok(Some((Verdict::Wrong, format!("{error:#}")))),
        };
        Ok(Some(self.verdict(&outcome, &wants)))
    }

    fn verdict(&self, outcome: &Outcome, wants: &[probes::Want]) -> (Verdict, String) {
        let shown = || String::from_utf8_lossy(&outcome.body[..outcome.body.len().min(300)]).into_owned();
        if outcome.status >= 400 {
            let why = format!("status {}: {}", outcome.status, shown());
            // Refused before a backend is called, in words, is told; what the backend refuses was sent wrong.
            let refused = outcome.sent.is_none() && matches!(outcome.status, 400 | 422);
            return (if refused { Verdict::Reported } else { Verdict::Wrong }, why);
        }
        let document = match self.probe.of {
            Of::Request => match &outcome.sent {
                Some(sent) => sent.clone(),
                None => return (Verdict::Wrong, "the backend was not called".to_owned()),
            },
            Of::Answer if self.stream => match accumulate(self.client, &outcome.body) {
                Ok(answer) => answer.to_string(),
                Err(error) => return (Verdict::Wrong, format!("the stream is broken: {error}")),
            },
            Of::Answer => String::from_utf8_lossy(&outcome.body).into_owned(),
        };
        verdict::judge(self.client, self.backend, wants, &document, &outcome.told)
    }

    /// What the backend says to the same probe without a gateway.
    fn straight(&self, simulator: &Server) -> Result<Option<String>> {
        let own = probes::body(self.backend, self.probe, "sim-model", self.nonce, self.stream);
        let Some(own) = own else { return Ok(None) };
        let answer = ask(simulator, self.backend, "sim-model", self.stream, &own.to_string())?;
        if self.stream && answer.status < 400 {
            let whole = accumulate(self.backend, &answer.body);
            return whole
                .map(|whole| Some(whole.to_string()))
                .map_err(|error| anyhow::anyhow!("the simulator: {error}"));
        }
        Ok(Some(String::from_utf8_lossy(&answer.body).into_owned()))
    }

    fn there(&self, server: &Server, models: &Models, simulator: &Server, body: &str) -> Result<Outcome> {
        let before = models.paths.get(self.client.name()).cloned().unwrap_or_default();
        let path = format!("{before}{}", probes::path(self.client, self.model, self.stream));
        let key = models.key.as_deref().unwrap_or("sk-probe");
        let bearer = format!("Bearer {key}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("x-api-key", key),
            ("x-goog-api-key", key),
            ("anthropic-version", "2023-06-01"),
        ];
        let answer = server.call(&path, &headers, Some(body))?;
        let told = answer.header("busbar-fidelity").to_owned();
        let sent = match upstream::received(simulator, self.nonce)? {
            Some((path, _)) if probes::wire(&path) != Some(self.backend) => {
                bail!("the backend is called at {path}");
            }
            received => received.map(|(_, body)| body),
        };
        Ok(Outcome { status: answer.status, told, body: answer.body, sent })
    }

    fn here(&self, simulator: &Server, body: &str) -> Result<Outcome> {
        let Self { client, backend, stream, .. } = *self;
        if client == backend {
            let body = body.replace(&format!("\"model\":\"{}\"", self.model), "\"model\":\"sim-model\"");
            let answer = ask(simulator, backend, "sim-model", stream, &body)?;
            return Ok(Outcome {
                status: answer.status,
                told: String::new(),
                body: answer.body,
                sent: Some(body),
            });
        }
        let facts = TargetFacts { upstream_model: "sim-model", ..facts() };
        let carriage = Carriage::default();
        let document = Checked::new(body.as_bytes())?;
        let out = match translate::request(client, backend, document, &facts, &carriage) {
            Ok(out) => out,
            Err(refusal) => {
                let body = refusal.to_string().into_bytes();
                return Ok(Outcome { status: 400, told: String::new(), body, sent: None });
            }
        };
        let sent = with_stream(backend, String::from_utf8(out.body)?, stream)?;
        let answer = ask(simulator, backend, "sim-model", stream, &sent)?;
        let mut told = out.ledger.summary(MAX_TOLD);
        if answer.status >= 400 {
            return Ok(Outcome { status: answer.status, told, body: answer.body, sent: Some(sent) });
        }
        let state = CallState { stream, include_usage: true, model: self.model.to_owned(), ..out.state };
        let (body, ledger) = if stream {
            let limits = Limits::default();
            let mut transcoder =
                Transcoder::new(state, limits, carriage).map_err(|fault| anyhow::anyhow!("{fault:?}"))?;
            let mut out = Vec::new();
            transcoder.push(&answer.body, &mut out).map_err(|fault| anyhow::anyhow!("{fault:?}"))?;
            transcoder.finish(&mut out).map_err(|fault| anyhow::anyhow!("{fault:?}"))?;
            let ledger = transcoder.ledger().clone();
            (out, ledger)
        } else {
            translate::response(&answer.body, &state, &carriage)
                .map_err(|error| anyhow::anyhow!("{error}"))?
        };
        told = format!("{told}; {}", ledger.summary(MAX_TOLD));
        Ok(Outcome { status: 200, told, body, sent: Some(sent) })
    }
}

/// Bytes of a report that are read.
const MAX_TOLD: usize = 4096;

/// Asks the simulator as a gateway does.
fn ask(simulator: &Server, backend: Protocol, model: &str, stream: bool, body: &str) -> Result<Answer> {
    let key = [
        ("authorization", "Bearer k"),
        ("x-api-key", "k"),
        ("x-goog-api-key", "k"),
        ("anthropic-version", "2023-06-01"),
    ];
    simulator.call(&probes::path(backend, model, stream), &key, Some(body))
}

/// The body asks for a stream as the call does, where the body says so at all.
fn with_stream(backend: Protocol, body: String, stream: bool) -> Result<String> {
    if !stream || matches!(backend, Protocol::Gemini | Protocol::Bedrock) {
        return Ok(body);
    }
    let mut value: serde_json::Value = serde_json::from_str(&body)?;
    value["stream"] = true.into();
    if backend == Protocol::OpenaiChat {
        value["stream_options"] = serde_json::json!({"include_usage": true});
    }
    Ok(value.to_string())
}
