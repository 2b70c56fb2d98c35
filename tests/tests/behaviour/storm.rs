//! Retry storms: a pool of which everything is down gets no more than its share of attempts, however many ask.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use busbar_tests::dialect::{self, Dialect};
use busbar_tests::gateway::Gateway;
use busbar_tests::http;
use busbar_tests::upstream::{self, Upstream};

const CALLERS: usize = 32;
const EACH: usize = 8;
const LANES: usize = 5;

/// What a dead provider does with a request.
type Death = fn() -> Option<Vec<u8>>;

const DOWN: &str = r#"{"error":{"message":"down","type":"server_error","param":null,"code":null}}"#;

const DEATHS: [(&str, Death); 3] = [
    ("a failure", || Some(upstream::response(503, &[], DOWN))),
    ("a page", || Some(upstream::response(200, &[("content-type", "text/html")], "<html>down</html>"))),
    ("a close", || None),
];

#[test]
fn a_dead_pool_costs_at_most_the_attempts_that_it_allows() {
    for (name, death) in DEATHS {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let dead = Upstream::start(move |_, connection| {
            counted.fetch_add(1, Ordering::Relaxed);
            let Some(answer) = death() else { anyhow::bail!("closes") };
            Ok(connection.write(&answer)?)
        });
        for attempts in [1, 3] {
            // Without breakers, which would only make it less.
            let gateway = pool(&dead, attempts, "consecutive: 0, least: 1000000");
            let before = asked.load(Ordering::Relaxed);
            storm(&gateway, name);
            let spent = asked.load(Ordering::Relaxed) - before;
            assert_eq!(spent, CALLERS * EACH * attempts, "{name}, {attempts} attempts");

            let gateway = pool(&dead, attempts, "consecutive: 2, cooldown: 60s");
            let before = asked.load(Ordering::Relaxed);
            storm(&gateway, name);
            let spent = asked.load(Ordering::Relaxed) - before;
            // Those that ran when the breakers opened are at most all callers at once; after it, one attempt each.
            let most = CALLERS * EACH + CALLERS * (attempts - 1) + 2 * LANES;
            assert!(spent <= most, "{name}, {attempts} attempts: {spent} of at most {most}");
        }
    }
}

fn pool(dead: &Upstream, attempts: usize, breaker: &str) -> Gateway {
    let models = (0..LANES).map(|lane| format!("  m{lane}: {{ provider: dead }}\n")).collect::<String>();
    let members = (0..LANES).map(|lane| format!("{{ model: m{lane} }}, ")).collect::<String>();
    Gateway::start(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nbreaker: {{ {breaker} }}\nproviders:\n  \
         dead: {{ protocol: openai_chat, base_url: \"http://{}/v1\", api_key_env: TEST_PROVIDER_KEY }}\nmodels:\n{models}\
         pools:\n  p: {{ attempts: {attempts}, members: [{members}] }}\n",
        dead.address
    ))
    .unwrap()
}

/// All callers at once, of every protocol, each several times; every one is told in its own form.
fn storm(gateway: &Gateway, name: &str) {
    let start = Barrier::new(CALLERS);
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let start = &start;
            scope.spawn(move || {
                let client: Dialect = dialect::ALL[caller % dialect::ALL.len()];
                start.wait();
                for turn in 0..EACH {
                    let streamed = turn % 2 == 0;
                    let (path, body) = (client.path("p", streamed), client.request("p", streamed));
                    let answer = http::post(gateway.address, &path, &[], &body).unwrap();
                    assert!((500..600).contains(&answer.status()), "{name}: {}", answer.text());
                    client.error(&answer).unwrap();
                }
            });
        }
    });
}
