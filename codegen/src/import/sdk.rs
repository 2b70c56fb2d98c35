//! Reads the pinned official packages: a virtual environment each, and the script that prints their document.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// What `schemas/sources.toml` says of one protocol.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// The packages the facts come from.
    pub packages: Vec<Package>,
    /// An older release, for members that were dropped.
    pub older: Option<Older>,
}

/// A pinned package.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name in the package index.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The day it was fetched.
    pub collected: String,
    /// Its licence, as an SPDX identifier.
    pub licence: String,
}

/// A pinned older release.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Older {
    /// Its packages.
    pub packages: Vec<Package>,
    /// Members (`Type.member`) that clients still send.
    pub keep: BTreeSet<String>,
}

/// The package that writes the JSON Schema: pinned with the others, and none of a provider's.
pub const WRITER: &str = "pydantic";

/// Reads `schemas/sources.toml`: pins by protocol.
pub fn pins(root: &Path) -> Result<BTreeMap<String, Pins>> {
    let path = root.join("schemas").join("sources.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("parse {}", path.display()))
}

/// The document that the packages amount to. Needs `python3` with `venv`, and the package index unless the
/// environment under `target/` is there from last time.
pub fn document(root: &Path, protocol: &str, packages: &[Package]) -> Result<Value> {
    let python = environment(root, packages)?;
    let script = root.join("codegen").join("scripts").join("sdk_schema.py");
    let output = run(Command::new(python).arg(script).arg(protocol))?;
    serde_json::from_slice(&output).context("the script's document")
}

/// The newest release of a package that is no pre-release, as the package index of `pip` has it.
pub fn newest(root: &Path, packages: &[Package], name: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Report {
        install: Vec<Install>,
    }
    #[derive(Deserialize)]
    struct Install {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        version: String,
    }
    let python = environment(root, packages)?;
    let output = run(Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--dry-run", "--ignore-installed", "--report", "-"])
        .arg(name))?;
    let report: Report = serde_json::from_slice(&output).context("pip's report")?;
    let found = report.install.into_iter().next();
    Ok(found.with_context(|| format!("no release of {name}"))?.metadata.version)
}

/// The environment's interpreter; made when it is not there. Its name says the pins, so a changed pin makes
/// another one.
fn environment(root: &Path, packages: &[Package]) -> Result<PathBuf> {
    let pins: Vec<String> = packages.iter().map(|p| format!("{}=={}", p.name, p.version)).collect();
    let dir = root.join("target").join("venv-schemas").join(pins.join("+"));
    let done = dir.join("complete");
    let python = dir.join("bin").join("python");
    if !done.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir))?;
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(&pins))?;
        std::fs::write(&done, "").with_context(|| format!("write {}", done.display()))?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("start {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!("{}: {}", command.get_program().display(), String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(output.stdout)
}
