//! What quinn takes for a UDP socket.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::net::switch::{Inbox, Switch};

/// Packets that quinn hands over at once, as on Linux with segmentation offload.
const SEGMENTS: usize = 10;

/// One end of the cables that lead to it.
#[derive(Debug)]
pub(crate) struct Socket {
    addr: SocketAddr,
    switch: Switch,
    /// Rings when the next packet arrives.
    arrival: Mutex<Pin<Box<Sleep>>>,
}

/// A socket that can always send: its cables drop what is too much.
#[derive(Debug)]
struct Always;

impl Socket {
    pub(crate) fn new(switch: &Switch, addr: SocketAddr) -> Self {
        Self {
            addr,
            switch: switch.clone(),
            arrival: Mutex::new(Box::pin(sleep_until(Instant::now()))),
        }
    }

    fn poll_arrival(&self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut arrival = self.arrival.lock().unwrap_or_else(PoisonError::into_inner);
        arrival.as_mut().reset(at);
        arrival.as_mut().poll(cx)
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Always)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.switch.lock().carry(self.addr, transmit);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let next = {
                let mut state = self.switch.lock();
                let inbox = state.inbox(self.addr);
                let received = receive(inbox, bufs, meta);
                if received > 0 {
                    return Poll::Ready(Ok(received));
                }
                inbox.owner = Some(cx.waker().clone());
                inbox.next_arrival()
            };
            match next {
                Some(at) if self.poll_arrival(at, cx).is_ready() => {}
                Some(_) | None => return Poll::Pending,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }

    fn max_transmit_segments(&self) -> usize {
        SEGMENTS
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// Takes out what has arrived, as far as there is room for it.
fn receive(inbox: &mut Inbox, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> usize {
    let now = Instant::now();
    let mut received = 0;
    for (buf, meta) in bufs.iter_mut().zip(meta) {
        if inbox.next_arrival().is_none_or(|arrives| arrives > now) {
            break;
        }
        let Some(parcel) = inbox.parcels.pop() else {
            break;
        };
        let parcel = parcel.0;
        let len = parcel.payload.len();
        buf[..len].copy_from_slice(&parcel.payload);
        meta.addr = parcel.from;
        meta.len = len;
        meta.stride = len;
        meta.ecn = parcel.ecn();
        meta.dst_ip = None;
        received += 1;
    }
    received
}

impl UdpPoller for Always {
    fn poll_writable(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
