//! QUIC on a UDP socket.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;

use quinn::{Endpoint, EndpointConfig, Runtime, ServerConfig};
use tracing::warn;

use crate::bursts::Bursts;
use crate::sockets::{Shortfall, buffer_shortfalls};

/// Puts QUIC on a socket, and warns where the system gives less than it takes to be fast.
///
/// # Errors
///
/// Fails when the socket cannot be used.
///
/// # Panics
///
/// Panics outside a tokio runtime.
pub fn open(socket: UdpSocket, config: ServerConfig) -> io::Result<Endpoint> {
    for shortfall in buffer_shortfalls(&socket)? {
        warn_of_buffer(&shortfall);
    }
    let runtime = Arc::new(Bursts);
    let socket = runtime.wrap_udp_socket(socket)?;
    if socket.max_transmit_segments() == 1 {
        warn!(
            "UDP segmentation offload (GSO) is missing: sending costs about 2.4 times the CPU; \
             it takes Linux 4.18 or later, and a sandbox that lets UDP_SEGMENT be set"
        );
    }
    Endpoint::new_with_abstract_socket(EndpointConfig::default(), Some(config), socket, runtime)
}

fn warn_of_buffer(shortfall: &Shortfall) {
    let Shortfall {
        buffer,
        wanted,
        got,
        setting,
    } = shortfall;
    warn!(
        wanted,
        got,
        "the UDP {buffer} buffer is smaller than wanted, packets will be lost in bursts; raise it \
         with: sysctl -w {setting}={wanted}"
    );
}
