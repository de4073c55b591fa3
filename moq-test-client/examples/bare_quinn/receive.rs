//! The receiving side: the load, which is to cost what that of the benchmark costs.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use moq_test_client::bench::frames::Frames;
use moq_test_client::bench::latency::Latency;
use moq_test_client::payload;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{now_micros, quic};

/// The most that is taken from a stream at once.
const READ: usize = 64 << 10;

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
    /// The sender sends as fast as it can: what costs least is worth more than the latency.
    #[arg(long)]
    pub(crate) flood: bool,
}

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
    plan.measure(start, &received).await;
    let corrupt = lock(&received).corrupt;
    anyhow::ensure!(corrupt == 0, "{corrupt} frames were not what was sent");
    sleep(crate::LINGER).await;
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
