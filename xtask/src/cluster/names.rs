//! The nodes there are.

use std::fmt;

/// One of the relays of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    /// Where the others find each other.
    Root,
    A,
    B,
    /// Joins later, in some of the drills.
    C,
}

impl Node {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Root, Self::A, Self::B, Self::C];

    /// Those that a cluster begins with.
    pub(super) const FIRST: [Self; 3] = [Self::Root, Self::A, Self::B];

    /// A short name, which begins its host's name.
    pub(super) const fn short(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::A => "a",
            Self::B => "b",
            Self::C => "c",
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}
