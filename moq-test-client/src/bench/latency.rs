//! How long frames took.

use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest latency that is told apart from longer ones: a minute, in microseconds.
const MAX_MICROS: u64 = 60_000_000;

/// Latencies, each kept to three digits.
#[derive(Clone, Debug)]
pub struct Latency {
    /// `None` only if the histogram's constant bounds were no bounds.
    histogram: Option<Histogram<u64>>,
}

/// Quantiles of a latency, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// How many were measured.
    pub count: u64,
    /// Half took no longer.
    pub p50: u64,
    /// 90 % took no longer.
    pub p90: u64,
    /// 99 % took no longer.
    pub p99: u64,
    /// 99.9 % took no longer.
    pub p999: u64,
    /// None took longer.
    pub max: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            histogram: Histogram::new_with_bounds(1, MAX_MICROS, 3).ok(),
        }
    }
}

impl Latency {
    /// Adds one, in microseconds; one above a minute counts as a minute.
    pub fn record(&mut self, micros: u64) {
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(micros);
        }
    }

    /// Adds all of another.
    pub fn add(&mut self, other: &Self) {
        if let (Some(histogram), Some(other)) = (&mut self.histogram, &other.histogram) {
            // Both have the same bounds.
            let _ = histogram.add(other);
        }
    }

    /// Returns the quantiles of all so far.
    #[must_use]
    pub fn quantiles(&self) -> Quantiles {
        let Some(histogram) = &self.histogram else {
            return Quantiles::default();
        };
        Quantiles {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str("none measured");
        }
        let millis = |micros: u64| micros as f64 / 1000.0;
        write!(
            f,
            "p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms",
            millis(self.p50),
            millis(self.p90),
            millis(self.p99),
            millis(self.p999),
            millis(self.max)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Within the three digits that are kept.
    fn near(actual: u64, expected: u64) -> bool {
        actual.abs_diff(expected) <= expected / 500 + 1
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut latency = Latency::default();
        for micros in 1..=10_000 {
            latency.record(micros);
        }
        let all = latency.quantiles();
        assert_eq!(all.count, 10_000);
        assert!(near(all.p50, 5_000), "{all:?}");
        assert!(near(all.p90, 9_000), "{all:?}");
        assert!(near(all.p99, 9_900), "{all:?}");
        assert!(near(all.p999, 9_990), "{all:?}");
        assert!(near(all.max, 10_000), "{all:?}");
    }

    #[test]
    fn one_stall_among_many_shows_in_the_maximum_and_not_in_the_median() {
        let mut latency = Latency::default();
        (0..999).for_each(|_| latency.record(500));
        latency.record(2_000_000);
        let all = latency.quantiles();
        assert!(
            near(all.p50, 500) && near(all.p99, 500) && near(all.max, 2_000_000),
            "{all:?}"
        );
    }

    #[test]
    fn two_together_are_as_one() {
        let [mut one, mut other, mut all] = [(); 3].map(|()| Latency::default());
        for micros in 1..=1000 {
            let part = if micros % 3 == 0 {
                &mut one
            } else {
                &mut other
            };
            part.record(micros);
            all.record(micros);
        }
        one.add(&other);
        assert_eq!(one.quantiles(), all.quantiles());
    }

    #[test]
    fn extremes_are_counted_and_not_dropped() {
        let mut latency = Latency::default();
        latency.record(0);
        latency.record(u64::MAX);
        assert_eq!(latency.quantiles().count, 2);
        assert!(near(latency.quantiles().max, MAX_MICROS));
        assert_eq!(Latency::default().quantiles(), Quantiles::default());
    }
}
