//! One client of the proxy: its socket towards the server, and its two links.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::impair::control::{Control, Course, Member, Orders};
use crate::impair::dice::derive;
use crate::impair::duplex::Duplex;
use crate::impair::link::Link;
use crate::impair::socket::{BATCH, MAX_PACKET, connect};

/// How a client's flow is set up.
pub(super) struct FlowConfig {
    /// The proxy's own socket, on which the client is answered.
    pub(super) socket: Arc<UdpSocket>,
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) seed: u64,
    /// After how long a silence the client is forgotten.
    pub(super) idle: Duration,
}

/// Carries the packets of one client, both ways.
pub(super) struct Flow {
    config: FlowConfig,
    control: Control,
    member: Member,
    orders: watch::Receiver<Orders>,
    /// What `orders` was when last looked at.
    obeyed: Orders,
    /// Packets of the client. Closed when the client is forgotten.
    inbox: mpsc::Receiver<Bytes>,
    upstream: UdpSocket,
    /// The socket before the last change of port. It stays open, and unread, so that the server is
    /// not told that it is gone: no NAT would do that.
    retired: Option<UdpSocket>,
    links: Duplex<Link>,
    /// Packets passed on that the system could not deliver.
    failed: Duplex<u64>,
    /// The links' time zero.
    start: Instant,
    /// When a packet last came or went, either way.
    active: Instant,
}

/// What a flow woke up for.
enum Event {
    /// The settings changed, or the port shall.
    Orders,
    /// A packet departs.
    Due,
    /// Nobody has said anything for too long.
    Idle,
    /// The batch has packets of the client.
    Client,
    /// The socket has packets of the server.
    Server,
}

impl Flow {
    /// Opens the socket towards the server.
    pub(super) fn open(
        config: FlowConfig,
        control: Control,
        inbox: mpsc::Receiver<Bytes>,
    ) -> io::Result<Self> {
        let upstream = connect(config.server)?;
        let (member, mut orders) = control.welcome();
        let obeyed = *orders.borrow_and_update();
        let link = |way: u64, course: Course| {
            let seed = derive(config.seed, 2 * member.number + way);
            Link::new(seed, course.settings)
        };
        Ok(Self {
            upstream,
            links: Duplex {
                up: link(0, obeyed.course.up),
                down: link(1, obeyed.course.down),
            },
            config,
            control,
            member,
            orders,
            obeyed,
            inbox,
            retired: None,
            failed: Duplex::default(),
            start: Instant::now(),
            active: Instant::now(),
        })
    }

    /// Runs until both sides have been silent for too long.
    pub(super) async fn run(mut self) {
        let mut buffer = vec![0; MAX_PACKET];
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            self.pass_on().await;
            self.report();
            if self.inbox.is_closed() && self.next().is_none() {
                return;
            }
            match self.event(&mut batch).await {
                Event::Orders => self.obey(),
                Event::Due => {}
                Event::Idle => {
                    // A packet that came this very moment is not lost.
                    self.inbox.close();
                    batch.extend(std::iter::from_fn(|| self.inbox.try_recv().ok()));
                    self.hear_client(&mut batch);
                }
                Event::Client => {
                    self.hear_client(&mut batch);
                    // A client that never pauses must not drown the server.
                    self.hear_server(&mut buffer);
                }
                Event::Server => self.hear_server(&mut buffer),
            }
        }
    }

    async fn event(&mut self, batch: &mut Vec<Bytes>) -> Event {
        let due = self.next();
        let idle = self.active.checked_add(self.config.idle);
        let is_open = !self.inbox.is_closed();
        tokio::select! {
            biased;
            Ok(()) = self.orders.changed() => Event::Orders,
            () = until(due) => Event::Due,
            // Whoever has packets under way is not idle.
            () = until(idle), if is_open && due.is_none() => Event::Idle,
            _count = self.inbox.recv_many(batch, BATCH), if is_open => Event::Client,
            // An error is found by reading.
            _ready = self.upstream.readable() => Event::Server,
        }
    }

    /// Returns when a packet may depart.
    fn next(&self) -> Option<Instant> {
        let times = self.links.map(Link::next);
        let next = times.up.into_iter().chain(times.down).min()?;
        Some(self.start + next)
    }

    /// Passes on all packets that are due.
    async fn pass_on(&mut self) {
        let now = self.start.elapsed();
        while let Some(departure) = self.links.up.pop(now) {
            self.active = self.start + now;
            if self.upstream.send(&departure.packet).await.is_err() {
                // The error is about a packet before this one.
                self.failed.up += 1;
                let _again = self.upstream.send(&departure.packet).await;
            }
        }
        let FlowConfig { socket, client, .. } = &self.config;
        while let Some(departure) = self.links.down.pop(now) {
            self.active = self.start + now;
            let sent = socket.send_to(&departure.packet, client).await;
            self.failed.down += u64::from(sent.is_err());
        }
    }

    fn hear_client(&mut self, batch: &mut Vec<Bytes>) {
        let now = self.arrival();
        for packet in batch.drain(..) {
            self.links.up.push(now, packet);
        }
    }

    fn hear_server(&mut self, buffer: &mut [u8]) {
        for _packet in 0..BATCH {
            match self.upstream.try_recv(buffer) {
                Ok(len) => {
                    let now = self.arrival();
                    let packet = Bytes::copy_from_slice(&buffer[..len]);
                    self.links.down.push(now, packet);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Nobody listens there, or not yet.
                Err(_refused) => self.failed.up += 1,
            }
        }
    }

    /// Does what was ordered since the last time.
    fn obey(&mut self) {
        let new = *self.orders.borrow_and_update();
        let old = std::mem::replace(&mut self.obeyed, new);
        let now = self.start.elapsed();
        turn(&mut self.links.up, now, old.course.up, new.course.up);
        turn(&mut self.links.down, now, old.course.down, new.course.down);
        if old.rebinds != new.rebinds {
            self.rebind();
        }
        self.member.obeyed(&new);
    }

    fn rebind(&mut self) {
        let client = self.config.client;
        match connect(self.config.server) {
            Ok(socket) => {
                tracing::debug!(%client, local = ?socket.local_addr(), "changed port");
                self.retired = Some(std::mem::replace(&mut self.upstream, socket));
                self.control.count(|totals| totals.rebinds += 1);
            }
            Err(error) => tracing::warn!(%client, %error, "cannot change port"),
        }
    }

    /// Notes that a packet came, and returns the links' time.
    fn arrival(&mut self) -> Duration {
        self.active = Instant::now();
        self.active - self.start
    }

    fn report(&mut self) {
        let mut up = self.links.up.take_counters();
        let mut down = self.links.down.take_counters();
        let failed = std::mem::take(&mut self.failed);
        up.failed += failed.up;
        down.failed += failed.down;
        self.control.count(|totals| {
            totals.counters.up += up;
            totals.counters.down += down;
        });
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.report();
    }
}

fn turn(link: &mut Link, now: Duration, old: Course, new: Course) {
    if old.cuts != new.cuts {
        link.sever(now);
    }
    link.change(now, new.settings);
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
