//! Pauses between attempts.

use std::time::Duration;

/// Pauses that double from one attempt to the next, up to a cap, each shortened by up to a half at
/// random: nodes that lost the same peer do not all return at once.
#[derive(Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    /// Starts with pauses of `min`, and never makes one longer than `max`.
    pub fn new(min: Duration, max: Duration, seed: u64) -> Self {
        Self {
            min,
            max,
            next: min,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Starts anew, after an attempt that succeeded.
    pub fn reset(&mut self) {
        self.next = self.min;
    }

    /// The pause before the next attempt.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next.min(self.max);
        self.next = pause * 2;
        pause.mul_f64(0.5 + self.random.f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(250);
    const MAX: Duration = Duration::from_secs(10);

    #[test]
    fn pauses_double_up_to_the_cap_and_differ_by_the_seed() {
        let mut all = Vec::new();
        for seed in 0..100 {
            let mut backoff = Backoff::new(MIN, MAX, seed);
            let pauses: Vec<_> = (0..12).map(|_| backoff.pause()).collect();
            for (attempt, pause) in pauses.iter().enumerate() {
                let full = MAX.min(MIN * 2_u32.pow(attempt.try_into().expect("small")));
                assert!((full / 2..=full).contains(pause), "{attempt}: {pause:?}");
            }
            all.push(pauses);
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 100);
    }

    #[test]
    fn success_starts_anew() {
        let mut backoff = Backoff::new(MIN, MAX, 1);
        for _ in 0..8 {
            backoff.pause();
        }
        backoff.reset();
        assert!(backoff.pause() <= MIN);
    }
}
