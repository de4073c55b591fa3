//! The impairment proxy as a process.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::time::timeout;

use super::PORT;
use crate::process::{Launch, Process};

/// How long a proxy may take to listen, or to obey.
const PATIENCE: Duration = Duration::from_secs(10);

/// A proxy on the way to a name.
pub(super) struct Proxy {
    stdin: ChildStdin,
    process: Process,
    /// Lines it has been told.
    told: usize,
}

impl Proxy {
    /// Starts one that listens at an address and passes on to another.
    ///
    /// # Errors
    /// Where it cannot listen.
    pub(super) async fn start(
        launch: Launch,
        listen: Ipv4Addr,
        to: Ipv4Addr,
        weather: &str,
    ) -> anyhow::Result<Self> {
        let launch = launch.args(["--format=json", "impair"]).args([
            format!("--listen={listen}:{PORT}"),
            format!("--to={to}:{PORT}"),
            format!("--both={weather}"),
        ]);
        let mut process = launch.fed().start()?;
        let stdin = process.stdin().context("a proxy without stdin")?;
        let log = process.log();
        let listens = log.find(|line| line.text.contains("listening").then_some(()));
        let listens = timeout(PATIENCE, listens).await;
        let listens = listens.context("a proxy did not listen in time")?;
        listens.with_context(|| format!("a proxy ended: {}", log.tail(5).join("\n")))?;
        Ok(Self {
            stdin,
            process,
            told: 0,
        })
    }

    /// Changes its settings, and waits until they are in force.
    ///
    /// # Errors
    /// Where it is gone.
    pub(super) async fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        let line = format!("{line}\n");
        let written = self.stdin.write_all(line.as_bytes()).await;
        written.context("a proxy is gone")?;
        self.told += 1;
        let mut left = self.told;
        let log = self.process.log();
        let obeyed = log.find(|line| {
            left -= usize::from(line.text.contains("\"changed\""));
            (left == 0).then_some(())
        });
        let obeyed = timeout(PATIENCE, obeyed).await;
        obeyed
            .context("a proxy did not obey in time")?
            .context("a proxy is gone")
    }
}
