//! The main job, to be seen: a publisher's clock goes through the relay to a subscriber.

use std::future::pending;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use console::Color;
use futures_util::future::select_all;
use tokio::time::{sleep, timeout};

use crate::cargo::{Binaries, Profile};
use crate::client::{Client, Event, Transport};
use crate::process::{Launch, Line, Process, interrupted};
use crate::term::{self, say};
use crate::{INTERRUPTED, relay};

/// How long each process may take to say goodbye.
const GRACE: Duration = Duration::from_secs(5);

/// How long the publisher may take until its clock is announced.
const START: Duration = Duration::from_secs(20);

/// The width of a process's name in front of its lines.
const NAME_WIDTH: usize = 10;

/// Shows the main job: a relay in dev mode, a publisher of the time, and a subscriber.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask demo                    until Ctrl-C
  cargo xtask demo --duration 5s      stops by itself
  cargo xtask demo --transport quic   raw QUIC instead of WebTransport

It fails where nothing reached the subscriber.")]
pub(crate) struct Args {
    /// Stops after this time (500ms, 5s, 2m) instead of on Ctrl-C
    #[arg(long, value_parser = term::duration)]
    duration: Option<Duration>,

    /// What the publisher and the subscriber speak to the relay
    #[arg(long, value_enum, default_value_t = Transport::WebTransport)]
    transport: Transport,

    /// Compiles with optimisation, as for real use
    #[arg(long)]
    release: bool,
}

/// Builds, starts and shows the three, until Ctrl-C or for as long as asked.
///
/// # Errors
/// Where one of them cannot be built or started or ends early, or nothing arrived.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut trio = tokio::select! {
        biased;
        stopped = interrupted() => return stopped.map(|()| ExitCode::from(INTERRUPTED)),
        started = Trio::start(&args) => started?,
    };
    tokio::select! {
        biased;
        stopped = interrupted() => stopped?,
        () = elapse(args.duration) => {}
        () = trio.first_end() => {}
    }
    let gone = trio.gone();
    let arrived = tokio::select! {
        biased;
        stopped = interrupted() => return stopped.map(|()| ExitCode::from(INTERRUPTED)),
        arrived = trio.stop() => arrived?,
    };
    if !gone.is_empty() {
        bail!("ended by itself: {}", gone.join(", "));
    }
    if arrived == 0 {
        bail!("nothing reached the subscriber");
    }
    say!(
        "{} {arrived} lines reached the subscriber",
        tag("demo", Color::Green)
    );
    Ok(ExitCode::SUCCESS)
}

async fn elapse(duration: Option<Duration>) {
    match duration {
        Some(duration) => sleep(duration).await,
        None => pending().await,
    }
}

/// The three processes; the relay is the first to start and the last to stop.
struct Trio {
    relay: Process,
    publisher: Process,
    subscriber: Process,
}

impl Trio {
    async fn start(args: &Args) -> anyhow::Result<Self> {
        let profile = if args.release {
            Profile::Release
        } else {
            Profile::Dev
        };
        let built = Binaries::build(profile).await?;
        let relay =
            Launch::new("relay", built.path("moq-relay")?).args(["--dev", "--bind", "127.0.0.1:0"]);
        let relay = shown(relay, Color::Blue)?;
        let address = relay::listening(&relay).await?;
        let client = Client::dev(built.path("moq-test-client")?, args.transport, address);
        let publisher = shown(client.publish_clock(), Color::Magenta)?;
        announced(&client).await?;
        let subscriber = shown(client.subscribe_clock(), Color::Green)?;
        Ok(Self {
            relay,
            publisher,
            subscriber,
        })
    }

    fn all(&mut self) -> [&mut Process; 3] {
        [&mut self.subscriber, &mut self.publisher, &mut self.relay]
    }

    /// Waits until one of them has ended.
    async fn first_end(&mut self) {
        // However it ended, and whether that could be told, it is over.
        let ends = self.all().map(|process| Box::pin(process.wait()));
        let _ = select_all(ends).await;
    }

    /// The names of those that have ended.
    fn gone(&mut self) -> Vec<String> {
        let gone = self.all().into_iter().filter_map(|process| {
            let name = process.name().to_owned();
            (!process.is_running()).then_some(name)
        });
        gone.collect()
    }

    /// Ends all three, clients first, and counts what the subscriber had printed.
    async fn stop(&mut self) -> anyhow::Result<usize> {
        for process in self.all() {
            process.stop(GRACE).await?;
        }
        Ok(self.subscriber.log().lines().len())
    }
}

/// Waits until the relay announces the clock.
async fn announced(client: &Client) -> anyhow::Result<()> {
    let mut follower = client.announced("clock").start()?;
    let log = follower.log();
    let active = |line: &Line| matches!(Event::of(line), Some(Event::Active { .. })).then_some(());
    let active = timeout(START, log.find(active)).await;
    let active = active.context("the clock was not announced in time")?;
    active.with_context(|| format!("the relay cannot be asked:\n{}", log.tail(20).join("\n")))?;
    follower.stop(GRACE).await?;
    Ok(())
}

/// Starts a process whose lines are shown behind its name.
fn shown(launch: Launch, color: Color) -> anyhow::Result<Process> {
    let tag = tag(launch.name(), color);
    launch.start_told(Some(Box::new(move |line: &Line| {
        say!("{tag} {}", line.text)
    })))
}

fn tag(name: &str, color: Color) -> String {
    term::paint(&format!("{name:>NAME_WIDTH$} |"), color)
}
