//! The relay as it is, with clients at the ends of simulated cables.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use moq_relay::server::Server;
use moq_relay::transport::Congestion;
use moq_relay_core::limits::Limits;
use moq_relay_core::model::cache::Cache;
use moq_relay_core::model::consumer::TrackConsumer;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::relay::{Relay, RelayConfig};
use moq_relay_core::session::{self, ClientConfig, Peer};
use moq_relay_core::source::Source;
use moq_relay_core::tracks::Tracks;
use moq_transfork::path::Path;
use quinn::{Endpoint, ServerConfig, TransportConfig};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use web_transport_quinn::Session;

use crate::journal::Journal;
use crate::net::link::{self, Counts};
use crate::net::{Cable, Switch};
use crate::quic;

/// Longer than anything takes here, on a clock that jumps.
const PATIENCE: Duration = Duration::from_secs(300);

const RELAY: SocketAddr = addr(0);

/// The cable of whoever is not to be looked at: a millisecond each way, and nothing else.
pub(crate) const NEAR: Cable = Cable::both(link::Path::clean(Duration::from_millis(1)));

/// A relay and everything around it.
pub(crate) struct World {
    pub(crate) relay: Relay,
    switch: Switch,
    seed: u64,
    clients: u16,
    began: Instant,
    tasks: JoinSet<()>,
}

/// A client of the relay.
pub(crate) struct Client {
    /// What the relay publishes to it.
    pub(crate) peer: Peer,
    /// What it publishes.
    pub(crate) tracks: Tracks,
    addr: SocketAddr,
    began: Instant,
    /// Kept for as long as the connection is used.
    _endpoint: Endpoint,
}

impl World {
    /// Makes a world with the relay as it runs by default.
    pub(crate) fn new(seed: u64) -> Self {
        let server = quic::server(Congestion::Cubic, |_| {});
        Self::with(seed, server, RelayConfig::default())
    }

    /// Makes a world with a relay of its own. Everything random in it follows from `seed`.
    pub(crate) fn with(seed: u64, server: ServerConfig, config: RelayConfig) -> Self {
        let switch = Switch::default();
        let relay = Relay::new(config);
        let endpoint = quic::endpoint(&switch, RELAY, Some(server), seed);
        let mut server = Server::new(endpoint, relay.clone(), u32::from(u16::MAX));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { server.run().await });
        Self {
            relay,
            switch,
            seed,
            clients: 0,
            began: Instant::now(),
            tasks,
        }
    }

    /// Connects a client by this cable.
    pub(crate) async fn client(&mut self, cable: Cable) -> Client {
        self.client_with(cable, |_| {}).await
    }

    /// Connects a client by this cable, with quinn tuned.
    pub(crate) async fn client_with(
        &mut self,
        cable: Cable,
        tune: impl FnOnce(&mut TransportConfig),
    ) -> Client {
        self.clients += 1;
        let addr = addr(self.clients);
        // No two clients of any two seeds share a stream of random numbers.
        let seed = (self.seed << 16) + u64::from(self.clients);
        self.switch.lay(RELAY, addr, cable, seed);
        let endpoint = quic::endpoint(&self.switch, addr, None, seed);
        let connecting = endpoint
            .connect_with(quic::client(tune), RELAY, quic::NAME)
            .expect("the address is fine");
        let conn = soon(connecting).await.expect("the relay answers");
        let tracks = Tracks::new(Cache::default(), Limits::default());
        let mut config = ClientConfig::default();
        config.publish = Some(Arc::new(tracks.clone()));
        let (peer, driver) = soon(session::connect(Session::raw(conn), config))
            .await
            .expect("the relay speaks with it");
        self.tasks.spawn(async move {
            let _ended = driver.run().await;
        });
        Client {
            peer,
            tracks,
            addr,
            began: self.began,
            _endpoint: endpoint,
        }
    }

    /// Connects a publisher nearby, and waits until the relay knows of its track.
    pub(crate) async fn publisher(&mut self, name: &str) -> (Client, TrackProducer) {
        let client = self.client(NEAR).await;
        let path = path(name);
        let track = client
            .tracks
            .create(path.clone(), TrackInfo::default())
            .expect("the path is free");
        let mut announced = self.relay.origin().announced(&path);
        soon(announced.next()).await;
        (client, track)
    }

    /// Changes what lies between the relay and a client.
    pub(crate) fn lay(&self, client: &Client, cable: Cable) {
        self.switch.lay(RELAY, client.addr, cable, self.seed);
    }

    /// What the link from the relay to a client has done so far.
    pub(crate) fn sent_to(&self, client: &Client) -> Counts {
        self.switch.counts(RELAY, client.addr)
    }

    /// The time that everything here is counted from.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }
}

impl Client {
    /// Subscribes to a track, waits until the relay has said what it is, and writes down all that
    /// comes of it.
    pub(crate) async fn watch(&self, name: &str, subscription: Subscription) -> Journal {
        let track = self.subscribe(name, subscription);
        soon(track.info()).await.expect("somebody publishes it");
        Journal::of(track, self.began)
    }

    /// Subscribes to a track.
    pub(crate) fn subscribe(&self, name: &str, subscription: Subscription) -> TrackConsumer {
        self.peer
            .track(&path(name), subscription)
            .expect("the session is open")
    }
}

pub(crate) fn path(name: &str) -> Path {
    name.parse().expect("the path is valid")
}

/// Fails the test instead of waiting for ever.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .expect("something that should happen did not")
}

const fn addr(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 0, high, low)), 4443)
}
