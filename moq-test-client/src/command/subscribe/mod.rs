//! `subscribe`: reads one track and prints, hashes or checks it.

use std::time::Duration;

use anyhow::Context as _;
use moq_relay_core::error::Error;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::source::Source;
use moq_transfork::message::Priority;
use moq_transfork::path::Path;
use tokio::time::{MissedTickBehavior, interval, sleep};

use self::tally::Tally;
use crate::check::Gaps;
use crate::command::print::Print;
use crate::command::{Context, Order, Outcome, lost, written};
use crate::connect::{Client, connect};
use crate::output::{Output, Progress, Results, complain};
use crate::reading::{self, Event, Reading};
use crate::units;

mod tally;

/// How often the progress line changes.
const REFRESH: Duration = Duration::from_millis(200);

/// What to read, and what to make of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --min it starts with the newest group, from that group's first frame, and goes on live.
With --print raw or lines, groups are printed in the order of their sequence.
It ends with the track, after --groups or --duration, or with Ctrl-C; and with exit code 1 if the
track was refused or broke off, if nothing came or fewer than --groups, or if --check found fault.")]
pub struct Args {
    /// The track.
    #[arg(long, default_value = "clock")]
    path: Path,

    /// What to print of every frame [default: describe; none with --check or --hash].
    #[arg(long, value_enum, value_name = "WHAT")]
    print: Option<Print>,

    /// Print for every group its sequence, frames, bytes and the SHA-256 of its payload.
    #[arg(long)]
    hash: bool,

    /// Verify order, completeness and content of what `publish --load` sends.
    #[arg(long)]
    check: bool,

    /// With --check: accept groups that are missing or cut if the relay says so.
    #[arg(long, requires = "check")]
    allow_gaps: bool,

    /// First group wanted [default: the newest].
    #[arg(long, value_name = "GROUP")]
    min: Option<u64>,

    /// All groups the relay still has: short for --min 0.
    #[arg(long, conflicts_with = "min")]
    from_start: bool,

    /// Last group wanted [default: no end].
    #[arg(long, value_name = "GROUP")]
    max: Option<u64>,

    /// Priority of the track, 0 to 255: higher goes first.
    #[arg(long, value_name = "NUMBER", default_value_t = 128)]
    priority: u8,

    /// Which group goes first when several wait.
    #[arg(long, value_enum, default_value_t)]
    order: Order,

    /// How long a finished group is of use [default: for ever].
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    expires: Option<Duration>,

    /// End after this many groups.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    groups: Option<u64>,

    /// End after this time: 500ms, 10s, 2m.
    #[arg(long, value_parser = units::parse_duration)]
    duration: Option<Duration>,
}

/// Why the reading ended.
enum Stop {
    /// The user said so.
    Asked,
    /// The time is up.
    Time,
    /// As many groups as wanted have ended.
    Enough,
    /// The track ended.
    Track(Result<(), Error>),
    /// The session broke.
    Lost(anyhow::Error),
}

/// Runs `subscribe`.
///
/// # Errors
///
/// When there is no session, or it ends early, or the track is refused or breaks off.
pub async fn run(context: &mut Context, args: &Args) -> anyhow::Result<Outcome> {
    let mut client = connect(&context.options, None).await?;
    let track = client.peer().track(&args.path, args.subscription())?;
    let print = args.print();
    let order = if print.is_sequential() {
        reading::Order::BySequence
    } else {
        reading::Order::Interleaved
    };
    let mut reading = Reading::new(track, order);
    let mut tally = Tally::new(print, args.hash, args.check);
    let stop = read(context, args, &mut client, &mut reading, &mut tally).await;
    client.close("done").await;
    let stop = stop?;

    let enough = tally.frames() > 0 && args.groups.is_none_or(|wanted| tally.ended() >= wanted);
    let outcome = report(&mut context.output, args, tally)?;
    match stop {
        Stop::Asked => Ok(outcome),
        Stop::Lost(error) => Err(error),
        Stop::Track(Err(error)) => {
            Err(anyhow::Error::new(error).context(format!("cannot read {}", args.path)))
        }
        Stop::Time | Stop::Enough | Stop::Track(Ok(())) if enough => Ok(outcome),
        Stop::Time | Stop::Enough | Stop::Track(Ok(())) => {
            complain("less came than was asked for");
            Ok(Outcome::Failed)
        }
    }
}

async fn read(
    context: &mut Context,
    args: &Args,
    client: &mut Client,
    reading: &mut Reading,
    tally: &mut Tally,
) -> anyhow::Result<Stop> {
    let progress = Progress::new(match args.print() {
        Print::None => Results::Few,
        Print::Describe | Print::Raw | Print::Lines | Print::Clock => Results::Stream,
    });
    let mut refresh = interval(REFRESH);
    refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let time_is_up = sleep(args.duration.unwrap_or(Duration::MAX));
    let mut time_is_up = std::pin::pin!(time_is_up);
    loop {
        let event = tokio::select! {
            biased;
            () = context.stop.cancelled() => return Ok(Stop::Asked),
            () = &mut time_is_up => return Ok(Stop::Time),
            _tick = refresh.tick() => {
                progress.set(tally.line());
                continue;
            }
            event = reading.next() => event,
            error = lost(client) => return Ok(Stop::Lost(error)),
        };
        if let Event::TrackEnd(end) = event {
            return Ok(Stop::Track(end));
        }
        // The line is taken away only for what may be written to the same terminal.
        let told = if args.hash && matches!(event, Event::End { .. }) {
            progress.pause(|| tally.take(&mut context.output, event))
        } else {
            tally.take(&mut context.output, event)
        };
        written(told)?;
        if args.groups.is_some_and(|wanted| tally.ended() >= wanted) {
            return Ok(Stop::Enough);
        }
    }
}

/// Writes what came in all, and what the check says.
fn report(output: &mut Output, args: &Args, tally: Tally) -> anyhow::Result<Outcome> {
    let (received, check) = tally.finish();
    if args.print() == Print::None {
        written(output.event(&received))?;
    } else {
        written(output.aside(&received)).context("summary")?;
    }
    let Some(report) = check else {
        return Ok(Outcome::Done);
    };
    written(output.event(&report))?;
    let gaps = if args.allow_gaps {
        Gaps::Allowed
    } else {
        Gaps::Forbidden
    };
    Ok(if report.passed(gaps) {
        Outcome::Done
    } else {
        Outcome::Failed
    })
}

impl Args {
    fn subscription(&self) -> Subscription {
        Subscription {
            priority: Priority::new(self.priority.into()),
            order: self.order.into(),
            expires: self.expires.unwrap_or_default(),
            min: if self.from_start { Some(0) } else { self.min },
            max: self.max,
        }
    }

    fn print(&self) -> Print {
        let default = if self.check || self.hash {
            Print::None
        } else {
            Print::Describe
        };
        self.print.unwrap_or(default)
    }
}
