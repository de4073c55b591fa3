//! Sessions over a bad network: relay, publisher, proxy and subscriber in one process, on a paused
//! clock.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Parser;
use moq_test_client::args::{Args, Command};
use moq_test_client::command::{Context, Outcome, publish, subscribe};
use moq_test_client::impair::control::{Control, Totals};
use moq_test_client::impair::duplex::Way;
use moq_test_client::impair::proxy::{Proxy, ProxyConfig};
use moq_test_client::output::{Format, Output};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::relay::TestRelay;

/// A relay with a publisher next to it and a bad network in front of it.
struct World {
    relay: TestRelay,
    proxy: SocketAddr,
    control: Control,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl World {
    async fn start(seed: u64, network: &str) -> Self {
        let relay = TestRelay::start().await;
        let (listen, server) = (local(0), local(port(&relay.url("moqf"))));
        let proxy = Proxy::bind(ProxyConfig::new(listen, server, seed)).unwrap();
        let (address, control) = (proxy.address(), proxy.control());
        control.change(Way::Both, &network.parse().unwrap());

        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let stop = stop.clone();
            async move { proxy.run(stop).await.unwrap() }
        });
        let world = Self {
            relay,
            proxy: address,
            control,
            stop,
            tasks,
        };
        world.publish()
    }

    /// Publishes 30 frames a second, 15 a group.
    fn publish(mut self) -> Self {
        let pin = self.relay.fingerprint.to_string();
        let line = format!(
            "x -r {} --tls-fingerprint {pin} publish --load --frames-per-group 15",
            self.relay.url("moqf")
        );
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            assert_eq!(run(&line, stop).await, Outcome::Done);
        });
        self
    }

    /// Subscribes through the proxy for a while.
    async fn subscribe(&self, scheme: &str, options: &str) -> Outcome {
        let pin = self.relay.fingerprint.to_string();
        let url = format!("{scheme}://{}", self.proxy);
        let line =
            format!("x -r {url} --tls-fingerprint {pin} subscribe --path load --check {options}");
        run(&line, self.stop.clone()).await
    }

    async fn finish(mut self) -> Totals {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.control.totals()
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn port(url: &str) -> u16 {
    url.rsplit(':').next().unwrap().parse().unwrap()
}

/// Runs what the program would run, and says nothing.
async fn run(line: &str, stop: CancellationToken) -> Outcome {
    let args = Args::try_parse_from(line.split(' ')).unwrap();
    let mut context = Context {
        options: args.relay.options(),
        output: Output::new(Format::Text, std::io::sink()),
        stop,
    };
    match &args.command {
        Some(Command::Publish(args)) => publish::run(&mut context, args).await,
        Some(Command::Subscribe(args)) => subscribe::run(&mut context, args).await,
        _ => panic!("{line}"),
    }
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_group_survives_delay_and_loss_a_cut_and_a_rebind() {
    for scheme in ["moqf", "https"] {
        let world = World::start(1, "delay=40ms loss=1%").await;
        let start = Instant::now();
        let events = async {
            sleep(Duration::from_secs(5)).await;
            world.control.change(Way::Both, &"cut".parse().unwrap());
            sleep(Duration::from_secs(3)).await;
            world.control.change(Way::Both, &"heal".parse().unwrap());
            sleep(Duration::from_secs(4)).await;
            world.control.rebind();
        };
        let options = "--order ascending --duration 20s";
        let ((), outcome) = tokio::join!(events, world.subscribe(scheme, options));
        assert_eq!(outcome, Outcome::Done);
        assert!(start.elapsed() >= Duration::from_secs(20));

        let totals = world.finish().await;
        assert_eq!((totals.clients, totals.rebinds), (1, 1));
        for counters in [totals.counters.up, totals.counters.down] {
            assert!(counters.lost > 0 && counters.cut > 0, "{counters}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn copies_and_wrong_order_harm_nobody() {
    let world = World::start(
        2,
        "delay=20ms jitter=10ms reorder=5% hold=50ms duplicate=5%",
    )
    .await;
    let outcome = world.subscribe("moqf", "--groups 20").await;
    assert_eq!(outcome, Outcome::Done);
    let totals = world.finish().await;
    for counters in [totals.counters.up, totals.counters.down] {
        assert!(
            counters.duplicated > 0 && counters.reordered > 0,
            "{counters}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_way_too_slow_for_the_track_still_tells_what_it_leaves_out() {
    // The track needs 240 kbit/s.
    let world = World::start(3, "delay=20ms rate=180kbit").await;
    let start = Instant::now();
    let outcome = world.subscribe("moqf", "--allow-gaps --duration 20s").await;
    assert_eq!(outcome, Outcome::Done);
    let seconds = start.elapsed().as_secs_f64();
    let down = world.finish().await.counters.down;
    assert!(down.queued > 100, "{down}");
    let rate = 8.0 * down.delivered_bytes as f64 / seconds;
    assert!((100e3..=180e3).contains(&rate), "{rate} bit/s");
}
