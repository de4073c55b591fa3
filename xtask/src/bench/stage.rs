//! A target that is started for one trial, and the load that it is to carry.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::shape::{Cores, Rate, Shape};
use super::target::{Streams, Target};
use crate::cert;
use crate::client::Transport;
use crate::interop::peers::{Folder, SEED};
use crate::process::{Launch, Process, Teller, pause};
use crate::relay;

/// The processor that the relay has for itself.
pub(super) const RELAY_CORE: usize = 0;

/// The one that the load has.
pub(super) const LOAD_CORE: usize = 1;

/// How long a relay may take to be ready.
const START: Duration = Duration::from_secs(20);

/// The programs.
pub(super) struct Programs {
    pub(super) relay: PathBuf,
    pub(super) client: PathBuf,
    pub(super) bare: PathBuf,
    pub(super) transport: Transport,
}

/// A target that has been started, and the load that it is to carry.
pub(super) struct Stage {
    /// The relay's process.
    pub(super) pid: u32,
    /// What puts the load on it.
    load: Option<Launch>,
    /// Ended with the stage; `None` if it is not ours to end.
    relay: Option<Process>,
    /// The long way to it.
    proxy: Option<Process>,
    cores: Cores,
    _folder: TempDir,
}

impl Stage {
    /// Starts a target where the shape wants it.
    ///
    /// # Errors
    /// Where it cannot be started, or is not ready in time.
    pub(super) async fn set(
        target: &Target,
        programs: &Programs,
        shape: &Shape,
        seconds: u64,
    ) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("moq-bench-").context("no temporary folder")?;
        let mut stage = Self {
            pid: 0,
            load: None,
            relay: None,
            proxy: None,
            cores: shape.cores,
            _folder: folder,
        };
        let (relay, dialect) = match target {
            Target::Running(running) => {
                let load = load(programs, shape, seconds, &running.dialect);
                let relay = format!("--relay={}", running.url);
                stage.load = Some(load.args([&relay, "--tls-disable-verify"]));
                stage.pid = running.pid;
                return Ok(stage);
            }
            Target::Bare(streams) => {
                stage.set_bare(programs, shape, seconds, *streams).await?;
                return Ok(stage);
            }
            Target::Ours => (Launch::new("relay", &programs.relay), "draft03"),
            Target::Seed => (Folder::find()?.relay(&SEED), "fork02"),
        };
        let cert = cert::write(stage._folder.path())?;
        let address = relay::free_port()?;
        let launch = relay
            .args(["--bind", &address.to_string(), "--dev", "--tls-cert"])
            .args([&cert.cert])
            .args(["--tls-key"])
            .args([&cert.key])
            .env("RUST_LOG", "warn");
        stage.start(launch, None)?;
        stage.answers(address).await?;
        let address = stage.detour(programs, shape, address).await?;
        let way = way(programs.transport, address, &cert.cert);
        stage.load = Some(load(programs, shape, seconds, dialect).args(way));
        Ok(stage)
    }

    async fn set_bare(
        &mut self,
        programs: &Programs,
        shape: &Shape,
        seconds: u64,
        streams: Streams,
    ) -> anyhow::Result<()> {
        let (connections, bind) = (
            shape.subscribers.to_string(),
            relay::free_port()?.to_string(),
        );
        let bare = || {
            let bare = Launch::new("bare quinn", &programs.bare);
            bare.args(["--bind", &bind, "--connections", &connections])
        };
        let per_stream = match streams {
            Streams::Frame => 1,
            Streams::Group => shape.grouping,
        };
        let send = bare().args(["send"]).args(shape.bare_load(per_stream));
        self.start(send, None)?;
        if let Some(relay) = &self.relay {
            relay::listening(relay).await?;
        }
        let receive = bare().args([
            "receive".to_owned(),
            format!("--ramp={}", shape.ramp),
            format!("--warmup={}", shape.warmup),
            format!("--duration={seconds}"),
        ]);
        self.load = Some(match shape.rate {
            Rate::InFlight(_) => receive.args(["--flood"]),
            Rate::Frames(_) => receive,
        });
        Ok(())
    }

    fn start(&mut self, launch: Launch, teller: Option<Teller>) -> anyhow::Result<()> {
        let relay = pinned(self.relay_cores(), launch, teller)?;
        self.pid = relay.id().context("the relay ended at once")?;
        self.relay = Some(relay);
        Ok(())
    }

    /// Waits until the relay answers over TCP, which it does last.
    async fn answers(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let connect = async {
            while self.is_running() {
                if TcpStream::connect(address).await.is_ok() {
                    return Ok(());
                }
                pause().await;
            }
            bail!("the relay ended at once:\n{}", self.tail())
        };
        let ready = timeout(START, connect).await;
        ready.context("the relay was not ready in time")?
    }

    /// Makes the way to the relay as long as the shape wants it; returns where it begins.
    async fn detour(
        &mut self,
        programs: &Programs,
        shape: &Shape,
        relay: SocketAddr,
    ) -> anyhow::Result<SocketAddr> {
        if shape.delay == 0 {
            return Ok(relay);
        }
        let proxy = Launch::new("proxy", &programs.client).args([
            "impair".to_owned(),
            format!("--to={relay}"),
            // Everyone, and the publisher and the listener that waits for its track.
            format!("--max-clients={}", shape.connections()),
            format!("--both=delay={}ms", shape.delay),
        ]);
        let proxy = pinned(self.load_cores(), proxy, None)?;
        let begin = relay::listening(&proxy).await?;
        self.proxy = Some(proxy);
        Ok(begin)
    }

    /// Starts the load on its processor, and tells `teller` of all it says.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(super) fn load(&mut self, teller: Teller) -> anyhow::Result<Process> {
        let load = self.load.take().context("the load was started before")?;
        pinned(self.load_cores(), load, Some(teller))
    }

    /// What the relay said last, for a report.
    pub(super) fn tail(&self) -> String {
        let relay = self.relay.as_ref();
        relay.map_or_else(String::new, |relay| relay.log().tail(20).join("\n"))
    }

    /// Whether the relay is still there.
    pub(super) fn is_running(&mut self) -> bool {
        self.relay.as_mut().is_none_or(Process::is_running)
    }

    fn relay_cores(&self) -> &'static [usize] {
        match self.cores {
            Cores::Apart => &[RELAY_CORE],
            Cores::Shared => &[RELAY_CORE, LOAD_CORE],
        }
    }

    fn load_cores(&self) -> &'static [usize] {
        match self.cores {
            Cores::Apart => &[LOAD_CORE],
            Cores::Shared => &[RELAY_CORE, LOAD_CORE],
        }
    }
}

/// Starts something where the load is.
///
/// # Errors
/// Where it cannot be started.
pub(super) fn beside_the_load(launch: Launch) -> anyhow::Result<Process> {
    pinned(&[LOAD_CORE], launch, None)
}

/// Starts a program that stays on these processors.
///
/// # Errors
/// Where it cannot be started.
pub(super) fn pinned(
    cores: &[usize],
    launch: Launch,
    teller: Option<Teller>,
) -> anyhow::Result<Process> {
    // A child begins where its parent's thread may run, and this program has one thread.
    let everywhere = sched_getaffinity(None)?;
    let mut set = CpuSet::new();
    cores.iter().for_each(|&core| set.set(core));
    sched_setaffinity(None, &set).with_context(|| format!("there is no processor {cores:?}"))?;
    let started = launch.start_told(teller);
    sched_setaffinity(None, &everywhere)?;
    started
}

fn load(programs: &Programs, shape: &Shape, seconds: u64, dialect: &str) -> Launch {
    Launch::new("load", &programs.client)
        .args([
            "--format=json",
            "--timeout=60s",
            "--dialect",
            dialect,
            "bench",
            "--allow-loss",
        ])
        .args(shape.load())
        .args([
            format!("--duration={seconds}s"),
            "--interval=10m".to_owned(),
        ])
}

fn way(transport: Transport, relay: SocketAddr, root: &Path) -> [String; 2] {
    let scheme = match transport {
        Transport::WebTransport => "https",
        Transport::Quic => "moqf",
    };
    [
        format!("--relay={scheme}://{relay}"),
        format!("--tls-root={}", root.display()),
    ]
}
