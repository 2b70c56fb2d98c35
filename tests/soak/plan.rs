//! What fails, and what is configured: both by chance, from one number.

use std::fmt::Write as _;
use std::net::SocketAddr;

use busbar_tests::dialect::{self, Dialect};

/// What a provider that fails does in place of an answer.
const FAULTS: [&str; 42] = [
    "status:302",
    "status:408",
    "status:429",
    "status:429:retry-after=1",
    "status:500",
    "status:502",
    "status:503",
    "status:529",
    "cut:head",
    "cut:body",
    "cut:start",
    "cut:37",
    "cut:middle",
    "cut:last",
    "reset:head",
    "reset:body",
    "reset:middle",
    "half:head",
    "half:body",
    "half:middle",
    "silence:head",
    "silence:body",
    "silence:start",
    "silence:middle",
    "garbage:head",
    "garbage:body",
    "garbage:start",
    "garbage:middle",
    "end:body",
    "end:start",
    "end:middle",
    "end:last",
    "error:start",
    "error:start:529",
    "error:middle",
    "html",
    "json",
    "mislabel",
    "headers:200000",
    "drip:1ms:64",
    "wait:50ms",
    "hold:50ms",
];

/// Faults of a lane before it begins again.
const TURN: usize = 256;

/// How many of a hundred requests a lane answers as it should.
const WELL: u64 = 50;

/// Policies that take turns with each reload.
const POLICIES: [&str; 5] = ["weighted", "fastest", "least_busy", "cheapest", "usage"];

/// Numbers that look like chance and are the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64: an odd constant added, its bits mixed.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = self.below(of.len() as u64);
        &of[usize::try_from(at).unwrap_or(0)]
    }
}

/// The lanes that fail, for the simulator.
pub(crate) fn lanes(chance: &mut Chance) -> Vec<String> {
    let mut lanes = Vec::new();
    for dialect in dialect::ALL {
        let mut lane = format!("f-{}=", dialect.name());
        for _ in 0..TURN {
            let fault = if chance.below(100) < WELL { "ok" } else { chance.pick(&FAULTS) };
            let _ = write!(lane, "{fault},");
        }
        lanes.push(lane + "then=repeat");
    }
    lanes.push("tls=alert,cut:head,reset:head,garbage:head,silence:head,then=repeat".to_owned());
    lanes
}

/// The pool of a backend: one that fails, one of another protocol that fails, and one that is well.
pub(crate) fn pool(backend: Dialect) -> String {
    format!("p-{}", backend.name())
}

/// The configuration after so many reloads.
pub(crate) fn config(simulator: SocketAddr, reloads: usize) -> String {
    let mut text = String::from(
        "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\nworkers: 2\nlog: { level: error, access: false }\n\
         breaker: { consecutive: 8, rate: 0.9, cooldown: 20ms, longest: 200ms, ramp: 50ms, retry_after: 100ms }\n\
         limits: { connect: 1s }\nproviders:\n",
    );
    for dialect in dialect::ALL {
        for kind in ["f", "well"] {
            let _ = writeln!(
                text,
                "  {kind}-{0}: {{ protocol: {0}, base_url: \"http://{simulator}{1}\", api_key_env: TEST_PROVIDER_KEY, region: us-east-1 }}",
                dialect.name(),
                dialect.base()
            );
        }
    }
    let _ = writeln!(
        text,
        "  tls: {{ protocol: openai_chat, base_url: \"https://{simulator}/v1\", api_key_env: TEST_PROVIDER_KEY }}"
    );
    text.push_str("models:\n  tls: { provider: tls }\n");
    // In turn with and without a bound, so that those who wait live through a reload.
    let bound = if reloads % 2 == 1 { ", max_concurrent: 4, max_waiting: 4, max_wait: 500ms" } else { "" };
    for dialect in dialect::ALL {
        let _ = writeln!(text, "  f-{0}: {{ provider: f-{0}{bound} }}", dialect.name());
        let _ = writeln!(text, "  well-{0}: {{ provider: well-{0} }}", dialect.name());
    }
    text.push_str("pools:\n");
    let policy = POLICIES[reloads % POLICIES.len()];
    for (at, dialect) in dialect::ALL.iter().enumerate() {
        let other = |further: usize| dialect::ALL[(at + further) % dialect::ALL.len()].name();
        let tls = if at % 3 == 0 { "{ model: tls }, " } else { "" };
        let _ = writeln!(
            text,
            "  {}: {{ policy: {policy}, attempts: 4, deadline: 30s, timeouts: {{ first_byte: 1s, first_content: 1s, idle: 1s }}, \
             members: [{tls}{{ model: f-{}, weight: {} }}, {{ model: f-{} }}, {{ model: well-{}, standby: true }}] }}",
            pool(*dialect),
            dialect.name(),
            1 + reloads % 4,
            other(1),
            other(2),
        );
    }
    text
}
