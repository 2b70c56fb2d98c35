//! The judge of gateways, as its users run it: against the built gateway, and against what is no gateway.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use busbar_tests::dialect;
use busbar_tests::gateway::{self, Gateway};
use busbar_tests::process::Process;
use busbar_tests::{binary, simulator};

/// How long the judge may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A port that nobody listens at: the gateway has to know it before the judge serves there.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// Runs the judge: how it ended and what it said.
fn judge(folder: &Path, more: &[&str]) -> (ExitStatus, String) {
    let mut command = Command::new(binary::judge().unwrap());
    let mut judge = Process::start(command.current_dir(folder).args(more)).unwrap();
    let status = judge.wait_exit(PATIENCE).unwrap();
    (status, judge.output())
}

fn models(folder: &Path) {
    let mut models = String::from("[models]\n");
    for dialect in dialect::ALL {
        models.push_str(&format!("{} = \"{}\"\n", dialect.name(), gateway::model(dialect)));
    }
    std::fs::write(folder.join("models.toml"), models).unwrap();
}

#[test]
fn the_built_gateway_loses_nothing_and_is_as_the_readme_says() {
    let folder = tempfile::tempdir().unwrap();
    models(folder.path());
    let upstream = upstream();
    let gateway = Gateway::start(&gateway::config(upstream, "")).unwrap();
    let at = upstream.to_string();
    let url = gateway.url();
    let run = ["run", "--gateway", &url, "--upstream", &at, "--models", "models.toml"];
    let files = ["--json", "found.json", "--markdown", "found.md"];
    let (status, said) = judge(folder.path(), &[&run[..], &files[..]].concat());
    assert!(status.success(), "{said}");
    assert!(said.contains("silent 0, wrong 0"), "{said}");
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let table = |text: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| !line.starts_with("| client \\ backend |"));
        lines.take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
    };
    let found = std::fs::read_to_string(folder.path().join("found.md")).unwrap();
    assert_eq!(table(&found).len(), 8, "{found}");
    assert_eq!(table(&found), table(&readme), "the README is about another gateway");

    let (status, said) = judge(folder.path(), &["compare", "found.json", "found.json"]);
    assert!(status.success() && said.contains("0 better, 0 worse"), "{said}");
    let report = std::fs::read_to_string(folder.path().join("found.json")).unwrap();
    let worse = report.replacen("\"mapped\"", "\"silent\"", 1);
    assert_ne!(report, worse);
    std::fs::write(folder.path().join("worse.json"), worse).unwrap();
    let (status, said) = judge(folder.path(), &["compare", "found.json", "worse.json"]);
    assert!(!status.success() && said.contains("mapped before, silent now"), "{said}");
}

#[test]
fn what_speaks_the_clients_protocol_to_every_backend_is_no_gateway() {
    let folder = tempfile::tempdir().unwrap();
    // It answers each call itself, so that no backend is called.
    let other = simulator::Simulator::start().unwrap();
    std::fs::write(folder.path().join("models.toml"), "[models]\ngemini = \"sim-model\"\n").unwrap();
    let (url, at) = (format!("http://{}", other.address), upstream().to_string());
    let (status, said) =
        judge(folder.path(), &["run", "--gateway", &url, "--upstream", &at, "--models", "models.toml"]);
    assert!(!status.success(), "{said}");
    assert!(said.contains("cohere over gemini: ") && said.contains("probes are silent or wrong"), "{said}");
}
