//! `publish`: one track, from a clock, stdin or a generator.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::tracks::Tracks;
use moq_transfork::message::Priority;
use moq_transfork::path::Path;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::totals::{Publishing, Totals};
use crate::command::{Context, Order, Outcome, lost, written};
use crate::connect::{Client, connect};
use crate::{unique, units};

mod clock;
mod load;
mod stdin;
mod totals;

/// How long the ends of groups and track may take to travel before the session closes, if anybody
/// reads the track. Relays keep a finished track open for a second, and take the end of the session
/// in that time for the loss of its publisher.
const SETTLE: Duration = Duration::from_millis(1500);

/// The same if nobody does.
const SETTLE_UNREAD: Duration = Duration::from_millis(100);

/// What to publish.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without a source flag it publishes a clock. Groups of stdin and load end after --frames-per-group
frames; a subscriber that joins late starts with the newest group. After the last frame the track
stays for --linger, so that subscribers can take the rest; then it ends.")]
#[command(group(clap::ArgGroup::new("source").args(["clock", "stdin", "load"])))]
pub struct Args {
    /// Publish the time as moq-clock does: a group a minute, a frame a second (the default).
    #[arg(long)]
    clock: bool,

    /// Publish stdin: a frame a line, or a frame for every chunk of bytes as it comes.
    #[arg(long, value_enum, value_name = "UNIT")]
    stdin: Option<stdin::Unit>,

    /// Publish generated frames that `subscribe --check` verifies.
    #[arg(long)]
    load: bool,

    /// The track [default: clock, stdin or load, after the source].
    #[arg(long)]
    path: Option<Path>,

    /// Frames in a group [default: 30 with --load, 1 with --stdin]; with --stdin, 0 puts all into
    /// one group.
    #[arg(long, value_name = "COUNT")]
    frames_per_group: Option<u32>,

    /// Bytes in a frame: all with --load [default: 1000], at most with --stdin bytes
    /// [default: 64K].
    #[arg(long, value_name = "BYTES", value_parser = units::parse_bytes)]
    frame_size: Option<usize>,

    /// Frames a second, with --load.
    #[arg(long, value_name = "RATE", default_value_t = 30.0, value_parser = load::parse_rate)]
    fps: f64,

    /// End after this many groups, with --load [default: no end].
    #[arg(long, value_name = "COUNT")]
    groups: Option<u64>,

    /// The number that all frames carry, with --load [default: random].
    #[arg(long, value_name = "NUMBER")]
    stream: Option<u64>,

    /// End after this time; the group under way is completed [default: no end].
    #[arg(long, value_parser = units::parse_duration)]
    duration: Option<Duration>,

    /// How long the track stays after its last frame.
    #[arg(long, value_name = "DURATION", default_value = "1s",
          value_parser = units::parse_duration)]
    linger: Duration,

    /// The track's priority, 0 to 255: higher goes first.
    #[arg(long, value_name = "NUMBER", default_value_t = 128)]
    priority: u8,

    /// Which group goes first when several wait.
    #[arg(long, value_enum, default_value_t)]
    order: Order,

    /// How long a finished group is of use [default: for ever].
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    expires: Option<Duration>,
}

/// Runs `publish`.
///
/// # Errors
///
/// When there is no session, or it ends early, or stdin cannot be read.
pub async fn run(context: &mut Context, args: &Args) -> anyhow::Result<Outcome> {
    let path = args.path()?;
    let tracks = Tracks::default();
    let track = tracks.create(path, args.info())?;
    let mut client = connect(&context.options, Some(Arc::new(tracks))).await?;
    let published = publish(context, args, &mut client, track).await;
    client.close("done").await;
    published.map(|()| Outcome::Done)
}

async fn publish(
    context: &mut Context,
    args: &Args,
    client: &mut Client,
    track: TrackProducer,
) -> anyhow::Result<()> {
    written(context.output.event(&Publishing::new(&track, client)))?;
    let stop = context.stop.child_token();
    let mut totals = Totals::new();
    let clock = async {
        if let Some(duration) = args.duration {
            sleep(duration).await;
            stop.cancel();
        }
        pending::<()>().await;
    };
    let produced = tokio::select! {
        produced = produce(args, &track, &stop, &mut totals) => produced,
        error = lost(client) => Err(error),
        () = clock => Ok(()),
    };
    // Whether anybody reads the summary or not, the subscribers get their end first.
    let told = written(context.output.event(&totals.finish()));
    produced?;

    tokio::select! {
        () = sleep(args.linger) => {}
        () = context.stop.cancelled() => {}
        error = lost(client) => return Err(error),
    }
    let settle = if track.demand().is_some() {
        SETTLE
    } else {
        SETTLE_UNREAD
    };
    track.finish();
    sleep(settle).await;
    told
}

async fn produce(
    args: &Args,
    track: &TrackProducer,
    stop: &CancellationToken,
    totals: &mut Totals,
) -> anyhow::Result<()> {
    if let Some(unit) = args.stdin {
        let grouping = args.frames_per_group.unwrap_or(1);
        let input = stdin::Input::new(unit, args.frame_size.unwrap_or(64 << 10));
        stdin::run(track, input, grouping, stop, totals).await
    } else if args.load {
        load::run(track, &args.load()?, stop, totals).await
    } else {
        clock::run(track, stop, totals).await
    }
}

impl Args {
    fn path(&self) -> anyhow::Result<Path> {
        let default = match (self.stdin, self.load) {
            (Some(_), _) => "stdin",
            (None, true) => "load",
            (None, false) => "clock",
        };
        match &self.path {
            Some(path) => Ok(path.clone()),
            None => default.parse().context("default path"),
        }
    }

    fn info(&self) -> TrackInfo {
        TrackInfo {
            priority: Priority::new(self.priority.into()),
            order: self.order.into(),
            expires: self.expires.unwrap_or_default(),
        }
    }

    fn load(&self) -> anyhow::Result<load::Load> {
        let frames_per_group = self.frames_per_group.unwrap_or(30);
        anyhow::ensure!(
            frames_per_group > 0,
            "--load needs at least one frame in a group"
        );
        Ok(load::Load {
            stream: self.stream.unwrap_or_else(unique::random),
            frame_size: self.frame_size.unwrap_or(1000),
            frames_per_group,
            fps: self.fps,
            groups: self.groups,
        })
    }
}
