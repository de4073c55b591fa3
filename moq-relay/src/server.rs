//! The accept loop, and its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_relay_cluster::cluster::Cluster;
use moq_relay_cluster::config::Config;
use moq_relay_core::relay::Relay;
use quinn::{Endpoint, Incoming, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span, debug, error, info, info_span, warn};
use web_transport_trait::Session as _;

use crate::accept::{Accepted, Via, accept};
use crate::cluster::{QuicDial, visitor};
use crate::workers::{Seat, Workers};

/// Handshakes under way from which on a client must first prove its address, which costs it a
/// round trip and a forger everything.
const RETRY_ABOVE: usize = 256;

/// Time for a close to reach its peer. An HTTP/3 close waits 100 ms or three round trips for the
/// peer's answer, and QUIC then as long again for stragglers.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// HTTP/3's code for ending without an error; to raw QUIC peers it is an application's code.
const NO_ERROR: VarInt = VarInt::from_u32(0x100);

/// Accepts clients on an endpoint and gives their sessions to a relay.
///
/// Dropping it ends its tasks at once; [`shutdown`](Self::shutdown) ends them well.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    cluster: Cluster<QuicDial>,
    /// Whether clients are asked for certificates of nodes.
    has_roots: bool,
    /// One permit for each connection that may exist.
    slots: Arc<Semaphore>,
    /// One permit for each handshake that goes without a proof of address.
    trust: Arc<Semaphore>,
    /// One task for each connection, from its first packet to its end.
    connections: JoinSet<()>,
    /// Where they run.
    workers: Workers,
    /// Connections admitted so far; the last one's id.
    admitted: u64,
    /// Whether the last client was refused for want of a slot.
    full: bool,
}

impl Server {
    /// Accepts on this endpoint, at most so many connections at a time, all of them on the runtime
    /// that this is called on.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn new(endpoint: Endpoint, relay: Relay, max_connections: u32) -> Self {
        let config = Config::default();
        let cluster = Cluster::new(relay, config, QuicDial::default());
        Self::of_node(endpoint, cluster, false, max_connections)
    }

    /// Accepts for a relay that is one of many; `has_roots` tells whether the endpoint asks for
    /// certificates of nodes.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn of_node(
        endpoint: Endpoint,
        cluster: Cluster<QuicDial>,
        has_roots: bool,
        max_connections: u32,
    ) -> Self {
        let slots = usize::try_from(max_connections).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            endpoint,
            cluster,
            has_roots,
            slots: Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))),
            trust: Arc::new(Semaphore::new(RETRY_ABOVE)),
            connections: JoinSet::new(),
            workers: Workers::current(),
            admitted: 0,
            full: false,
        }
    }

    /// Spreads the connections over these runtimes, each with all its tasks on one of them.
    pub fn spread_over(mut self, workers: Workers) -> Self {
        self.workers = workers;
        self
    }

    /// Accepts clients until the endpoint fails. Cancel-safe: sessions go on without it.
    pub async fn run(&mut self) {
        loop {
            tokio::select! {
                // Ended connections go first: there are only as many as were admitted.
                biased;
                Some(ended) = self.connections.join_next() => report(ended),
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => self.admit(incoming),
                    None => return,
                },
            }
        }
    }

    /// Accepts no more clients, leaves the cluster, lets groups under way finish, all for as long
    /// as `grace`, and closes every session.
    pub async fn shutdown(mut self, grace: Duration) {
        info!(
            connections = self.connections.len(),
            ?grace,
            "finishing groups under way"
        );
        let drain = async {
            let begun = Instant::now();
            // The other half is for clients.
            self.cluster.leave(grace / 2).await;
            let rest = grace.saturating_sub(begun.elapsed());
            self.cluster.relay().drain(rest).await;
        };
        tokio::select! {
            () = drain => {}
            never = refuse_all(&self.endpoint) => match never {},
        }
        let ended = timeout(CLOSE_TIMEOUT, async {
            while let Some(ended) = self.connections.join_next().await {
                report(ended);
            }
        });
        if ended.await.is_err() {
            debug!(
                connections = self.connections.len(),
                "closing what has not ended"
            );
        }
        self.endpoint.close(NO_ERROR, b"shutting down");
        let _ = timeout(CLOSE_TIMEOUT, self.endpoint.wait_idle()).await;
    }

    /// Decides on a client by its first packet.
    fn admit(&mut self, incoming: Incoming) {
        let trust = Arc::clone(&self.trust).try_acquire_owned().ok();
        if trust.is_none() && !incoming.remote_address_validated() {
            if let Err(error) = incoming.retry() {
                debug!(%error, "no proof of address can be asked for");
            }
            return;
        }
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        self.note_room(slot.is_ok());
        let Ok(slot) = slot else {
            incoming.refuse();
            return;
        };
        self.admitted += 1;
        let remote = canonical(incoming.remote_address());
        let span = info_span!("session", id = self.admitted, %remote);
        let seat = self.workers.seat();
        let runtime = seat.runtime().clone();
        let place = Place {
            _slot: slot,
            _seat: seat,
        };
        let begun = begin(incoming, trust, span, self.cluster.clone(), self.has_roots);
        self.connections
            .spawn_on(connection(begun, place), &runtime);
    }

    /// Tells once when clients begin to be refused.
    fn note_room(&mut self, room: bool) {
        if !room && !self.full {
            let connections = self.connections.len();
            warn!(
                connections,
                "refusing clients: raise --max-connections if there is memory for more"
            );
        }
        self.full = !room;
    }
}

/// What a connection has for as long as it lasts.
struct Place {
    _slot: OwnedSemaphorePermit,
    _seat: Seat,
}

/// Serves one client, from its first packet to its end.
fn connection(
    begun: impl Future<Output = Option<BoxFuture<'static, ()>>> + Send + 'static,
    place: Place,
) -> impl Future<Output = ()> + Send {
    // Boxed: the room of the handshake is free again once there is a session.
    let begun = begun.boxed();
    async move {
        let _place = place;
        if let Some(serving) = begun.await {
            serving.await;
        }
    }
}

/// Takes a client from its first packet to its session, and returns what serves that.
async fn begin(
    incoming: Incoming,
    trust: Option<OwnedSemaphorePermit>,
    span: Span,
    cluster: Cluster<QuicDial>,
    has_roots: bool,
) -> Option<BoxFuture<'static, ()>> {
    // QUIC's own task for it is spawned here: a connection stays where it begins. It is not within
    // the span, which it would enter for every packet.
    let connecting = incoming.accept();
    let accepted = accept(connecting).instrument(span.clone()).await;
    drop(trust);
    let _entered = span.enter();
    match accepted {
        Ok(accepted) => {
            let serving = serve(accepted, cluster, has_roots);
            Some(serving.in_current_span().boxed())
        }
        Err(error) => {
            debug!(%error, "no session");
            None
        }
    }
}

fn serve(
    accepted: Accepted,
    cluster: Cluster<QuicDial>,
    has_roots: bool,
) -> impl Future<Output = ()> + Send {
    let Accepted { session, via } = accepted;
    match via {
        Via::WebTransport(path) => info!(via = "webtransport", ?path, "connected"),
        Via::Quic => info!(via = "quic", "connected"),
    }
    async move {
        let visitor = visitor(&session, has_roots);
        match cluster.serve(session.clone(), visitor).await {
            Ok(()) => info!("disconnected"),
            Err(error) => info!(%error, "disconnected"),
        }
        // The relay has closed it; what it said is under way.
        let _ = timeout(CLOSE_TIMEOUT, session.closed()).await;
    }
}

async fn refuse_all(endpoint: &Endpoint) -> Infallible {
    while let Some(incoming) = endpoint.accept().await {
        incoming.refuse();
    }
    std::future::pending().await
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!(%error, "a session failed by a bug of this relay");
    }
}

/// Shows clients that come by IPv4 to an IPv6 socket with their IPv4 address.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use moq_relay_core::relay::RelayConfig;
    use quinn::Connection;

    use crate::tls::trust::Trust;
    use crate::tls::{self, ALPN_RAW, dev};
    use crate::transport::{Congestion, client_config, server_config};
    use crate::{endpoint, sockets};

    use super::*;

    #[tokio::test]
    async fn when_many_handshakes_are_under_way_a_client_gets_in_by_proving_its_address() {
        let (mut server, addr) = server(1);
        server.trust = Arc::new(Semaphore::new(0));
        connect(&mut server, addr).await;
        assert_eq!(server.admitted, 1);
    }

    #[tokio::test]
    async fn a_session_that_panics_ends_alone() {
        let (mut server, addr) = server(2);
        let _first = connect(&mut server, addr).await;
        let seat = server.workers.seat();
        let bug = async { panic!("a bug") };
        server.connections.spawn_on(bug, seat.runtime());

        let _second = connect(&mut server, addr).await;
        // The panic was reported before the second client was heard.
        assert_eq!((server.admitted, server.connections.len()), (2, 2));
    }

    fn server(max_connections: u32) -> (Server, SocketAddr) {
        let tls = tls::server_config(vec![dev::self_signed(&[]).unwrap()]).unwrap();
        let socket = sockets::udp((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let endpoint = endpoint::open(socket, server_config(tls, Congestion::Cubic)).unwrap();
        let addr = endpoint.local_addr().unwrap();
        let relay = Relay::new(RelayConfig::default());
        (Server::new(endpoint, relay, max_connections), addr)
    }

    async fn connect(server: &mut Server, addr: SocketAddr) -> Connection {
        let tls = Trust::Anyone.client_config(&ALPN_RAW).unwrap();
        let config = client_config(tls, Congestion::Cubic);
        let client = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        tokio::select! {
            () = server.run() => unreachable!("the endpoint is open"),
            conn = client.connect_with(config, addr, "localhost").unwrap() => conn.unwrap(),
        }
    }
}
