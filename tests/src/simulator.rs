//! The simulator of the six providers, as a process, and a gateway in front of it.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

use crate::dialect::{self, Dialect};
use crate::gateway::{Gateway, START_TIMEOUT, announced, clean_environment};
use crate::process::Process;

/// The scenarios that the tests play; a client names one as `<protocol>-<scenario>`.
const SCENARIOS: [&str; 24] = [
    "text",
    "echo",
    "tools",
    "think",
    "think-tools",
    "redacted",
    "interleaved",
    "json",
    "refusal",
    "length",
    "length-tools",
    "stop",
    "empty",
    "usage",
    "unicode",
    "cut",
    "error-mid",
    "error-early",
    "error-400-overflow",
    "error-400",
    "error-401",
    "error-403",
    "error-404",
    "error-429",
];

/// Statuses of failures that are the provider's.
const FAILURES: [&str; 3] = ["error-500", "error-503", "error-529"];

/// A model id with what has to be escaped in a path.
const ARN: &str = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.vendor.model-v1:0";

/// A running simulator; dropping it ends it.
#[derive(Debug)]
pub struct Simulator {
    /// Where it listens.
    pub address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Simulator {
    /// Starts `busbar simulator` on a free port.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// Starts it with lanes that fail, each as `--lane` takes it.
    pub fn start_with(lanes: &[String]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(crate::binary::busbar());
        clean_environment(&mut command, folder.path());
        command.args(["simulator", "--listen", "127.0.0.1:0"]);
        for lane in lanes {
            command.args(["--lane", lane]);
        }
        let process = Process::start(&mut command)?;
        let address = process.wait_output(START_TIMEOUT, announced)?;
        Ok(Self { address, _process: process, _folder: folder })
    }

    /// Starts a gateway that serves every scenario in every protocol.
    pub fn gateway(&self) -> Result<Gateway> {
        Gateway::start(&self.config())
    }

    fn config(&self) -> String {
        let mut config = String::from("listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\nproviders:\n");
        for dialect in dialect::ALL {
            config.push_str(&format!(
                "  {0}: {{ protocol: {0}, base_url: \"http://{1}{2}\", api_key_env: TEST_PROVIDER_KEY{3} }}\n",
                dialect.name(),
                self.address,
                dialect.base(),
                if dialect == Dialect::Bedrock { ", region: us-east-1" } else { "" },
            ));
        }
        config.push_str("models:\n");
        for dialect in dialect::ALL {
            for scenario in SCENARIOS.iter().chain(&FAILURES) {
                config.push_str(&format!(
                    "  {0}-{scenario}: {{ provider: {0}, upstream_model: sim-{scenario} }}\n",
                    dialect.name()
                ));
            }
        }
        config.push_str(&format!("  \"{ARN}\": {{ provider: bedrock, upstream_model: sim-text }}\n"));
        config
    }
}
