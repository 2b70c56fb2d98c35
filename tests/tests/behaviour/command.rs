//! The command line.

use std::fs;
use std::process::{Command, Output};

use busbar_tests::binary::busbar;
use busbar_tests::gateway::clean_environment;

#[test]
fn help_names_every_command() {
    let output = run(None, &["--help"], &[]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for word in ["check", "schema", "--config", "--version", "BUSBAR_CONFIG"] {
        assert!(text.contains(word), "{word} is missing:\n{text}");
    }
}

#[test]
fn version_is_the_packages() {
    let output = run(None, &["--version"], &[]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().trim(),
        format!("busbar {}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn schema_is_a_json_schema_of_the_configuration() {
    let output = run(None, &["schema"], &[]);
    assert!(output.status.success());
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in ["listen", "providers", "models", "pools", "limits"] {
        assert!(schema["properties"][key].is_object(), "{key} is missing");
    }
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn check_accepts_a_good_file_from_either_place() {
    let good = "providers:\n  local: { protocol: openai_chat, base_url: \"http://127.0.0.1:9/v1\" }\n\
                models:\n  m: { provider: local }\n";
    for name in ["busbar.yaml", "config.yaml"] {
        let output = run(Some((name, good)), &["check"], &[]);
        assert!(output.status.success(), "{name}: {}", text(&output));
    }
    let output = run(Some(("other.yaml", good)), &["check", "--config", "other.yaml"], &[]);
    assert!(output.status.success(), "{}", text(&output));
    let output = run(Some(("other.yaml", good)), &["check"], &[("BUSBAR_CONFIG", "other.yaml")]);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn check_says_where_a_file_is_wrong() {
    let providers = "providers:\n  local: { protocol: openai_chat, base_url: \"http://127.0.0.1:9/v1\" }\n";
    let cases = [
        // Unknown field, and the line and column it stands at.
        ("listen: 127.0.0.1:0\nlisten_adress: 1\n".to_owned(), "2:1", "listen_adress"),
        ("listen: nowhere\n".into(), "1:9", "address"),
        ("limits:\n  body: lots\n".into(), "2:9", "lots"),
        ("providers:\n  p: { protocol: openai_chatt }\n".into(), "2:", "openai_chatt"),
        (format!("{providers}models:\n  m: {{ provider: nobody }}\n"), "4:", "nobody"),
        (
            format!(
                "{providers}models:\n  m: {{ provider: local }}\npools:\n  p:\n    members:\n      - {{ model: gone }}\n"
            ),
            "8:",
            "gone",
        ),
        ("providers: [\n".into(), "1:12", ""),
        ("listen: 127.0.0.1:0\nlisten: 127.0.0.1:1\n".into(), "2:", "listen"),
    ];
    for (config, place, word) in cases {
        let output = run(Some(("busbar.yaml", &config)), &["check"], &[]);
        let said = text(&output);
        assert!(!output.status.success(), "{config}: {said}");
        assert!(said.contains(&format!("busbar.yaml:{place}")), "{config}: {said}");
        assert!(said.contains(word), "{config}: {said}");
    }
}

#[test]
fn a_missing_key_is_named_and_a_present_one_is_not_shown() {
    let config = "providers:\n  p: { protocol: openai_chat, base_url: \"http://127.0.0.1:9/v1\", api_key_env: MY_KEY }\n\
                  models:\n  m: { provider: p }\n";
    let output = run(Some(("busbar.yaml", config)), &["check"], &[]);
    assert!(!output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("MY_KEY"), "{}", text(&output));
    let output = run(Some(("busbar.yaml", config)), &["check"], &[("MY_KEY", "sk-shown-nowhere")]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(!text(&output).contains("sk-shown-nowhere"));
}

#[test]
fn others_are_not_served_unless_that_is_said() {
    let output = run(Some(("busbar.yaml", "listen: 0.0.0.0:0\n")), &["check"], &[]);
    assert!(!output.status.success());
    assert!(text(&output).contains("auth: open"), "{}", text(&output));
    let output = run(Some(("busbar.yaml", "listen: 0.0.0.0:0\nauth: open\n")), &["check"], &[]);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn a_port_in_use_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!("listen: {}\n", taken.local_addr().unwrap());
    let output = run(Some(("busbar.yaml", &config)), &[], &[]);
    assert!(!output.status.success());
    assert!(text(&output).contains(&taken.local_addr().unwrap().to_string()), "{}", text(&output));
}

#[test]
fn a_file_that_is_named_and_not_there_is_said() {
    for (arguments, environment) in [
        (&["check", "--config", "gone.yaml"][..], &[][..]),
        (&["check"][..], &[("BUSBAR_CONFIG", "gone.yaml")][..]),
    ] {
        let output = run(None, arguments, environment);
        assert!(!output.status.success());
        assert!(text(&output).contains("gone.yaml"), "{}", text(&output));
    }
}

#[test]
fn the_demonstration_serves_every_request_though_its_providers_fail() {
    let output = run(None, &["demo", "--requests", "14", "--pause", "0"], &[]);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("14 requests, 14 complete answers"), "{said}");
    for lane in ["alpha", "beta", "gamma"] {
        assert!(said.contains(&format!("answer from {lane}")), "{lane} never served:\n{said}");
    }
    for fault in ["status:500", "cut:body", "error:start:529", "(open)"] {
        assert!(said.contains(fault), "{fault} is not shown:\n{said}");
    }
}

#[test]
fn the_demonstration_says_what_nobody_could_make_good() {
    let lanes = ["alpha=then=status:503", "beta=then=reset:head", "gamma=then=html"];
    let mut arguments = vec!["demo", "--requests", "2", "--pause", "0"];
    arguments.extend(lanes.iter().flat_map(|lane| ["--lane", lane]));
    let output = run(None, &arguments, &[]);
    let said = text(&output);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("FAILED: 503") && said.contains("2 requests got no complete answer"), "{said}");
    let output = run(None, &["demo", "--lane", "alpha=boom"], &[]);
    assert!(!output.status.success() && text(&output).contains("boom"), "{}", text(&output));
}

/// Runs the command in an empty folder, with one file in it when given.
fn run(file: Option<(&str, &str)>, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    if let Some((name, content)) = file {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let mut command = Command::new(busbar());
    clean_environment(&mut command, folder.path());
    command.args(arguments).envs(environment.iter().copied());
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
