//! The proxy's sockets.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::impair::control::Control;
use crate::impair::duplex::Duplex;
use crate::impair::flow::{Flow, FlowConfig};
use crate::impair::settings::Settings;
use crate::impair::socket::{BATCH, MAX_PACKET, listen};

/// Packets of one client that wait for its task. More are lost, and counted as overflowed.
const INBOX: usize = 1024;

/// Where a proxy stands, and how it begins.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Where clients send to; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where their packets go.
    pub server: SocketAddr,
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How bad each direction is at first.
    pub settings: Duplex<Settings>,
    /// After how long a silence, from both sides, a client is forgotten. Its next packet makes it
    /// a new client, with another port towards the server.
    pub idle: Duration,
    /// Clients at a time; packets of others are lost. Each costs a socket, a task, 64 KiB, and at
    /// worst twice [`MAX_HELD`](crate::impair::link::MAX_HELD).
    pub max_clients: usize,
}

impl ProxyConfig {
    /// How long a client may be silent where nothing else is said: longer than a QUIC connection.
    pub const DEFAULT_IDLE: Duration = Duration::from_secs(60);

    /// Clients at a time where nothing else is said: well inside the 1024 files that a process may
    /// open on most systems.
    pub const DEFAULT_MAX_CLIENTS: usize = 256;

    /// A proxy that does nothing bad yet.
    #[must_use]
    pub fn new(listen: SocketAddr, server: SocketAddr, seed: u64) -> Self {
        Self {
            listen,
            server,
            seed,
            settings: Duplex::default(),
            idle: Self::DEFAULT_IDLE,
            max_clients: Self::DEFAULT_MAX_CLIENTS,
        }
    }
}

/// A UDP proxy that is bound and does not run yet.
///
/// Every client, which is an address that packets come from, has a socket of its own towards the
/// server, and links of its own: what one client sends does not slow another, and chance decides
/// about the packets of the n-th client in the same way whatever the others do.
pub struct Proxy {
    config: ProxyConfig,
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    control: Control,
    clients: HashMap<SocketAddr, mpsc::Sender<Bytes>>,
    flows: JoinSet<SocketAddr>,
}

impl Proxy {
    /// Binds the socket that clients send to, inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub fn bind(config: ProxyConfig) -> io::Result<Self> {
        let socket = listen(config.listen)?;
        Ok(Self {
            address: socket.local_addr()?,
            socket: Arc::new(socket),
            control: Control::new(config.settings),
            clients: HashMap::new(),
            flows: JoinSet::new(),
            config,
        })
    }

    /// Returns the address that clients send to, with the port that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns a handle that changes settings and tells counters while the proxy runs, and tells
    /// them after.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Carries packets until `stop` is cancelled; those under way then are lost.
    ///
    /// # Errors
    ///
    /// When the socket that clients send to breaks.
    pub async fn run(mut self, stop: CancellationToken) -> io::Result<()> {
        let socket = self.socket.clone();
        let mut buffer = vec![0; MAX_PACKET];
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = self.flows.join_next() => self.forget(ended.ok()),
                ready = socket.readable() => {
                    ready?;
                    self.receive(&mut buffer)?;
                }
            }
        }
        // From here on the counters stand still.
        self.flows.shutdown().await;
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        for _packet in 0..BATCH {
            match self.socket.try_recv_from(buffer) {
                Ok((len, client)) => self.hand_over(client, Bytes::copy_from_slice(&buffer[..len])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // Some systems report here that a client is gone.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives a packet to its client's task, which is made if there is none.
    fn hand_over(&mut self, client: SocketAddr, packet: Bytes) {
        let packet = match self.clients.get(&client) {
            Some(inbox) => match inbox.try_send(packet) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(packet)) => return self.overflow(&packet),
                // It is about to be forgotten.
                Err(mpsc::error::TrySendError::Closed(packet)) => packet,
            },
            None => packet,
        };
        let Some(inbox) = self.welcome(client) else {
            self.control.count(|totals| totals.refused += 1);
            return;
        };
        if inbox.try_send(packet).is_err() {
            tracing::debug!(%client, "a new client's inbox is full");
        }
        self.clients.insert(client, inbox);
    }

    /// Starts a new client's task.
    fn welcome(&mut self, client: SocketAddr) -> Option<mpsc::Sender<Bytes>> {
        if self.flows.len() >= self.config.max_clients {
            tracing::debug!(%client, "too many clients");
            return None;
        }
        let (inbox, packets) = mpsc::channel(INBOX);
        let config = FlowConfig {
            socket: self.socket.clone(),
            client,
            server: self.config.server,
            seed: self.config.seed,
            idle: self.config.idle,
        };
        let flow = Flow::open(config, self.control.clone(), packets)
            .inspect_err(|error| tracing::warn!(%client, %error, "no socket for a new client"))
            .ok()?;
        self.flows.spawn(async move {
            flow.run().await;
            client
        });
        tracing::debug!(%client, "new client");
        Some(inbox)
    }

    /// Forgets a client whose task has ended, unless it has a new one.
    fn forget(&mut self, ended: Option<SocketAddr>) {
        if let Some(client) = ended
            && self
                .clients
                .get(&client)
                .is_some_and(mpsc::Sender::is_closed)
        {
            self.clients.remove(&client);
            tracing::debug!(%client, "forgot a silent client");
        }
    }

    fn overflow(&self, packet: &Bytes) {
        self.control.count(|totals| {
            let up = &mut totals.counters.up;
            up.packets += 1;
            up.bytes += packet.len() as u64;
            up.overflowed += 1;
        });
    }
}
