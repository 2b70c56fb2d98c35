//! The soak: the built gateway under load for minutes, while providers fail, clients leave and the
//! configuration changes, all by chance.
//!
//! `cargo run --release -p busbar-tests --bin soak -- [--seconds N] [--clients N] [--seed N]`. Every question is
//! one of its own and every answer is checked against it: complete and right, or, where a stream had begun, its
//! right beginning and an error in the client's own form. In the end every request is settled once, nothing
//! runs, and memory, threads, tasks and open files are what they were. Anything else fails the run.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

mod client;
mod plan;
mod watch;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use busbar_tests::gateway::Gateway;
use busbar_tests::http;
use busbar_tests::simulator::Simulator;

use crate::client::Seen;
use crate::plan::Chance;
use crate::watch::{Metrics, Sample};

/// How often the process is looked at.
const SAMPLE: Duration = Duration::from_secs(1);

/// How often the configuration changes.
const RELOAD: Duration = Duration::from_millis(1500);

/// How long what runs may take to end once nobody asks any more.
const SETTLE: Duration = Duration::from_secs(20);

/// What a run may differ by from its middle third to its last, beside a share.
const MEMORY_ROOM: u64 = 8 << 10;
const FILES_ROOM: u64 = 16;
const TASKS_ROOM: u64 = 16;

/// The share, in percent.
const SHARE: u64 = 10;

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let mut chance = Chance::new(options.seed);
    let simulator = Simulator::start_with(&plan::lanes(&mut chance))?;
    let mut gateway = Gateway::start(&plan::config(simulator.address, 0))?;
    let (admin, process) = (gateway.admin(), gateway.process.id());
    println!("{} s, {} clients, seed {}", options.seconds, options.clients, options.seed);

    let (seen, stop) = (Seen::default(), AtomicBool::new(false));
    let begun = Instant::now();
    let (samples, reloads) = thread::scope(|scope| {
        let clients: Vec<_> = (0..options.clients)
            .map(|_| {
                let chance = Chance::new(chance.below(u64::MAX));
                let (seen, stop, address) = (&seen, &stop, gateway.address);
                scope.spawn(move || client::run(address, chance, seen, stop))
            })
            .collect();
        let watched =
            disturb(&gateway, simulator.address, admin, begun + Duration::from_secs(options.seconds));
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?;
        }
        watched
    })?;
    let elapsed = begun.elapsed();
    let quiet = settled(process, admin)?;
    let metrics = Metrics::read(admin)?;
    report(&seen, &samples, quiet, &reloads, &metrics, elapsed);
    let verdict = judge(&seen, &samples, quiet, &reloads, &metrics);
    gateway.process.terminate()?;
    let status = gateway.process.wait_exit(SETTLE)?;
    ensure!(status.success(), "the gateway ended with {status}: {}", gateway.process.output());
    ensure!(!gateway.process.output().contains("panicked"), "{}", gateway.process.output());
    verdict
}

#[derive(Debug)]
struct Options {
    seconds: u64,
    clients: usize,
    seed: u64,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { seconds: 120, clients: 24, seed: 1 };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--seconds" => options.seconds = value()?.parse()?,
                "--clients" => options.clients = value()?.parse()?,
                "--seed" => options.seed = value()?.parse()?,
                _ => bail!("unknown option {argument}"),
            }
        }
        ensure!((6..=3600).contains(&options.seconds), "6 to 3600 seconds");
        ensure!((1..=512).contains(&options.clients), "1 to 512 clients");
        Ok(options)
    }
}

/// Reloads of the configuration, and how many of them were answered as they had to be.
#[derive(Debug, Default)]
struct Reloads {
    taken: u64,
    refused: u64,
}

/// Changes the configuration, now and then to a wrong one, and looks at the process, until it is time.
fn disturb(
    gateway: &Gateway,
    simulator: SocketAddr,
    admin: SocketAddr,
    until: Instant,
) -> Result<(Vec<Sample>, Reloads)> {
    let (mut samples, mut reloads) = (Vec::new(), Reloads::default());
    let (mut sample, mut reload) = (Instant::now() + SAMPLE, Instant::now() + RELOAD);
    let mut turn = 0;
    while Instant::now() < until {
        thread::sleep(sample.min(reload).saturating_duration_since(Instant::now()));
        if Instant::now() >= sample {
            samples.push(Sample::take(gateway.process.id(), admin)?);
            sample += SAMPLE;
        }
        if Instant::now() >= reload {
            turn += 1;
            reload += RELOAD;
            let wrong = turn % 5 == 0;
            let config = plan::config(simulator, turn);
            gateway.configure(&if wrong { config.replace("members", "membres") } else { config })?;
            if turn % 3 == 0 {
                // By a signal, on top of the watch for the file; what comes of it is in the metrics.
                gateway.process.signal("HUP")?;
                continue;
            }
            let request = http::request("POST", "/busbar/reload", &[("connection", "close")], b"");
            let status = http::send(admin, &request)?.status();
            ensure!(status == if wrong { 422 } else { 200 }, "a reload was answered with {status}");
            *(if wrong { &mut reloads.refused } else { &mut reloads.taken }) += 1;
        }
    }
    Ok((samples, reloads))
}

/// Waits until nothing runs any more.
fn settled(process: u32, admin: SocketAddr) -> Result<Sample> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let sample = Sample::take(process, admin)?;
        if sample.running == 0 || Instant::now() > deadline {
            // The count of tasks is as old as its last look.
            thread::sleep(SAMPLE);
            return Sample::take(process, admin);
        }
        thread::sleep(SAMPLE / 10);
    }
}

/// The means of the middle third and of the last.
fn thirds(samples: &[Sample], of: impl Fn(&Sample) -> u64) -> (u64, u64) {
    let third = samples.len() / 3;
    let mean = |part: &[Sample]| part.iter().map(&of).sum::<u64>() / (part.len() as u64).max(1);
    (mean(&samples[third..2 * third]), mean(&samples[2 * third..]))
}

fn report(
    seen: &Seen,
    samples: &[Sample],
    quiet: Sample,
    reloads: &Reloads,
    metrics: &Metrics,
    elapsed: Duration,
) {
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let asked = count(&seen.heard) + count(&seen.blind);
    println!(
        "requests {asked} ({:.0}/s): complete {}, of them by another lane {}; streams broken off and told {}; left by the client {}; wrong {}",
        asked as f64 / elapsed.as_secs_f64(),
        count(&seen.complete),
        count(&seen.rescued),
        count(&seen.told),
        count(&seen.left),
        count(&seen.wrong),
    );
    println!(
        "settled {} (complete {}, refused {}, cut {}, client gone {}); of at least {} and at most {}; failed attempts {}; breaker transitions {}",
        metrics.sum("busbar_requests_total"),
        metrics.sum_where("busbar_requests_total", "outcome=\"complete\""),
        metrics.sum_where("busbar_requests_total", "outcome=\"refused\""),
        metrics.sum_where("busbar_requests_total", "outcome=\"cut\""),
        metrics.sum_where("busbar_requests_total", "outcome=\"client_gone\""),
        count(&seen.heard),
        asked,
        metrics.sum("busbar_failed_attempts_total"),
        metrics.sum("busbar_lane_transitions_total"),
    );
    println!(
        "reloads {} taken, {} refused (asked for: {} and {})",
        metrics.sum_where("busbar_reloads_total", "taken=\"true\""),
        metrics.sum_where("busbar_reloads_total", "taken=\"false\""),
        reloads.taken,
        reloads.refused,
    );
    println!("{:<12} {:>12} {:>10} {:>8}", "mean of", "middle third", "last third", "at rest");
    let line = |name: &str, of: fn(&Sample) -> u64| {
        let (middle, last) = thirds(samples, of);
        println!("{name:<12} {middle:>12} {last:>10} {:>8}", of(&quiet));
    };
    line("memory, KiB", |sample| sample.memory);
    line("open files", |sample| sample.files);
    line("tasks", |sample| sample.tasks);
    line("threads", |sample| sample.threads);
    line("running", |sample| sample.running);
}

fn judge(seen: &Seen, samples: &[Sample], quiet: Sample, reloads: &Reloads, metrics: &Metrics) -> Result<()> {
    let wrong = seen.shown.lock().expect("no client panics with it").join("\n");
    ensure!(wrong.is_empty(), "wrong answers:\n{wrong}");
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    ensure!(count(&seen.rescued) > 0 && count(&seen.told) > 0 && count(&seen.left) > 0, "nothing was tested");
    ensure!(reloads.taken > 0 && reloads.refused > 0, "nothing was reloaded");
    let settled = metrics.sum("busbar_requests_total");
    let least = count(&seen.heard);
    // Of one that was left before it was read, nobody knows whether it came.
    let most = least + count(&seen.blind);
    ensure!((least..=most).contains(&settled), "{settled} requests are settled, not {least} to {most}");
    ensure!(quiet.running == 0, "{} requests still run", quiet.running);
    type Part = (&'static str, u64, fn(&Sample) -> u64);
    let parts: [Part; 4] = [
        ("memory", MEMORY_ROOM, |sample| sample.memory),
        ("open files", FILES_ROOM, |sample| sample.files),
        ("tasks", TASKS_ROOM, |sample| sample.tasks),
        ("threads", 0, |sample| sample.threads),
    ];
    for (name, room, of) in parts {
        let (middle, last) = thirds(samples, of);
        ensure!(last <= middle + middle * SHARE / 100 + room, "{name} grew from {middle} to {last}");
    }
    ensure!(quiet.tasks <= TASKS_ROOM, "{} tasks still live", quiet.tasks);
    Ok(())
}
