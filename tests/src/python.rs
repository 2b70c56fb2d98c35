//! The providers' official Python SDKs, pinned, in a virtual environment under the target directory.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Result;

use crate::install;
use crate::process::Process;

/// What is installed, every version pinned.
const REQUIREMENTS: &str = include_str!("../python/requirements.txt");

/// How long one script may run.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(120);

/// Runs functions of `python/<script>.py` against a gateway at a URL and the simulator behind it.
///
/// A failure carries the traceback.
///
/// Without a `python3` this says so and returns, unless `CI=true`, where that is a failure.
pub fn check(script: &str, functions: &[&str], gateway: &str, simulator: &str) {
    let Some(mut command) = command() else { return };
    command.env("BUSBAR_URL", gateway).env("SIMULATOR_URL", simulator);
    command.arg("run.py").arg(script).args(functions);
    let (status, output) = run_bounded(&mut command);
    assert!(status.success(), "{script}.py: {status}\n{output}");
}

/// Plays the scenarios of `python/matrix` at a URL and gives what it says; `None` without a `python3`.
///
/// Which of them fail is for the caller to judge.
pub fn matrix(arguments: &[&str], url: &str) -> Option<String> {
    let mut command = command()?;
    command.env("BUSBAR_URL", url).args(["-m", "matrix"]).args(arguments);
    Some(run_bounded(&mut command).1)
}

/// The interpreter in the folder of the scripts, with nothing of the caller's environment but the search path.
fn command() -> Option<Command> {
    static INTERPRETER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let interpreter =
        INTERPRETER.get_or_init(|| interpreter().expect("the SDKs can be installed")).as_ref()?;
    let mut command = Command::new(interpreter);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("python"));
    Some(command)
}

fn run_bounded(command: &mut Command) -> (ExitStatus, String) {
    let mut process = Process::start(command).expect("the interpreter starts");
    let status = process.wait_exit(SCRIPT_TIMEOUT).expect("the script ends");
    (status, process.output())
}

/// The interpreter with the SDKs.
fn interpreter() -> Result<Option<PathBuf>> {
    if !install::found("python3")? {
        return Ok(None);
    }
    let folder = install::once("python-sdks", &[REQUIREMENTS], |folder| {
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/requirements.txt");
        install::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        install::run(
            Command::new(folder.join("bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--only-binary=:all:", "-r"])
                .arg(requirements),
        )
    })?;
    Ok(Some(folder.join("bin/python")))
}
