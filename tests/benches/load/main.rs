//! Load bench: the gateway, nginx as a plain reverse proxy, and no proxy at all, in one run on one machine.
//!
//! `cargo bench -p busbar-tests -- [--rounds N] [--seconds S] [--starts N] [NAME...]`, where a name selects the
//! cases that contain it. Each proxy is pinned to one core, the load generator and the mock provider share
//! another, and rounds alternate between the targets, so that drift of the machine meets all alike. CPU is what
//! the scheduler billed to the proxy's threads, divided by answered requests, median of the rounds. Added
//! latency is measured apart, with one connection. In the translate cases nginx passes the same bytes unchanged.

#![expect(clippy::print_stdout, reason = "the table is what a bench is for")]

mod cases;
mod client;
mod proxies;
mod upstream;
mod wire;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use busbar_tests::binary::{self, Profile};
use tokio::task::LocalSet;

use crate::cases::Case;
use crate::client::{load, once, request};
use crate::proxies::Proxy;

/// How long a proxy may take to answer after its start.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a proxy is loaded before it is measured, as a share of a load phase.
const WARM_SHARE: f64 = 0.2;

/// How long the latency phase lasts, as a share of a load phase.
const LATENCY_SHARE: f64 = 0.5;

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let program = match options.busbar.clone() {
        Some(path) => path.into(),
        None => binary::build(Profile::Dist)?,
    };
    if !proxies::pin_self() {
        println!("note: one core or no taskset; nothing is pinned and figures mean little");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run(&options, program))
}

#[derive(Debug, Clone)]
struct Options {
    rounds: usize,
    seconds: f64,
    starts: usize,
    busbar: Option<String>,
    only: Vec<String>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { rounds: 5, seconds: 1.0, starts: 11, busbar: None, only: Vec::new() };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--rounds" => options.rounds = value()?.parse()?,
                "--seconds" => options.seconds = value()?.parse()?,
                "--starts" => options.starts = value()?.parse()?,
                "--busbar" => options.busbar = Some(value()?),
                // Given by cargo.
                "--bench" => {}
                name if !name.starts_with('-') => options.only.push(argument),
                _ => bail!("unknown option {argument}"),
            }
        }
        Ok(options)
    }

    fn selects(&self, case: &Case) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| case.name.contains(name.as_str()))
    }
}

async fn run(options: &Options, program: std::path::PathBuf) -> Result<()> {
    println!("machine: {}", machine());
    let folder = tempfile::tempdir()?;
    let mut served = Vec::new();
    for case in cases::all().into_iter().filter(|case| options.selects(case)) {
        let upstream = upstream::serve(&case).await?;
        served.push((case, upstream));
    }
    ensure!(!served.is_empty(), "no case has such a name");
    let busbar = Proxy::busbar(folder.path(), program, &served)?;
    let nginx = Proxy::nginx(folder.path(), &served)?;
    if nginx.is_none() {
        println!("note: nginx is not installed; its columns stay empty");
    }
    let proxies: Vec<&Proxy> = nginx.iter().chain([&busbar]).collect();
    starts(options, &proxies, &served[0].0).await?;

    for proxy in &proxies {
        let process = proxy.start()?;
        first_answer(proxy.targets[0], &request(&served[0].0))
            .await
            .with_context(|| proxy.name.to_owned())?;
        println!(
            "idle {}: rss {} KiB, pss {} KiB",
            proxy.name,
            process.resident_kib(),
            process.proportional_kib()
        );
    }
    println!();
    println!(
        "| case | nginx µs | busbar µs | ratio | aim | nginx req/s | busbar req/s | added p50 µs nginx / busbar \
         | added p99 µs nginx / busbar | rss KiB nginx / busbar |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (index, (case, upstream)) in served.iter().enumerate() {
        match measure(options, case, index, *upstream, &proxies).await {
            Ok(rows) => print_row(case, &rows),
            Err(error) => println!("| {} | failed: {error:#} |", case.name),
        }
    }
    Ok(())
}

/// Prints how long each proxy takes from its start to its first answer, starts alternating.
async fn starts(options: &Options, proxies: &[&Proxy], case: &Case) -> Result<()> {
    let request = request(case);
    let mut times = vec![Vec::new(); proxies.len()];
    for _ in 0..options.starts {
        for (proxy, times) in proxies.iter().zip(&mut times) {
            let begun = Instant::now();
            let process = proxy.start()?;
            first_answer(proxy.targets[0], &request).await.with_context(|| proxy.name.to_owned())?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            drop(process);
        }
    }
    for (proxy, times) in proxies.iter().zip(times) {
        println!("start to first answer {}: {:.1} ms", proxy.name, median(times));
    }
    Ok(())
}

async fn first_answer(target: SocketAddr, request: &[u8]) -> Result<wire::Message> {
    let begun = Instant::now();
    loop {
        match once(target, request).await {
            Ok(answer) if answer.status == 200 => return Ok(answer),
            Ok(answer) => bail!("status {}: {}", answer.status, String::from_utf8_lossy(&answer.kept)),
            // Not listening yet: there is no event to wait for in another process's start.
            Err(_) if begun.elapsed() < START_TIMEOUT => tokio::task::yield_now().await,
            Err(error) => return Err(error.context("no first answer")),
        }
    }
}

/// What a target did in a case, one entry per round.
#[derive(Debug, Default, Clone)]
struct Row {
    name: &'static str,
    cpu_micros: Vec<f64>,
    per_second: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    resident: u64,
}

async fn measure(
    options: &Options,
    case: &Case,
    index: usize,
    upstream: SocketAddr,
    proxies: &[&Proxy],
) -> Result<Vec<Row>> {
    let bytes = Rc::new(request(case));
    let lasting = Duration::from_secs_f64(options.seconds);
    let mut rows = vec![Row { name: "direct", ..Row::default() }];
    rows.extend(proxies.iter().map(|proxy| Row { name: proxy.name, ..Row::default() }));
    for _ in 0..options.rounds {
        one_by_one(upstream, &bytes, lasting, &mut rows[0]).await.context("direct")?;
        for (proxy, row) in proxies.iter().zip(&mut rows[1..]) {
            // A new process each round: where its memory happens to lie is worth a fifth of the small figures.
            let process = proxy.start()?;
            let target = proxy.targets[index];
            let answer = first_answer(target, &bytes).await.context(proxy.name)?;
            if proxy.translates {
                prove(case, &answer)?;
            }
            load(target, &bytes, case.connections, lasting.mul_f64(WARM_SHARE)).await.context(proxy.name)?;
            let before = process.cpu_nanos();
            let phase = load(target, &bytes, case.connections, lasting).await.context(proxy.name)?;
            let used = process.cpu_nanos().saturating_sub(before);
            row.cpu_micros.push(used as f64 / 1e3 / phase.latencies.len() as f64);
            row.per_second.push(phase.latencies.len() as f64 / phase.elapsed.as_secs_f64());
            row.resident = row.resident.max(process.resident_kib());
            one_by_one(target, &bytes, lasting, row).await.context(proxy.name)?;
        }
    }
    Ok(rows)
}

/// The latency of a target that has nothing else to do.
async fn one_by_one(target: SocketAddr, bytes: &Rc<Vec<u8>>, lasting: Duration, row: &mut Row) -> Result<()> {
    let mut phase = load(target, bytes, 1, lasting.mul_f64(LATENCY_SHARE)).await?;
    row.p50.push(phase.percentile(0.5));
    row.p99.push(phase.percentile(0.99));
    Ok(())
}

/// Refuses figures of an answer that is not the right one.
fn prove(case: &Case, answer: &wire::Message) -> Result<()> {
    let text = String::from_utf8_lossy(&answer.kept);
    let excerpt: String = text.chars().take(300).collect();
    ensure!(answer.status == 200, "status {}: {excerpt}", answer.status);
    for part in case.proof() {
        ensure!(text.contains(part), "the answer lacks {part}: {excerpt}");
    }
    Ok(())
}

fn print_row(case: &Case, rows: &[Row]) {
    let empty = Row::default();
    let row = |name: &str| rows.iter().find(|row| row.name == name).unwrap_or(&empty);
    let (direct, nginx, busbar) = (row("direct"), row("nginx"), row("busbar"));
    let ratio = median(busbar.cpu_micros.clone()) / median(nginx.cpu_micros.clone());
    let added = |of: fn(&Row) -> &Vec<f64>| {
        // The pace of a paced answer drowns what a proxy adds to it.
        let known = !matches!(case.answer, cases::Answer::Paced(_));
        let of_row = |row: &Row| median(of(row).clone()) - median(of(direct).clone());
        if known { format!("{:.0} / {:.0}", of_row(nginx), of_row(busbar)) } else { "-".to_owned() }
    };
    println!(
        "| {} | {:.1} | {:.1} | {ratio:.2} | {} | {:.0} | {:.0} | {} | {} | {} / {} |",
        case.name,
        median(nginx.cpu_micros.clone()),
        median(busbar.cpu_micros.clone()),
        case.aim.map_or_else(String::new, |aim| format!("≤ {aim:.1}")),
        median(nginx.per_second.clone()),
        median(busbar.per_second.clone()),
        added(|row| &row.p50),
        added(|row| &row.p99),
        nginx.resident,
        busbar.resident,
    );
}

/// What the figures are figures of.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let model = read("/proc/cpuinfo");
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = read("/proc/cpuinfo").matches("processor\t").count();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{}, {cores} cores, Linux {}", model.map_or("unknown", |(_, name)| name), kernel.trim())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
