//! What `impair` says on stdout.

use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;
use tokio::time::Instant;

use crate::impair::command::Line;
use crate::impair::control::{Control, Totals};
use crate::impair::duplex::Duplex;
use crate::impair::proxy::{Proxy, ProxyConfig};
use crate::impair::settings::Settings;
use crate::output::printable;

/// How much of a line that means nothing is repeated, in characters.
const PREVIEW: usize = 60;

/// Clients may come.
#[derive(Serialize)]
#[serde(tag = "event", rename = "listening")]
pub(super) struct Listening {
    address: SocketAddr,
    to: SocketAddr,
    seed: u64,
    #[serde(flatten)]
    settings: Duplex<String>,
}

/// A line was obeyed.
#[derive(Serialize)]
#[serde(tag = "event", rename = "changed")]
pub(super) struct Changed {
    seconds: f64,
    line: String,
    #[serde(flatten)]
    settings: Duplex<String>,
}

/// A line means nothing.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename = "refused")]
pub(super) struct Refused {
    line: String,
    reason: String,
}

/// The counters, and why they are told.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Report {
    /// Somebody asked.
    Stats(Stats),
    /// It is over.
    Summary(Stats),
}

/// What happened since the start.
#[derive(Serialize)]
pub(super) struct Stats {
    seconds: f64,
    #[serde(flatten)]
    totals: Totals,
}

impl Listening {
    pub(super) fn new(proxy: &Proxy, config: &ProxyConfig) -> Self {
        Self {
            address: proxy.address(),
            to: config.server,
            seed: config.seed,
            settings: config.settings.map(Settings::to_string),
        }
    }
}

impl Changed {
    pub(super) fn new(line: &Line, control: &Control, start: Instant) -> Self {
        Self {
            seconds: start.elapsed().as_secs_f64(),
            line: line.to_string(),
            settings: control.settings().map(Settings::to_string),
        }
    }
}

impl Refused {
    pub(super) fn new(line: &str, reason: String) -> Self {
        Self {
            line: printable(line.as_bytes(), PREVIEW),
            reason,
        }
    }
}

impl Stats {
    pub(super) fn new(control: &Control, start: Instant) -> Self {
        Self {
            seconds: start.elapsed().as_secs_f64(),
            totals: control.totals(),
        }
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Duplex { up, down } = &self.settings;
        writeln!(f, "{}", self.address)?;
        write!(
            f,
            "to {}, seed {}; up: {up}; down: {down}",
            self.to, self.seed
        )
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Duplex { up, down } = &self.settings;
        let Self { seconds, line, .. } = self;
        write!(f, "{seconds:.3} s, {line}; up: {up}; down: {down}")
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused: {}: {}", self.line, self.reason)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Stats(Stats { seconds, totals }) | Self::Summary(Stats { seconds, totals })) =
            self;
        writeln!(f, "up:   {}", totals.counters.up)?;
        writeln!(f, "down: {}", totals.counters.down)?;
        write!(f, "{} clients", totals.clients)?;
        // In the end there are none.
        if totals.active > 0 {
            write!(f, ", {} of them active", totals.active)?;
        }
        write!(f, ", {} changes of port in {seconds:.1} s", totals.rebinds)?;
        if totals.refused > 0 {
            write!(f, "; {} packets of too many clients", totals.refused)?;
        }
        Ok(())
    }
}
