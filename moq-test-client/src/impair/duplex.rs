//! One thing for each direction.

use std::fmt;

use serde::Serialize;

/// A thing for the way up, to the server, and one for the way down, to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Duplex<T> {
    /// From the clients to the server.
    pub up: T,
    /// From the server to the clients.
    pub down: T,
}

/// Which directions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the clients to the server.
    Up,
    /// From the server to the clients.
    Down,
    /// Each of them.
    Both,
}

impl<T> Duplex<T> {
    /// Makes one thing of each direction's.
    pub fn map<U>(&self, mut make: impl FnMut(&T) -> U) -> Duplex<U> {
        Duplex {
            up: make(&self.up),
            down: make(&self.down),
        }
    }

    /// Does something to those that are meant.
    pub fn each(&mut self, way: Way, mut change: impl FnMut(&mut T)) {
        if way != Way::Down {
            change(&mut self.up);
        }
        if way != Way::Up {
            change(&mut self.down);
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Both => "both",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_is_changed() {
        let changed = |way| {
            let mut pair = Duplex::<u8>::default();
            pair.each(way, |value| *value += 1);
            (pair.up, pair.down)
        };
        assert_eq!(changed(Way::Up), (1, 0));
        assert_eq!(changed(Way::Down), (0, 1));
        assert_eq!(changed(Way::Both), (1, 1));
    }
}
