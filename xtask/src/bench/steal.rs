//! What the host of a virtual machine takes from it.

use std::fs;

/// Hundredths of a second, of all processors and since the machine began, in which a processor was
/// wanted and not there; 0 where nobody says.
pub(super) fn ticks() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    of(&stat).unwrap_or(0)
}

/// The eighth number of the first line, which is for all processors together.
fn of(stat: &str) -> Option<u64> {
    let all = stat.lines().next()?.strip_prefix("cpu ")?;
    all.split_whitespace().nth(7)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_in_what_the_kernel_writes() {
        let stat = "cpu  1 2 3 4 5 6 7 88 9 10\ncpu0 1 2 3 4 5 6 7 44 9 10\n";
        assert_eq!(of(stat), Some(88));
        assert_eq!(of("intr 1"), None);
    }
}
