//! When a subscription that lost its publisher tries which other one.

use std::time::Duration;

use crate::error::Error;

/// Publishers that are tried one after the other before a subscription ends.
const MAX: u32 = 5;

/// The pause before the second one; every further one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// The moves of a subscription from one publisher to another.
///
/// Another one is tried at once, and if that is none either, further ones after some time: what is
/// said to be published may be gone as well, and the news of it under way.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Publishers that were tried since a group last came.
    tried: u32,
    /// How the last one was lost, until the next one is tried. Boxed, since it seldom is.
    lost: Option<Box<Error>>,
}

impl Moves {
    /// True if the track's end is one that another publisher may make up for.
    pub(super) fn heal(&self, error: &Error) -> bool {
        let lost = error.is_loss() || error.is_departure();
        lost || (self.tried > 0 && error.is_absence())
    }

    /// Notes that a publisher was lost, and returns the pause before the next one is tried.
    ///
    /// # Errors
    /// The loss itself, if enough of them were tried.
    pub(super) fn plan(&mut self, error: Error) -> Result<Duration, Error> {
        if self.tried == MAX {
            return Err(error);
        }
        self.lost = Some(Box::new(error));
        Ok(match self.tried {
            0 => Duration::ZERO,
            tried => PAUSE * 2_u32.pow(tried - 1),
        })
    }

    /// True while the next publisher waits to be tried.
    pub(super) fn is_planned(&self) -> bool {
        self.lost.is_some()
    }

    /// The next publisher is tried: returns how the last one was lost.
    pub(super) fn begin(&mut self) -> Option<Error> {
        self.tried += 1;
        self.lost.take().map(|error| *error)
    }

    /// A group has come.
    pub(super) fn succeed(&mut self) {
        self.tried = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_it_gives_up_and_a_group_starts_anew() {
        let mut moves = Moves::default();
        for _ in 0..2 {
            let mut total = Duration::ZERO;
            for _ in 0..MAX {
                total += moves.plan(Error::Dropped).expect("there is another one");
                assert!(moves.is_planned());
                assert_eq!(moves.begin(), Some(Error::Dropped));
            }
            assert_eq!(total, Duration::from_millis(100 + 200 + 400 + 800));
            assert_eq!(moves.plan(Error::NotFound), Err(Error::NotFound));
            moves.succeed();
        }
    }

    #[test]
    fn absence_is_a_loss_only_after_a_move() {
        let mut moves = Moves::default();
        assert!(moves.heal(&Error::Dropped) && !moves.heal(&Error::NotFound));
        moves.begin();
        assert!(moves.heal(&Error::NotFound) && !moves.heal(&Error::Timeout));
    }
}
