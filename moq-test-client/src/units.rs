//! Durations and byte counts as people write and read them.

use std::time::Duration;

/// Parses a duration: a number with `ms`, `s`, `m` or `h`; a bare number is seconds.
///
/// # Errors
///
/// Says what is wrong with `text`, in a sentence fit for a usage message.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        unit => return Err(format!("unknown unit {unit:?}: use ms, s, m or h")),
    };
    let number: f64 = digits
        .parse()
        .map_err(|_| format!("{text:?} is not a duration: write 500ms, 10s, 2m or 1h"))?;
    Duration::try_from_secs_f64(number * scale)
        .map_err(|_| format!("{text:?} is out of range for a duration"))
}

/// Parses a byte count: a number with an optional `K`, `M` or `G` (powers of 1024).
///
/// # Errors
///
/// Says what is wrong with `text`, in a sentence fit for a usage message.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" | "B" => 0,
        "K" | "k" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        unit => return Err(format!("unknown unit {unit:?}: use K, M or G")),
    };
    let number: usize = digits
        .parse()
        .map_err(|_| format!("{text:?} is not a size: write 1000, 64K or 2M"))?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("{text:?} is too large"))
}

/// Writes a byte count with a binary unit and one decimal: `17 B`, `1.5 KiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_take_a_unit_and_default_to_seconds() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
    }

    #[test]
    fn nonsense_durations_are_refused_with_a_reason() {
        for text in ["", "s", "5 parsecs", "-1s", "1e400", "NaN"] {
            assert!(parse_duration(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn sizes_count_in_powers_of_1024() {
        assert_eq!(parse_bytes("1000"), Ok(1000));
        assert_eq!(parse_bytes("64K"), Ok(65536));
        assert!(parse_bytes("99999999999999999G").is_err());
        assert!(parse_bytes("1.5M").is_err());
    }

    #[test]
    fn byte_counts_read_in_their_natural_unit() {
        assert_eq!(bytes(17), "17 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(64 << 20), "64.0 MiB");
    }
}
