//! Packets that wait for the rate.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::impair::quantity::Rate;

/// One packet, with what chance has decided about the rest of its way.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its place among those that arrived; a copy has the same.
    pub(super) sequence: u64,
    /// Decides its jitter.
    pub(super) jitter: u64,
    /// Decides whether it is held back; `None` for a copy, which never is.
    pub(super) reorder: Option<u64>,
    pub(super) packet: Bytes,
}

/// How a packet was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is being sent.
    Sent,
    /// It waits for others.
    Waits,
    /// It would have to wait too long.
    Full,
}

/// A drop-tail queue in front of a line of limited rate.
///
/// The rate is the caller's: all calls between two of [`convert`](Self::convert) must give the same.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// The first one is being sent.
    entries: VecDeque<Entry>,
    /// When the first one is sent.
    finish: Duration,
    /// Bytes of all but the first.
    waiting: usize,
}

impl Queue {
    /// Takes a packet at the time `now`, if it need not wait longer than `limit`.
    pub(super) fn admit(
        &mut self,
        now: Duration,
        entry: Entry,
        rate: Rate,
        limit: Duration,
    ) -> Admission {
        let len = entry.packet.len();
        if self.entries.is_empty() {
            self.finish = now + rate.time(len);
            self.entries.push_back(entry);
            return Admission::Sent;
        }
        let wait = self.finish.saturating_sub(now) + rate.time(self.waiting);
        if wait > limit {
            return Admission::Full;
        }
        self.waiting += len;
        self.entries.push_back(entry);
        Admission::Waits
    }

    /// Returns when the packet is sent that is being sent now.
    pub(super) fn next(&self) -> Option<Duration> {
        (!self.entries.is_empty()).then_some(self.finish)
    }

    /// Returns the next packet that is sent by the time `now`, with the time it was.
    pub(super) fn pop(&mut self, now: Duration, rate: Rate) -> Option<(Duration, Entry)> {
        if self.finish > now {
            return None;
        }
        let entry = self.entries.pop_front()?;
        let sent = self.finish;
        if let Some(next) = self.entries.front() {
            let len = next.packet.len();
            self.waiting -= len;
            self.finish += rate.time(len);
        }
        Some((sent, entry))
    }

    /// Goes on at another rate; the rest of the packet that is being sent is, too.
    pub(super) fn convert(&mut self, now: Duration, old: Rate, new: Rate) {
        let left = self.finish.saturating_sub(now);
        self.finish = now + new.convert(left, old);
    }

    /// Takes out everything.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Entry> {
        self.waiting = 0;
        self.entries.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(25);

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// A byte a millisecond, times `factor`.
    fn rate(factor: u64) -> Rate {
        Rate::new(8000 * factor).unwrap()
    }

    fn entry(sequence: u64, len: usize) -> Entry {
        Entry {
            sequence,
            jitter: 0,
            reorder: None,
            packet: vec![0; len].into(),
        }
    }

    fn sent(queue: &mut Queue, now: Duration, rate: Rate) -> Vec<(Duration, u64)> {
        std::iter::from_fn(|| queue.pop(now, rate))
            .map(|(at, entry)| (at, entry.sequence))
            .collect()
    }

    #[test]
    fn one_packet_is_sent_after_the_other_however_late_somebody_looks() {
        let mut queue = Queue::default();
        let mut admit = |at, sequence| queue.admit(ms(at), entry(sequence, 10), rate(1), LIMIT);
        assert_eq!(admit(0, 0), Admission::Sent);
        assert_eq!(admit(4, 1), Admission::Waits);
        assert_eq!(queue.next(), Some(ms(10)));
        assert_eq!(sent(&mut queue, ms(9), rate(1)), []);
        assert_eq!(
            sent(&mut queue, ms(90), rate(1)),
            [(ms(10), 0), (ms(20), 1)]
        );
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn a_packet_that_would_wait_too_long_is_refused() {
        let mut queue = Queue::default();
        let mut admit = |at, sequence| queue.admit(ms(at), entry(sequence, 10), rate(1), LIMIT);
        let full = [admit(0, 0), admit(0, 1), admit(0, 2), admit(0, 3)];
        assert_eq!(full[2..], [Admission::Waits, Admission::Full]);
        // Five milliseconds later the wait is just at the limit.
        assert_eq!(admit(4, 4), Admission::Full);
        assert_eq!(admit(5, 5), Admission::Waits);
    }

    #[test]
    fn a_change_of_rate_counts_for_what_waits_and_for_the_rest_of_what_is_being_sent() {
        let mut queue = Queue::default();
        for sequence in 0..2 {
            queue.admit(ms(0), entry(sequence, 10), rate(1), LIMIT);
        }
        queue.convert(ms(4), rate(1), rate(2));
        assert_eq!(sent(&mut queue, ms(90), rate(2)), [(ms(7), 0), (ms(12), 1)]);
    }
}
