//! Processors that do not go to sleep between two frames.
//!
//! A virtual processor that halts is dear to wake: how dear, and how long the kernel waits before it
//! halts it, changes every few seconds, and with it what a frame costs. So something of the kernel's
//! idle class runs on each processor: whatever else is there to run comes first, at once.

use anyhow::ensure;

use super::stage;
use crate::process::{Launch, Process};

/// Ends by itself, a few times a second, should this program have been killed.
const LOOP: &str = "while kill -0 $PPID 2>&-; do \
                    i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; \
                    done";

/// Keeps the processors that are measured on awake until what it returns is dropped.
///
/// # Errors
/// Where there is no `chrt`, which is of util-linux, or it may not do this.
pub(super) async fn keep() -> anyhow::Result<Vec<Process>> {
    let (status, log) = idle("true").capture().await?;
    ensure!(status.success(), "{}", log.tail(3).join(" "));
    let cores = [stage::RELAY_CORE, stage::LOAD_CORE].into_iter();
    cores
        .map(|core| stage::pinned(&[core], idle(LOOP), None))
        .collect()
}

fn idle(script: &str) -> Launch {
    Launch::new("chrt", "chrt").args(["--idle", "0", "sh", "-c", script])
}
