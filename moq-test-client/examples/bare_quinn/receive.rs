//! The receiving side: the load, which is to cost what that of the benchmark costs.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use moq_test_client::bench::frames::Frames;
use moq_test_client::bench::latency::Latency;
use moq_test_client::bench::rounds::{Rounds, RoundsArgs};
use moq_test_client::payload;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{now_micros, quic};

/// The most that is taken from a stream at once.
const READ: usize = 64 << 10;

/// How long is waited before the end: whoever reads what is told may want to look at the processes.
const LINGER: Duration = Duration::from_millis(300);

#[derive(clap::Args)]
pub(crate) struct Plan {
    /// Milliseconds over which the connections come.
    #[arg(long, default_value_t = 0)]
    ramp: u64,
    /// Milliseconds between the last of them and the measurement.
    #[arg(long, default_value_t = 1000)]
    warmup: u64,
    /// Seconds to measure.
    #[arg(long, default_value_t = 1.0)]
    duration: f64,
    /// Frames a second, if windows are to begin and end between two of them.
    #[arg(long)]
    fps: Option<f64>,
    #[command(flatten)]
    rounds: RoundsArgs,
}

/// How long before its first turn it is said that it comes.
const NOTICE: u64 = 300_000;

/// How often it is looked whether the frame has come that a window ends with.
const LOOK: Duration = Duration::from_millis(1);

/// What came, and how long it took.
#[derive(Default)]
struct Received {
    connections: usize,
    frames: u64,
    bytes: u64,
    corrupt: u64,
    latency: Latency,
}

pub(crate) async fn receive(relay: SocketAddr, count: usize, plan: &Plan) -> anyhow::Result<()> {
    let (start, received) = (Instant::now(), Arc::new(Mutex::new(Received::default())));
    let config = quic::client_config()?;
    tell("start", start, &received);
    let mut tasks = JoinSet::new();
    let ramp = Duration::from_millis(plan.ramp);
    for index in 0..count {
        sleep_until(start + ramp.mul_f64(index as f64 / count as f64)).await;
        let endpoint = quic::client(relay)?;
        let connecting = endpoint.connect_with(config.clone(), relay, "localhost")?;
        let connection = connecting.await?;
        lock(&received).connections += 1;
        tasks.spawn(read(connection, endpoint, Arc::clone(&received)));
    }
    match plan.rounds.rounds() {
        Some(rounds) => plan.measure_rounds(&rounds, start, &received).await?,
        None => plan.measure(start, &received).await,
    }
    let corrupt = lock(&received).corrupt;
    anyhow::ensure!(corrupt == 0, "{corrupt} frames were not what was sent");
    sleep(LINGER).await;
    Ok(())
}

impl Plan {
    async fn measure(&self, start: Instant, received: &Mutex<Received>) {
        tell("warmup", start, received);
        sleep(Duration::from_millis(self.warmup)).await;
        lock(received).latency = Latency::default();
        tell("steady", start, received);
        sleep(Duration::from_secs_f64(self.duration)).await;
        tell("drain", start, received);
    }

    /// As the benchmark's client does.
    async fn measure_rounds(
        &self,
        rounds: &Rounds,
        start: Instant,
        received: &Mutex<Received>,
    ) -> anyhow::Result<()> {
        let warm = rounds.warm().saturating_sub(NOTICE);
        anyhow::ensure!(now_micros() < warm, "the first turn began too soon");
        until(warm).await;
        tell("warmup", start, received);
        until(rounds.begin(0)).await;
        tell("steady", start, received);
        let mut windows = Vec::new();
        let mut all = Latency::default();
        for round in 0..rounds.count {
            let window = rounds.window(round);
            until(window.start).await;
            self.lull(received).await;
            lock(received).latency = Latency::default();
            tell("open", start, received);
            let last = self.gap().unwrap_or_default() * 8 / 5;
            until(window.end.saturating_sub(last.as_micros() as u64)).await;
            self.lull(received).await;
            tell("close", start, received);
            let latency = std::mem::take(&mut lock(received).latency);
            windows.push(latency.quantiles());
            all.add(&latency);
        }
        lock(received).latency = all;
        tell("drain", start, received);
        let received = lock(received);
        say(&json!({
            "event": "windows",
            "windows": windows,
            "latency": received.latency.quantiles(),
        }));
        Ok(())
    }

    fn gap(&self) -> Option<Duration> {
        let fps = self.fps.filter(|fps| *fps > 0.0)?;
        Some(Duration::from_secs_f64(fps.recip()))
    }

    /// Waits until half way between two frames: the middle is half a gap after one has begun.
    async fn lull(&self, received: &Mutex<Received>) {
        let Some(gap) = self.gap() else { return };
        let (before, end) = (lock(received).frames, Instant::now() + 2 * gap);
        while lock(received).frames == before && Instant::now() < end {
            sleep(LOOK).await;
        }
        sleep(gap / 2).await;
    }
}

/// Waits until then, in microseconds since the Unix epoch.
async fn until(micros: u64) {
    sleep(Duration::from_micros(micros.saturating_sub(now_micros()))).await;
}

async fn read(
    connection: quinn::Connection,
    _endpoint: quinn::Endpoint,
    received: Arc<Mutex<Received>>,
) {
    let mut streams = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = streams.next(), if !streams.is_empty() => {}
            stream = connection.accept_uni() => match stream {
                Ok(stream) => streams.push(frames(stream, &received)),
                Err(_gone) => return,
            },
        }
    }
}

async fn frames(mut stream: quinn::RecvStream, received: &Mutex<Received>) {
    let mut frames = Frames::default();
    while let Ok(Some(chunk)) = stream.read_chunk(READ, true).await {
        let mut piece = chunk.bytes;
        while let Ok(Some(frame)) = frames.next(&mut piece) {
            let stamp = payload::decode(&frame);
            let mut received = lock(received);
            let Ok(stamp) = stamp else {
                received.corrupt += 1;
                continue;
            };
            received.frames += 1;
            received.bytes += frame.len() as u64;
            let took = now_micros().saturating_sub(stamp.micros);
            received.latency.record(took);
        }
    }
}

fn tell(phase: &str, start: Instant, received: &Mutex<Received>) {
    let received = lock(received);
    say(&json!({
        "event": "sample",
        "phase": phase,
        "seconds": start.elapsed().as_secs_f64(),
        "connections": received.connections,
        "frames": received.frames,
        "bytes": received.bytes,
        "latency": received.latency.quantiles(),
    }));
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn say(line: &Value) {
    println!("{line}");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
