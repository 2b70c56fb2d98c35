//! The `busbar` command.

use std::io::{Read as _, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use busbar::Protocol;
use busbar::config::{self, Environment, Settings};
use busbar::demo;
use busbar::dialect;
use busbar::gateway::{FIDELITY_HEADER, Gateway, Shared};
use busbar::server;
use busbar::simulator::{self, Simulator};
use bytes::Bytes;
use clap::{Parser, Subcommand};

/// A request makes many small allocations that live as long as it does; this one is also the same on every libc.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Stands for the simulator, which an explanation does not call.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8090);
/// Most model names in the start-up text.
const MAX_SHOWN: usize = 20;

/// A self-hosted LLM gateway: six wire protocols in, six out, nothing lost in silence.
#[derive(Debug, Parser)]
#[command(name = "busbar", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Configuration file; else BUSBAR_CONFIG, ./busbar.yaml or ./config.yaml.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Serve; what happens without a command as well.
    Serve,
    /// Validate the configuration without serving.
    Check,
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Print what is known of the configured models.
    Catalog,
    /// Explain what would become of a client's request, read from standard input; no provider is called.
    Explain {
        /// The protocol that the client speaks: `openai_chat`, `anthropic`, ...
        #[arg(long = "as", value_name = "PROTOCOL", value_parser = protocol)]
        client: Protocol,
        /// The model that the client names, where the body does not.
        #[arg(long, value_name = "NAME")]
        model: Option<String>,
        /// The client asks for a stream.
        #[arg(long)]
        stream: bool,
        /// How much may be lost: strict, report or allow, as in the header `busbar-fidelity`.
        #[arg(long, value_name = "POLICY")]
        fidelity: Option<String>,
    },
    /// Serve the strict simulator of the six providers alone, until a signal ends it.
    Simulator {
        /// Where it listens.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
        listen: SocketAddr,
        /// File of lanes that fail, in TOML.
        #[arg(long, value_name = "FILE")]
        script: Option<PathBuf>,
        /// One more such lane: NAME=FAULT,FAULT,then=FAULT.
        #[arg(long = "lane", value_name = "LANE")]
        lanes: Vec<String>,
        /// How long a silent lane holds its connection, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=3600))]
        silence: u64,
    },
    /// Show failover: a pool of simulated providers that fail on a script, and a client of it. No key is needed.
    Demo {
        /// How many requests the client makes.
        #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=i64::from(demo::MAX_REQUESTS)))]
        requests: u32,
        /// How long it rests between two, in milliseconds.
        #[arg(long, value_name = "MS", default_value_t = 400, value_parser = clap::value_parser!(u64).range(..=60_000))]
        pause: u64,
        /// Faults of alpha, beta or gamma in place of its own: NAME=FAULT,FAULT,then=FAULT.
        #[arg(long = "lane", value_name = "LANE")]
        lanes: Vec<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when standard error is closed.
            let _ = writeln!(std::io::stderr(), "busbar: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let environment: Environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let file = config::find(arguments.config.as_deref(), &environment);
    match &arguments.command {
        Some(Command::Schema) => {
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&config::schema())?)?;
        }
        Some(Command::Check) => {
            let settings = config::load(file.as_deref(), &environment)?;
            let named =
                file.map_or_else(|| "no configuration file".to_owned(), |file| file.display().to_string());
            writeln!(
                std::io::stdout(),
                "{named}: {} providers, {} models, {} pools",
                settings.providers.len(),
                settings.lanes.len(),
                settings.pools.len()
            )?;
        }
        Some(Command::Catalog) => {
            let settings = config::load(file.as_deref(), &environment)?;
            write!(std::io::stdout(), "{}", config::known::text(&settings))?;
        }
        Some(Command::Simulator { listen, script, lanes, silence }) => {
            let silent = Duration::from_secs(*silence);
            let script = read_script(script.as_deref(), lanes)?;
            simulate(*listen, simulator::Options { silent, script, ..simulator::Options::default() })?;
        }
        Some(Command::Demo { requests, pause, lanes }) => {
            let run =
                demo::Run { requests: *requests, pause: Duration::from_millis(*pause), lanes: lanes.clone() };
            demo::run(&run, &mut std::io::stdout())?;
        }
        Some(Command::Explain { client, model, stream, fidelity }) => {
            let mut settings = config::load(file.as_deref(), &environment)?;
            if settings.providers.is_empty() {
                config::with_simulator(&mut settings, NOWHERE);
            }
            let mut body = Vec::new();
            let most = settings.limits.body as u64;
            std::io::stdin().lock().take(most).read_to_end(&mut body)?;
            let (parts, body) = question(*client, model.as_deref(), *stream, fidelity.as_deref(), body)?;
            let gateway = Gateway::new(Arc::new(Shared::new(Arc::new(settings))))?;
            let explained = gateway.explain(&parts, &body);
            writeln!(std::io::stdout(), "{explained:#}")?;
            anyhow::ensure!(!explained["chosen"].is_null(), "no model would serve the request");
        }
        Some(Command::Serve) | None => serve(file.as_deref(), &environment)?,
    }
    Ok(())
}

fn protocol(name: &str) -> Result<Protocol, String> {
    Protocol::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| {
        let known: Vec<_> = Protocol::ALL.into_iter().map(Protocol::name).collect();
        format!("it is one of {}", known.join(", "))
    })
}

/// A request as a client of the protocol would send it.
fn question(
    client: Protocol,
    model: Option<&str>,
    stream: bool,
    fidelity: Option<&str>,
    body: Vec<u8>,
) -> anyhow::Result<(http::request::Parts, Bytes)> {
    let mut body = Bytes::from(body);
    let in_body = dialect::model_in_body(client);
    if in_body && (model.is_some() || stream) {
        let mut said: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&body).context("the body on standard input must be a JSON object")?;
        said.extend(model.map(|model| ("model".to_owned(), model.into())));
        said.extend(stream.then(|| ("stream".to_owned(), true.into())));
        body = serde_json::to_vec(&said)?.into();
    }
    anyhow::ensure!(in_body || model.is_some(), "a request of {client} names no model: --model is missing");
    let operation =
        if stream && !in_body { dialect::Operation::GenerateStream } else { dialect::Operation::Generate };
    let path = dialect::upstream_path(client, operation, model.unwrap_or_default(), "v1beta");
    let request = http::Request::post(path.as_ref());
    let request = match fidelity {
        Some(policy) => request.header(FIDELITY_HEADER, policy),
        None => request,
    };
    Ok((request.body(())?.into_parts().0, body))
}

/// Reads the lanes of a script, first those of the file.
fn read_script(file: Option<&Path>, lanes: &[String]) -> anyhow::Result<simulator::Script> {
    let mut script = simulator::Script::default();
    if let Some(file) = file {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        script.read(&text).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    }
    for lane in lanes {
        script.read_lane(lane).map_err(|error| anyhow::anyhow!("--lane: {error}"))?;
    }
    Ok(script)
}

fn simulate(listen: SocketAddr, options: simulator::Options) -> anyhow::Result<()> {
    let ready = |address: SocketAddr| {
        // Who closed standard output does not want to know.
        let _ = writeln!(std::io::stdout(), "busbar simulator listens on http://{address}");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(simulator::run(listen, options, ready, std::future::pending()));
    served.with_context(|| format!("cannot listen on {listen}"))
}

fn serve(file: Option<&Path>, environment: &Environment) -> anyhow::Result<()> {
    let mut settings = config::load(file, environment)?;
    busbar::observe::init(settings.log);
    // Held until the end: dropping it stops the simulator.
    let simulator = if settings.providers.is_empty() {
        Some(Simulator::start(simulator::Options::default()).context("the simulator cannot start")?)
    } else {
        None
    };
    let simulated = simulator.as_ref().map(Simulator::address);
    if let Some(address) = simulated {
        config::with_simulator(&mut settings, address);
    }
    let (named, environment) = (file.map(Path::to_owned), environment.clone());
    let load = move || {
        let mut settings = config::load(named.as_deref(), &environment)?;
        match simulated {
            Some(address) if settings.providers.is_empty() => config::with_simulator(&mut settings, address),
            _ => anyhow::ensure!(!settings.providers.is_empty(), "there is no provider any more"),
        }
        Ok(settings)
    };
    let source = server::Source { load: Box::new(load), file: file.map(Path::to_owned) };
    let (address, listeners) =
        server::listen(settings.listen, settings.workers, settings.limits.client_stall)?;
    let (admin_address, mut admin) = server::listen(settings.admin_listen, 1, settings.limits.client_stall)?;
    let admin = admin.pop().context("no listener for operators")?;
    let text = start_text(address, admin_address, &settings);
    // Said once signals are heeded, so that whoever waits for it may stop the gateway at once.
    server::run(settings, source, listeners, admin, || std::io::stdout().lock().write_all(text.as_bytes()))?;
    drop(simulator);
    Ok(())
}

/// What a start says: where, what, and a command to try.
fn start_text(address: SocketAddr, admin: SocketAddr, settings: &Settings) -> String {
    let simulated = settings.providers.iter().any(|provider| provider.name == config::SIMULATOR);
    let note = if simulated { "No provider's key is set, so the built-in simulator answers. " } else { "" };
    format!(
        "busbar {} listens on http://{address}\noperators: http://{admin}/metrics\nmodels: {}\n\n{note}Try it:\n\n{}\n\n",
        env!("CARGO_PKG_VERSION"),
        models(settings),
        example(address, settings)
    )
}

/// What clients may name as `model`.
fn models(settings: &Settings) -> String {
    let names = settings.pools.iter().map(|pool| pool.name.clone());
    let names =
        names.chain(settings.lanes.iter().filter(|lane| lane.key.is_none()).map(|lane| lane.name.clone()));
    let names: Vec<_> =
        names.chain(settings.providers.iter().map(|provider| format!("{}/<model>", provider.name))).collect();
    let shown = names.len().min(MAX_SHOWN);
    let more = if shown < names.len() { ", ..." } else { "" };
    names[..shown].join(", ") + more
}

/// A command to paste that gets an answer.
fn example(address: SocketAddr, settings: &Settings) -> String {
    let named =
        settings.pools.first().map(|pool| &pool.name).or(settings.lanes.first().map(|lane| &lane.name));
    let model = match (named, settings.providers.first()) {
        (Some(name), _) => name.clone(),
        (None, Some(provider)) if provider.name == config::SIMULATOR => format!("{}/hello", provider.name),
        (None, Some(provider)) => format!("{}/MODEL", provider.name),
        (None, None) => "MODEL".to_owned(),
    };
    let reachable = if address.ip().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))
    } else {
        address
    };
    format!(
        r#"curl -s http://{reachable}/v1/chat/completions -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'"#
    )
}
