//! Our test client's command lines, and what it answers.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::process::{Launch, Line};

/// What a client speaks to a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Transport {
    /// WebTransport over HTTP/3, as a browser does
    #[value(name = "webtransport")]
    WebTransport,
    /// MoqTransfork straight on QUIC
    #[value(name = "quic")]
    Quic,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebTransport => "webtransport",
            Self::Quic => "quic",
        })
    }
}

/// The program moq-test-client, and how it reaches a relay.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    program: PathBuf,
    /// The arguments that every command begins with.
    way: Vec<String>,
}

impl Client {
    /// Reaches a relay in dev mode, with nothing to prepare.
    pub(crate) fn dev(program: &Path, transport: Transport, relay: SocketAddr) -> Self {
        let way = match transport {
            // The fingerprint of the certificate is fetched first.
            Transport::WebTransport => vec![format!("--relay=http://{relay}")],
            // Without HTTP there is nowhere to fetch it from.
            Transport::Quic => {
                vec![
                    format!("--relay=moqf://{relay}"),
                    "--tls-disable-verify".to_owned(),
                ]
            }
        };
        Self {
            program: program.to_owned(),
            way,
        }
    }

    /// Reaches a relay whose certificate it is given, speaking one dialect.
    pub(crate) fn trusting(
        program: &Path,
        transport: Transport,
        relay: SocketAddr,
        root: &Path,
        dialect: &str,
    ) -> Self {
        let scheme = match transport {
            Transport::WebTransport => "https",
            Transport::Quic => "moqf",
        };
        let way = vec![
            format!("--relay={scheme}://{relay}"),
            format!("--tls-root={}", root.display()),
            format!("--dialect={dialect}"),
        ];
        Self {
            program: program.to_owned(),
            way,
        }
    }

    /// Publishes the time at the path `clock`.
    pub(crate) fn publish_clock(&self) -> Launch {
        self.launch("publisher")
            .args(["publish", "--clock", "--path=clock"])
    }

    /// Prints the time from the path `clock`, a line per second as the published clocks do.
    pub(crate) fn subscribe_clock(&self) -> Launch {
        self.launch("subscriber")
            .args(["subscribe", "--print=clock", "--path=clock"])
    }

    /// Tells of every frame and every group's end of a track, as [`Event`]s.
    pub(crate) fn subscribe_events(&self, path: &str) -> Launch {
        let launch = self.launch(&format!("subscriber of {path}"));
        launch.args([
            "--format=json",
            "subscribe",
            "--print=raw",
            "--hash",
            "--path",
            path,
        ])
    }

    /// Follows what is announced below a path, as [`Event`]s.
    pub(crate) fn announced(&self, prefix: &str) -> Launch {
        let launch = self.launch(&format!("follower of {prefix}"));
        launch.args(["--format=json", "announced", prefix])
    }

    /// Runs the conformance tests, reported in TAP.
    pub(crate) fn conformance(&self) -> Launch {
        self.launch("conformance tests")
    }

    fn launch(&self, name: &str) -> Launch {
        Launch::new(name, &self.program).args(&self.way)
    }
}

/// What the client tells with `--format=json`, as far as it is of interest.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// A track is published.
    Active {
        /// Which.
        path: String,
    },
    /// A track is published no more.
    Ended {
        /// Which.
        path: String,
    },
    /// A frame arrived.
    Frame {
        /// The group it is in.
        group: u64,
        /// Which of the group's frames it is.
        frame: u64,
        /// Its payload in hexadecimal.
        hex: String,
    },
    /// A group ended.
    Group {
        /// Which.
        group: u64,
        /// The SHA-256 of its frames' payloads, one behind the other, in hexadecimal.
        sha256: String,
        /// `clean`, or else it was cut short.
        end: String,
    },
}

impl Event {
    /// Reads a line; `None` where it is of no interest.
    pub(crate) fn of(line: &Line) -> Option<Self> {
        serde_json::from_str(&line.text).ok()
    }
}
