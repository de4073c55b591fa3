//! Where all cables meet: one in the middle, everyone else at the end of a cable of their own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use quinn::udp::{EcnCodepoint, Transmit};
use tokio::time::Instant;

use crate::net::link::{Counts, Link, Path};

/// Both directions between the middle and one other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cable {
    /// From the middle.
    pub(crate) down: Path,
    /// To the middle.
    pub(crate) up: Path,
}

/// Carries packets between sockets. Clones are the same switch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Switch {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    links: BTreeMap<(SocketAddr, SocketAddr), Link>,
    inboxes: BTreeMap<SocketAddr, Inbox>,
    /// Packets carried so far: those that arrive together arrive in the order they were sent.
    carried: u64,
}

/// The packets on their way to a socket, and the socket's owner.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) parcels: BinaryHeap<Reverse<Parcel>>,
    pub(super) owner: Option<Waker>,
}

/// A packet on its way, ordered by its arrival.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Parcel {
    pub(super) arrives: Instant,
    place: u64,
    pub(super) from: SocketAddr,
    pub(super) payload: Bytes,
    /// As its code point: the enum has no order.
    ecn: Option<u8>,
}

impl Cable {
    /// A cable with this path in both directions.
    pub(crate) const fn both(path: Path) -> Self {
        Self {
            down: path,
            up: path,
        }
    }
}

impl Switch {
    /// Lays a cable; `seed` decides what it loses.
    pub(crate) fn lay(&self, middle: SocketAddr, other: SocketAddr, cable: Cable, seed: u64) {
        let links = &mut self.lock().links;
        links.insert((middle, other), Link::new(cable.down, 2 * seed));
        links.insert((other, middle), Link::new(cable.up, 2 * seed + 1));
    }

    /// What the link between two has done so far.
    pub(crate) fn counts(&self, from: SocketAddr, to: SocketAddr) -> Counts {
        let state = self.lock();
        state
            .links
            .get(&(from, to))
            .map_or_else(Counts::default, |link| link.counts)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Carries what quinn sends at once, which may be several packets.
    pub(super) fn carry(&mut self, from: SocketAddr, transmit: &Transmit<'_>) {
        let size = transmit.segment_size.unwrap_or(transmit.contents.len());
        let link = (from, transmit.destination);
        for payload in transmit.contents.chunks(size.max(1)) {
            let arrives = self
                .links
                .get_mut(&link)
                .and_then(|link| link.send(payload.len()));
            let Some(arrives) = arrives else { continue };
            self.carried += 1;
            let parcel = Parcel {
                arrives,
                place: self.carried,
                from,
                payload: Bytes::copy_from_slice(payload),
                ecn: transmit.ecn.map(|ecn| ecn as u8),
            };
            self.inbox(transmit.destination).put(parcel);
        }
    }

    pub(super) fn inbox(&mut self, of: SocketAddr) -> &mut Inbox {
        self.inboxes.entry(of).or_default()
    }
}

impl Inbox {
    fn put(&mut self, parcel: Parcel) {
        let first = self.next_arrival().is_none_or(|next| parcel.arrives < next);
        self.parcels.push(Reverse(parcel));
        if first && let Some(owner) = self.owner.take() {
            owner.wake();
        }
    }

    /// When the next packet arrives.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.parcels.peek().map(|Reverse(parcel)| parcel.arrives)
    }
}

impl Parcel {
    pub(super) fn ecn(&self) -> Option<EcnCodepoint> {
        self.ecn.and_then(EcnCodepoint::from_bits)
    }
}
