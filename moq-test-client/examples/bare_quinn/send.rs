//! The sending side: what stands in the relay's place.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use moq_test_client::payload::{self, Stamp};
use tokio::time::sleep;

use crate::{now_micros, quic};

/// Up to this much too late is the timer's doing, which counts in milliseconds.
const TIMER: Duration = Duration::from_millis(2);

/// How often the same frame is sent in a flood: a relay makes none by itself.
const REUSED: u64 = 64;

/// What is sent.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Load {
    /// Frames a second; 0 sends none.
    #[arg(long, default_value_t = 0.0)]
    fps: f64,
    /// Instead of a rate, as fast as streams are acknowledged: so many of each connection may not be.
    #[arg(long)]
    in_flight: Option<usize>,
    #[arg(long)]
    frame_size: usize,
    #[arg(long, default_value_t = 1)]
    frames_per_stream: u64,
    #[arg(long, default_value_t = 1)]
    frames_per_group: u64,
    /// How many times larger the first frame of a group is.
    #[arg(long, default_value_t = 1)]
    key_frame: usize,
}

pub(crate) async fn accept(
    bind: SocketAddr,
    count: usize,
) -> anyhow::Result<Vec<quinn::Connection>> {
    let endpoint = quic::server(bind)?;
    eprintln!("listening on {}", endpoint.local_addr()?);
    let mut connections = Vec::new();
    while connections.len() < count {
        let incoming = endpoint.accept().await.context("the endpoint is closed")?;
        connections.push(incoming.await?);
    }
    Ok(connections)
}

impl Load {
    pub(crate) async fn send(self, connections: Vec<quinn::Connection>) -> anyhow::Result<()> {
        if let Some(in_flight) = self.in_flight {
            // It fails when the receivers leave.
            let _gone = self.flood(&connections, in_flight).await;
        } else if self.fps == 0.0 {
            connections[0].closed().await;
        } else {
            // As above.
            let _gone = self.pace(&connections).await;
        }
        Ok(())
    }

    /// One loop writes to all: the same bytes, without a copy, at the time they are due.
    async fn pace(self, connections: &[quinn::Connection]) -> anyhow::Result<()> {
        let start = now_micros();
        let mut streams = Vec::new();
        for number in 0u64.. {
            let due = start + Duration::from_secs_f64(number as f64 / self.fps).as_micros() as u64;
            sleep(Duration::from_micros(due.saturating_sub(now_micros()))).await;
            let late = Duration::from_micros(now_micros().saturating_sub(due));
            let now = if late < TIMER { now_micros() } else { due };
            let frame = self.frame(number, now)?;
            if number % self.frames_per_stream == 0 {
                streams.clear();
                for connection in connections {
                    streams.push(connection.open_uni().await?);
                }
            }
            for stream in &mut streams {
                stream.write_chunk(frame.clone()).await?;
                if number % self.frames_per_stream == self.frames_per_stream - 1 {
                    stream.finish()?;
                }
            }
        }
        Ok(())
    }

    /// Writes a frame to all when there is room for another: as the benchmark does, which goes by
    /// what has arrived.
    async fn flood(
        self,
        connections: &[quinn::Connection],
        in_flight: usize,
    ) -> anyhow::Result<()> {
        let room = in_flight * connections.len();
        let mut under_way = FuturesUnordered::new();
        let mut frame = Bytes::new();
        for number in 0u64.. {
            if number % REUSED == 0 {
                frame = self.frame(number, now_micros())?;
            }
            for connection in connections {
                let mut stream = connection.open_uni().await?;
                stream.write_chunk(frame.clone()).await?;
                stream.finish()?;
                under_way.push(async move { stream.stopped().await });
            }
            while under_way.len() >= room {
                under_way.next().await;
            }
        }
        Ok(())
    }

    fn frame(&self, number: u64, micros: u64) -> anyhow::Result<Bytes> {
        let frame = number % self.frames_per_group;
        let times = if frame == 0 { self.key_frame } else { 1 };
        let stamp = Stamp {
            stream: 0,
            group: number / self.frames_per_group,
            frame: frame as u32,
            frames: self.frames_per_group as u32,
            micros,
        };
        let payload = payload::encode(&stamp, self.frame_size * times);
        Ok(moq_transfork::frame::frame(&payload)?)
    }
}
