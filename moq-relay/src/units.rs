//! Values with units, as the command line takes them.

use std::time::Duration;

/// Tells what is wrong with a value that should carry a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The value does not begin with a whole number.
    #[error("not a whole number followed by a unit; for example {0}")]
    Number(&'static str),
    /// The unit is missing or not one of those known.
    #[error("the unit is missing or unknown; use one of {0}")]
    Unit(&'static str),
    /// The value does not fit.
    #[error("too large")]
    TooLarge,
}

/// Reads a time such as `250ms`, `5s`, `2m` or `1h`.
///
/// # Errors
///
/// Fails without a number or a unit, and when the product does not fit a `u64` of milliseconds.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text, "5s")?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(UnitError::Unit("ms, s, m, h")),
    };
    let millis = number.checked_mul(millis).ok_or(UnitError::TooLarge)?;
    Ok(Duration::from_millis(millis))
}

/// Reads a size such as `64KiB`, `512MiB` or `2GiB`, or in powers of ten `500MB`.
///
/// # Errors
///
/// Fails without a number or a unit, and when the product does not fit a `u64` of bytes.
pub fn bytes(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text, "512MiB")?;
    let factor: u64 = match unit {
        "B" => 1,
        "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(UnitError::Unit("B, KiB, MiB, GiB, KB, MB, GB")),
    };
    number.checked_mul(factor).ok_or(UnitError::TooLarge)
}

fn split<'a>(text: &'a str, example: &'static str) -> Result<(u64, &'a str), UnitError> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return Err(UnitError::Number(example));
    }
    let number = digits.parse().map_err(|_| UnitError::TooLarge)?;
    Ok((number, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration(" 2 m "), Ok(Duration::from_secs(120)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
    }

    #[test]
    fn a_duration_without_number_or_unit_is_refused() {
        assert_eq!(duration("5"), Err(UnitError::Unit("ms, s, m, h")));
        assert_eq!(duration("5 days"), Err(UnitError::Unit("ms, s, m, h")));
        assert_eq!(duration("s"), Err(UnitError::Number("5s")));
        assert_eq!(duration("-1s"), Err(UnitError::Number("5s")));
        assert_eq!(duration("99999999999999999h"), Err(UnitError::TooLarge));
    }

    #[test]
    fn a_size_knows_both_kinds_of_units() {
        assert_eq!(bytes("512MiB"), Ok(512 << 20));
        assert_eq!(bytes("500MB"), Ok(500_000_000));
        assert_eq!(bytes("4096B"), Ok(4096));
        assert_eq!(bytes("2GiB"), Ok(2 << 30));
    }

    #[test]
    fn a_size_without_unit_or_beyond_64_bits_is_refused() {
        assert!(matches!(bytes("512"), Err(UnitError::Unit(_))));
        assert!(matches!(bytes("512mb"), Err(UnitError::Unit(_))));
        assert_eq!(bytes("99999999999999999999B"), Err(UnitError::TooLarge));
        assert_eq!(bytes("99999999999999GiB"), Err(UnitError::TooLarge));
    }
}
