//! How bad one direction is.

use std::time::Duration;

use crate::impair::quantity::{Chance, Rate};

/// The longest time that any setting takes: what is planned stays well inside [`Duration`].
pub const MAX_TIME: Duration = Duration::from_secs(3600);

/// What happens to the packets of one direction.
///
/// A packet meets these in the order of the fields: a cut, loss, duplication, the rate with its
/// queue, delay and jitter, reordering. The default does nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Nothing gets through: what arrives is lost, and so is what was under way at that moment.
    pub cut: bool,
    /// How many packets are lost, each by itself.
    pub loss: Chance,
    /// How many packets come twice.
    pub duplicate: Chance,
    /// What the way carries; `None` is without limit.
    pub rate: Option<Rate>,
    /// How long a packet may wait for the rate. One that would wait longer is dropped.
    pub queue: Duration,
    /// How long the way is.
    pub delay: Duration,
    /// How much longer or shorter, at most, evenly spread. Packets stay in order: one that catches
    /// up with another leaves right behind it.
    pub jitter: Duration,
    /// How many packets are held back, so that later ones overtake them.
    pub reorder: Chance,
    /// How long they are held back.
    pub hold: Duration,
}

impl Settings {
    /// How long packets may wait for the rate where nothing else is said.
    pub const DEFAULT_QUEUE: Duration = Duration::from_millis(100);

    /// How long reordered packets are held back where nothing else is said.
    pub const DEFAULT_HOLD: Duration = Duration::from_millis(10);
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cut: false,
            loss: Chance::default(),
            duplicate: Chance::default(),
            rate: None,
            queue: Self::DEFAULT_QUEUE,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            reorder: Chance::default(),
            hold: Self::DEFAULT_HOLD,
        }
    }
}
