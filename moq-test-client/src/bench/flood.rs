//! How many frames may be under way when they are sent as fast as they arrive.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::board::Board;
use super::plan::Plan;

/// How long nothing may arrive before what is under way is taken to be lost.
const STALL: Duration = Duration::from_millis(200);

/// How often it is looked whether everyone has subscribed.
const LOOK: Duration = Duration::from_millis(10);

/// A load that is as large as its relay can bear: the next frame is published when an earlier one
/// has reached its subscribers, so that nothing ever piles up.
pub(super) struct Flood {
    /// Subscriptions that there will be, slow readers left out.
    subscriptions: u64,
    /// How many each published frame is delivered to, on average.
    readers: u64,
    /// Deliveries that may be under way.
    room: u64,
    /// Deliveries that will not come any more.
    given_up: u64,
}

impl Flood {
    /// Takes the numbers from the plan; `None` if it paces its frames.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let in_flight = u64::from(plan.in_flight?);
        let subscriptions = (plan.owed() - plan.owed_to_slow()) as u64;
        let tracks = plan.tracks().max(1) as u64;
        Some(Self {
            subscriptions,
            readers: (subscriptions / tracks).max(1),
            room: in_flight * subscriptions.max(1),
            given_up: 0,
        })
    }

    /// Tells whether another frame may be published.
    pub(super) fn has_room(&self, board: &Board) -> bool {
        board.subscribed.get() >= self.subscriptions && self.under_way(board) < self.room
    }

    /// Waits until something has arrived, or is given up. Cancel-safe.
    pub(super) async fn wait(&mut self, board: &Board) {
        if board.subscribed.get() < self.subscriptions {
            return sleep(LOOK).await;
        }
        if timeout(STALL, board.arrived.notified()).await.is_err() {
            self.given_up += self.under_way(board);
        }
    }

    fn under_way(&self, board: &Board) -> u64 {
        let sent = board.published.get() * self.readers;
        sent.saturating_sub(board.delivered.get() + self.given_up)
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::plan;
    use super::*;

    fn flood() -> Flood {
        // Two tracks for three whole readers of three subscriptions each, and a slow one.
        let plan = Plan {
            in_flight: Some(2),
            ..plan()
        };
        Flood::of(&plan).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_published_before_everyone_is_there_nor_more_than_there_is_room_for() {
        let (mut flood, board) = (flood(), Board::default());
        assert!(!flood.has_room(&board));
        (0..9).for_each(|_| board.subscribed.count());
        let mut published = 0;
        while flood.has_room(&board) {
            board.published.count();
            published += 1;
        }
        assert_eq!(published, 18);
        board.delivered.count();
        assert!(flood.has_room(&board));
        board.published.count();
        assert!(!flood.has_room(&board));
        flood.wait(&board).await;
        assert!(flood.has_room(&board), "what never comes is given up");
    }

    #[test]
    fn a_plan_with_a_rate_is_no_flood() {
        assert!(Flood::of(&plan()).is_none());
    }
}
