//! Where a case is played: a folder, a certificate, a relay, and everyone who came.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::peers::Target;
use crate::cert;
use crate::client::Transport;
use crate::process::{Launch, Process, pause};
use crate::relay;

/// How long a relay may take to be ready.
const START: Duration = Duration::from_secs(10);

/// How long a relay may take to stop.
const GRACE: Duration = Duration::from_secs(10);

/// What a relay that had a bug hit prints.
const PANIC: &str = "panicked at";

/// One case's processes, all ended when it is dropped.
pub(super) struct Stage {
    cert: cert::Files,
    relay: Option<Process>,
    address: SocketAddr,
    cast: Vec<Process>,
    /// Dropped last: the processes use it.
    _folder: TempDir,
}

/// How the relay is started, and what is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It chooses a port and says which; it stops cleanly on a signal.
    Ours,
    /// It is given a port, and is ready once it answers there.
    Theirs,
}

impl Stage {
    /// Prepares an empty stage.
    ///
    /// # Errors
    /// Where there is no place for its files.
    pub(super) fn new() -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("moq-interop-").context("no temporary folder")?;
        let cert = cert::write(folder.path())?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Ok(Self {
            cert,
            relay: None,
            address,
            cast: Vec::new(),
            _folder: folder,
        })
    }

    /// Starts the relay and waits until it can be reached.
    ///
    /// # Errors
    /// Where it ends, or is not there in time.
    pub(super) async fn open(&mut self, relay: Launch, manner: Manner) -> anyhow::Result<()> {
        if manner == Manner::Theirs {
            self.address = relay::free_port()?;
        }
        let relay = relay
            .args(["--dev", "--bind", &self.address.to_string(), "--tls-cert"])
            .args([&self.cert.cert])
            .args(["--tls-key"])
            .args([&self.cert.key]);
        let relay = self.relay.insert(plain(relay).start()?);
        self.address = match manner {
            Manner::Ours => relay::listening(relay).await?,
            Manner::Theirs => answers(relay, self.address).await?,
        };
        Ok(())
    }

    /// The relay's address as a client of theirs takes it.
    pub(super) fn target(&self, over: Transport) -> Target<'_> {
        Target {
            relay: self.address,
            transport: over,
            cert: &self.cert,
        }
    }

    /// The certificate to trust.
    pub(super) fn root(&self) -> &Path {
        &self.cert.cert
    }

    /// Starts a process that stays to the end of the case.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(super) fn enter(&mut self, launch: Launch) -> anyhow::Result<&mut Process> {
        self.cast.push(plain(launch).start()?);
        self.cast.last_mut().context("nobody entered")
    }

    /// Removes the process that entered last, with its log.
    pub(super) fn leave(&mut self) {
        self.cast.pop();
    }

    /// Ends everyone, the relay last; one of ours has to stop cleanly.
    ///
    /// # Errors
    /// Where the relay is gone, panicked, or did not stop as it should.
    pub(super) async fn close(&mut self, manner: Manner) -> anyhow::Result<()> {
        let relay = self.relay.as_mut().context("there is no relay")?;
        ensure!(relay.is_running(), "the relay ended during the case");
        if manner == Manner::Theirs {
            return Ok(());
        }
        let status = relay.stop(GRACE).await?;
        ensure!(!relay.log().contains(PANIC), "the relay panicked");
        ensure!(
            status.success(),
            "the relay ended with {status} when it was stopped"
        );
        Ok(())
    }

    /// The last lines of everyone, for a report.
    pub(super) fn tails(&self, lines: usize) -> String {
        let mut tails = String::new();
        for process in self.relay.iter().chain(&self.cast) {
            let tail = process.log().tail(lines);
            tails.push_str(&format!("--- {}\n{}\n", process.name(), tail.join("\n")));
        }
        tails
    }
}

/// Keeps what is of no use in a report out of what a process prints.
fn plain(launch: Launch) -> Launch {
    launch.env("NO_COLOR", "1").env("RUST_BACKTRACE", "0")
}

/// Waits until a relay that does not say when it is ready answers over TCP.
async fn answers(relay: &mut Process, address: SocketAddr) -> anyhow::Result<SocketAddr> {
    let connect = async {
        while relay.is_running() {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(address);
            }
            pause().await;
        }
        bail!("the relay ended at once")
    };
    timeout(START, connect)
        .await
        .context("the relay was not ready in time")?
}
