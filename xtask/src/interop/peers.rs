//! The published programs that the relay has to work with, and where they are kept.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::cargo::cargo;
use crate::cert;
use crate::client::Transport;
use crate::process::Launch;
use crate::term::say;

/// The programs there are, by the name of their crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    /// Publishes the time, or prints it.
    Clock,
    /// Publishes media.
    Karp,
    /// A relay.
    Relay,
}

/// The protocol's variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dialect {
    Draft03,
    Fork02,
    Fork04,
    Fork04s,
}

impl Dialect {
    /// All of them, ours first.
    pub(super) const ALL: [Self; 4] = [Self::Draft03, Self::Fork02, Self::Fork04, Self::Fork04s];

    /// The name the test client knows it by.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Draft03 => "draft03",
            Self::Fork02 => "fork02",
            Self::Fork04 => "fork04",
            Self::Fork04s => "fork04s",
        }
    }
}

/// One published version of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Peer {
    pub(super) program: Program,
    pub(super) version: &'static str,
    pub(super) dialect: Dialect,
}

/// The clocks, of every generation that spoke this protocol.
pub(super) const CLOCKS: [Peer; 5] = [
    peer(Program::Clock, "0.5.17", Dialect::Fork02),
    peer(Program::Clock, "0.5.21", Dialect::Fork02),
    peer(Program::Clock, "0.5.22", Dialect::Fork04),
    peer(Program::Clock, "0.5.24", Dialect::Fork04),
    peer(Program::Clock, "0.5.26", Dialect::Fork04s),
];

/// The media publishers.
pub(super) const KARPS: [Peer; 3] = [
    peer(Program::Karp, "0.11.1", Dialect::Fork02),
    peer(Program::Karp, "0.14.0", Dialect::Fork04),
    peer(Program::Karp, "0.15.0", Dialect::Fork04s),
];

/// The relay that the test client has to work with.
pub(crate) const SEED: Peer = peer(Program::Relay, "0.6.15", Dialect::Fork02);

/// The relay that ours have to form a cluster with.
pub(super) const LINKED: Peer = peer(Program::Relay, "0.6.19", Dialect::Fork02);

const fn peer(program: Program, version: &'static str, dialect: Dialect) -> Peer {
    Peer {
        program,
        version,
        dialect,
    }
}

impl Program {
    fn package(self) -> &'static str {
        match self {
            Self::Clock => "moq-clock",
            Self::Karp => "moq-karp",
            Self::Relay => "moq-relay",
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program.package(), self.version)
    }
}

/// The folder that holds the installed programs.
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Finds it: `$MOQ_PEERS_DIR`, else `moq-relay/peers` in the user's cache.
    ///
    /// # Errors
    /// Where the environment names neither a cache nor a home.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let set = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let cache = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        let path = set("MOQ_PEERS_DIR").or_else(|| Some(cache()?.join("moq-relay").join("peers")));
        Ok(Self {
            path: path.context("set MOQ_PEERS_DIR: there is no HOME to keep the peers in")?,
        })
    }

    /// Installs those that are not there yet. Each is compiled, which takes minutes, once.
    ///
    /// # Errors
    /// Where one cannot be installed.
    pub(crate) async fn install(&self, peers: &BTreeSet<Peer>) -> anyhow::Result<()> {
        for peer in peers.iter().filter(|peer| !self.program(peer).is_file()) {
            say!("installing {peer} into {}", self.path.display());
            let target = self.path.join("target");
            fs::create_dir_all(&target).context("cannot make the folder of the peers")?;
            let what = format!("{}@{}", peer.program.package(), peer.version);
            let launch =
                cargo(["install", "--locked", "--quiet", "--root"]).args([self.root(peer)]);
            let status = launch
                .args([what])
                .env("CARGO_TARGET_DIR", target)
                .run()
                .await?;
            ensure!(status.success(), "{peer} could not be installed: {status}");
        }
        Ok(())
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A relay of theirs, to be given its address and certificate.
    pub(crate) fn relay(&self, relay: &Peer) -> Launch {
        self.launch(relay)
    }

    /// A clock of theirs that publishes.
    pub(super) fn publish_clock(&self, clock: &Peer, to: &Target<'_>) -> Launch {
        self.clock(clock, to, ["publish", "--publish"])
    }

    /// A clock of theirs that prints what it receives.
    pub(super) fn subscribe_clock(&self, clock: &Peer, to: &Target<'_>) -> Launch {
        self.clock(clock, to, ["subscribe", ""])
    }

    /// A media publisher of theirs, which reads fragmented MP4 from its stdin.
    pub(super) fn publish_media(&self, karp: &Peer, to: &Target<'_>, path: &str) -> Launch {
        let launch = self.client(karp, to).args(["publish"]);
        launch.args([format!("{}{path}", to.url(karp))]).fed()
    }

    /// The older clocks take a flag where the newer have subcommands.
    fn clock(&self, clock: &Peer, to: &Target<'_>, [command, flag]: [&str; 2]) -> Launch {
        let role = if clock.dialect == Dialect::Fork02 {
            flag
        } else {
            command
        };
        let role = Some(role).filter(|role| !role.is_empty());
        self.client(clock, to).args([to.url(clock)]).args(role)
    }

    fn client(&self, peer: &Peer, to: &Target<'_>) -> Launch {
        let launch = self.launch(peer).args(["--bind", "127.0.0.1:0"]);
        match to.transport {
            Transport::Quic => launch.args(["--tls-disable-verify"]),
            Transport::WebTransport => launch.args(["--tls-root"]).args([&to.cert.cert]),
        }
    }

    fn launch(&self, peer: &Peer) -> Launch {
        Launch::new(peer.to_string(), self.program(peer)).env("RUST_LOG", "info")
    }

    fn program(&self, peer: &Peer) -> PathBuf {
        self.root(peer).join("bin").join(peer.program.package())
    }

    fn root(&self, peer: &Peer) -> PathBuf {
        self.path
            .join(format!("{}-{}", peer.program.package(), peer.version))
    }
}

/// Where and how a client goes.
pub(super) struct Target<'a> {
    /// The relay's address.
    pub(super) relay: SocketAddr,
    /// What to speak to it.
    pub(super) transport: Transport,
    /// What it shows as its certificate.
    pub(super) cert: &'a cert::Files,
}

impl Target<'_> {
    /// The URL for one of their clients. The newer ones fetch the certificate's fingerprint.
    fn url(&self, peer: &Peer) -> String {
        match (self.transport, peer.dialect) {
            (Transport::Quic, _) => format!("moqf://{}", self.relay),
            (Transport::WebTransport, Dialect::Fork02) => format!("https://{}", self.relay),
            (Transport::WebTransport, _) => format!("http://{}", self.relay),
        }
    }
}
