//! How QUIC is tuned: every value, and why it is that value.
//!
//! Costs were measured with quinn 0.11 on Linux; KiB are resident memory of the server process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{MtuDiscoveryConfig, VarInt, congestion};

/// Receive buffer wanted for the UDP socket, in bytes. All connections share it: at 1 Gbit/s it
/// holds what arrives while the process is kept from reading for 33 ms. Overrunning it (5 % loss)
/// cost the senders 18 to 28 % more CPU.
pub const UDP_RECEIVE_BUFFER: usize = 4 << 20;

/// Send buffer wanted for the UDP socket, in bytes. It takes the bursts of one tick of a popular
/// track; once it is full every connection waits for the interface.
pub const UDP_SEND_BUFFER: usize = 4 << 20;

/// Idle time after which a connection is given up. The published clients use 10 s too, and the
/// lower of both sides counts.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Silence after which a ping is sent. One may be lost before [`IDLE_TIMEOUT`]; each costs 35 µs of
/// CPU.
const KEEP_ALIVE: Duration = Duration::from_secs(4);

/// Idle time after which a link to another node is given up: subscribers fail over after that.
const LINK_IDLE_TIMEOUT: Duration = Duration::from_secs(3);

/// Silence after which a link is pinged by the side that dialled it. Three pings may be lost before
/// [`LINK_IDLE_TIMEOUT`].
const LINK_KEEP_ALIVE: Duration = Duration::from_millis(700);

/// Bytes written but not yet acknowledged, per connection: 84 Mbit/s at 100 ms. This is what a
/// stalled viewer pins, and 512 KiB already cost less than 2 % of CPU against 10 MB.
const SEND_WINDOW: u64 = 1 << 20;

/// Bytes in flight towards us on one stream: 84 Mbit/s at 100 ms, for one group.
const STREAM_RECEIVE_WINDOW: u32 = 1 << 20;

/// Bytes in flight towards us on one connection: what a peer can make us buffer by leaving holes
/// in its streams. Eight groups at full window.
const RECEIVE_WINDOW: u32 = 8 << 20;

/// Bytes of datagrams kept. MoqTransfork has none, but HTTP/3 clients may insist that we can
/// receive them, so there is room for some, and the oldest go first.
const DATAGRAM_BUFFER: usize = 64 << 10;

/// The payload size that any path takes, and with which packets begin.
const INITIAL_MTU: u16 = 1200;

/// Bytes in flight before anything is known of a path: 32 packets, as browsers and large sites send.
/// With the 12 of RFC 9002, section 7.2, the first frame of a late joiner often takes another round
/// trip.
const INITIAL_WINDOW: u64 = 32 * INITIAL_MTU as u64;

/// The largest payload that discovery tries: Ethernet's 1500 less IPv6 and UDP headers. Against
/// 1200 it saves 17 % of CPU. Above 6500 quinn's offload would exceed 64 KiB and lose packets.
const MAX_MTU: u16 = 1452;

/// Connection attempts waiting for the accept loop, which never waits itself. The rest is refused.
const MAX_INCOMING: usize = 1024;

/// Bytes kept of one waiting attempt: a hello with a post-quantum key share takes two packets.
const INCOMING_BUFFER: u64 = 16 << 10;

/// Group streams granted to a peer before it sends a first one. HTTP/3 itself takes 3 of them for
/// as long as it lasts. quinn reserves 68 bytes a stream granted, rounded up to a power of two (with
/// those below, 24 streams take half of what 32 do), and 9 KiB a stream used at once.
const UNI_STREAMS: u32 = 8;

/// Group streams granted to a peer that publishes: 2,560 groups a second at 100 ms.
const UNI_STREAMS_PUBLISHER: u32 = 256;

/// Request streams granted at first. HTTP/3 and the setup take one each for as long as they last,
/// every announcement listened to and every subscription one more. Whoever begins with more than
/// these waits a round trip for the rest.
const BIDI_STREAMS: u32 = 16;

/// Request streams granted at most.
const BIDI_STREAMS_MAX: u32 = 1024;

/// Congestion control algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Congestion {
    /// Shares links fairly, but takes random loss for congestion: at 3 % it falls to a crawl.
    Cubic,
    /// Holds its rate through random loss, but fills a link slower than the tracks on it with
    /// retransmissions.
    Bbr,
    /// The algorithm of RFC 9002, as slow as cubic with random loss.
    #[value(name = "newreno")]
    NewReno,
}

impl Congestion {
    fn factory(self) -> Arc<dyn congestion::ControllerFactory + Send + Sync> {
        match self {
            Self::Cubic => {
                let mut config = congestion::CubicConfig::default();
                config.initial_window(INITIAL_WINDOW);
                Arc::new(config)
            }
            Self::Bbr => Arc::new(congestion::BbrConfig::default()),
            Self::NewReno => {
                let mut config = congestion::NewRenoConfig::default();
                config.initial_window(INITIAL_WINDOW);
                Arc::new(config)
            }
        }
    }
}

/// Builds what quinn wants to know to accept connections.
pub fn server_config(tls: QuicServerConfig, congestion: Congestion) -> quinn::ServerConfig {
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(Arc::new(transport_config(congestion)))
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER * MAX_INCOMING as u64);
    config
}

/// Builds what quinn wants to know to dial other relays.
pub fn client_config(tls: QuicClientConfig, congestion: Congestion) -> quinn::ClientConfig {
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport_config(congestion)));
    config
}

/// Builds what quinn wants to know to dial other nodes of a cluster: as [`client_config`], and
/// their loss is noticed sooner. The lower idle time of both sides counts.
pub fn link_config(tls: QuicClientConfig, congestion: Congestion) -> quinn::ClientConfig {
    let mut transport = transport_config(congestion);
    let idle = u32::try_from(LINK_IDLE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    transport
        .max_idle_timeout(Some(VarInt::from_u32(idle).into()))
        .keep_alive_interval(Some(LINK_KEEP_ALIVE));
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    config
}

fn transport_config(congestion: Congestion) -> quinn::TransportConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MAX_MTU);
    let idle = u32::try_from(IDLE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);

    let mut config = quinn::TransportConfig::default();
    config
        .max_concurrent_uni_streams(UNI_STREAMS.into())
        .max_concurrent_bidi_streams(BIDI_STREAMS.into())
        .max_idle_timeout(Some(VarInt::from_u32(idle).into()))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .send_window(SEND_WINDOW)
        .stream_receive_window(STREAM_RECEIVE_WINDOW.into())
        .receive_window(RECEIVE_WINDOW.into())
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_BUFFER)
        .initial_mtu(INITIAL_MTU)
        .mtu_discovery_config(Some(mtu))
        // Without it a packet costs a system call: 2.4 times the CPU.
        .enable_segmentation_offload(true)
        .congestion_controller_factory(congestion.factory());
    config
}

/// Raises the stream limits of one connection by what its peer turns out to do.
///
/// A limit costs memory whether it is used or not, and most peers subscribe to a few tracks and
/// publish nothing: all start low.
///
/// It starts with the limits that [`server_config`] and [`client_config`] set.
#[derive(Debug, Default)]
pub struct StreamGrants {
    publishes: AtomicBool,
    requests: AtomicU64,
}

impl StreamGrants {
    /// Notes that the peer has opened a group stream: it publishes.
    pub fn group_opened(&self, conn: &quinn::Connection) {
        if self.publishes.load(Ordering::Relaxed) || self.publishes.swap(true, Ordering::Relaxed) {
            return;
        }
        conn.set_max_concurrent_uni_streams(UNI_STREAMS_PUBLISHER.into());
    }

    /// Notes that the peer has opened a request stream.
    pub fn request_opened(&self, conn: &quinn::Connection) {
        let requests = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(limit) = raised_bidi_limit(requests) {
            conn.set_max_concurrent_bi_streams(limit);
        }
    }
}

/// Returns the limit to set when a peer makes this request, counted from 1: it doubles each time
/// the requests made so far reach half of it, so that a peer with many never waits for room.
fn raised_bidi_limit(requests: u64) -> Option<VarInt> {
    let steps = u64::from(BIDI_STREAMS / 2)..=u64::from(BIDI_STREAMS_MAX / 4);
    if !requests.is_power_of_two() || !steps.contains(&requests) {
        return None;
    }
    VarInt::from_u64(requests * 4).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_limit_doubles_when_half_of_it_was_used_and_stays_bounded() {
        let mut limit = BIDI_STREAMS;
        for requests in 1..100_000 {
            let Some(raised) = raised_bidi_limit(requests) else {
                continue;
            };
            assert_eq!(requests, u64::from(limit / 2));
            assert_eq!(raised, VarInt::from_u32(limit * 2));
            limit *= 2;
        }
        assert_eq!(limit, BIDI_STREAMS_MAX);
    }

    #[test]
    fn pings_keep_a_connection_alive_though_one_is_lost() {
        assert!(KEEP_ALIVE * 2 < IDLE_TIMEOUT);
    }

    #[test]
    fn a_full_offload_batch_fits_one_datagram() {
        const QUINN_BATCH: u32 = 10;
        assert!(u32::from(MAX_MTU) * QUINN_BATCH <= u32::from(u16::MAX));
    }
}
