//! Callers who wait for the first content of a stream are told that somebody is still at it.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use busbar_tests::answer::{self, Answer};
use busbar_tests::dialect::{self, Dialect};
use busbar_tests::gateway::Gateway;
use busbar_tests::http::{self, Connection};
use busbar_tests::simulator::Simulator;
use busbar_tests::upstream::{Event, Upstream};

/// Pools of a provider that never says anything and one at the simulator, for each client and backend.
fn gateway(silent: &Upstream, simulator: &Simulator, keep_alive: &str) -> Gateway {
    let mut config = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nlimits: {{ keep_alive: {keep_alive} }}\nproviders:\n  silent: {{ protocol: openai_chat, \
         base_url: \"http://{}/v1\", api_key_env: TEST_PROVIDER_KEY, timeouts: {{ first_byte: 500ms }} }}\n",
        silent.address
    );
    for dialect in dialect::ALL {
        config += &format!(
            "  {0}: {{ protocol: {0}, base_url: \"http://{1}{2}\", api_key_env: TEST_PROVIDER_KEY, region: us-east-1 }}\n",
            dialect.name(),
            simulator.address,
            dialect.base(),
        );
    }
    config += "models:\n";
    for dialect in dialect::ALL {
        let name = dialect.name();
        config += &format!("  silent-{name}: {{ provider: silent }}\n  m-{name}: {{ provider: {name} }}\n");
    }
    config += "pools:\n";
    for client in dialect::ALL {
        for backend in backends(client) {
            let (client, backend) = (client.name(), backend.name());
            let members = format!("[{{ model: silent-{client} }}, {{ model: m-{backend}, standby: true }}]");
            config += &format!("  {client}-{backend}: {{ members: {members} }}\n");
        }
    }
    Gateway::start(&config).unwrap()
}

/// A foreign one and the client's own.
fn backends(client: Dialect) -> Vec<Dialect> {
    let foreign = if client == Dialect::OpenaiChat { Dialect::Anthropic } else { Dialect::OpenaiChat };
    vec![foreign, client]
}

fn ask(gateway: &Gateway, client: Dialect, model: &str, streamed: bool) -> Answer {
    let body = client.request(model, streamed);
    let request = http::request("POST", &client.path(model, streamed), &[], body.as_bytes());
    answer::ask(&mut Connection::open(gateway.address).unwrap(), client, &request, streamed).unwrap()
}

#[test]
fn a_stream_is_begun_while_its_content_is_waited_for_and_failover_goes_on_behind() {
    let (hold, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let silent = Upstream::start(move |_, _| Ok(gate.lock().unwrap().recv()?));
    let simulator = Simulator::start().unwrap();
    let gateway = gateway(&silent, &simulator, "100ms");
    for client in dialect::ALL {
        for backend in backends(client) {
            let pool = format!("{}-{}", client.name(), backend.name());
            let answer = ask(&gateway, client, &pool, true);
            assert!(answer.complete && answer.error.is_none() && answer.ended, "{client:?}: {answer:?}");
            assert!(answer.words.starts_with("Simulated answer to: Hi"), "{client:?}: {answer:?}");
            // Its head was sent when nobody knew yet who would answer.
            assert_eq!((answer.status, answer.lane), (200, None), "{client:?}");
        }
        let silent_model = format!("silent-{}", client.name());
        // When all fail the stream says so; without a stream it has a status as ever.
        let answer = ask(&gateway, client, &silent_model, true);
        assert_eq!(
            (answer.status, answer.complete, answer.ended),
            (200, false, true),
            "{client:?}: {answer:?}"
        );
        assert!(answer.error.is_some_and(|error| !error.is_empty()), "{client:?}");
        assert_eq!(ask(&gateway, client, &silent_model, false).status, 504, "{client:?}");
    }
    drop(hold);
}

#[test]
fn a_caller_who_leaves_while_it_waits_ends_the_request() {
    let (hold, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let silent = Upstream::start(move |_, connection| connection.wait_for_close_or(&gate.lock().unwrap()));
    let simulator = Simulator::start().unwrap();
    let gateway = gateway(&silent, &simulator, "50ms");
    let body = Dialect::Anthropic.request("silent-anthropic", true);
    let mut connection = Connection::open(gateway.address).unwrap();
    connection.write(&http::request("POST", "/v1/messages", &[], body.as_bytes())).unwrap();
    connection.read_until("event: ping").unwrap();
    silent.next_request().unwrap();
    drop(connection);
    assert!(matches!(silent.next().unwrap(), Event::Closed));
    drop(hold);
}
