//! Failover to look at: a pool whose providers fail on a script, and a client that is served all the same.
//!
//! Everything is real but the providers: the gateway with a configuration of its own, over loopback, and in
//! front of it a client that asks now whole, now streamed, and checks that each answer is complete.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::config::{self, Environment};
use crate::server;
use crate::simulator::{Options, Script, Simulator};

/// The providers, best first: name, protocol, what its base URL has after the address, and what it does in turn.
const LANES: [(&str, &str, &str, &str); 3] = [
    (
        "alpha",
        "openai_chat",
        "/v1",
        "2*ok,status:500,ok,cut:body,end:start,ok,silence:body,ok,error:start:503,2*status:503,ok,\
         status:429:retry-after=2",
    ),
    ("beta", "anthropic", "", "3*ok,error:start:529,ok,cut:start,ok,html"),
    ("gamma", "gemini", "", "ok"),
];

/// Where the configuration finds the key; the simulator takes any.
const KEY: &str = "DEMO_KEY";

/// Most requests of a run.
pub const MAX_REQUESTS: u32 = 10_000;

/// How long a start may take, and an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Largest answer that the client takes.
const MAX_ANSWER: u64 = 1 << 20;

/// Width of a provider's column; what it did is cut to it.
const COLUMN: usize = 16;

/// What can be set about a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// How many requests the client makes, at most [`MAX_REQUESTS`].
    pub requests: u32,
    /// How long it rests between two.
    pub pause: Duration,
    /// Faults of lanes in place of the demonstration's own, as `NAME=FAULT,FAULT`.
    pub lanes: Vec<String>,
}

/// Runs the demonstration and tells on `out` who served what.
///
/// The gateway is left running on a thread, which ends with the process.
///
/// # Errors
/// When it cannot be set up, or a request got no complete answer.
pub fn run(run: &Run, out: &mut impl Write) -> anyhow::Result<()> {
    let mut script = Script::default();
    // The first lane of a name counts.
    for lane in &run.lanes {
        script.read_lane(lane).map_err(|error| anyhow::anyhow!("--lane: {error}"))?;
    }
    for (name, _, _, faults) in LANES {
        script.read_lane(&format!("{name}={faults}")).map_err(anyhow::Error::msg)?;
    }
    let options = Options { script: script.clone(), ..Options::default() };
    let simulator = Simulator::start(options).context("the simulator cannot start")?;
    let (address, admin) = start(simulator.address())?;
    introduce(address, admin, run, out)?;
    let (mut whole, mut failures) = (0, 0);
    for number in 1..=run.requests.min(MAX_REQUESTS) {
        if number > 1 {
            thread::sleep(run.pause);
        }
        let before = script.counts();
        let begun = Instant::now();
        let answer = ask(address, number % 2 == 0);
        let took = begun.elapsed();
        let mut line = format!("{number:>4}  ");
        let (after, stand) = (script.counts(), get(admin, "/busbar/lanes")?);
        for (name, ..) in LANES {
            let played = played(&before, &after, name);
            failures += played.iter().filter(|fault| *fault != "ok").count();
            let cell = match played.is_empty() {
                true => standing(&stand, name).to_owned(),
                false => played.join(", "),
            };
            line.push_str(&format!("{cell:<COLUMN$.COLUMN$}  "));
        }
        match answer {
            Ok(answer) => {
                whole += 1;
                line.push_str(&format!("{answer}, {} ms", took.as_millis()));
            }
            Err(error) => line.push_str(&format!("FAILED: {error:#}")),
        }
        writeln!(out, "{}", line.trim_end())?;
        out.flush()?;
    }
    let asked = run.requests.min(MAX_REQUESTS);
    writeln!(out, "\n{asked} requests, {whole} complete answers; the providers failed {failures} times.")?;
    ensure!(whole == asked, "{} requests got no complete answer", asked - whole);
    Ok(())
}

/// Starts the gateway in front of the simulator; where clients and operators call.
fn start(simulator: SocketAddr) -> anyhow::Result<(SocketAddr, SocketAddr)> {
    let text = configuration(simulator);
    let catalog = busbar_catalog::Catalog::embedded()?;
    let settings = config::resolve(
        config::parse(&text, "(the demonstration's configuration)")?,
        "(the demonstration's configuration)",
        &catalog,
        &Environment::from_iter([(KEY.to_owned(), "any will do".to_owned())]),
    )?;
    let stall = settings.limits.client_stall;
    let (address, listeners) = server::listen(settings.listen, settings.workers, stall)?;
    let (admin_address, mut admin) = server::listen(settings.admin_listen, 1, stall)?;
    let admin = admin.pop().context("no listener for operators")?;
    let kept = settings.clone();
    let source = server::Source { load: Box::new(move || Ok(kept.clone())), file: None };
    let (tell, told) = mpsc::sync_channel(1);
    let ready = tell.clone();
    thread::Builder::new().name("gateway".to_owned()).spawn(move || {
        let ready = || ready.send(Ok(())).map_err(io::Error::other);
        if let Err(error) = server::run(settings, source, listeners, admin, ready) {
            // Who waits for the start hears it; later there is nobody.
            let _ = tell.try_send(Err(error));
        }
    })?;
    told.recv_timeout(PATIENCE).context("the gateway did not start")??;
    Ok((address, admin_address))
}

fn configuration(simulator: SocketAddr) -> String {
    let mut text = String::from(
        "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\nworkers: 1\nlog: { access: false }\n\
         breaker: { consecutive: 2, cooldown: 1s, ramp: 1s }\nproviders:\n",
    );
    for (name, protocol, base, _) in LANES {
        text.push_str(&format!(
            "  {name}: {{ protocol: {protocol}, base_url: \"http://{simulator}{base}\", api_key_env: {KEY} }}\n"
        ));
    }
    text.push_str("models:\n");
    for (name, ..) in LANES {
        text.push_str(&format!("  {name}: {{ provider: {name} }}\n"));
    }
    text.push_str(
        "pools:\n  demo:\n    timeouts: { first_byte: 600ms, first_content: 600ms }\n    members:\n",
    );
    for (tier, (name, ..)) in LANES.iter().enumerate() {
        text.push_str(&format!("      - {{ model: {name}, tier: {tier} }}\n"));
    }
    text
}

fn introduce(address: SocketAddr, admin: SocketAddr, run: &Run, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "A pool of three simulated providers that fail on a script; no key is needed and nothing leaves this machine."
    )?;
    for (order, (name, protocol, ..)) in ["asked first", "when it fails", "last"].iter().zip(LANES) {
        writeln!(out, "  {name:<6} speaks {protocol:<12} {order}")?;
    }
    writeln!(
        out,
        "The client speaks openai_chat and asks for the pool `demo` every {} ms, whole and streamed in turn.\n\
         Under each provider: what it did; (open) and (cooling): left alone by its breaker; -: not needed.\n\
         gateway: http://{address}   operators: http://{admin}/busbar/lanes\n",
        run.pause.as_millis()
    )?;
    let mut head = "   #  ".to_owned();
    for (name, ..) in LANES {
        head.push_str(&format!("{name:<COLUMN$}  "));
    }
    writeln!(out, "{head}the client got")
}

/// What a lane played between two counts.
fn played(before: &Value, after: &Value, lane: &str) -> Vec<String> {
    let Some(counts) = after["lanes"][lane]["played"].as_object() else { return Vec::new() };
    let mut played = Vec::new();
    for (fault, count) in counts {
        let earlier = before["lanes"][lane]["played"][fault].as_u64().unwrap_or(0);
        let times = count.as_u64().unwrap_or(0).saturating_sub(earlier);
        played.extend((0..times).map(|_| fault.clone()));
    }
    played
}

/// Why a lane was not asked.
fn standing(stand: &Value, lane: &str) -> &'static str {
    let lanes = stand["lanes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let state = lanes.iter().find(|one| one["lane"] == lane).and_then(|one| one["state"].as_str());
    match state {
        Some("open") => "(open)",
        Some("cooling") => "(cooling)",
        Some("half_open") => "(half open)",
        _ => "-",
    }
}

/// Asks for the pool, checks that the answer is complete, and says who served it.
fn ask(address: SocketAddr, stream: bool) -> anyhow::Result<String> {
    let body = format!(
        r#"{{"model":"demo","stream":{stream},"messages":[{{"role":"user","content":"Are you there?"}}]}}"#
    );
    let (head, body) = exchange(
        address,
        &format!(
            "POST /v1/chat/completions HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    )?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        let error: Value = serde_json::from_str(&body).unwrap_or_default();
        bail!("{status}: {}", error["error"]["message"].as_str().unwrap_or("no reason was told"));
    }
    let complete = match stream {
        true => body.contains("\"finish_reason\":\"stop\"") && body.trim_end().ends_with("data: [DONE]"),
        false => serde_json::from_str::<Value>(&body)
            .is_ok_and(|body| body["choices"][0]["finish_reason"] == "stop"),
    };
    ensure!(complete, "an answer of status 200 that is not complete");
    let lane = head
        .lines()
        .find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("x-busbar-lane")));
    let lane = lane.map_or("?", |(_, lane)| lane.trim());
    Ok(format!("{} answer from {lane}", if stream { "streamed" } else { "whole" }))
}

fn get(address: SocketAddr, path: &str) -> anyhow::Result<Value> {
    let (_, body) = exchange(address, &format!("GET {path} HTTP/1.0\r\n\r\n"))?;
    serde_json::from_str(&body).with_context(|| format!("{path} is not JSON"))
}

/// Sends a request of HTTP/1.0, whose answer ends with its connection; head and body of that.
fn exchange(address: SocketAddr, request: &str) -> anyhow::Result<(String, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    let answer = String::from_utf8(answer).context("the answer is not text")?;
    let (head, body) =
        answer.split_once("\r\n\r\n").context("the connection was closed without an answer")?;
    Ok((head.to_owned(), body.to_owned()))
}
