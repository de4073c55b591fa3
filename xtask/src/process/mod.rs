//! Child processes that cannot outlive this program.
//!
//! A child leads a process group of its own, so that what it started goes with it (cargo's
//! compilers, nextest's tests). The group is ended and the child waited for by
//! [`Process::stop`], or when the [`Process`] is dropped: on an error, on Ctrl-C, on a panic.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncRead;
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub(crate) use self::log::{Line, Log, Origin, Teller};

mod log;

/// How long a killed process may take to be gone, and its pipes to be read to their end.
const REAP: Duration = Duration::from_secs(2);

/// How often a process that is being ended from a destructor is looked at.
const POLL: Duration = Duration::from_millis(2);

/// Waits for SIGINT or SIGTERM.
///
/// # Errors
/// Where the handlers cannot be installed.
pub(crate) async fn interrupted() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

/// A program about to be started.
pub(crate) struct Launch {
    name: String,
    command: Command,
    stderr: Stdio,
    patience: Duration,
}

impl Launch {
    /// Names a program and what it is called in messages.
    pub(crate) fn new(name: impl Into<String>, program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null());
        Self {
            name: name.into(),
            command,
            stderr: Stdio::piped(),
            patience: Duration::ZERO,
        }
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the folder it starts in.
    pub(crate) fn dir(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Keeps its stdin open to be written to.
    pub(crate) fn fed(mut self) -> Self {
        self.command.stdin(Stdio::piped());
        self
    }

    /// Asks it with SIGTERM first when it has to end, and waits this long before killing it.
    ///
    /// For programs with children outside their own group, which only they can end.
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Writes it as one would type it.
    pub(crate) fn line(&self) -> String {
        let command = self.command.as_std();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Sends its stderr elsewhere than into what is kept.
    pub(crate) fn stderr(mut self, stderr: Stdio) -> Self {
        self.stderr = stderr;
        self
    }

    /// Starts it and keeps what it prints.
    pub(crate) fn start(self) -> anyhow::Result<Process> {
        self.start_told(None)
    }

    /// Starts it, keeps what it prints and tells `teller` of every line.
    pub(crate) fn start_told(mut self, teller: Option<Teller>) -> anyhow::Result<Process> {
        let stderr = std::mem::replace(&mut self.stderr, Stdio::null());
        self.command.stdout(Stdio::piped()).stderr(stderr);
        let log = Arc::new(Log::new(teller));
        let mut process = self.spawn(Arc::clone(&log))?;
        if let Some(stdout) = process.child.stdout.take() {
            process.keep(Origin::Stdout, stdout);
        }
        if let Some(stderr) = process.child.stderr.take() {
            process.keep(Origin::Stderr, stderr);
        }
        Ok(process)
    }

    /// Runs it to its end, on the terminal that we have.
    pub(crate) async fn run(self) -> anyhow::Result<ExitStatus> {
        let mut process = self.spawn(Arc::new(Log::new(None)))?;
        process.wait().await
    }

    /// Runs it to its end and gives back what it printed.
    pub(crate) async fn capture(self) -> anyhow::Result<(ExitStatus, Arc<Log>)> {
        let mut process = self.start()?;
        let status = process.wait().await?;
        Ok((status, process.log()))
    }

    fn spawn(mut self, log: Arc<Log>) -> anyhow::Result<Process> {
        let child = self
            .command
            .spawn()
            .with_context(|| format!("cannot start {}", self.line()))?;
        Ok(Process {
            name: self.name,
            child,
            log,
            readers: JoinSet::new(),
            patience: self.patience,
        })
    }
}

/// A running child, ended and waited for when dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: Arc<Log>,
    readers: JoinSet<()>,
    patience: Duration,
}

impl Process {
    /// What it is called in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its number, while it has not been waited for.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it has printed so far, and will.
    pub(crate) fn log(&self) -> Arc<Log> {
        Arc::clone(&self.log)
    }

    /// Hands over its stdin, once, where it was started [`Launch::fed`].
    pub(crate) fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Tells whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end and for the rest of what it printed.
    pub(crate) async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let status = self
            .child
            .wait()
            .await
            .with_context(|| format!("cannot wait for {}", self.name))?;
        // A grandchild may hold the pipes open; what it prints is of no interest.
        let _ = timeout(REAP, async {
            while self.readers.join_next().await.is_some() {}
        })
        .await;
        Ok(status)
    }

    /// Ends it: SIGINT first, the kill after `grace`. Gives back how it ended.
    pub(crate) async fn stop(&mut self, grace: Duration) -> anyhow::Result<ExitStatus> {
        if self.is_running() {
            self.signal(Signal::INT);
        }
        match timeout(grace, self.child.wait()).await {
            Ok(_) => {}
            Err(_) => self.signal(Signal::KILL),
        }
        self.wait().await
    }

    /// Sends it and its children a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(group) = pid {
            // It fails only where the group is gone already, which is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }

    fn keep(&mut self, origin: Origin, stream: impl AsyncRead + Send + Unpin + 'static) {
        let opened = self.log.open();
        self.readers
            .spawn(async move { opened.read(origin, stream).await });
    }

    /// Blocks until it has ended, or `limit` is over.
    #[expect(
        clippy::disallowed_methods,
        reason = "a destructor cannot await, and this one must wait"
    )]
    fn reap(&mut self, limit: Duration) {
        let polls = limit.as_millis() / POLL.as_millis();
        for _ in 0..polls {
            if !self.is_running() {
                return;
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() && !self.patience.is_zero() {
            self.signal(Signal::TERM);
            self.reap(self.patience);
        }
        if self.is_running() {
            self.signal(Signal::KILL);
            self.reap(REAP);
        }
    }
}

/// Waits between two attempts at something that another process has to get ready for.
pub(crate) async fn pause() {
    sleep(Duration::from_millis(50)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(pid: u32) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !status.is_empty() && !status.contains(") Z ")
    }

    async fn shell_with_a_child() -> (Process, u32) {
        let script = "sleep 100 & echo $!; wait";
        let process = Launch::new("shell", "sh")
            .args(["-c", script])
            .start()
            .unwrap();
        let child = process
            .log()
            .find(|line| line.text.parse().ok())
            .await
            .unwrap();
        (process, child)
    }

    #[tokio::test]
    async fn a_dropped_process_takes_its_own_children_with_it() {
        let (process, grandchild) = shell_with_a_child().await;
        let child = process.child.id().unwrap();
        assert!(alive(child) && alive(grandchild));

        drop(process);

        assert!(!alive(child));
        while alive(grandchild) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_process_that_ignores_being_asked_is_killed_after_the_grace() {
        let script = "trap '' INT; echo ready; while :; do sleep 100; done";
        let mut process = Launch::new("deaf", "sh")
            .args(["-c", script])
            .start()
            .unwrap();
        process
            .log()
            .find(|line| (line.text == "ready").then_some(()))
            .await
            .unwrap();

        let status = process.stop(Duration::from_millis(20)).await.unwrap();

        assert!(!status.success());
        assert!(!process.is_running());
    }

    #[tokio::test]
    async fn what_a_process_prints_is_kept_to_its_last_line() {
        let script = "echo out; printf 'no newline'; echo err >&2";
        let (status, log) = Launch::new("talk", "sh")
            .args(["-c", script])
            .capture()
            .await
            .unwrap();

        assert!(status.success());
        assert_eq!(log.stdout(), ["out", "no newline"]);
        assert!(log.tail(9).iter().any(|line| line == "err"));
    }
}
