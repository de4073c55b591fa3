//! Medians with their spread.

use std::fmt;

/// A median, and what lay around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Sums up; nothing comes of nothing.
pub(super) fn spread(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut values: Vec<f64> = values
        .into_iter()
        .filter(|value| value.is_finite())
        .collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let median = if values.len().is_multiple_of(2) {
        let below = middle.checked_sub(1)?;
        f64::midpoint(values[below], values[middle])
    } else {
        values[middle]
    };
    Some(Spread {
        median,
        low: *values.first()?,
        high: *values.last()?,
    })
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, low, high } = *self;
        let digits = match median.abs() {
            value if value >= 100.0 => 0,
            value if value >= 10.0 => 1,
            _ => 2,
        };
        write!(f, "{median:.digits$} [{low:.digits$}..{high:.digits$}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle_or_between_two() {
        let median = |values: &[f64]| spread(values.iter().copied()).map(|spread| spread.median);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[f64::NAN, 1.0]), Some(1.0));
    }

    #[test]
    fn a_spread_reads_with_as_many_digits_as_tell_something() {
        let of = |values: &[f64]| spread(values.iter().copied()).unwrap().to_string();
        assert_eq!(of(&[1.0, 1.234, 1.5]), "1.23 [1.00..1.50]");
        assert_eq!(of(&[140.2]), "140 [140..140]");
    }
}
