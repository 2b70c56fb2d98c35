//! `busbar-conformance`: judges what the gateway makes of requests, answers and streams.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
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
    /// Runs the suites and the schema-driven checks, and fails when one of them does.
    Run {
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
        Command::Run { suite, cases, seed, json } => (suite, cases, seed, json),
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
