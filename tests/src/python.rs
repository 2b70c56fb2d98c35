//! The providers' official Python SDKs, pinned, in a virtual environment under the target directory.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

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

/// The interpreter with the SDKs; made once for each state of the pins, by whichever test comes first.
fn interpreter() -> Result<Option<PathBuf>> {
    if !Command::new("python3")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|done| done.success())
    {
        ensure!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI=true, but there is no python3");
        note("skipped: the SDK tests need python3, which is not installed");
        return Ok(None);
    }
    let mut hasher = DefaultHasher::new();
    REQUIREMENTS.hash(&mut hasher);
    let target = crate::binary::target_dir();
    let folder = target.join(format!("python-sdks-{:016x}", hasher.finish()));
    let python = folder.join("bin/python");
    let complete = folder.join("complete");
    let lock = File::create(target.join("python-sdks.lock"))?;
    lock.lock().context("no lock on the virtual environment")?;
    if !complete.is_file() {
        note("installing the pinned SDKs under the target directory");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/requirements.txt");
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--only-binary=:all:",
                "-r",
            ])
            .arg(requirements))?;
        File::create(complete)?;
    }
    Ok(Some(python))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Says something even where the test's own output is captured.
fn note(text: &str) {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}
