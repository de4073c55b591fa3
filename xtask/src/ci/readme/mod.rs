//! The README's commands, run as printed.
//!
//! Every line of a fenced `sh` block is a command. It is run to its end, which must be a
//! success. With `<!-- check: until TEXT -->` before its block it is run until it prints TEXT; it
//! then goes on while the next ones are run, until `<!-- check: stop -->` or the end. There it is
//! stopped as by Ctrl-C, which must not be a failure. No command can be left out.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;
use tokio::time::timeout;

use self::script::Act;
use crate::cargo::{root, succeed};
use crate::process::{Launch, Line, Process};
use crate::term::say;

mod script;

/// How long a command may take until it prints what it is waited for, builds included.
const PATIENCE: Duration = Duration::from_mins(15);

/// How long a command may take to stop on Ctrl-C.
const GRACE: Duration = Duration::from_secs(20);

/// Runs the commands in their order.
///
/// # Errors
/// At the first that fails.
pub(super) async fn check() -> anyhow::Result<()> {
    let text = fs::read_to_string(root().join("README.md")).context("cannot read README.md")?;
    let mut going_on = Vec::new();
    for act in script::read(&text).context("README.md")? {
        match act {
            Act::Run(line) => {
                say!("$ {line}");
                succeed(shell(&line)).await?;
            }
            Act::RunUntil(line, text) => {
                say!("$ {line}");
                going_on.push(start(&line, &text).await?);
            }
            Act::Stop => {
                while let Some(process) = going_on.pop() {
                    stop(process).await?;
                }
            }
        }
    }
    Ok(())
}

async fn start(line: &str, awaited: &str) -> anyhow::Result<Process> {
    // What it goes on to print would only be in the way of the commands that follow.
    let shows = Arc::new(AtomicBool::new(true));
    let shown = Arc::clone(&shows);
    let teller = move |line: &Line| {
        if shown.load(Ordering::Relaxed) {
            say!("  {}", line.text);
        }
    };
    let process = shell(line).start_told(Some(Box::new(teller)))?;
    let log = process.log();
    let found = log.find(|line| line.text.contains(awaited).then_some(()));
    let found = timeout(PATIENCE, found).await;
    shows.store(false, Ordering::Relaxed);
    match found {
        Ok(Some(())) => Ok(process),
        Ok(None) => bail!("`{line}` ended without printing `{awaited}`"),
        Err(_) => bail!("`{line}` did not print `{awaited}` in time"),
    }
}

async fn stop(mut process: Process) -> anyhow::Result<()> {
    ensure!(
        process.is_running(),
        "`{}` ended while it was needed",
        process.name()
    );
    let status = process.stop(GRACE).await?;
    let interrupted = status.signal() == Some(Signal::INT.as_raw());
    ensure!(
        status.success() || interrupted,
        "`{}` ended with {status} on Ctrl-C",
        process.name()
    );
    Ok(())
}

fn shell(line: &str) -> Launch {
    Launch::new(line, "bash")
        .args(["-c", line])
        .dir(root())
        .patience(GRACE)
}
