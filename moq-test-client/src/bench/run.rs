//! Plays a plan from beginning to end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use moq_relay_core::session::{self, ClientConfig};
use moq_relay_core::tracks::Tracks;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::board::{Board, Company, lock};
use super::connection::{Connection, Connector, Pace};
use super::flood::Flood;
use super::listener::Listener;
use super::pacer::Pacer;
use super::plan::{Plan, Role};
use super::sample::{Phase, Sample, SampleBody, Summary, loss};
use super::subscriber;

/// How long nothing may arrive before nothing is taken to be under way.
const QUIET: Duration = Duration::from_millis(500);

/// How often it is looked whether everyone has come, or nothing comes any more.
const LOOK: Duration = Duration::from_millis(10);

/// Why a session's requests are never given up by our side of it: what is lost has to be the
/// relay's loss.
const FOREVER: Duration = Duration::from_secs(3600);

/// The same for how many of them there are at a time.
const MANY: usize = 1 << 20;

/// A benchmark under way.
pub(super) struct Run {
    pub(super) plan: Arc<Plan>,
    pub(super) board: Arc<Board>,
    pub(super) connector: Connector,
    start: Instant,
    samples: mpsc::Sender<Sample>,
    pub(super) stop: CancellationToken,
    sessions: JoinSet<()>,
    publishers: Vec<Connection>,
}

/// What came while it was measured.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    time: Duration,
    frames: u64,
    bytes: u64,
}

/// Plays a plan and returns what came of it. Samples are sent on the way; cancelling `stop` cuts
/// the measurement short.
///
/// Everything runs on the caller's runtime, best one of its own.
///
/// # Errors
///
/// If the relay cannot be reached, or does not announce the tracks. What happens to single
/// sessions afterwards is in the summary.
pub async fn run(
    plan: Plan,
    samples: mpsc::Sender<Sample>,
    stop: CancellationToken,
) -> anyhow::Result<Summary> {
    let connector = Connector::new(&plan.dial).await?;
    let run = Run {
        plan: Arc::new(plan),
        board: Arc::default(),
        connector,
        start: Instant::now(),
        samples,
        stop,
        sessions: JoinSet::new(),
        publishers: Vec::new(),
    };
    run.play().await
}

impl Run {
    async fn play(mut self) -> anyhow::Result<Summary> {
        self.tell(Phase::Start).await;
        let listeners = self.listen().await?;
        let sets = self.connect_publishers().await?;
        let mut gate = self.gate().await?;

        self.tell(Phase::Announcing).await;
        let mut pacer = Pacer::publish(&self.plan, &sets)?;
        self.announce(listeners, &mut gate).await?;
        gate.close().await;

        let end = CancellationToken::new();
        let measured = {
            let plan = Arc::clone(&self.plan);
            let pace = publish(&mut pacer, &plan, Arc::clone(&self.board), end.clone());
            tokio::pin!(pace);
            let measured = tokio::select! {
                measured = self.measure() => measured?,
                ended = &mut pace => return Err(ended.err().unwrap_or_else(|| {
                    anyhow::anyhow!("publishing ended by itself")
                })),
            };
            end.cancel();
            let completed = timeout(self.plan.drain, &mut pace).await;
            if let Ok(completed) = completed {
                completed?;
            }
            measured
        };
        self.drain().await;
        if self.plan.role == Role::Both {
            self.board.close(|track| pacer.newest(track));
        }
        let summary = self.summary(measured);
        self.leave().await;
        Ok(summary)
    }

    /// Connects those who only listen.
    async fn listen(&self) -> anyhow::Result<Vec<Listener>> {
        let mut listeners = Vec::new();
        if self.plan.role == Role::Publish {
            return Ok(listeners);
        }
        for _ in 0..self.plan.listeners {
            listeners.push(self.gate().await?);
            self.board.connections.count();
        }
        Ok(listeners)
    }

    async fn gate(&self) -> anyhow::Result<Listener> {
        let plan = &self.plan;
        Listener::open(&self.connector, plan.dial.dialect, &plan.prefix).await
    }

    /// Connects the publishers, each with tracks of its own, none yet.
    async fn connect_publishers(&mut self) -> anyhow::Result<Vec<Tracks>> {
        let mut sets = Vec::new();
        if self.plan.role == Role::Subscribe {
            return Ok(sets);
        }
        for _ in 0..self.plan.publishers {
            let tracks = Tracks::default();
            let connection = self.connector.connect(Pace::Full).await?;
            let (_peer, driver) =
                session::connect(connection.session.clone(), self.client(&tracks))
                    .await
                    .context("cannot publish")?;
            let board = Arc::clone(&self.board);
            self.sessions.spawn(async move {
                let ended = driver.run().await;
                tracing::debug!(?ended, "a publisher's session ended");
                board.failed.count();
            });
            self.board.connections.count();
            self.publishers.push(connection);
            sets.push(tracks);
        }
        Ok(sets)
    }

    fn client(&self, tracks: &Tracks) -> ClientConfig {
        let mut config = ClientConfig::default();
        config.dialects = vec![self.plan.dial.dialect];
        config.publish = Some(Arc::new(tracks.clone()));
        config.limits.handshake = self.plan.dial.timeout;
        config.limits.max_deliveries = MANY;
        config.limits.max_requests = MANY;
        config.limits.max_backlog = FOREVER;
        config
    }

    /// Waits until all tracks are known to the relay and to all listeners.
    async fn announce(
        &mut self,
        listeners: Vec<Listener>,
        gate: &mut Listener,
    ) -> anyhow::Result<()> {
        let (began, tracks) = (Instant::now(), self.plan.tracks());
        let mut hearing = JoinSet::new();
        for mut listener in listeners {
            hearing.spawn(async move {
                let heard = listener.hear(tracks).await;
                (listener, heard.map(|()| began.elapsed()))
            });
        }
        let limit = self.plan.dial.timeout;
        let heard = timeout(limit, async {
            gate.hear(tracks).await?;
            let mut listeners = Vec::new();
            while let Some(heard) = hearing.join_next().await {
                let (listener, time) = heard?;
                lock(&self.board.announced).record(time?.as_micros() as u64);
                listeners.push(listener);
            }
            anyhow::Ok(listeners)
        });
        let heard = heard.await;
        let heard = heard
            .with_context(|| format!("not all of {tracks} tracks were announced in {limit:?}"))?;
        for mut listener in heard? {
            let board = Arc::clone(&self.board);
            self.sessions.spawn(async move {
                let ended = listener.stay().await;
                tracing::debug!(?ended, "a listener's session ended");
                board.failed.count();
            });
        }
        Ok(())
    }

    /// Lets the subscribers come, and measures.
    async fn measure(&mut self) -> anyhow::Result<Measured> {
        self.tell(Phase::Ramp).await;
        if self.plan.role != Role::Publish {
            self.subscribe().await?;
        }
        if let Some(rounds) = self.plan.rounds {
            return self.measure_rounds(&rounds).await;
        }
        self.tell(Phase::Warmup).await;
        self.watch(Phase::Warmup, self.plan.warmup).await;
        self.board.open_window(Company::Usual);
        let began = Instant::now();
        let before = self.tell(Phase::Steady).await;
        self.watch(Phase::Steady, self.plan.duration).await;
        self.board.close_window();
        let took = began.elapsed();
        let after = self.tell(Phase::Drain).await;
        Ok(Measured::between(took, &before, &after))
    }

    /// Starts the subscribers one after the other, and waits for the last to have its answers.
    async fn subscribe(&mut self) -> anyhow::Result<()> {
        let (begin, count) = (Instant::now(), self.plan.subscribers);
        for index in (0..count).filter(|&index| !self.plan.is_passing(index)) {
            sleep_until(begin + self.plan.ramp.mul_f64(index as f64 / count as f64)).await;
            let board = Arc::clone(&self.board);
            let plan = Arc::clone(&self.plan);
            let subscriber =
                subscriber::run(self.connector.clone(), plan, index, Arc::clone(&board));
            self.sessions.spawn(async move {
                let ended = subscriber.await;
                tracing::debug!(?ended, index, "a subscriber's session ended");
                if ended.is_err() {
                    board.failed.count();
                }
            });
        }
        let passing = (0..count).filter(|&index| self.plan.is_passing(index));
        let (passing, passed) = passing.fold((0, 0), |(count, owed), index| {
            (count + 1, owed + self.plan.tracks_of(index).count())
        });
        let owed = (self.plan.owed() - passed) as u64;
        let everyone = self.plan.publishers_here() + self.plan.listeners + count - passing;
        let complete = async {
            let board = &self.board;
            while board.failed.get() == 0
                && (board.subscribed.get() < owed || board.connections.get() < everyone as u64)
            {
                sleep(LOOK).await;
            }
        };
        // Who does not come in time is missing in the summary.
        let _late = timeout(self.plan.dial.timeout, complete).await;
        Ok(())
    }

    /// Lets time pass, with a sample now and then.
    async fn watch(&self, phase: Phase, time: Duration) {
        let mut ticks = interval(self.plan.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.reset();
        let end = Instant::now() + time;
        loop {
            tokio::select! {
                () = sleep_until(end) => return,
                () = self.stop.cancelled() => return,
                _now = ticks.tick() => { self.tell(phase).await; }
            }
        }
    }

    /// Waits until nothing more arrives.
    async fn drain(&self) {
        if self.plan.role != Role::Both {
            return;
        }
        let (mut frames, mut since) = (self.board.read().counts.frames, Instant::now());
        let end = since + self.plan.drain;
        while since.elapsed() < QUIET && Instant::now() < end {
            sleep(LOOK).await;
            let now = self.board.read().counts.frames;
            if now != frames {
                (frames, since) = (now, Instant::now());
            }
        }
    }

    pub(super) async fn tell(&self, phase: Phase) -> Sample {
        let sample = self.sample(phase);
        // Nobody listening is no reason to stop measuring.
        let _ = self.samples.send(sample).await;
        sample
    }

    fn sample(&self, phase: Phase) -> Sample {
        Sample {
            phase,
            seconds: self.start.elapsed().as_secs_f64(),
            body: self.body(),
        }
    }

    fn body(&self) -> SampleBody {
        let board = &self.board;
        SampleBody {
            connections: board.connections.get(),
            failed: board.failed.get(),
            subscribed: board.subscribed.get(),
            published_frames: board.published.get(),
            counts: board.read().counts,
            latency: board.latency(Company::Usual),
        }
    }

    fn summary(&self, measured: Measured) -> Summary {
        let last = self.body();
        let [join, beyond, round_trip] = self.board.joins();
        let reading = self.board.read();
        let expected = self.plan.role == Role::Subscribe || last.published_frames > 0;
        Summary {
            steady_seconds: measured.time.as_secs_f64(),
            steady_frames: measured.frames,
            steady_bytes: measured.bytes,
            loss: loss(&last.counts),
            silent: if expected { reading.silent } else { 0 },
            slow_frames: reading.slow_frames,
            join,
            beyond,
            round_trip,
            lag: self.board.lag(),
            latency_beside_slow: self.board.latency(Company::Slow),
            windows: self.board.windows(),
            announced: lock(&self.board.announced).quantiles(),
            last,
        }
    }

    /// Ends all sessions.
    async fn leave(mut self) {
        self.sessions.shutdown().await;
        let mut closing = JoinSet::new();
        for connection in self.publishers {
            closing.spawn(connection.close());
        }
        closing.join_all().await;
    }
}

impl Measured {
    /// What came between two samples.
    pub(super) fn between(time: Duration, before: &Sample, after: &Sample) -> Self {
        let [before, after] = [before, after].map(|sample| sample.body.counts);
        Self {
            time,
            frames: after.frames - before.frames,
            bytes: after.bytes - before.bytes,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.time += other.time;
        self.frames += other.frames;
        self.bytes += other.bytes;
    }
}

/// Publishes as the plan says, until `end`.
async fn publish(
    pacer: &mut Pacer,
    plan: &Plan,
    board: Arc<Board>,
    end: CancellationToken,
) -> anyhow::Result<()> {
    match Flood::of(plan) {
        Some(flood) => pacer.flood(flood, board, end).await,
        None => pacer.run(board, end).await,
    }
}
