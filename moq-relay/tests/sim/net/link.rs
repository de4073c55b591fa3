//! One direction of a cable.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

/// Bytes of IPv4 and UDP headers, which take their time on the wire too.
const HEADERS: usize = 28;

/// The largest payload that fits in an Ethernet frame.
const MAX_PAYLOAD: usize = 1500 - HEADERS;

/// What a link does to packets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    /// How long a packet travels once it is on the wire.
    pub(crate) delay: Duration,
    /// The share of packets that get lost, at random.
    pub(crate) loss: f64,
    /// What the wire takes, in bits per second; `None` means anything.
    pub(crate) rate: Option<u64>,
    /// How long a packet may wait for the wire before it is dropped at the tail.
    pub(crate) queue: Duration,
}

/// What a link has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Packets that were given to it.
    pub(crate) packets: u64,
    /// Their bytes, headers included.
    pub(crate) bytes: u64,
    /// Packets that found its queue full, or were larger than it takes.
    pub(crate) dropped: u64,
    /// Packets that got lost at random.
    pub(crate) lost: u64,
}

/// One direction of a cable.
#[derive(Debug)]
pub(super) struct Link {
    path: Path,
    /// When the wire has sent all that waits for it.
    free_at: Instant,
    luck: Rng,
    pub(super) counts: Counts,
}

impl Path {
    /// A link that only takes this long.
    pub(crate) const fn clean(delay: Duration) -> Self {
        Self {
            delay,
            loss: 0.0,
            rate: None,
            queue: Duration::ZERO,
        }
    }

    /// The same link, losing this share of all packets.
    pub(crate) const fn lossy(self, loss: f64) -> Self {
        Self { loss, ..self }
    }

    /// The same link, taking so many bits per second, with so long a queue before it.
    pub(crate) const fn limited(self, rate: u64, queue: Duration) -> Self {
        Self {
            rate: Some(rate),
            queue,
            ..self
        }
    }
}

impl Link {
    pub(super) fn new(path: Path, seed: u64) -> Self {
        Self {
            path,
            free_at: Instant::now(),
            luck: Rng::with_seed(seed),
            counts: Counts::default(),
        }
    }

    /// Takes a packet and returns when it arrives, if it does.
    pub(super) fn send(&mut self, payload: usize) -> Option<Instant> {
        let now = Instant::now();
        self.counts.packets += 1;
        self.counts.bytes += (payload + HEADERS) as u64;
        // Drawn for every packet, so that the n-th is lost whatever becomes of those before.
        let unlucky = self.luck.f64() < self.path.loss;
        let starts = self.free_at.max(now);
        if payload > MAX_PAYLOAD || starts - now > self.path.queue {
            self.counts.dropped += 1;
            return None;
        }
        self.free_at = starts + self.time_on_wire(payload);
        if unlucky {
            self.counts.lost += 1;
            return None;
        }
        Some(self.free_at + self.path.delay)
    }

    fn time_on_wire(&self, payload: usize) -> Duration {
        let bits = 8 * (payload + HEADERS) as u64;
        self.path.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_nanos(bits * 1_000_000_000 / rate)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn packets_wait_for_the_wire_in_a_queue_that_drops_at_its_tail() {
        // A packet of 1250 bytes takes 10 ms.
        let path = Path::clean(20 * MS).limited(1_000_000, 25 * MS);
        let mut link = Link::new(path, 0);
        let now = Instant::now();
        let arrivals: Vec<_> = (0..4).map(|_| link.send(1250 - HEADERS)).collect();
        assert_eq!(
            arrivals,
            [
                Some(now + 30 * MS),
                Some(now + 40 * MS),
                Some(now + 50 * MS),
                None
            ]
        );
        tokio::time::advance(30 * MS).await;
        assert_eq!(link.send(1250 - HEADERS), Some(now + 60 * MS));
        assert_eq!((link.counts.packets, link.counts.dropped), (5, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn losses_follow_from_the_seed() {
        let run = |seed| {
            let mut link = Link::new(Path::clean(MS).lossy(0.03), seed);
            let lost: Vec<_> = (0..10_000).map(|_| link.send(100).is_none()).collect();
            (lost, link.counts.lost)
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1).0, run(2).0);
        assert!((250..350).contains(&run(1).1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_ethernet_does_not_take_is_dropped() {
        let mut link = Link::new(Path::clean(MS), 0);
        assert!(link.send(MAX_PAYLOAD).is_some());
        assert!(link.send(MAX_PAYLOAD + 1).is_none());
    }
}
