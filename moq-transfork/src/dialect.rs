//! The protocol variants that peers speak.

use std::fmt;
use std::str::FromStr;

/// The names that the transport agrees on before a session begins.
pub mod alpn {
    /// Raw QUIC with the draft's own version.
    pub const DRAFT03: &str = "moq-transfork-03";
    /// Raw QUIC as every published crate offers it, whatever version follows.
    pub const FORK: &str = "moqf-02";
}

/// One variant of the protocol: the draft, or what a line of published crates speaks.
///
/// [`Dialect::Fork04`] and [`Dialect::Fork04s`] share a version number and can only be told apart
/// by what the peer sends, see [`crate::detect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// The full protocol of draft-03.
    Draft03,
    /// The published crates 0.8: paths in parts, group expiry, no live marker.
    Fork02,
    /// The published crates 0.9 to 0.11: paths in parts, live marker.
    Fork04,
    /// The published crate 0.12: paths as one string, wildcard filters, live marker.
    Fork04s,
}

impl Dialect {
    /// All dialects, the most capable first: the order a server prefers them in.
    pub const ALL: [Dialect; 4] = [
        Dialect::Draft03,
        Dialect::Fork04,
        Dialect::Fork04s,
        Dialect::Fork02,
    ];

    /// Tells the version number that SESSION_CLIENT and SESSION_SERVER carry.
    pub const fn version(self) -> u64 {
        match self {
            Dialect::Draft03 => 0xff0b_ad03,
            Dialect::Fork02 => 0xff0b_ad02,
            Dialect::Fork04 | Dialect::Fork04s => 0xff0b_ad04,
        }
    }

    /// Whether paths travel as one string instead of in parts.
    pub const fn has_text_paths(self) -> bool {
        matches!(self, Dialect::Fork04s)
    }

    /// Whether the end of the first announcements is marked by ANNOUNCE live.
    ///
    /// Peers of the other dialects reset the announce stream when they see one.
    pub const fn has_live(self) -> bool {
        !matches!(self, Dialect::Fork02)
    }

    /// Whether SUBSCRIBE, SUBSCRIBE_UPDATE and INFO carry a group expiry.
    pub const fn has_expires(self) -> bool {
        matches!(self, Dialect::Draft03 | Dialect::Fork02)
    }

    /// Whether a peer survives a FETCH.
    pub const fn has_fetch(self) -> bool {
        matches!(self, Dialect::Draft03)
    }

    /// Whether a peer understands SESSION_UPDATE.
    pub const fn has_session_update(self) -> bool {
        matches!(self, Dialect::Draft03)
    }

    /// Whether a peer acts on SUBSCRIBE_UPDATE. The others decode and ignore it.
    pub const fn has_subscribe_update(self) -> bool {
        matches!(self, Dialect::Draft03)
    }

    /// Whether a peer understands SUBSCRIBE_GAP.
    pub const fn has_gap(self) -> bool {
        true
    }

    const fn name(self) -> &'static str {
        match self {
            Dialect::Draft03 => "draft03",
            Dialect::Fork02 => "fork02",
            Dialect::Fork04 => "fork04",
            Dialect::Fork04s => "fork04s",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Dialect::ALL
            .into_iter()
            .find(|dialect| dialect.name() == name);
        known.ok_or_else(|| UnknownDialect(name.to_owned()))
    }
}

/// A name that is no dialect's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown dialect {0:?}, expected draft03, fork02, fork04 or fork04s")]
pub struct UnknownDialect(pub String);
