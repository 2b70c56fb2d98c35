//! What the gateway uses and counts, looked at from outside.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use busbar_tests::http;

/// The process at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// Kilobytes that are resident.
    pub(crate) memory: u64,
    pub(crate) threads: u64,
    pub(crate) files: u64,
    /// Requests that run.
    pub(crate) running: u64,
    /// Tasks that live.
    pub(crate) tasks: u64,
}

impl Sample {
    /// Looks at a process and its operators' listener.
    pub(crate) fn take(process: u32, admin: SocketAddr) -> Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("no such process")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok())
        };
        let metrics = Metrics::read(admin)?;
        Ok(Self {
            memory: field("VmRSS:").context("no VmRSS")?,
            threads: field("Threads:").context("no Threads")?,
            files: std::fs::read_dir(format!("/proc/{process}/fd"))?.count() as u64,
            running: metrics.sum("busbar_requests_running"),
            tasks: metrics.sum("busbar_tasks"),
        })
    }
}

/// The metrics as text.
#[derive(Debug)]
pub(crate) struct Metrics(String);

impl Metrics {
    pub(crate) fn read(admin: SocketAddr) -> Result<Self> {
        let answer = http::send(admin, &http::request("GET", "/metrics", &[("connection", "close")], b""))?;
        Ok(Self(answer.text()))
    }

    /// The sum of a metric over its labels.
    pub(crate) fn sum(&self, name: &str) -> u64 {
        self.sum_where(name, "")
    }

    /// The sum of a metric over those of its labels that hold a text.
    pub(crate) fn sum_where(&self, name: &str, label: &str) -> u64 {
        let lines = self.0.lines().filter(|line| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            (rest.starts_with('{') || rest.starts_with(' ')) && rest.contains(label)
        });
        let values =
            lines.filter_map(|line| line.rsplit(' ').next()).filter_map(|value| value.parse::<u64>().ok());
        values.sum()
    }
}
