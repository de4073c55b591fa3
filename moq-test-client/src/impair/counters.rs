//! What happened to the packets of one direction.

use std::fmt;
use std::ops::AddAssign;

use serde::Serialize;

use crate::units;

/// Numbers of packets, unless they say bytes.
///
/// Every packet and every copy is in one of `delivered`, `lost`, `cut`, `dropped` and `overflowed`,
/// or [under way](Self::under_way).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Arrived at the proxy.
    pub packets: u64,
    /// Bytes of those, without headers of UDP and IP.
    pub bytes: u64,
    /// Passed on, copies included.
    pub delivered: u64,
    /// Bytes of those.
    pub delivered_bytes: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Lost to a cut.
    pub cut: u64,
    /// Lost because the wait for the rate would have been too long.
    pub dropped: u64,
    /// Lost because the proxy held all that it may, or was too slow.
    pub overflowed: u64,
    /// Passed on, and refused by the operating system: nobody listens there, for example.
    pub failed: u64,
    /// Had to wait for the rate.
    pub queued: u64,
    /// Passed on after one that arrived later (RFC 4737, section 3).
    pub reordered: u64,
    /// Copies made.
    pub duplicated: u64,
}

impl Counters {
    /// Returns how many packets and copies are neither lost nor passed on yet.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        let gone = self.delivered + self.lost + self.cut + self.dropped + self.overflowed;
        (self.packets + self.duplicated).saturating_sub(gone)
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.delivered += other.delivered;
        self.delivered_bytes += other.delivered_bytes;
        self.lost += other.lost;
        self.cut += other.cut;
        self.dropped += other.dropped;
        self.overflowed += other.overflowed;
        self.failed += other.failed;
        self.queued += other.queued;
        self.reordered += other.reordered;
        self.duplicated += other.duplicated;
    }
}

/// Leaves out what did not happen, except loss.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} packets ({}) in, {} ({}) out, {} lost",
            self.packets,
            units::bytes(self.bytes),
            self.delivered,
            units::bytes(self.delivered_bytes),
            self.lost,
        )?;
        for (count, what) in [
            (self.cut, "cut off"),
            (self.dropped, "dropped from the queue"),
            (self.overflowed, "too many to hold"),
            (self.failed, "refused by the system"),
            (self.queued, "queued"),
            (self.reordered, "reordered"),
            (self.duplicated, "duplicated"),
            (self.under_way(), "under way"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_happen_is_not_told() {
        let mut counters = Counters::default();
        for _ in 0..2 {
            counters += Counters {
                packets: 10,
                bytes: 1024,
                delivered: 8,
                delivered_bytes: 800,
                lost: 1,
                duplicated: 1,
                ..Counters::default()
            };
        }
        assert_eq!(
            counters.to_string(),
            "20 packets (2.0 KiB) in, 16 (1.6 KiB) out, 2 lost, 2 duplicated, 4 under way"
        );
    }
}
