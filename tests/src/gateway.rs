//! A running gateway on a free port with a configuration of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::dialect::{self, Dialect};
use crate::process::Process;

/// The name of a configuration's file.
const CONFIG: &str = "busbar-test.yaml";

/// How long a start may take on a busy machine.
pub const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The provider key that [`Gateway::start`] puts in the environment as `TEST_PROVIDER_KEY`.
pub const PROVIDER_KEY: &str = "sk-provider-5ecret-9f2c7d1e";

/// A gateway that serves; dropping it ends it.
#[derive(Debug)]
pub struct Gateway {
    /// The process, for its output, signals and exit.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    folder: TempDir,
}

impl Gateway {
    /// Starts `busbar` with this configuration (which should listen on port 0) and waits until it serves.
    pub fn start(config: &str) -> Result<Self> {
        Self::start_with(Command::new(crate::binary::busbar()), Some(config), &[])
    }

    /// As [`Gateway::start`], from a prepared command, with or without a configuration, and with more environment.
    ///
    /// The environment is otherwise empty but for what a program needs to start, so that no provider key of the
    /// person who runs the tests is ever used.
    pub fn start_with(
        mut command: Command,
        config: Option<&str>,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        clean_environment(&mut command, folder.path());
        command.env("TEST_PROVIDER_KEY", PROVIDER_KEY).envs(environment.iter().copied());
        if let Some(config) = config {
            let path = folder.path().join(CONFIG);
            std::fs::write(&path, config).context("the configuration could not be written")?;
            command.env("BUSBAR_CONFIG", path);
        }
        let process = Process::start(&mut command)?;
        let address = process.wait_output(START_TIMEOUT, announced)?;
        Ok(Self { process, address, folder })
    }

    /// Puts another configuration in the place of the one that it was started with, as an editor does.
    pub fn configure(&self, config: &str) -> Result<()> {
        let written = self.folder.path().join("busbar-test.yaml.new");
        std::fs::write(&written, config).context("the configuration could not be written")?;
        std::fs::rename(&written, self.folder.path().join(CONFIG)).context("it could not be put in place")
    }

    /// Where operators call.
    pub fn admin(&self) -> SocketAddr {
        // The text may come in pieces, and a start waits for its first address alone.
        let said = |output: &str| announced(output.split_once("operators: ")?.1);
        self.process.wait_output(START_TIMEOUT, said).expect("a start says where operators call")
    }

    /// The base URL, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Empties a command's environment but for the search path, and runs it in `folder`.
pub fn clean_environment(command: &mut Command, folder: &Path) {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(folder);
}

/// Finds the address that a start-up text names first.
pub(crate) fn announced(output: &str) -> Option<SocketAddr> {
    let (_, rest) = output.split_once("http://127.0.0.1:")?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
    Some(SocketAddr::from((Ipv4Addr::LOCALHOST, rest[..digits].parse().ok()?)))
}

/// The model a client names for a protocol in [`config`].
pub fn model(dialect: Dialect) -> String {
    format!("{}-model", dialect.name().replace('_', "-"))
}

/// What the upstream calls every model of [`config`]; no client is to see that a test depends on it.
pub const UPSTREAM_MODEL: &str = "vendor-2026-01-01";

/// A configuration with one model per protocol, all at one upstream, and whatever else a test adds on top level.
pub fn config(upstream: SocketAddr, more: &str) -> String {
    let mut config = format!("listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\n{more}\nproviders:\n");
    for dialect in dialect::ALL {
        config.push_str(&format!(
            "  {0}: {{ protocol: {0}, base_url: \"http://{upstream}{1}\", api_key_env: TEST_PROVIDER_KEY{2} }}\n",
            dialect.name(),
            dialect.base(),
            if dialect == Dialect::Bedrock { ", region: us-east-1" } else { "" },
        ));
    }
    config.push_str("models:\n");
    for dialect in dialect::ALL {
        config.push_str(&format!(
            "  {}: {{ provider: {}, upstream_model: {UPSTREAM_MODEL} }}\n",
            model(dialect),
            dialect.name()
        ));
    }
    config
}
