//! A relay on a port of its own, and connections to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use moq_relay::server::Server;
use moq_relay::tls::trust::Trust;
use moq_relay::tls::{self, dev};
use moq_relay::transport::{Congestion, client_config, server_config};
use moq_relay::{endpoint, sockets};
use moq_relay_core::announced::Announcement;
use moq_relay_core::relay::{Relay, RelayConfig};
use moq_relay_core::source::Source;
use moq_transfork::Path;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::Url;

/// Longer than anything takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a peer reaches the relay.
#[derive(Clone, Copy, Debug)]
pub enum Via {
    /// WebTransport over HTTP/3.
    WebTransport,
    /// QUIC with the ALPN of the published crates.
    Quic,
}

/// A relay on a port of its own. Dropping it ends the relay.
pub struct World {
    pub relay: Relay,
    addr: SocketAddr,
    _server: JoinSet<()>,
}

impl World {
    pub fn start() -> Result<Self> {
        let tls = tls::server_config(vec![dev::self_signed(&[])?])?;
        let socket = sockets::udp((Ipv4Addr::LOCALHOST, 0).into())?;
        let endpoint = endpoint::open(socket, server_config(tls, Congestion::Cubic))?;
        let addr = endpoint.local_addr()?;
        let relay = Relay::new(RelayConfig::default());
        let mut server = Server::new(endpoint, relay.clone(), 100);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { server.run().await });
        Ok(Self {
            relay,
            addr,
            _server: tasks,
        })
    }

    pub fn url(&self) -> Result<Url> {
        Ok(format!("https://{}/", self.addr).parse()?)
    }

    /// Connects as far as QUIC goes.
    pub async fn dial(&self, via: Via) -> Result<quinn::Connection> {
        let alpn = match via {
            Via::WebTransport => tls::ALPN_H3,
            Via::Quic => "moqf-02",
        };
        let tls = Trust::Anyone.client_config(&[alpn])?;
        let client = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
        let config = client_config(tls, Congestion::Cubic);
        let connecting = client.connect_with(config, self.addr, "localhost")?;
        soon(async { connecting.await.context("connect") }).await
    }

    /// Waits until a path is published at the relay.
    pub async fn published(&self, path: &Path) -> Result<()> {
        let mut announced = self.relay.origin().announced(path);
        soon(async {
            loop {
                let news = announced.next().await.context("the relay is gone")?;
                if matches!(news, Announcement::Active(_)) {
                    return Ok(());
                }
            }
        })
        .await
    }
}

/// Fails instead of waiting for ever.
pub async fn soon<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, future)
        .await
        .context("something that should happen did not")?
}
