//! The fan-out of frames with quinn and no protocol: the floor that a relay is measured against.
//!
//! One process sends every frame to all connections, each on a stream of its own or, with
//! `--frames-per-stream`, a group of them on one; another process receives and tells what came, in
//! the words of `moq-test-client bench --format json`.
//!
//! ```sh
//! bare_quinn --bind 127.0.0.1:4400 --connections 100 send --fps 30 --frame-size 10240
//! bare_quinn --bind 127.0.0.1:4400 --connections 100 receive --frame-size 10240 --duration 5
//! ```

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use bytes::{BufMut, Bytes, BytesMut};
use clap::{Parser, Subcommand};
use moq_test_client::bench::latency::Latency;
use moq_test_client::tls::Trust;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use serde_json::json;
use socket2::{Domain, Socket, Type};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

const ALPN: &str = "bare";
const KEEP_ALIVE: Duration = Duration::from_secs(4);
const LINGER: Duration = Duration::from_millis(500);

#[derive(Parser)]
struct Args {
    /// Where the sender listens.
    #[arg(long)]
    bind: SocketAddr,
    /// How many connections there are.
    #[arg(long)]
    connections: usize,
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Waits for all connections, then sends until they are gone.
    Send {
        /// Frames a second; 0 sends none.
        #[arg(long)]
        fps: f64,
        #[arg(long)]
        frame_size: usize,
        #[arg(long, default_value_t = 1)]
        frames_per_stream: u64,
    },
    /// Connects, waits a second, and measures.
    Receive {
        #[arg(long)]
        frame_size: usize,
        /// Seconds to measure.
        #[arg(long)]
        duration: f64,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Args {
        bind,
        connections,
        role,
    } = Args::parse();
    match role {
        Role::Send {
            fps,
            frame_size,
            frames_per_stream,
        } => {
            let connections = accept(bind, connections).await?;
            send(connections, fps, frame_size, frames_per_stream).await
        }
        Role::Receive {
            frame_size,
            duration,
        } => {
            receive(
                bind,
                connections,
                frame_size,
                Duration::from_secs_f64(duration),
            )
            .await
        }
    }
}

async fn accept(bind: SocketAddr, count: usize) -> anyhow::Result<Vec<quinn::Connection>> {
    let endpoint = quinn::Endpoint::server(server_config()?, bind)?;
    eprintln!("listening on {}", endpoint.local_addr()?);
    let mut connections = Vec::new();
    while connections.len() < count {
        let incoming = endpoint.accept().await.context("the endpoint is closed")?;
        connections.push(incoming.await?);
    }
    Ok(connections)
}

/// One loop writes to all: the same bytes, without a copy, at the time they are due.
async fn send(
    connections: Vec<quinn::Connection>,
    fps: f64,
    size: usize,
    per_stream: u64,
) -> anyhow::Result<()> {
    let (start, epoch) = (Instant::now(), now_micros());
    let mut streams = Vec::new();
    for number in 0u64.. {
        if fps == 0.0 {
            connections[0].closed().await;
            return Ok(());
        }
        let due = Duration::from_secs_f64(number as f64 / fps);
        sleep_until(start + due).await;
        let frame = frame(epoch + due.as_micros() as u64, size);
        if number % per_stream == 0 {
            streams.clear();
            for connection in &connections {
                let Ok(stream) = connection.open_uni().await else {
                    return Ok(());
                };
                streams.push(stream);
            }
        }
        for stream in &mut streams {
            if stream.write_chunk(frame.clone()).await.is_err() {
                return Ok(());
            }
            if number % per_stream == per_stream - 1 {
                stream.finish()?;
            }
        }
    }
    Ok(())
}

fn frame(due: u64, size: usize) -> Bytes {
    let mut frame = BytesMut::with_capacity(size);
    frame.put_u64(due);
    frame.resize(size, 7);
    frame.freeze()
}

/// What came, and how long it took.
#[derive(Default)]
struct Received {
    frames: u64,
    latency: Latency,
}

async fn receive(
    relay: SocketAddr,
    count: usize,
    size: usize,
    duration: Duration,
) -> anyhow::Result<()> {
    let (start, received) = (Instant::now(), Arc::new(Mutex::new(Received::default())));
    let tell = |phase: &str| tell(phase, start, count, size, &received);
    let config = client_config()?;
    tell("start");
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let endpoint = client_endpoint(relay)?;
        let connection = endpoint
            .connect_with(config.clone(), relay, "localhost")?
            .await?;
        tasks.spawn(read(connection, endpoint, size, Arc::clone(&received)));
    }
    tell("warmup");
    sleep(Duration::from_secs(1)).await;
    lock(&received).latency = Latency::default();
    tell("steady");
    sleep(duration).await;
    tell("drain");
    // Whoever reads this may want to look at the processes before they are gone.
    sleep(LINGER).await;
    Ok(())
}

async fn read(
    connection: quinn::Connection,
    _endpoint: quinn::Endpoint,
    size: usize,
    received: Arc<Mutex<Received>>,
) {
    let mut streams = JoinSet::new();
    while let Ok(mut stream) = connection.accept_uni().await {
        while streams.try_join_next().is_some() {}
        let received = Arc::clone(&received);
        streams.spawn(async move {
            let mut frame = BytesMut::with_capacity(size);
            while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX, true).await {
                frame.extend_from_slice(&chunk.bytes);
                while frame.len() >= size {
                    let whole = frame.split_to(size);
                    let due = whole
                        .first_chunk()
                        .map_or(0, |first| u64::from_be_bytes(*first));
                    let mut received = lock(&received);
                    received.frames += 1;
                    received.latency.record(now_micros().saturating_sub(due));
                }
            }
        });
    }
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn tell(phase: &str, start: Instant, connections: usize, size: usize, received: &Mutex<Received>) {
    let received = lock(received);
    let line = json!({
        "event": "sample",
        "phase": phase,
        "seconds": start.elapsed().as_secs_f64(),
        "connections": connections,
        "frames": received.frames,
        "bytes": received.frames * size as u64,
        "latency": received.latency.quantiles(),
    });
    println!("{line}");
}

fn client_endpoint(relay: SocketAddr) -> anyhow::Result<quinn::Endpoint> {
    let socket = Socket::new(Domain::for_address(relay), Type::DGRAM, None)?;
    socket.set_recv_buffer_size(4 << 20)?;
    socket.bind(&SocketAddr::new(relay.ip(), 0).into())?;
    let config = quinn::EndpointConfig::default();
    Ok(quinn::Endpoint::new(
        config,
        None,
        socket.into(),
        Arc::new(quinn::TokioRuntime),
    )?)
}

fn client_config() -> anyhow::Result<quinn::ClientConfig> {
    let tls = Trust::Anything.client_config(ALPN)?;
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let mut transport = quinn::TransportConfig::default();
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_uni_streams(1024u32.into());
    config.transport_config(Arc::new(transport));
    Ok(config)
}

fn server_config() -> anyhow::Result<quinn::ServerConfig> {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(
            vec![signed.cert.der().clone()],
            key.map_err(anyhow::Error::msg)?,
        )?;
    tls.alpn_protocols = vec![ALPN.into()];
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_concurrent_uni_streams(16u32.into())
        .max_concurrent_bidi_streams(16u32.into());
    config.transport_config(Arc::new(transport));
    Ok(config)
}

fn now_micros() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since_epoch.as_micros() as u64
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
