//! Which thread a connection lives on.

use std::collections::HashSet;
use std::net::{Ipv4Addr, UdpSocket};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Instant;

use moq_relay::server::Server;
use moq_relay::session::Session;
use moq_relay::tls::trust::Trust;
use moq_relay::tls::{ALPN_H3, dev, server_config};
use moq_relay::transport::{self, Congestion, client_config};
use moq_relay::workers::Threads;
use moq_relay_core::relay::{Relay, RelayConfig};
use moq_relay_core::tracks::Tracks;
use quinn::{AsyncTimer, AsyncUdpSocket, Endpoint, EndpointConfig, Runtime, TokioRuntime};
use url::Url;

use crate::client::{self, Client};
use crate::process::soon;

const THREADS: usize = 3;

#[test]
fn each_connection_lives_on_one_thread_and_they_spread() {
    let threads = Threads::start(NonZeroUsize::new(THREADS).unwrap()).unwrap();
    let recorder = Arc::new(Recorder::default());
    let runtime = recorder.clone();
    threads.block_on(async {
        let endpoint = open(runtime);
        let relay = Relay::new(RelayConfig::default());
        let server = Server::new(endpoint.clone(), relay, 100).spread_over(threads.workers());
        serve(server, connect_all(&endpoint)).await;
    });
    let spawned = recorder.0.lock().unwrap();
    let own = thread::current().id();
    // The first is the endpoint's; each client's connection follows.
    let (endpoint, connections) = spawned.split_first().unwrap();
    assert_eq!(*endpoint, own);
    assert_eq!(connections.len(), 2 * THREADS);
    let (first, second) = connections.split_at(THREADS);
    assert_eq!(first, second, "they take turns");
    assert_eq!(first[0], own);
    assert_eq!(HashSet::<&ThreadId>::from_iter(first).len(), THREADS);
}

/// Connects clients one after the other, each with a session that is set up, and keeps them.
async fn connect_all(relay: &Endpoint) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..2 * THREADS {
        let config = client_config(
            Trust::Anyone.client_config(&[ALPN_H3]).unwrap(),
            Congestion::Cubic,
        );
        let addr = relay.local_addr().unwrap();
        let connecting = client::endpoint().connect_with(config, addr, "localhost");
        let conn = soon(connecting.unwrap()).await.unwrap();
        let url = Url::parse("https://localhost/").unwrap();
        let session = soon(web_transport_quinn::Session::connect(conn, url)).await;
        let session = Session::web_transport(session.unwrap());
        clients.push(Client::new(session, &Tracks::default()).await);
    }
    clients
}

async fn serve<T>(mut server: Server, clients: impl Future<Output = T>) -> T {
    tokio::select! {
        () = server.run() => unreachable!("the endpoint is open"),
        clients = clients => clients,
    }
}

fn open(runtime: Arc<Recorder>) -> Endpoint {
    let tls = server_config(vec![dev::self_signed(&[]).unwrap()]).unwrap();
    let config = transport::server_config(tls, Congestion::Cubic);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime).unwrap()
}

/// Tokio, and which threads the tasks of QUIC were spawned on.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<ThreadId>>);

impl Runtime for Recorder {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.lock().unwrap().push(thread::current().id());
        TokioRuntime.spawn(future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> std::io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}
