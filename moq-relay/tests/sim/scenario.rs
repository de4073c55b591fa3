//! One publisher nearby, one subscriber behind a bad link, and a relay that is to be looked at.

use std::time::Duration;

use moq_relay::transport::Congestion;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::relay::RelayConfig;
use tokio::runtime::Builder;

use crate::figures::Figures;
use crate::journal::Entry;
use crate::load::Load;
use crate::net::Cable;
use crate::net::link::{Counts, Path};
use crate::quic;
use crate::world::World;

/// The track that everything here is about.
const TRACK: &str = "demo/video";

/// Half a minute of video at 2.4 Mbit/s, in groups of a second.
pub(crate) const VIDEO: Load = Load {
    frame: 10 * 1024,
    rate: 30,
    group: 30,
    groups: 30,
};

/// What is sent, how, and through what.
#[derive(Clone)]
pub(crate) struct Scenario {
    /// What the publisher sends.
    pub(crate) load: Load,
    /// What leads from the relay to the subscriber and back.
    pub(crate) cable: Cable,
    /// The relay's congestion control.
    pub(crate) congestion: Congestion,
    /// The relay's send window, where it is not its default.
    pub(crate) send_window: Option<u64>,
    /// The relay's limits and cache.
    pub(crate) relay: RelayConfig,
    /// What the subscriber asks for.
    pub(crate) subscription: Subscription,
}

impl Scenario {
    /// The relay by its defaults, and a subscriber behind this path, at 40 ms in all.
    pub(crate) fn new(path: impl FnOnce(Path) -> Path) -> Self {
        let way = Path::clean(Duration::from_millis(20));
        let down = path(way);
        Self {
            load: VIDEO,
            cable: Cable {
                down,
                // What the subscriber sends is little: it never fills a link.
                up: way.lossy(down.loss),
            },
            congestion: Congestion::Cubic,
            send_window: None,
            relay: RelayConfig::default(),
            subscription: Subscription::default(),
        }
    }

    /// Plays it in no time.
    pub(crate) fn run(&self, seed: u64) -> (Vec<Entry>, Counts) {
        Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("there is memory for a runtime")
            .block_on(self.play(seed))
    }

    /// Plays it with each of these seeds and sums up.
    pub(crate) fn median(&self, seeds: impl IntoIterator<Item = u64>) -> Figures {
        let run = |seed| {
            let (seen, counts) = self.run(seed);
            Figures::of(&seen, &self.load, counts)
        };
        Figures::median(&seeds.into_iter().map(run).collect::<Vec<_>>())
    }

    async fn play(&self, seed: u64) -> (Vec<Entry>, Counts) {
        let server = quic::server(self.congestion, |transport| {
            if let Some(window) = self.send_window {
                transport.send_window(window);
            }
        });
        let mut world = World::with(seed, server, self.relay.clone());
        let (_publisher, track) = world.publisher(TRACK).await;
        let subscriber = world.client(self.cable).await;
        let journal = subscriber.watch(TRACK, self.subscription.clone()).await;
        self.load.publish(track, world.began()).await;
        let seen = journal.finish().await;
        (seen, world.sent_to(&subscriber))
    }
}
