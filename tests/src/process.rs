//! A child process whose output is kept and can be waited on.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Most output kept of one process; what comes later is read and thrown away.
const MAX_OUTPUT: usize = 8 * 1024 * 1024;

/// How often an exit is looked for while it is waited on: the standard library has no wait with a deadline.
const EXIT_POLL: Duration = Duration::from_millis(5);

/// A running child; dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: Arc<Output>,
}

#[derive(Debug, Default)]
struct Output {
    state: Mutex<State>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct State {
    text: String,
    open: usize,
}

impl Process {
    /// Starts a command with both of its output streams captured and no input.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{:?} did not start", command.get_program()))?;
        let output = Arc::new(Output::default());
        output.state.lock().expect("the lock is not poisoned").open = 2;
        collect(child.stdout.take().context("no standard output")?, Arc::clone(&output));
        collect(child.stderr.take().context("no standard error")?, Arc::clone(&output));
        Ok(Self { child, output })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything written so far, both streams, in the order it was read.
    pub fn output(&self) -> String {
        self.output.state.lock().expect("the lock is not poisoned").text.clone()
    }

    /// Waits until `find` yields something from the output; fails with the output when time is up or it ends.
    pub fn wait_output<T>(&self, within: Duration, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + within;
        let mut state = self.output.state.lock().expect("the lock is not poisoned");
        loop {
            if let Some(found) = find(&state.text) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.open == 0 {
                bail!("expected output did not come; the process said:\n{}", state.text);
            }
            state = self.output.grown.wait_timeout(state, left).expect("the lock is not poisoned").0;
        }
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) -> Result<()> {
        self.signal("TERM")
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status()?;
        if !status.success() {
            bail!("kill: {status}");
        }
        Ok(())
    }

    /// Waits for the end of the process, bounded, and then for the end of its output.
    pub fn wait_exit(&mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                let mut state = self.output.state.lock().expect("the lock is not poisoned");
                while state.open > 0 && Instant::now() < deadline {
                    state = self.output.grown.wait_timeout(state, EXIT_POLL).expect("not poisoned").0;
                }
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("still running after {within:?}; the process said:\n{}", self.output());
            }
            thread::sleep(EXIT_POLL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when the process has already ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static, into: Arc<Output>) {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            line.clear();
            let ended = !matches!(from.read_until(b'\n', &mut line), Ok(count) if count > 0);
            let mut state = into.state.lock().expect("the lock is not poisoned");
            if state.text.len() < MAX_OUTPUT {
                state.text.push_str(&String::from_utf8_lossy(&line));
            }
            if ended {
                state.open -= 1;
            }
            into.grown.notify_all();
            if ended {
                return;
            }
        }
    });
}
