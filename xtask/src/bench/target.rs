//! Whom the load is put on.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::shape::Shape;
use crate::cert;
use crate::client::Transport;
use crate::interop::peers::{Folder, SEED};
use crate::process::{Launch, Process, Teller, pause};
use crate::relay;

/// The processor that the relay has for itself.
const RELAY_CORE: usize = 0;

/// The one that the load has.
const LOAD_CORE: usize = 1;

/// How long a relay may take to be ready.
const START: Duration = Duration::from_secs(20);

/// Who carries the load.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    /// Quinn without a protocol: the floor. A stream a frame, or a stream a group.
    Bare(Streams),
    /// This relay.
    Ours,
    /// The published relay 0.6.15.
    Seed,
    /// One that runs already.
    Running(Running),
}

/// What bare quinn opens a stream for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Streams {
    Frame,
    Group,
}

/// A relay that somebody else has started: `NAME=URL,PID[,DIALECT]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Running {
    name: String,
    url: String,
    pid: u32,
    dialect: String,
}

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
    _folder: TempDir,
}

impl Target {
    /// What it is called in results.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Bare(Streams::Frame) => "bare",
            Self::Bare(Streams::Group) => "bare-group",
            Self::Ours => "ours",
            Self::Seed => "seed",
            Self::Running(running) => &running.name,
        }
    }

    /// Whether it can carry this load.
    pub(super) fn takes(&self, shape: &Shape) -> bool {
        match self {
            Self::Bare(Streams::Frame) => shape.has_floor(),
            // Nothing is sent, or each frame has its own stream anyway.
            Self::Bare(Streams::Group) => shape.has_floor() && shape.fps > 0 && shape.grouping > 1,
            Self::Ours | Self::Seed | Self::Running(_) => true,
        }
    }

    /// Starts it on its own processor.
    ///
    /// # Errors
    /// Where it cannot be started, or is not ready in time.
    pub(super) async fn start(
        &self,
        programs: &Programs,
        shape: &Shape,
        seconds: u64,
    ) -> anyhow::Result<Stage> {
        let folder = TempDir::with_prefix("moq-bench-").context("no temporary folder")?;
        let cert = cert::write(folder.path())?;
        let address = free_port()?;
        let (relay, dialect) = match self {
            Self::Running(running) => {
                let way = [
                    format!("--relay={}", running.url),
                    "--tls-disable-verify".to_owned(),
                ];
                let load = load(programs, shape, seconds, &running.dialect).args(way);
                return Ok(Stage {
                    pid: running.pid,
                    load: Some(load),
                    relay: None,
                    _folder: folder,
                });
            }
            Self::Bare(streams) => {
                let relay = pinned(
                    RELAY_CORE,
                    bare_send(programs, shape, *streams, address),
                    None,
                )?;
                relay::listening(&relay).await?;
                return stage(
                    relay,
                    bare_receive(programs, shape, seconds, address),
                    folder,
                );
            }
            Self::Ours => (Launch::new("relay", &programs.relay), "draft03"),
            Self::Seed => (Folder::find()?.relay(&SEED), "fork02"),
        };
        let launch = relay
            .args(["--bind", &address.to_string(), "--dev", "--tls-cert"])
            .args([&cert.cert])
            .args(["--tls-key"])
            .args([&cert.key])
            .env("RUST_LOG", "warn");
        let mut relay = pinned(RELAY_CORE, launch, None)?;
        answers(&mut relay, address).await?;
        let way = way(programs.transport, address, &cert.cert);
        stage(
            relay,
            load(programs, shape, seconds, dialect).args(way),
            folder,
        )
    }
}

impl Stage {
    /// Starts the load on its processor, and tells `teller` of all it says.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(super) fn load(&mut self, teller: Teller) -> anyhow::Result<Process> {
        let load = self.load.take().context("the load was started before")?;
        pinned(LOAD_CORE, load, Some(teller))
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
}

impl FromStr for Running {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let usage = "write NAME=URL,PID or NAME=URL,PID,DIALECT";
        let (name, rest) = text.split_once('=').context(usage)?;
        let mut parts = rest.split(',');
        let (url, pid) = parts.next().zip(parts.next()).context(usage)?;
        let dialect = parts.next().unwrap_or("draft03");
        ensure!(parts.next().is_none() && !name.is_empty(), usage);
        Ok(Self {
            name: name.to_owned(),
            url: url.to_owned(),
            pid: pid.parse().context(usage)?,
            dialect: dialect.to_owned(),
        })
    }
}

/// Starts a program that stays on one processor. Where there is only one, all share it.
///
/// # Errors
/// Where it cannot be started.
fn pinned(core: usize, launch: Launch, teller: Option<Teller>) -> anyhow::Result<Process> {
    // A child begins where its parent's thread may run, and this program has one thread.
    let everywhere = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one).with_context(|| format!("there is no processor {core}"))?;
    let started = launch.start_told(teller);
    sched_setaffinity(None, &everywhere)?;
    started
}

fn stage(relay: Process, load: Launch, folder: TempDir) -> anyhow::Result<Stage> {
    Ok(Stage {
        pid: relay.id().context("the relay ended at once")?,
        load: Some(load),
        relay: Some(relay),
        _folder: folder,
    })
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
            format!("--ramp={}ms", 2 * shape.subscribers),
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

fn bare(programs: &Programs, shape: &Shape, address: SocketAddr) -> Launch {
    let connections = shape.subscribers.to_string();
    let bind = address.to_string();
    Launch::new("bare quinn", &programs.bare).args(["--bind", &bind, "--connections", &connections])
}

fn bare_send(programs: &Programs, shape: &Shape, streams: Streams, address: SocketAddr) -> Launch {
    let per_stream = match streams {
        Streams::Frame => 1,
        Streams::Group => shape.grouping,
    };
    bare(programs, shape, address).args([
        "send".to_owned(),
        format!("--fps={}", shape.fps),
        format!("--frame-size={}", shape.mean_size()),
        format!("--frames-per-stream={per_stream}"),
    ])
}

fn bare_receive(programs: &Programs, shape: &Shape, seconds: u64, address: SocketAddr) -> Launch {
    bare(programs, shape, address).args([
        "receive".to_owned(),
        format!("--frame-size={}", shape.mean_size()),
        format!("--duration={seconds}"),
    ])
}

fn free_port() -> anyhow::Result<SocketAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(socket.local_addr()?)
}

/// Waits until a relay answers over TCP, which it does last.
async fn answers(relay: &mut Process, address: SocketAddr) -> anyhow::Result<()> {
    let connect = async {
        while relay.is_running() {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(());
            }
            pause().await;
        }
        bail!(
            "the relay ended at once:\n{}",
            relay.log().tail(20).join("\n")
        )
    };
    let ready = timeout(START, connect).await;
    ready.context("the relay was not ready in time")?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_relay_is_given_by_name_url_and_process() {
        let running: Running = "new=https://localhost:4443,17".parse().unwrap();
        assert_eq!((running.name.as_str(), running.pid), ("new", 17));
        assert_eq!(running.url, "https://localhost:4443");
        let old: Running = "old=moqf://127.0.0.1:1,2,fork04".parse().unwrap();
        assert_eq!(old.dialect, "fork04");
        for text in ["", "x", "x=y", "x=y,z", "=y,1", "x=y,1,fork02,4"] {
            assert!(text.parse::<Running>().is_err(), "{text}");
        }
    }
}
