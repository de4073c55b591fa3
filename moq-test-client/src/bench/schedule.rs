//! When which frame is due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Frames of many tracks in the order in which they are due. It reads no clock.
///
/// A frame's time depends on its number alone, so that neither a late frame nor rounding moves
/// those after it.
#[derive(Debug, Default)]
pub struct Schedule {
    tracks: Vec<Beat>,
    /// The next frame of every track.
    heap: BinaryHeap<Reverse<Due>>,
}

/// The rhythm of one track.
#[derive(Clone, Copy, Debug)]
pub struct Beat {
    /// When the first frame is due.
    pub first: Duration,
    /// Frames a second; at 0 there are none.
    pub rate: f64,
}

/// A frame that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When, counted from the start.
    pub at: Duration,
    /// Of which track, in the order they were added.
    pub track: usize,
    /// Which frame of the track, from 0.
    pub frame: u64,
}

impl Schedule {
    /// Adds a track.
    pub fn add(&mut self, beat: Beat) {
        let track = self.tracks.len();
        self.tracks.push(beat);
        if beat.rate > 0.0 {
            let (at, frame) = (beat.first, 0);
            self.heap.push(Reverse(Due { at, track, frame }));
        }
    }

    /// Tells when the next frame is due; never, if there is none.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse(due)| due.at)
    }

    /// Takes the next frame that is due at `now` or before.
    pub fn take(&mut self, now: Duration) -> Option<Due> {
        let mut top = self.heap.peek_mut()?;
        let due = top.0;
        if due.at > now {
            return None;
        }
        top.0.frame += 1;
        top.0.at = self.tracks[due.track].at(due.frame + 1);
        Some(due)
    }
}

impl Beat {
    fn at(&self, frame: u64) -> Duration {
        self.first + Duration::from_secs_f64(frame as f64 / self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule(rates: &[f64]) -> Schedule {
        let mut schedule = Schedule::default();
        for &rate in rates {
            let first = Duration::ZERO;
            schedule.add(Beat { first, rate });
        }
        schedule
    }

    #[test]
    fn every_frame_comes_once_and_in_order_however_late_one_looks() {
        let mut schedule = schedule(&[30.0, 50.0]);
        let mut taken: Vec<Due> = Vec::new();
        while let Some(due) = schedule.take(SECOND) {
            taken.push(due);
        }
        assert!(taken.is_sorted());
        let count = |track| taken.iter().filter(|due| due.track == track).count();
        assert_eq!((count(0), count(1)), (31, 51));
        assert!(schedule.next().is_some_and(|next| next > SECOND));
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut schedule = schedule(&[10.0]);
        assert_eq!(schedule.take(Duration::ZERO).map(|due| due.frame), Some(0));
        assert_eq!(schedule.next(), Some(Duration::from_millis(100)));
        assert_eq!(schedule.take(Duration::from_millis(99)), None);
        assert_eq!(
            schedule
                .take(Duration::from_millis(100))
                .map(|due| due.frame),
            Some(1)
        );
    }

    #[test]
    fn rounding_does_not_add_up() {
        let mut schedule = schedule(&[29.97]);
        let hour = Duration::from_secs(3600);
        let last = std::iter::from_fn(|| schedule.take(hour)).last();
        assert_eq!(last.map(|due| due.frame), Some((29.97 * 3600.0) as u64));
    }

    #[test]
    fn an_idle_track_has_no_frames() {
        let mut schedule = schedule(&[0.0]);
        assert_eq!(schedule.next(), None);
        assert_eq!(schedule.take(SECOND), None);
    }
}
