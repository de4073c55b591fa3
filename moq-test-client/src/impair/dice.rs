//! Random numbers that depend on the seed and on nothing else.

/// What is added to the state for every number.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The SplitMix64 generator: the same numbers for the same seed, on every machine and in every
/// release.
#[derive(Clone, Debug)]
pub(super) struct Dice {
    state: u64,
}

/// Everything that chance decides about one packet.
///
/// All of it is drawn for every packet, needed or not. So what happens to the n-th packet does not
/// depend on which settings were in force for those before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Throw {
    pub(super) loss: u64,
    pub(super) duplicate: u64,
    pub(super) reorder: u64,
    pub(super) jitter: u64,
    /// The jitter of the second copy, if there is one.
    pub(super) copy: u64,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns the next number; all are equally likely.
    pub(super) fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Decides about the next packet.
    pub(super) fn throw(&mut self) -> Throw {
        Throw {
            loss: self.roll(),
            duplicate: self.roll(),
            reorder: self.roll(),
            jitter: self.roll(),
            copy: self.roll(),
        }
    }
}

/// Returns the `index`-th of the seeds that a seed stands for.
pub(super) fn derive(seed: u64, index: u64) -> u64 {
    Dice::new(seed.wrapping_add(STEP.wrapping_mul(index))).roll()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        let mut dice = Dice::new(1_234_567);
        // The test vector that goes with Vigna's splitmix64.c.
        for expected in [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ] {
            assert_eq!(dice.roll(), expected);
        }
    }

    #[test]
    fn derived_seeds_are_the_numbers_of_the_seed() {
        let mut dice = Dice::new(99);
        for index in 0..10 {
            assert_eq!(derive(99, index), dice.roll());
        }
    }
}
