//! Media made by ffmpeg, published by moq-karp, and compared hash by hash where it arrives.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::time::{Instant, sleep_until, timeout};

use self::groups::Groups;
use self::mp4::File;
use super::cases::{Case, Who};
use super::play::Troupe;
use super::stage::Stage;
use crate::cargo::{has, output, tool};
use crate::client::{Announced, Client, Frame};
use crate::process::{Line, Log};
use crate::term::say;

mod groups;
mod mp4;

/// Where it is published.
const PATH: &str = "demo/bbb";

/// How far into the film the late subscribers join.
const LATE: Duration = Duration::from_millis(3500);

/// How long anything may take that needs no film to pass.
const PATIENCE: Duration = Duration::from_secs(10);

/// A picture and a tone, cut into a fragment per frame.
const FFMPEG: &str = "-v error -f lavfi -i testsrc=size=320x180:rate=30 \
    -f lavfi -i sine=frequency=440:sample_rate=48000 -t 8 \
    -c:v libx264 -profile:v baseline -g 30 -pix_fmt yuv420p -c:a aac -b:a 64k \
    -movflags cmaf+separate_moof+delay_moov+skip_trailer+frag_every_frame -f mp4";

/// What is published, and what has to arrive.
pub(super) struct Film {
    bytes: Vec<u8>,
    file: File,
    /// The groups of each track, by the track's name.
    tracks: BTreeMap<String, Groups>,
}

impl Film {
    /// Has ffmpeg make it.
    ///
    /// # Errors
    /// Where there is no ffmpeg to be had, or its file is not as expected.
    pub(super) async fn make() -> anyhow::Result<Self> {
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

    /// Feeds a part of the film at the pace it is meant to be seen.
    async fn feed(&self, to: &mut ChildStdin, begun: Instant, part: Part) -> anyhow::Result<()> {
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
            let due = Duration::from_micros(sample.decoded * 1_000_000 / timescale);
            if part.holds(due) {
                sleep_until(begun + due).await;
                let bytes = &self.bytes[fragment.bytes.clone()];
                to.write_all(bytes)
                    .await
                    .context("the publisher takes no more")?;
            }
        }
        to.flush().await.context("the publisher takes no more")
    }
}

/// The parts of the film, between which the late subscribers join.
#[derive(Clone, Copy)]
enum Part {
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

/// Publishes the film and holds what two sets of subscribers get against it.
///
/// # Errors
/// Naming the first group that differs.
pub(super) async fn play(
    troupe: &Troupe,
    film: &Film,
    stage: &mut Stage,
    case: &Case,
) -> anyhow::Result<String> {
    let Who::Theirs(karp) = case.publisher.who else {
        bail!("only moq-karp publishes media")
    };
    let publisher = stage.target(case.publisher.over);
    let publisher = troupe.peers.publish_media(&karp, &publisher, PATH);
    let mut input = stage
        .enter(publisher)?
        .stdin()
        .context("the publisher has no input")?;
    input.write_all(&film.bytes[..film.file.header]).await?;

    let client = troupe.client(stage, case.subscriber)?;
    let broadcast = broadcast(&client, stage).await?;
    let early = Audience::enter(&client, stage, &broadcast, film)?;
    let begun = Instant::now() + Duration::from_secs(1);
    film.feed(&mut input, begun, Part::First).await?;
    let late = Audience::enter(&client, stage, &broadcast, film)?;
    film.feed(&mut input, begun, Part::Second).await?;

    let early = early
        .check(film, From::Start)
        .await
        .context("from the start")?;
    let late = late
        .check(film, From::Middle)
        .await
        .context("joined late")?;
    drop(input);
    Ok(format!("{early} and {late} groups"))
}

/// Waits until all tracks are announced, and gives back the path they are below.
async fn broadcast(client: &Client, stage: &mut Stage) -> anyhow::Result<String> {
    let log = stage.enter(client.announced(PATH))?.log();
    let video = |line: &Line| {
        let announced: Announced = serde_json::from_str(&line.text).ok()?;
        announced
            .path
            .split_once("/video")
            .map(|(broadcast, _)| broadcast.to_owned())
    };
    let found = timeout(PATIENCE, log.find(video)).await;
    found
        .context("the film was not announced in time")?
        .context("`announced` ended")
}

/// The subscribers of all tracks.
struct Audience {
    /// The log of each, by the track's name.
    logs: BTreeMap<String, Arc<Log>>,
    catalog: Arc<Log>,
}

/// When an audience joined.
#[derive(Clone, Copy)]
enum From {
    Start,
    Middle,
}

impl Audience {
    fn enter(
        client: &Client,
        stage: &mut Stage,
        broadcast: &str,
        film: &Film,
    ) -> anyhow::Result<Self> {
        let mut enter = |path: &str| {
            let process = stage.enter(client.subscribe_frames(path))?;
            anyhow::Ok(process.log())
        };
        let catalog = enter(broadcast)?;
        let logs = film.tracks.keys().map(|name| {
            let log = enter(&format!("{broadcast}/{name}"))?;
            Ok((name.clone(), log))
        });
        Ok(Self {
            logs: logs.collect::<anyhow::Result<_>>()?,
            catalog,
        })
    }

    /// Waits for the film's last frames, and compares all groups; counts those that arrived.
    async fn check(&self, film: &Film, from: From) -> anyhow::Result<usize> {
        self.check_catalog(film).await?;
        let mut count = 0;
        for (name, expected) in &film.tracks {
            let log = self
                .logs
                .get(name)
                .context("a track without a subscriber")?;
            let end = timeout(PATIENCE, log.find(|line| is_last(line, expected))).await;
            let received = received(log)?;
            compare(expected, &received, from).with_context(|| name.clone())?;
            end.with_context(|| format!("{name} did not end in time"))?;
            count += received.len();
        }
        Ok(count)
    }

    /// The catalog has to name every track.
    async fn check_catalog(&self, film: &Film) -> anyhow::Result<()> {
        let names_all = |line: &Line| {
            let frame: Frame = serde_json::from_str(&line.text).ok()?;
            let catalog = String::from_utf8(hex::decode(frame.hex).ok()?).ok()?;
            film.tracks
                .keys()
                .all(|name| catalog.contains(name.as_str()))
                .then_some(())
        };
        let found = timeout(PATIENCE, self.catalog.find(names_all)).await;
        found
            .context("no catalog with all tracks in time")?
            .context("the catalog's track ended")
    }
}

fn is_last(line: &Line, expected: &Groups) -> Option<()> {
    let frame: Frame = serde_json::from_str(&line.text).ok()?;
    let (last, frames) = expected.last_key_value()?;
    (frame.group == *last && frame.index + 1 == frames.len() as u64).then_some(())
}

/// The hash of every frame that a subscriber got.
fn received(log: &Log) -> anyhow::Result<Groups> {
    let mut groups = Groups::new();
    for line in log.stdout() {
        let Ok(frame) = serde_json::from_str::<Frame>(&line) else {
            continue;
        };
        let frames = groups.entry(frame.group).or_default();
        let (group, index) = (frame.group, frame.index);
        ensure!(
            index == frames.len() as u64,
            "frame {index} of group {group} out of order"
        );
        let payload = hex::decode(&frame.hex).context("a payload that is not hexadecimal")?;
        frames.push(hex::encode(Sha256::digest(payload)));
    }
    Ok(groups)
}

/// From the first group received on, every group has to be there and be the same.
fn compare(expected: &Groups, received: &Groups, from: From) -> anyhow::Result<()> {
    let (first, _) = received.first_key_value().context("nothing arrived")?;
    match from {
        From::Start => ensure!(*first == 0, "the first group was {first}"),
        From::Middle => ensure!(*first > 0, "a late subscriber got the whole film"),
    }
    let numbers: Vec<_> = received.keys().collect();
    let expected_numbers: Vec<_> = expected
        .keys()
        .skip_while(|number| *number < first)
        .collect();
    ensure!(
        numbers == expected_numbers,
        "groups {numbers:?} of {expected_numbers:?} arrived"
    );
    for (number, frames) in received {
        let expected = &expected[number];
        let count = (frames.len(), expected.len());
        ensure!(
            count.0 == count.1,
            "group {number}: {} of {} frames",
            count.0,
            count.1
        );
        ensure!(
            frames == expected,
            "group {number}: a frame with another hash"
        );
    }
    Ok(())
}
