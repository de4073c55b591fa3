//! Measuring in rounds.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::board::{Company, now_micros};
use super::plan::Stay;
use super::rounds::Rounds;
use super::run::{Measured, Run};
use super::sample::Phase;
use super::subscriber;

/// How long before the round that is not measured it is said that it comes.
const NOTICE: u64 = 300_000;

/// How often it is looked whether the frame has been written that a window ends with.
const LOOK: Duration = Duration::from_millis(1);

impl Run {
    /// Measures in rounds: a window in each, and what was in all of them together.
    pub(super) async fn measure_rounds(&self, rounds: &Rounds) -> anyhow::Result<Measured> {
        let warm = rounds.warm();
        ensure!(
            now_micros() < warm.saturating_sub(NOTICE),
            "not everyone had come when the first round began"
        );
        until(warm.saturating_sub(NOTICE)).await;
        self.tell(Phase::Warmup).await;
        until(rounds.begin(0)).await;
        self.tell(Phase::Steady).await;
        let mut measured = Measured::default();
        for round in 0..rounds.count {
            if self.stop.is_cancelled() {
                break;
            }
            measured.add(&self.round(rounds, round).await);
        }
        self.tell(Phase::Drain).await;
        Ok(measured)
    }

    async fn round(&self, rounds: &Rounds, round: u32) -> Measured {
        let window = rounds.window(round);
        until(rounds.begin(round)).await;
        let company = self.company(round);
        let mut passing = JoinSet::new();
        if company == Company::Slow {
            self.let_in(&mut passing);
        }
        until(window.start).await;
        self.lull().await;
        self.board.open_window(company);
        let (began, before) = (Instant::now(), self.tell(Phase::Open).await);
        // The lull takes up to a frame and a half.
        let last = self.plan.gap().unwrap_or_default() * 8 / 5;
        until(window.end.saturating_sub(last.as_micros() as u64)).await;
        self.lull().await;
        self.board.close_window();
        let (took, after) = (began.elapsed(), self.tell(Phase::Close).await);
        passing.shutdown().await;
        Measured::between(took, &before, &after)
    }

    fn company(&self, round: u32) -> Company {
        if self.plan.slow > 0 && self.plan.slow_stay == Stay::EverySecondRound && round % 2 == 1 {
            Company::Slow
        } else {
            Company::Usual
        }
    }

    /// Lets those in who stay for a round only.
    fn let_in(&self, passing: &mut JoinSet<()>) {
        for index in 0..self.plan.slow {
            let (connector, plan) = (self.connector.clone(), Arc::clone(&self.plan));
            let board = Arc::clone(&self.board);
            passing.spawn(async move {
                let subscriber = subscriber::run(connector, plan, index, Arc::clone(&board));
                let ended = subscriber.await;
                tracing::debug!(?ended, index, "a passing subscriber's session ended");
                board.failed.count();
            });
        }
    }

    /// Waits until half way between two frames, so that all of what one costs is in one window.
    async fn lull(&self) {
        let Some(gap) = self.plan.gap() else { return };
        let (before, end) = (self.board.published.get(), Instant::now() + 2 * gap);
        while self.board.published.get() == before && Instant::now() < end {
            sleep(LOOK).await;
        }
        sleep(gap / 2).await;
    }
}

/// Waits until then, in microseconds since the Unix epoch.
async fn until(micros: u64) {
    sleep(Duration::from_micros(micros.saturating_sub(now_micros()))).await;
}
