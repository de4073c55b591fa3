//! Names that nobody else uses at the moment.

use std::hash::{BuildHasher, RandomState};

/// Returns a random number, seeded by the operating system. Not for secrets.
#[must_use]
pub fn random() -> u64 {
    // Every `RandomState` of a process hashes differently.
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_differ() {
        assert_ne!(random(), random());
    }
}
