//! UDP sockets of a proxy.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::SockRef;
use tokio::net::UdpSocket;

/// The largest payload of a UDP datagram.
pub(super) const MAX_PACKET: usize = 65_535;

/// Packets taken from one socket before the others have their turn.
pub(super) const BATCH: usize = 64;

/// What the system should hold for a socket while we are busy, in bytes: 10 ms at 3 Gbit/s. It may
/// grant less (`net.core.rmem_max` and `wmem_max` on Linux).
const SYSTEM_BUFFER: usize = 4 << 20;

/// Binds the socket that clients send to.
pub(super) fn listen(address: SocketAddr) -> io::Result<UdpSocket> {
    prepare(std::net::UdpSocket::bind(address)?)
}

/// Opens a socket on any port, from which only the server is heard.
pub(super) fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(server)?;
    prepare(socket)
}

fn prepare(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    let options = SockRef::from(&socket);
    options.set_recv_buffer_size(SYSTEM_BUFFER)?;
    options.set_send_buffer_size(SYSTEM_BUFFER)?;
    UdpSocket::from_std(socket)
}
