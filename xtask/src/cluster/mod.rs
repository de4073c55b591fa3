//! A cluster of real processes, each in a network of its own: to be seen, and to be drilled.

use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum as _;
use console::Color;
use tokio::time::{Instant, sleep};

use self::drill::{Drill, Ground, Outcome};
use self::names::Node;
use self::net::{Kind, Net, Weather};
use self::said::groups_lost;
use self::stage::{Programs, Stage};
use crate::cargo::{Binaries, Profile};
use crate::term::{self, Table, say};

mod drill;
mod names;
mod net;
mod said;
mod stage;
mod watch;

/// How many lines of each relay are shown when a drill failed.
const TAIL: usize = 25;

/// How long the cluster is shown where nothing else is said.
const SHOWN: Duration = Duration::from_secs(15);

/// Brings up a root and two nodes, each in a network of its own, and shows or drills them.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask cluster                         who is linked to whom, and what flows
  cargo xtask cluster --drill                 every drill, on a clear and on an impaired network
  cargo xtask cluster --drill --list          what there is
  cargo xtask cluster --drill --impaired --only root-gone --only partition

As root, each machine is a network namespace, with links that nft cuts and tc slows; nothing of the
host's own network is touched. Otherwise it is an address of the loopback interface, and the
impairment proxy stands before each name.")]
pub(crate) struct Args {
    /// Runs the drills, and prints what each one's recovery took and lost
    #[arg(long)]
    drill: bool,

    /// Runs only this drill; may be given several times
    #[arg(long, value_enum, value_name = "DRILL", requires = "drill")]
    only: Vec<Drill>,

    /// Lists the drills and ends
    #[arg(long)]
    list: bool,

    /// Puts 40 ms, 1 % of loss and 1 % out of order on each way between two relays; the drills do
    /// both otherwise
    #[arg(long)]
    impaired: bool,

    /// Leaves the drills on an impaired network out
    #[arg(long, conflicts_with = "impaired")]
    clear: bool,

    /// Uses loopback addresses even where namespaces are allowed
    #[arg(long)]
    loopback: bool,

    /// Shows the cluster for this long
    #[arg(long, value_parser = term::duration, conflicts_with = "drill")]
    duration: Option<Duration>,

    /// Compiles what is drilled without optimisation, as for showing: it is sooner there
    #[arg(long)]
    debug: bool,
}

/// Shows a cluster, or drills it.
///
/// # Errors
/// Where a cluster cannot be brought up; a drill that fails makes the exit code.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.list {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    let profile = if args.debug || !args.drill {
        Profile::Dev
    } else {
        Profile::Release
    };
    let built = Binaries::build_for_cluster(profile).await?;
    let programs = Programs::of(&built)?;
    let kind = kind(&args, &programs);
    if !args.drill {
        let weather = if args.impaired {
            Weather::Impaired
        } else {
            Weather::Clear
        };
        show(&programs, kind, weather, args.duration.unwrap_or(SHOWN)).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let drills = if args.only.is_empty() {
        Drill::value_variants().to_vec()
    } else {
        args.only.clone()
    };
    let mut table = Table::new(&[
        "drill",
        "network",
        "recovery",
        "at most",
        "groups lost",
        "at most",
        "verdict",
        "remark",
    ]);
    let mut failed = 0;
    for weather in weathers(&args) {
        for drill in &drills {
            let ground = Ground {
                programs: &programs,
                kind,
                weather,
            };
            failed += usize::from(!play(*drill, ground, &mut table).await);
        }
    }
    say!("");
    table.print();
    say!("\ndrills: {failed} failed");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Chooses namespaces where they are allowed, and says why where they are not.
fn kind(args: &Args, programs: &Programs) -> Kind {
    if args.loopback {
        return Kind::Loopback;
    }
    match Net::new(Kind::Namespaces, Weather::Clear, &programs.client) {
        Ok(_removed) => Kind::Namespaces,
        Err(error) => {
            say!("note: no network namespaces ({error:#}): loopback addresses are used instead");
            Kind::Loopback
        }
    }
}

fn weathers(args: &Args) -> Vec<Weather> {
    match (args.clear, args.impaired) {
        (true, _) => vec![Weather::Clear],
        (_, true) => vec![Weather::Impaired],
        _ => vec![Weather::Clear, Weather::Impaired],
    }
}

fn list() {
    let mut table = Table::new(&["drill", "recovery at most", "what happens"]);
    for drill in Drill::value_variants() {
        table.push(vec![
            name(*drill),
            format!("{} s", drill.bound().as_secs()),
            sentence(*drill),
        ]);
    }
    table.print();
}

fn name(drill: Drill) -> String {
    let value = drill.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

fn sentence(drill: Drill) -> String {
    let value = drill.to_possible_value();
    let help = value.and_then(|value| value.get_help().map(ToString::to_string));
    help.unwrap_or_default()
}

/// Runs one drill and adds its row; gives back whether it passed.
async fn play(drill: Drill, ground: Ground<'_>, table: &mut Table) -> bool {
    let network = match ground.weather {
        Weather::Clear => "clear",
        Weather::Impaired => "impaired",
    };
    let start = Instant::now();
    let mut stage = None;
    let outcome = drill.run(ground, &mut stage).await;
    let took = term::seconds(start.elapsed());
    let bound = drill.bound();
    let is_good = |outcome: &Outcome| outcome.recovery <= bound && outcome.lost <= drill.price();
    let (recovery, lost, passed, remark) = match outcome {
        Ok(outcome) => (
            format!("{:.2} s", outcome.recovery.as_secs_f64()),
            outcome.lost.to_string(),
            is_good(&outcome),
            outcome.remark,
        ),
        Err(error) => ("-".to_owned(), "-".to_owned(), false, format!("{error:#}")),
    };
    let verdict = if passed {
        term::paint("passed", Color::Green)
    } else {
        term::red("FAILED")
    };
    let price = drill.price().to_string();
    let drill = name(drill);
    say!(
        "{verdict}: {drill} ({network}), recovery {recovery}, {lost} groups lost ({took} s) {remark}"
    );
    if let Some(stage) = stage.filter(|_| !passed) {
        say!("{}", stage.tails(TAIL));
    }
    let at_most = format!("{} s", bound.as_secs());
    table.push(vec![
        drill,
        network.to_owned(),
        recovery,
        at_most,
        lost,
        price,
        verdict,
        remark,
    ]);
    passed
}

/// Publishes at one node, subscribes at the others, and tells what happens, every second.
async fn show(
    programs: &Programs,
    kind: Kind,
    weather: Weather,
    duration: Duration,
) -> anyhow::Result<()> {
    let stage = Stage::up(programs, kind, weather).await?;
    say!("{}", stage.net.describe());
    for node in Node::FIRST {
        let links = stage.links(node).into_keys().map(|other| other.to_string());
        let links: Vec<_> = links.collect();
        let (name, address) = (
            stage.net.name(node),
            stage.net.address(stage.net.place(node)),
        );
        say!(
            "{node:<5} {name} at {address}, linked to {}",
            links.join(", ")
        );
    }
    let _publisher = stage
        .publish(Node::A, "demo", &["--fps=50", "--frames-per-group=5"])
        .await?;
    let readers = tokio::try_join!(stage.read(Node::Root, "demo"), stage.read(Node::B, "demo"))?;
    let end = Instant::now() + duration;
    while Instant::now() < end {
        sleep(Duration::from_secs(1)).await;
        let flow = |reader: &watch::Reader| {
            let arrivals = reader.arrivals();
            format!("{} groups, {} lost", arrivals.len(), groups_lost(&arrivals))
        };
        say!(
            "demo: published at a; at root {}; at b {}",
            flow(&readers.0),
            flow(&readers.1)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drill_has_a_name_a_sentence_and_a_bound() {
        for drill in Drill::value_variants() {
            assert!(!name(*drill).is_empty());
            assert!(sentence(*drill).len() > 20, "{drill:?}");
            assert!(!drill.bound().is_zero());
        }
    }
}
