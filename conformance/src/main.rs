//! `busbar-conformance`: judges what the gateway makes of requests, answers and streams.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use busbar_conformance::blackbox::http::Server;
use busbar_conformance::blackbox::{self, Gateway, PATIENCE, Verdict};
use busbar_conformance::exceptions::Exceptions;
use busbar_conformance::report::Report;
use busbar_conformance::{checks, data, fidelity, leaves};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the suites and the schema-driven checks, and fails when one of them does; or judges any gateway.
    Run {
        /// Judges the gateway at this URL as a black box: the strict simulator is served as its upstream.
        #[arg(long, requires = "upstream", requires = "models")]
        gateway: Option<String>,
        /// Where the gateway looks for its providers: the simulator is served here.
        #[arg(long)]
        upstream: Option<SocketAddr>,
        /// The model for each backend, as TOML.
        #[arg(long)]
        models: Option<PathBuf>,
        /// Seconds after which a run against a gateway gives up.
        #[arg(long, default_value_t = 900)]
        limit: u64,
        /// Writes tables and reasons of a gateway to this file, as Markdown.
        #[arg(long)]
        markdown: Option<PathBuf>,
        /// This suite alone, and no schema-driven check.
        #[arg(long)]
        suite: Option<String>,
        /// Documents made for each protocol and kind.
        #[arg(long, default_value_t = 200)]
        cases: u64,
        /// Seed of the first document.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Writes what was found to this file, as JSON.
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// Looks for every value of made documents in their translations, in every direction, and counts.
    Leaves {
        /// Documents for each direction and kind.
        #[arg(long, default_value_t = 10_000)]
        cases: u64,
        /// Seed of the first document.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// From this protocol alone.
        #[arg(long)]
        source: Option<String>,
        /// To this protocol alone.
        #[arg(long)]
        target: Option<String>,
        /// Writes the figures to this file, as Markdown.
        #[arg(long)]
        markdown: Option<PathBuf>,
    },
    /// Asks the translation of this workspace for every feature, of six clients over six backends.
    Matrix {
        /// Writes what was found to this file, as JSON.
        #[arg(long)]
        json: Option<PathBuf>,
        /// Writes the table to this file, as Markdown; `README` stands for its place in the README.
        #[arg(long)]
        markdown: Option<String>,
    },
    /// Says what changed from one JSON report to another, and fails when something is worse.
    Compare {
        /// The older report.
        before: PathBuf,
        /// The newer report.
        after: PathBuf,
    },
    /// Writes what becomes of each feature to docs/fidelity.md.
    Fidelity,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]
fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(report)) => {
            for failure in &report.failed {
                println!("FAILED {} > {}\n  {}", failure.check, failure.target, failure.found);
            }
            println!("{}", report.summary());
            if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What a run found; none when a document was written.
fn run(command: Command) -> anyhow::Result<Option<Report>> {
    let (suite, cases, seed, json) = match command {
        Command::Run {
            gateway: Some(gateway),
            upstream: Some(upstream),
            models: Some(models),
            limit,
            markdown,
            json,
            ..
        } => {
            black_box(&gateway, upstream, &models, Duration::from_secs(limit), json, markdown)?;
            return Ok(None);
        }
        Command::Run { suite, cases, seed, json, .. } => (suite, cases, seed, json),
        Command::Matrix { json, markdown } => {
            matrix(json, markdown)?;
            return Ok(None);
        }
        Command::Compare { before, after } => {
            compared(&before, &after)?;
            return Ok(None);
        }
        Command::Leaves { cases, seed, source, target, markdown } => {
            return figures(seed, cases, source.as_deref(), target.as_deref(), markdown).map(Some);
        }
        Command::Fidelity => {
            let path = data("../docs/fidelity.md");
            std::fs::write(&path, fidelity::document()?).with_context(|| path.display().to_string())?;
            return Ok(None);
        }
    };
    let mut exceptions = Exceptions::load(&data("exceptions.toml"))?;
    let mut report = Report::default();
    checks::suites(suite.as_deref(), &mut exceptions, &mut report)?;
    if suite.is_none() {
        checks::round_trips(seed, cases, &mut exceptions, &mut report)?;
        checks::leaves(seed, cases, &|_| true, &mut exceptions, &mut report)?;
    }
    let only = suite.map(|suite| format!("{suite}/"));
    report.check_exceptions(&exceptions, |check| only.as_ref().is_none_or(|only| check.starts_with(only)));
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(Some(report))
}

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn black_box(
    gateway: &str,
    upstream: SocketAddr,
    models: &Path,
    limit: Duration,
    json: Option<PathBuf>,
    markdown: Option<PathBuf>,
) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(models).with_context(|| models.display().to_string())?;
    let models = toml::from_str(&text).with_context(|| models.display().to_string())?;
    let upstream = blackbox::serve(upstream)?;
    let simulator = Server::new(&format!("http://{}", upstream.address), PATIENCE)?;
    let gateway = Gateway::There(Server::new(gateway, PATIENCE)?, models);
    let report = blackbox::run(&gateway, &simulator, limit, |cell| println!("{}", cell.line()))?;
    println!("\n{}\n{}", report.table(), report.summary());
    written(json, &serde_json::to_string_pretty(&report)?)?;
    written(markdown, &format!("{}\n{}\n\n{}", report.table(), report.summary(), report.details()))?;
    let lost = report.count(Verdict::Silent) + report.count(Verdict::Wrong);
    anyhow::ensure!(lost == 0, "{lost} probes are silent or wrong");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn matrix(json: Option<PathBuf>, markdown: Option<String>) -> anyhow::Result<()> {
    let report = blackbox::of_this_workspace()?;
    println!("{}\n{}\n\n{}", report.table(), report.summary(), report.details());
    written(json, &serde_json::to_string_pretty(&report)?)?;
    match markdown.as_deref() {
        Some("README") => {
            let path = data("../README.md");
            let readme = std::fs::read_to_string(&path)?;
            written(Some(path), &report.in_readme(&readme)?)
        }
        other => written(other.map(PathBuf::from), &report.table()),
    }
}

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn compared(before: &Path, after: &Path) -> anyhow::Result<()> {
    let read = |path: &Path| -> anyhow::Result<blackbox::report::Report> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    };
    let changes = blackbox::report::compare(&read(before)?, &read(after)?);
    for line in &changes.better {
        println!("better: {line}");
    }
    for line in &changes.worse {
        println!("WORSE: {line}");
    }
    println!("{} better, {} worse", changes.better.len(), changes.worse.len());
    anyhow::ensure!(changes.worse.is_empty(), "something is worse than before");
    Ok(())
}

fn written(path: Option<PathBuf>, text: &str) -> anyhow::Result<()> {
    match path {
        Some(path) => std::fs::write(&path, text).with_context(|| path.display().to_string()),
        None => Ok(()),
    }
}

/// The leaf accounting of many documents, and its table.
#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn figures(
    seed: u64,
    cases: u64,
    source: Option<&str>,
    target: Option<&str>,
    markdown: Option<PathBuf>,
) -> anyhow::Result<Report> {
    let mut exceptions = Exceptions::load(&data("exceptions.toml"))?;
    let mut report = Report::default();
    let wanted = |direction: &leaves::Direction| {
        source.is_none_or(|source| direction.source.name() == source)
            && target.is_none_or(|target| direction.target.name() == target)
    };
    let table = checks::leaves(seed, cases, &wanted, &mut exceptions, &mut report)?;
    match markdown {
        Some(path) => std::fs::write(&path, table).with_context(|| path.display().to_string())?,
        None => println!("{table}"),
    }
    Ok(report)
}
