//! The fault matrix: every fault of a provider, for every client over every backend, buffered and streamed.
//!
//! A pool has a model whose provider fails in one way, and another that is well. Whenever nothing had been handed
//! on, the caller must get a complete right answer, else the right beginning of one and an error in its own form.
//! The providers are the simulator by a script (`busbar simulator --lane`), so that each fault is in native form.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, ensure};
use busbar_tests::answer::{self, Answer};
use busbar_tests::dialect::{self, Dialect};
use busbar_tests::gateway::Gateway;
use busbar_tests::http::{self, Connection};
use busbar_tests::simulator::Simulator;

/// What happens before any content is told: always made good.
const BEFORE: [&str; 40] = [
    "status:302",
    "status:401",
    "status:402",
    "status:403",
    "status:404",
    "status:408",
    "status:409",
    "status:429",
    "status:429:retry-after=30",
    "status:429-quota",
    "status:400-overflow",
    "status:500",
    "status:502",
    "status:503",
    "status:504",
    "status:529",
    "cut:head",
    "cut:body",
    "cut:start",
    "cut:20",
    "reset:head",
    "reset:body",
    "reset:start",
    "half:head",
    "half:body",
    "half:start",
    "silence:head",
    "silence:body",
    "silence:start",
    "garbage:head",
    "garbage:body",
    "garbage:start",
    "end:body",
    "end:start",
    "error:body",
    "error:start",
    "error:start:529",
    "html",
    "json",
    "headers:200000",
];

/// What happens after content, of a stream: told, where it was handed on.
const AFTER: [&str; 14] = [
    "cut:middle",
    "reset:middle",
    "half:middle",
    "silence:middle",
    "garbage:middle",
    "end:middle",
    "error:middle",
    "cut:last",
    "reset:last",
    "half:last",
    "silence:last",
    "garbage:last",
    "end:last",
    "error:last",
];

/// What is odd and harmless.
const HARMLESS: [&str; 4] = ["drip:1ms:64", "mislabel", "wait:20ms", "hold:20ms"];

/// What fails, or does not, after a while.
const SLOW: [&str; 4] =
    ["wait:300ms", "wait:300ms+status:503", "hold:300ms+cut:start", "hold:300ms+error:middle"];

/// What no script can play: nobody listens, and one that does not speak TLS.
const OUTSIDE: [&str; 2] = ["refused", "tls"];

/// Requests under way at a time; most of them wait for what will not come.
const THREADS: usize = 32;

/// The longest reason that is shown.
const MAX_WHY: usize = 300;

/// One request.
#[derive(Clone, Debug)]
struct Case {
    fault: usize,
    client: Dialect,
    backend: Dialect,
    streamed: bool,
}

impl Case {
    fn fault(&self) -> &'static str {
        all()[self.fault]
    }

    fn is_after(&self) -> bool {
        self.streamed && (AFTER.contains(&self.fault()) || self.fault().ends_with("middle"))
    }

    fn name(&self) -> String {
        let mode = if self.streamed { "s" } else { "b" };
        format!("f{}-{}-{}-{mode}", self.fault, self.client.name(), self.backend.name())
    }
}

fn all() -> Vec<&'static str> {
    [&BEFORE[..], &AFTER, &HARMLESS, &SLOW, &OUTSIDE].concat()
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for fault in 0..all().len() {
        for client in dialect::ALL {
            for backend in dialect::ALL {
                for streamed in [false, true] {
                    cases.push(Case { fault, client, backend, streamed });
                }
            }
        }
    }
    cases
}

/// A provider that is well, for each protocol; and for each case a provider, its model and a pool of both.
fn config(simulator: SocketAddr, dead: SocketAddr, keep_alive: &str, cases: &[Case]) -> Result<String> {
    let provider = |name: &str, dialect: Dialect, base: &str, more: &str| {
        format!(
            "  {name}: {{ protocol: {}, base_url: \"{base}{}\", api_key_env: TEST_PROVIDER_KEY, region: us-east-1{more} }}\n",
            dialect.name(),
            dialect.base()
        )
    };
    let (mut providers, mut models, mut pools) = (String::new(), String::new(), String::new());
    for dialect in dialect::ALL {
        let name = dialect.name();
        providers += &provider(&format!("well-{name}"), dialect, &format!("http://{simulator}"), "");
        writeln!(models, "  well-{name}: {{ provider: well-{name}, upstream_model: well }}")?;
    }
    for case in cases {
        let (name, backend) = (case.name(), case.backend.name());
        let base = match case.fault() {
            "refused" => format!("http://{dead}"),
            "tls" => format!("https://{simulator}"),
            _ => format!("http://{simulator}"),
        };
        let short = ", timeouts: { first_byte: 1s, first_content: 1s, idle: 1s }";
        providers += &provider(&format!("at-{name}"), case.backend, &base, short);
        writeln!(models, "  m-{name}: {{ provider: at-{name}, upstream_model: {name} }}")?;
        writeln!(
            pools,
            "  {name}: {{ members: [{{ model: m-{name} }}, {{ model: well-{backend}, standby: true }}] }}"
        )?;
    }
    Ok(format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nlimits: {{ keep_alive: {keep_alive} }}\nproviders:\n{providers}models:\n{models}pools:\n{pools}"
    ))
}

fn ask(gateway: &Gateway, client: Dialect, model: &str, streamed: bool) -> Result<Answer> {
    let body = client.request(model, streamed);
    let request = http::request("POST", &client.path(model, streamed), &[], body.as_bytes());
    answer::ask(&mut Connection::open(gateway.address)?, client, &request, streamed)
}

/// What is wrong with the answer to a case.
fn judge(case: &Case, answer: &Answer, right: &str) -> Result<()> {
    ensure!(answer.status == 200, "status {}: {:?}", answer.status, answer.error);
    if answer.complete {
        ensure!(answer.words == right, "other words: {:?}", answer.words);
        ensure!(answer.error.is_none() && answer.ended, "an end and an error: {answer:?}");
        return Ok(());
    }
    ensure!(case.is_after(), "not complete: {answer:?}");
    ensure!(!answer.words.is_empty() && right.starts_with(&answer.words), "other words: {:?}", answer.words);
    let told = answer.error.as_deref().is_some_and(|error| !error.is_empty());
    ensure!(told, "no error is told: {answer:?}");
    Ok(())
}

#[test]
fn every_fault_is_made_good_or_told() {
    play("15s", cases());
}

/// The heads of the streams have long been sent when these fail.
#[test]
fn what_fails_behind_a_head_is_made_good_or_told() {
    let is_slow = |case: &Case| case.fault().starts_with("silence") || SLOW.contains(&case.fault());
    play("100ms", cases().into_iter().filter(|case| case.streamed && is_slow(case)).collect());
}

#[expect(clippy::print_stdout, reason = "the matrix is for who runs it")]
fn play(keep_alive: &str, cases: Vec<Case>) {
    let faults = all();
    let mut lanes: Vec<String> =
        (0..faults.len() - OUTSIDE.len()).map(|at| format!("f{at}-*=then={}", faults[at])).collect();
    lanes.push("tls=then=alert".into());
    let simulator = Simulator::start_with(&lanes).unwrap();
    let dead = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let config = config(simulator.address, dead, keep_alive, &cases).unwrap();
    let gateway = Gateway::start(&config).unwrap();
    let mut right = BTreeMap::new();
    for client in dialect::ALL {
        for backend in dialect::ALL {
            let answer = ask(&gateway, client, &format!("well-{}", backend.name()), true).unwrap();
            assert!(answer.complete && answer.words.starts_with("Simulated answer to: Hi"), "{answer:?}");
            right.insert((client.name(), backend.name()), answer.words);
        }
    }

    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(usize, Result<Answer>)>> = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { break };
                    let right = &right[&(case.client.name(), case.backend.name())];
                    let outcome = ask(&gateway, case.client, &case.name(), case.streamed)
                        .and_then(|answer| judge(case, &answer, right).map(|()| answer));
                    outcomes.lock().unwrap().push((at, outcome));
                }
            });
        }
    });

    let outcomes = outcomes.into_inner().unwrap();
    // Each model that fails was asked, or nothing was shown.
    let counts = http::send(simulator.address, &http::request("GET", "/__sim/lanes", &[], b"")).unwrap();
    let counts = counts.json().unwrap();
    let mut lines: BTreeMap<usize, [usize; 4]> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (at, outcome) in &outcomes {
        let case = &cases[*at];
        let line = lines.entry(case.fault).or_default();
        line[0] += 1;
        let asked = counts["lanes"][&case.name()]["requests"].as_u64().unwrap_or(0);
        if !OUTSIDE.contains(&case.fault()) && asked == 0 {
            wrong.push(format!("{} {}: the model that fails was not asked", case.name(), case.fault()));
        }
        match outcome {
            Ok(answer) if !answer.complete => line[2] += 1,
            Ok(_) => line[1] += 1,
            Err(why) => {
                line[3] += 1;
                let why: String = format!("{why:#}").chars().take(MAX_WHY).collect();
                wrong.push(format!("{} {}: {why:?}", case.name(), case.fault()));
            }
        }
    }
    println!("{:<28} {:>6} {:>9} {:>5} {:>6}", "fault", "cases", "survived", "told", "wrong");
    for (fault, [cases, survived, told, wrong]) in &lines {
        println!("{:<28} {cases:>6} {survived:>9} {told:>5} {wrong:>6}", faults[*fault]);
    }
    let sum = |column: usize| lines.values().map(|line| line[column]).sum::<usize>();
    println!("{:<28} {:>6} {:>9} {:>5} {:>6}", "sum", sum(0), sum(1), sum(2), sum(3));
    assert_eq!(outcomes.len(), cases.len());
    let shown: Vec<_> = wrong.iter().take(60).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), shown.join("\n"));
}
