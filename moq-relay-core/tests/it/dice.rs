//! Numbers that look random and are the same each time, and panics that would go unseen.

use std::sync::atomic::{AtomicBool, Ordering};

/// Numbers that look random and are the same each time.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    pub(crate) fn bytes(&mut self, below: usize) -> Vec<u8> {
        let len = self.roll(below);
        (0..len).map(|_| self.roll(256) as u8).collect()
    }

    /// Cuts, lengthens or changes bytes.
    pub(crate) fn spoil(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..=self.roll(3) {
            let at = self.roll(bytes.len() + 1);
            match self.roll(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.roll(256) as u8),
                2 => bytes.extend(self.bytes(20)),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.roll(8);
                    }
                }
            }
        }
        bytes
    }
}

/// Set when any task of any relay panics, which the relay itself survives.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// Begins to note panics.
pub(crate) fn watch_for_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::Relaxed);
        hook(info);
    }));
}

/// Asserts that no task has panicked since.
pub(crate) fn assert_no_panic() {
    let panicked = PANICKED.load(Ordering::Relaxed);
    assert!(!panicked, "a task of the relay panicked");
}
