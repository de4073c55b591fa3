//! A film made by ffmpeg, fed to a publisher as if it happened now.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::time::{Instant, sleep_until};

use super::groups::{self, Groups};
use super::mp4::File;
use crate::cargo::{has, output, tool};
use crate::term::say;

/// How far into the film the late subscribers join.
const LATE: Duration = Duration::from_millis(3200);

/// A picture and a tone, cut into a fragment per frame.
const FFMPEG: &str = "-v error -f lavfi -i testsrc=size=320x180:rate=30 \
    -f lavfi -i sine=frequency=440:sample_rate=48000 -t 8 \
    -c:v libx264 -profile:v baseline -g 30 -pix_fmt yuv420p -c:a aac -b:a 64k \
    -movflags cmaf+separate_moof+delay_moov+skip_trailer+frag_every_frame -f mp4";

/// What is published, and what has to arrive.
pub(in crate::interop) struct Film {
    bytes: Vec<u8>,
    file: File,
    /// The groups of each track, by the track's name.
    pub(super) tracks: BTreeMap<String, Groups>,
}

impl Film {
    /// Has ffmpeg make it.
    ///
    /// # Errors
    /// Where there is no ffmpeg to be had, or its file is not as expected.
    pub(in crate::interop) async fn make() -> anyhow::Result<Self> {
        install_ffmpeg().await?;
        let folder = TempDir::with_prefix("moq-film-").context("no temporary folder")?;
        let path = folder.path().join("film.mp4");
        let args: Vec<&str> = FFMPEG.split_whitespace().collect();
        output(tool("ffmpeg", &args).args([&path])).await?;
        let bytes = fs::read(&path).context("ffmpeg wrote no file")?;
        let file = File::parse(&bytes)?;
        let tracks = groups::cut(&file, &bytes)?;
        ensure!(tracks.len() == 2, "ffmpeg made {} tracks", tracks.len());
        ensure!(
            tracks.values().all(|groups| groups.len() > 5),
            "ffmpeg made too few groups"
        );
        Ok(Self {
            bytes,
            file,
            tracks,
        })
    }

    /// Feeds what comes before the film, upon which its tracks are announced.
    pub(super) async fn feed_header(&self, to: &mut ChildStdin) -> anyhow::Result<()> {
        put(to, &self.bytes[..self.file.header]).await
    }

    /// Feeds a part of the film at the pace it is meant to be seen.
    pub(super) async fn feed(
        &self,
        to: &mut ChildStdin,
        begun: Begin,
        part: Part,
    ) -> anyhow::Result<()> {
        for fragment in &self.file.fragments {
            let sample = fragment
                .samples
                .first()
                .context("a fragment without a sample")?;
            let track = self
                .file
                .tracks
                .iter()
                .find(|track| track.id == sample.track);
            let timescale = track.context("a sample of an unknown track")?.timescale;
            let due = sample.due(timescale);
            if part.holds(due) {
                sleep_until(begun.instant + due).await;
                put(to, &self.bytes[fragment.bytes.clone()]).await?;
            }
        }
        Ok(())
    }
}

async fn put(to: &mut ChildStdin, bytes: &[u8]) -> anyhow::Result<()> {
    let put = async {
        to.write_all(bytes).await?;
        to.flush().await
    };
    put.await.context("the publisher takes no more")
}

/// When a film begins, on two clocks.
#[derive(Clone, Copy)]
pub(super) struct Begin {
    instant: Instant,
    time: SystemTime,
}

impl Begin {
    /// Lets it begin a while from now.
    pub(super) fn after(wait: Duration) -> Self {
        Self {
            instant: Instant::now() + wait,
            time: SystemTime::now() + wait,
        }
    }

    /// How much of the film is over at a time.
    pub(super) fn until(self, time: SystemTime) -> Duration {
        time.duration_since(self.time).unwrap_or_default()
    }
}

/// The parts of the film, between which the late subscribers join.
#[derive(Clone, Copy)]
pub(super) enum Part {
    First,
    Second,
}

impl Part {
    fn holds(self, due: Duration) -> bool {
        match self {
            Self::First => due < LATE,
            Self::Second => due >= LATE,
        }
    }
}

async fn install_ffmpeg() -> anyhow::Result<()> {
    if has("ffmpeg", &["-version"]).await {
        return Ok(());
    }
    say!("ffmpeg is not installed: installing it with apt-get");
    output(tool("apt-get", &["update"])).await?;
    output(tool(
        "apt-get",
        &["install", "--yes", "--no-install-recommends", "ffmpeg"],
    ))
    .await?;
    Ok(())
}
