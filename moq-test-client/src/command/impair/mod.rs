//! `impair`: a UDP proxy that makes a good network bad.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::lookup_host;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::events::{Changed, Listening, Report, Stats};
use self::orders::Orders;
use crate::command::{Context, Outcome, written};
use crate::impair::change::Change;
use crate::impair::command::{Command, Line};
use crate::impair::control::Control;
use crate::impair::duplex::Way;
use crate::impair::proxy::{Proxy, ProxyConfig};
use crate::impair::schedule::Schedule;
use crate::output::Output;
use crate::{unique, units};

mod events;
mod orders;

/// Where the proxy stands, and how bad it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Settings, as in --up 'delay=40ms loss=1%' (spaces or commas between them; what is not named stays):
  delay=40ms      how long the way is
  jitter=5ms      how much longer or shorter at most, evenly spread; packets stay in order
  loss=1%         packets lost, each by itself
  duplicate=1%    packets that come twice
  reorder=1%      packets held back, so that later ones overtake them
  hold=10ms       how long those are held back
  rate=10mbit     bits a second, or none; bytes are counted as UDP carries them
  queue=100ms     how long a packet may wait for the rate; one that would wait longer is dropped
  cut, heal       nothing gets through, until healed; what is under way is lost
  clear           nothing bad at all

Lines on stdin change them while it runs; the end of stdin changes nothing:
  up loss=1%      one direction: up is to the server, down is to the clients
  delay=40ms      both directions, as with --both; likewise cut, heal and clear
  rebind          go on to the server from other ports, as behind a NAT that forgets
  stats           write the counters
  quit            end, as Ctrl-C does

A schedule is lines with times, counted from the start: '10s cut; 12s heal'.
The first line on stdout is the address bound; each change is told once it is in force;
the counters come last. It ends with exit code 1 if a line on stdin could not be understood.

Every client has its own links, so a rate is for each. UDP only: an http:// URL of a relay asks for
its certificate over TCP, so use https:// or moqf:// with --tls-root or --tls-fingerprint.
Packets leave up to 2 ms later than planned.")]
pub struct Args {
    /// Where clients send to; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// The server, such as a relay: HOST:PORT.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_target)]
    to: String,

    /// Decides what is left to chance: the same packets meet the same fate [default: random, and
    /// told].
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// How bad the way to the server is.
    #[arg(long, value_name = "SETTINGS")]
    up: Option<Change>,

    /// How bad the way to the clients is.
    #[arg(long, value_name = "SETTINGS")]
    down: Option<Change>,

    /// How bad both ways are; --up and --down come on top.
    #[arg(long, value_name = "SETTINGS")]
    both: Option<Change>,

    /// What to change when: a file, or the schedule itself.
    #[arg(long, value_name = "FILE|SCHEDULE", value_parser = Schedule::load)]
    schedule: Option<Schedule>,

    /// End after this time [default: no end].
    #[arg(long, value_parser = units::parse_duration)]
    duration: Option<Duration>,

    /// After how long a silence a client is forgotten; its next packet comes from another port.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = units::parse_duration)]
    idle: Duration,

    /// Clients at a time; packets of others are lost.
    #[arg(long, value_name = "COUNT", default_value_t = ProxyConfig::DEFAULT_MAX_CLIENTS)]
    max_clients: usize,
}

/// Runs `impair`.
///
/// # Errors
///
/// When the server's name means nothing, or the address to listen on is not to be had.
pub async fn run(context: &mut Context, args: &Args) -> anyhow::Result<Outcome> {
    // Whoever reads the first line may send a signal at once: let main listen for it before.
    yield_now().await;
    let config = args.config().await?;
    let proxy = Proxy::bind(config.clone())
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let control = proxy.control();
    written(context.output.event(&Listening::new(&proxy, &config)))?;

    let start = Instant::now();
    // Whichever of the two ends first ends the other.
    let stop = context.stop.child_token();
    let carried = async {
        let carried = proxy.run(stop.clone()).await;
        stop.cancel();
        carried.context("the proxy broke")
    };
    let obeyed = async {
        let obeyed = obey(&mut context.output, args, &control, start, &stop).await;
        stop.cancel();
        obeyed
    };
    let (carried, obeyed) = tokio::join!(carried, obeyed);
    let summary = Report::Summary(Stats::new(&control, start));
    written(context.output.event(&summary))?;
    carried.and(obeyed)
}

/// Does what schedule and stdin say until the end.
async fn obey(
    output: &mut Output,
    args: &Args,
    control: &Control,
    start: Instant,
    stop: &CancellationToken,
) -> anyhow::Result<Outcome> {
    let mut orders = Orders::new(args.schedule.clone().unwrap_or_default(), start);
    let end = args
        .duration
        .and_then(|duration| start.checked_add(duration));
    let mut outcome = Outcome::Done;
    loop {
        let order = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(outcome),
            () = until(end) => return Ok(outcome),
            order = orders.next() => order,
        };
        match order {
            Err(refused) => {
                outcome = Outcome::Failed;
                written(output.event(&refused))?;
            }
            Ok(line) => match &line.command {
                Command::Quit => return Ok(outcome),
                Command::Stats => {
                    written(output.event(&Report::Stats(Stats::new(control, start))))?;
                }
                Command::Rebind => {
                    control.rebind();
                    confirm(output, &line, control, start).await?;
                }
                Command::Change(way, change) => {
                    control.change(*way, change);
                    confirm(output, &line, control, start).await?;
                }
            },
        }
    }
}

/// Says that a line was obeyed, once it is in force everywhere.
async fn confirm(
    output: &mut Output,
    line: &Line,
    control: &Control,
    start: Instant,
) -> anyhow::Result<()> {
    control.settled().await;
    written(output.event(&Changed::new(line, control, start)))
}

impl Args {
    async fn config(&self) -> anyhow::Result<ProxyConfig> {
        // Half of a number is short enough to be typed, and for JSON readers that have no u64.
        let seed = self.seed.unwrap_or_else(|| unique::random() >> 32);
        let mut config = ProxyConfig::new(self.listen, self.server().await?, seed);
        config.idle = self.idle;
        config.max_clients = self.max_clients;
        for (way, change) in [
            (Way::Both, &self.both),
            (Way::Up, &self.up),
            (Way::Down, &self.down),
        ] {
            if let Some(change) = change {
                config.settings.each(way, |settings| change.apply(settings));
            }
        }
        Ok(config)
    }

    /// Looks the server up; an address of the family we listen on goes first.
    async fn server(&self) -> anyhow::Result<SocketAddr> {
        let to = &self.to;
        let found = lookup_host(to)
            .await
            .with_context(|| format!("cannot find the server {to}"))?;
        let addresses: Vec<SocketAddr> = found.collect();
        let is_like = |address: &&SocketAddr| address.is_ipv4() == self.listen.is_ipv4();
        let address = addresses.iter().find(is_like).or(addresses.first());
        address
            .copied()
            .with_context(|| format!("the server {to} has no address"))
    }
}

/// Takes HOST:PORT as it is; whether the host exists is found out later.
fn parse_target(text: &str) -> Result<String, String> {
    let is_complete = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if is_complete {
        Ok(text.to_owned())
    } else {
        Err("write HOST:PORT, as in localhost:4443".to_owned())
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => pending().await,
    }
}
