//! Builds the gateway and says where it is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// How the gateway is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The profile of the running test, so that `cargo test` reuses what it has just built.
    Test,
    /// What ships; used by the bench.
    Dist,
}

/// Builds the gateway with cargo and returns the path of the executable.
///
/// An integration test is told the path of its own package's executables alone, so this asks cargo, which
/// answers at once when nothing changed and waits for a build that another test has begun.
pub fn build(profile: Profile) -> Result<PathBuf> {
    build_of("busbar", "busbar", profile)
}

/// The judge of gateways, as the running test's profile builds it.
pub fn judge() -> Result<PathBuf> {
    build_of("busbar-conformance", "busbar-conformance", Profile::Test)
}

fn build_of(package: &str, binary: &str, profile: Profile) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--locked", "--package", package, "--bin", binary, "--message-format=json"]);
    match profile {
        Profile::Test if cfg!(debug_assertions) => {}
        Profile::Test => drop(command.arg("--release")),
        Profile::Dist => drop(command.args(["--profile", "dist"])),
    }
    let output = command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo could not be run")?;
    if !output.status.success() {
        bail!("cargo build of {binary} failed: {}", output.status);
    }
    let messages = String::from_utf8(output.stdout).context("cargo's messages are not text")?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == binary)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo named no executable {binary}"))
}

/// Names a gateway that is tested as it is, a packaged one say, instead of one built here.
const BINARY_VARIABLE: &str = "BUSBAR_BINARY";

/// The gateway that `BUSBAR_BINARY` names, else as the running test's profile builds it, once per test process.
///
/// # Panics
/// When it does not build.
pub fn busbar() -> &'static Path {
    static PATH: OnceLock<Result<PathBuf>> = OnceLock::new();
    PATH.get_or_init(|| {
        std::env::var_os(BINARY_VARIABLE).map_or_else(|| build(Profile::Test), |path| Ok(path.into()))
    })
    .as_ref()
    .expect("the gateway builds")
}

/// The workspace's target directory, found from the running executable.
pub fn target_dir() -> PathBuf {
    let own = std::env::current_exe().expect("a running test has a path");
    own.ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
}
