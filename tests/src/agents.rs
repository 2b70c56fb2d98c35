//! Coding agents, pinned, run without a terminal in a home of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::gateway::Gateway;
use crate::process::Process;
use crate::simulator::Simulator;
use crate::{install, node};

/// What says what is installed, every version pinned.
const PINS: [(&str, &str); 3] = [
    ("package.json", include_str!("../agents/package.json")),
    ("package-lock.json", include_str!("../agents/package-lock.json")),
    (".npmrc", include_str!("../agents/.npmrc")),
];

/// Has to be `true`: the agents take more than a gigabyte.
const SWITCH: &str = "AGENTS";

/// How long one run may take.
const TIMEOUT: Duration = Duration::from_secs(90);

/// What the agent finds in the file that it is told to read.
const SECRET: &str = "The secret word is plover.";

/// The way to whatever is not on this machine: nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Where everything is, for one run.
struct Place<'a> {
    packages: &'a Path,
    home: &'a Path,
    work: &'a Path,
    url: &'a str,
    model: &'a str,
}

/// A run of an agent: the command with all but what every one has in common.
type Agent = fn(&Place<'_>) -> Result<Command>;

/// Lets an agent read a file by a call of the tool `tool`, with each of the backends.
///
/// Skipped by name without `AGENTS=true`, and as the other Node tests without an `npm`.
///
/// # Panics
/// When a run does not end well.
fn check(agent: Agent, backends: &[&str]) {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| folder().expect("the agents can be installed"));
    let Some(folder) = folder else { return };
    let simulator = Simulator::start().unwrap();
    let gateway = simulator.gateway().unwrap();
    for backend in backends {
        let said = run(agent, &folder.join("node_modules"), &gateway, backend);
        said.unwrap_or_else(|error| panic!("over {backend}: {error:?}"));
    }
    for line in gateway.process.output().lines().filter(|line| line.contains(" operation=generate")) {
        assert!(line.contains(" 200 complete "), "{line}");
    }
}

fn run(agent: Agent, packages: &Path, gateway: &Gateway, backend: &str) -> Result<()> {
    let home = tempfile::tempdir()?;
    let work = home.path().join("work");
    fs::create_dir(&work)?;
    fs::write(work.join("value"), format!("{SECRET}\n"))?;
    let url = gateway.url();
    let model = format!("{backend}-text");
    let mut command = agent(&Place { packages, home: home.path(), work: &work, url: &url, model: &model })?;
    command.current_dir(&work).env("HOME", home.path()).env("PATH", path(packages)?);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        command.env(name, NOWHERE);
    }
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let mut process = Process::start(&mut command)?;
    let status = process.wait_exit(TIMEOUT)?;
    let output = process.output();
    ensure!(status.success(), "{status}\n{output}");
    let answered = output.split_once("The tools said: ").is_some_and(|(_, quoted)| quoted.contains(SECRET));
    ensure!(answered, "the tool was not run, or its result did not come back\n{output}");
    Ok(())
}

/// The search path, the interpreter of the packages before that of the machine.
fn path(packages: &Path) -> Result<std::ffi::OsString> {
    let interpreter = node::interpreter(packages);
    let own = interpreter.parent().map(Path::to_path_buf);
    let machine = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(own.into_iter().chain(std::env::split_paths(&machine)))?)
}

fn folder() -> Result<Option<PathBuf>> {
    if std::env::var(SWITCH).as_deref() != Ok("true") {
        install::note(&format!("skipped: the tests with agents need {SWITCH}=true"));
        return Ok(None);
    }
    node::folder("agents", &PINS, |_| Ok(()))
}

/// A command with an empty environment.
fn bare(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command
}

/// The words with which a user has the simulator call a tool.
fn prompt(tool: &str, arguments: &serde_json::Value) -> String {
    format!("Look: [[sim:call {tool} {arguments}]]")
}

/// The file of a package that is made for each platform.
fn native(packages: &Path, package: &str, file: &str) -> Result<PathBuf> {
    ["x64", "arm64"]
        .iter()
        .map(|machine| packages.join(format!("{package}-linux-{machine}")).join(file))
        .find(|path| path.is_file())
        .with_context(|| format!("{package} has no build for this machine"))
}

/// Claude Code, which speaks Anthropic's protocol.
///
/// # Panics
/// As `check` does.
pub fn claude_code(backends: &[&str]) {
    check(
        |place| {
            let mut command =
                bare(native(place.packages, "@anthropic-ai/claude-code", "claude").context("claude")?);
            command
                .args(["--output-format", "text", "-p"])
                .arg(prompt("Read", &json!({"file_path": "value"})));
            command.env("ANTHROPIC_BASE_URL", place.url).env("ANTHROPIC_API_KEY", "sk-test-caller");
            command.env("ANTHROPIC_MODEL", place.model).env("ANTHROPIC_SMALL_FAST_MODEL", place.model);
            for switch in [
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
                "DISABLE_AUTOUPDATER",
                "DISABLE_ERROR_REPORTING",
                "DISABLE_TELEMETRY",
            ] {
                command.env(switch, "1");
            }
            Ok(command)
        },
        backends,
    );
}

/// Codex, which speaks OpenAI's Responses.
///
/// # Panics
/// As `check` does.
pub fn codex(backends: &[&str]) {
    check(
        |place| {
            let home = place.home.join("codex");
            fs::create_dir(&home)?;
            let settings = format!(
                "model = {:?}\nmodel_provider = \"busbar\"\ncheck_for_update_on_startup = false\n\
                 [analytics]\nenabled = false\n[otel]\nexporter = \"none\"\n\
                 [model_providers.busbar]\nname = \"busbar\"\nbase_url = \"{}/v1\"\nenv_key = \"BUSBAR_KEY\"\n\
                 wire_api = \"responses\"\nrequest_max_retries = 0\nstream_max_retries = 0\n",
                place.model, place.url
            );
            fs::write(home.join("config.toml"), settings)?;
            let mut command = bare(node::interpreter(place.packages));
            command.arg(place.packages.join("@openai/codex/bin/codex.js"));
            command.args(["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]);
            command.arg(prompt("exec_command", &json!({"cmd": "cat value"})));
            command.env("CODEX_HOME", home).env("BUSBAR_KEY", "sk-test-caller");
            Ok(command)
        },
        backends,
    );
}

/// Gemini CLI, which speaks Gemini's protocol.
///
/// # Panics
/// As `check` does.
pub fn gemini_cli(backends: &[&str]) {
    check(
        |place| {
            let settings = json!({
                "general": {"disableAutoUpdate": true, "enableAutoUpdate": false},
                "privacy": {"usageStatisticsEnabled": false},
                "security": {"auth": {"selectedType": "gemini-api-key"}},
                "telemetry": {"enabled": false},
                "tools": {"useRipgrep": false},
            });
            let folder = place.home.join(".gemini");
            fs::create_dir(&folder)?;
            fs::write(folder.join("settings.json"), settings.to_string())?;
            let mut command = bare(node::interpreter(place.packages));
            command.arg(place.packages.join("@google/gemini-cli/bundle/gemini.js"));
            command.args(["-m", place.model, "--approval-mode", "yolo", "-o", "text", "-p"]);
            command.arg(prompt("read_file", &json!({"file_path": "value"})));
            command.env("GEMINI_API_KEY", "sk-test-caller").env("GOOGLE_GEMINI_BASE_URL", place.url);
            command.env("GEMINI_CLI_TRUST_WORKSPACE", "true");
            Ok(command)
        },
        backends,
    );
}

/// opencode with the provider package of each protocol.
///
/// # Panics
/// As `check` does.
pub fn opencode(backends: &[&str]) {
    const PACKAGES: [(&str, Agent); 6] = [
        ("openai_chat", |place| opencode_with(place, "openai-compatible", "/v1")),
        ("openai_responses", |place| opencode_with(place, "openai", "/v1")),
        ("anthropic", |place| opencode_with(place, "anthropic", "/v1")),
        ("gemini", |place| opencode_with(place, "google", "/v1beta")),
        ("bedrock", |place| opencode_with(place, "amazon-bedrock", "")),
        ("cohere", |place| opencode_with(place, "cohere", "/v2")),
    ];
    for (own, agent) in PACKAGES {
        // Every package over a backend that is not its own, each backend with two packages or more.
        let at = backends.iter().position(|backend| *backend == own).unwrap_or_default();
        let others = [1, 3].map(|step| backends[(at + step) % backends.len()]);
        check(agent, &others);
    }
}

fn opencode_with(place: &Place<'_>, package: &str, base: &str) -> Result<Command> {
    let options = json!({"baseURL": format!("{}{base}", place.url), "apiKey": "sk-test-caller"});
    let model = format!("busbar/{}", place.model);
    let settings = json!({
        "autoupdate": false,
        "model": model,
        "provider": {"busbar": {
            "models": {place.model: {}},
            "npm": format!("@ai-sdk/{package}"),
            "options": options,
        }},
        "share": "disabled",
        "small_model": model,
    });
    fs::write(place.work.join("opencode.json"), settings.to_string())?;
    let mut command = bare(native(place.packages, "opencode", "bin/opencode")?);
    command.args(["run", "--format", "json"]);
    // It puts quotes around a word with a blank in it.
    command.args(prompt("read", &json!({"filePath": "value"})).split(' '));
    for switch in ["AUTOUPDATE", "DEFAULT_PLUGINS", "LSP_DOWNLOAD", "MODELS_FETCH"] {
        command.env(format!("OPENCODE_DISABLE_{switch}"), "1");
    }
    Ok(command)
}
