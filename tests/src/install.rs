//! What the tests drive and do not bring: installed under the target directory, once for each state of its pins.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The folder for these pins, filled by whichever test comes first while the others wait.
pub(crate) fn once(name: &str, pins: &[&str], fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    for pin in pins {
        pin.hash(&mut hasher);
    }
    let target = crate::binary::target_dir();
    let folder = target.join(format!("{name}-{:016x}", hasher.finish()));
    let complete = folder.join("complete");
    let lock = File::create(target.join(format!("{name}.lock")))?;
    lock.lock().with_context(|| format!("no lock on {name}"))?;
    if !complete.is_file() {
        note(&format!("installing the pinned {name} under the target directory"));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder)?;
        fill(&folder)?;
        File::create(complete)?;
    }
    Ok(folder)
}

/// Whether a program is here; where it is not, says so, and under `CI=true` that is a failure.
pub(crate) fn found(program: &str) -> Result<bool> {
    let started = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if started.is_ok_and(|done| done.success()) {
        return Ok(true);
    }
    ensure!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI=true, but there is no {program}");
    note(&format!("skipped: these tests need {program}, which is not installed"));
    Ok(false)
}

/// Runs a command to its end; a failure carries what it said.
pub(crate) fn run(command: &mut Command) -> Result<()> {
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
pub(crate) fn note(text: &str) {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}
