//! How many packets of a connection go into one system call.
//!
//! quinn gives each connection a buffer for as many packets as its socket takes at once, from the
//! first time that two are to be sent, and keeps it: 16 KiB, where all else that quinn holds for a
//! connection is 31 KiB. Ten packets at once pay where a track has frames of many packets. A track
//! of small ones sends single packets, but for the group that is under way when somebody joins.
//!
//! So a connection begins with single packets, and may send many at once if it turns out to need it.
//! quinn asks a socket that all connections share, and a connection's task sends and does nothing
//! else meanwhile: what it may is known to its thread while the task is polled.

use std::cell::Cell;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use tokio::runtime::Handle;

/// How often another packet has to follow a single one until as many may go at once as the system
/// takes: who joins in the middle of a group of 64 packets stays with single ones. A track of 10 KiB
/// frames has all at once after ten frames, for 64 system calls more in all.
///
/// There is no step in between: quinn's buffer would grow with each, and leave holes in the heap.
const OFTEN: u8 = 64;

thread_local! {
    /// What the connection may that is polled on this thread.
    static POLLED: Cell<Burst> = const { Cell::new(Burst::MANY) };
}

/// Whether one connection may send many packets at once, and how often that would have been of use.
/// Small, so that a task with it is no larger than without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Burst {
    /// Whether more than one packet may go into one system call.
    many: bool,
    /// True if one was sent in this turn.
    begun: bool,
    /// How often another one had to follow.
    short: u8,
}

/// Tokio, for quinn: its tasks know what their connection may send at once.
#[derive(Debug)]
pub(crate) struct Bursts;

/// A UDP socket that takes as many packets at once as the connection may send that is polled.
#[derive(Debug)]
struct Socket(Arc<dyn AsyncUdpSocket>);

/// A task of quinn, and what its connection may. The endpoint's own task sends nothing to speak of.
struct Task {
    task: Pin<Box<dyn Future<Output = ()> + Send>>,
    burst: Burst,
}

impl Burst {
    const SINGLE: Self = Self {
        many: false,
        begun: false,
        short: 0,
    };

    const MANY: Self = Self {
        many: true,
        ..Self::SINGLE
    };

    /// A turn begins; returns how many packets may be sent at once.
    fn begin(&mut self) -> usize {
        self.begun = false;
        if self.many { usize::MAX } else { 1 }
    }

    /// Packets were sent, as many as may be at once or as there were.
    fn sent(&mut self) {
        if self.many {
            return;
        }
        if self.begun {
            self.short += 1;
            self.many = self.short >= OFTEN;
        }
        self.begun = true;
    }
}

impl Runtime for Bursts {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let burst = Burst::SINGLE;
        Handle::current().spawn(Task { task, burst });
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = TokioRuntime.wrap_udp_socket(socket)?;
        Ok(Arc::new(Socket(socket)))
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let before = POLLED.replace(self.burst);
        let polled = self.task.as_mut().poll(cx);
        self.burst = POLLED.replace(before);
        polled
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.0.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.try_send(transmit)?;
        let mut burst = POLLED.get();
        burst.sent();
        POLLED.set(burst);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_recv(cx, bufs, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        let mut burst = POLLED.get();
        let most = burst.begin();
        POLLED.set(burst);
        self.0.max_transmit_segments().min(most)
    }

    fn max_receive_segments(&self) -> usize {
        self.0.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.0.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a connection may send at once in a turn in which it wants to send so many packets.
    fn turn(burst: &mut Burst, mut packets: usize) -> usize {
        let most = burst.begin().min(10);
        while packets > 0 {
            burst.sent();
            packets = packets.saturating_sub(most);
        }
        most
    }

    #[test]
    fn single_packets_stay_single_also_after_a_group_for_somebody_who_joins() {
        let mut burst = Burst::SINGLE;
        turn(&mut burst, 20);
        turn(&mut burst, 40);
        for _ in 0..10_000 {
            assert_eq!(turn(&mut burst, 1), 1);
        }
    }

    #[test]
    fn frames_of_many_packets_soon_go_out_at_once() {
        let mut burst = Burst::SINGLE;
        let most: Vec<_> = (0..100).map(|_| turn(&mut burst, 8)).collect();
        let first = most.iter().position(|most| *most == 10);
        assert_eq!(first, Some(10), "{most:?}");
        assert_eq!(most[99], 10);
    }

    #[test]
    fn what_is_polled_on_a_thread_is_not_mistaken_for_another() {
        let task = |burst: Burst| Task {
            task: Box::pin(async move {
                let mut polled = POLLED.get();
                assert_eq!(polled, burst);
                polled.sent();
                POLLED.set(polled);
            }),
            burst,
        };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let begun = Burst {
            short: 3,
            ..Burst::SINGLE
        };
        for burst in [Burst::SINGLE, begun] {
            let mut task = task(burst);
            assert!(Pin::new(&mut task).poll(&mut cx).is_ready());
            assert!(task.burst.begun);
            assert_eq!(POLLED.get(), Burst::MANY);
        }
    }
}
