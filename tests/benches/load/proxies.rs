//! The processes that are compared, and what the kernel says about them.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use busbar_tests::gateway::clean_environment;

use crate::cases::{Answer, Case, Protocol, UPSTREAM_MODEL};

/// The core of whatever is measured.
pub(crate) const PROXY_CORE: &str = "0";

/// The core of the load generator and the mock provider, so that neither is billed to a proxy.
pub(crate) const LOAD_CORE: &str = "1";

/// Everything needed to start one proxy any number of times.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub name: &'static str,
    /// Whether its answers are in the client's dialect.
    pub translates: bool,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, PathBuf)>,
    folder: PathBuf,
    /// Where each case is served, in the order of the cases.
    pub targets: Vec<SocketAddr>,
}

impl Proxy {
    /// nginx with one server per case, as plain as it gets; `None` where nginx is not installed.
    pub(crate) fn nginx(folder: &Path, cases: &[(Case, SocketAddr)]) -> Result<Option<Self>> {
        let Some(program) = find("nginx") else { return Ok(None) };
        let mut servers = String::new();
        let mut targets = Vec::new();
        for (index, (case, upstream)) in cases.iter().enumerate() {
            let target = free_address()?;
            // Each as nginx does it quickest, measured: passing on what came, but for a large answer.
            let buffering = match case.answer {
                Answer::Large => "on; proxy_buffers 64 32k; proxy_max_temp_file_size 0",
                _ => "off",
            };
            write!(
                servers,
                "upstream up{index} {{ server {upstream}; keepalive 64; keepalive_requests 1000000; }}\n\
                 server {{ listen {target}; location / {{ proxy_pass http://up{index}; \
                 proxy_buffering {buffering}; }} }}\n"
            )?;
            targets.push(target);
        }
        let scratch: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {}/{kind};\n", folder.display()))
            .concat();
        let config = format!(
            "daemon off; worker_processes 1; pid {0}/nginx.pid; error_log {0}/nginx-error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; tcp_nodelay on; keepalive_requests 1000000; {scratch}\
             client_max_body_size 0; client_body_buffer_size 2m; \
             proxy_http_version 1.1; proxy_set_header Connection \"\";\n{servers}}}\n",
            folder.display()
        );
        let path = folder.join("nginx.conf");
        fs::write(&path, config)?;
        let arguments =
            vec!["-p".into(), folder.display().to_string(), "-c".into(), path.display().to_string()];
        let folder = folder.to_owned();
        Ok(Some(Self {
            name: "nginx",
            translates: false,
            program,
            arguments,
            environment: Vec::new(),
            folder,
            targets,
        }))
    }

    /// The gateway with one provider and one model per case.
    pub(crate) fn busbar(folder: &Path, program: PathBuf, cases: &[(Case, SocketAddr)]) -> Result<Self> {
        let target = free_address()?;
        let mut config = format!("listen: {target}\nproviders:\n");
        for (case, upstream) in cases {
            let region = if case.backend == Protocol::Bedrock { ", region: us-east-1" } else { "" };
            writeln!(
                config,
                "  up-{}: {{ protocol: {}, base_url: \"http://{upstream}{}\", api_key_env: BENCH_KEY{region} }}",
                case.name,
                case.backend.name(),
                case.backend.base()
            )?;
        }
        config.push_str("models:\n");
        for (case, _) in cases {
            writeln!(config, "  {0}: {{ provider: up-{0}, upstream_model: {UPSTREAM_MODEL} }}", case.name)?;
        }
        let path = folder.join("bench.yaml");
        fs::write(&path, config)?;
        let environment = vec![("BUSBAR_CONFIG", path), ("BENCH_KEY", "sk-bench-upstream".into())];
        let targets = vec![target; cases.len()];
        let (folder, arguments) = (folder.into(), Vec::new());
        Ok(Self { name: "busbar", translates: true, program, arguments, environment, folder, targets })
    }

    /// Starts the proxy on its core.
    pub(crate) fn start(&self) -> Result<Running> {
        let mut command = Command::new("taskset");
        command.args(["-c", PROXY_CORE]).arg(&self.program).args(&self.arguments);
        clean_environment(&mut command, &self.folder);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let log = fs::File::create(self.folder.join(format!("{}.log", self.name)))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Running { child: command.spawn().context("taskset could not be run")? })
    }
}

/// A started proxy; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// Processor time used so far, in nanoseconds, by the process and its children.
    pub(crate) fn cpu_nanos(&self) -> u64 {
        let threads = self.tree().into_iter().flat_map(|id| list(&format!("/proc/{id}/task")));
        threads
            .filter_map(|thread| fs::read_to_string(thread.join("schedstat")).ok())
            .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// Resident memory now, in KiB, summed over the processes: shared pages count in each.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.memory("Rss:")
    }

    /// Proportional memory now, in KiB: shared pages count once in all.
    pub(crate) fn proportional_kib(&self) -> u64 {
        self.memory("Pss:")
    }

    fn memory(&self, key: &str) -> u64 {
        let rollups = self.tree().into_iter().map(|id| format!("/proc/{id}/smaps_rollup"));
        rollups
            .filter_map(|path| fs::read_to_string(path).ok())
            .filter_map(|text| {
                let line = text.lines().find(|line| line.starts_with(key))?;
                line.split_whitespace().nth(1)?.parse::<u64>().ok()
            })
            .sum()
    }

    /// The process and its children; taskset has become the process by the time it answers.
    fn tree(&self) -> Vec<u32> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        std::iter::once(id).chain(children.split_whitespace().filter_map(|id| id.parse().ok())).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGTERM, not a kill: nginx's master has to end its worker.
        let id = self.child.id();
        drop(Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status());
        drop(self.child.wait());
    }
}

/// Pins this process, before it has a second thread; `false` where there is no second core.
pub(crate) fn pin_self() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let id = std::process::id().to_string();
    cores > 1
        && Command::new("taskset")
            .args(["-cp", LOAD_CORE, &id])
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// An address nobody listens on at the moment; nginx cannot choose one and say which.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn list(folder: &str) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
