//! The sockets the relay listens on.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::transport::{UDP_RECEIVE_BUFFER, UDP_SEND_BUFFER};

/// Tries to find one number that is free for UDP and for TCP. Nearly every first one is.
const PORT_ATTEMPTS: usize = 64;

/// Connections that the system may hold before they are accepted.
const TCP_BACKLOG: i32 = 128;

/// Opens the UDP socket for QUIC. An IPv6 wildcard address takes IPv4 as well.
///
/// # Errors
///
/// Fails when the address cannot be had.
pub fn udp(addr: SocketAddr) -> Result<UdpSocket, BindError> {
    open(addr, Type::DGRAM)
        .map(Into::into)
        .map_err(|source| BindError::new("UDP", addr, source))
}

/// Opens the UDP socket for QUIC and a TCP listener on the same port number; with port 0, on one
/// that is free for both.
///
/// # Errors
///
/// Fails when the address cannot be had, for either.
pub fn udp_and_tcp(addr: SocketAddr) -> Result<(UdpSocket, TcpListener), BindError> {
    let mut attempts = PORT_ATTEMPTS;
    loop {
        let udp = udp(addr)?;
        let bound = udp
            .local_addr()
            .map_err(|source| BindError::new("UDP", addr, source))?;
        let source = match open(bound, Type::STREAM) {
            Ok(tcp) => return Ok((udp, tcp.into())),
            Err(source) => source,
        };
        attempts -= 1;
        if addr.port() != 0 || source.kind() != io::ErrorKind::AddrInUse || attempts == 0 {
            return Err(BindError::new("TCP", bound, source));
        }
    }
}

fn open(addr: SocketAddr, kind: Type) -> io::Result<Socket> {
    let protocol = match kind {
        Type::DGRAM => Protocol::UDP,
        _ => Protocol::TCP,
    };
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    if addr.is_ipv6() {
        // Where a system cannot serve both families on one socket, IPv6 alone is still served.
        let _ = socket.set_only_v6(false);
    }
    socket.set_nonblocking(true)?;
    if kind == Type::DGRAM {
        socket.bind(&addr.into())?;
        // The system grants as much of it as it allows; [`buffer_shortfalls`] tells the rest.
        let _ = socket.set_recv_buffer_size(UDP_RECEIVE_BUFFER);
        let _ = socket.set_send_buffer_size(UDP_SEND_BUFFER);
    } else {
        // Connections of an earlier run that still linger must not keep this one from starting.
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())?;
        socket.listen(TCP_BACKLOG)?;
    }
    Ok(socket)
}

/// A UDP buffer that is smaller than asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// Which of the buffers.
    pub buffer: &'static str,
    /// Bytes asked for.
    pub wanted: usize,
    /// Bytes had.
    pub got: usize,
    /// The system setting that limits it.
    pub setting: &'static str,
}

/// Compares the buffers of the UDP socket with what was asked for.
///
/// # Errors
///
/// Fails when the system does not tell.
pub fn buffer_shortfalls(socket: &UdpSocket) -> io::Result<Vec<Shortfall>> {
    let socket = SockRef::from(socket);
    let buffers = [
        (
            "receive",
            UDP_RECEIVE_BUFFER,
            socket.recv_buffer_size()?,
            "net.core.rmem_max",
        ),
        (
            "send",
            UDP_SEND_BUFFER,
            socket.send_buffer_size()?,
            "net.core.wmem_max",
        ),
    ];
    let shortfall = |(buffer, wanted, reported, setting)| {
        let got = usable(reported);
        (got < wanted).then_some(Shortfall {
            buffer,
            wanted,
            got,
            setting,
        })
    };
    Ok(buffers.into_iter().filter_map(shortfall).collect())
}

/// Returns what of a reported buffer size holds data: Linux doubles what it was asked for, to have
/// room for its own bookkeeping, and reports the double.
const fn usable(reported: usize) -> usize {
    if cfg!(target_os = "linux") {
        reported / 2
    } else {
        reported
    }
}

/// Tells that an address cannot be listened on, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {protocol} {addr}: {source}; {}", remedy(source, *addr))]
pub struct BindError {
    protocol: &'static str,
    addr: SocketAddr,
    source: io::Error,
}

impl BindError {
    const fn new(protocol: &'static str, addr: SocketAddr, source: io::Error) -> Self {
        Self {
            protocol,
            addr,
            source,
        }
    }
}

fn remedy(error: &io::Error, addr: SocketAddr) -> &'static str {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "io::ErrorKind is non-exhaustive"
    )]
    match error.kind() {
        io::ErrorKind::AddrInUse => "stop what listens there, or choose another port with --bind",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need the right to bind them (CAP_NET_BIND_SERVICE); or choose \
             another port with --bind"
        }
        io::ErrorKind::AddrNotAvailable => {
            "give --bind an address of this host, or [::] for all of them"
        }
        _ if addr.is_ipv6() => "on a host without IPv6 give an address such as --bind 0.0.0.0:4443",
        _ => "choose another address with --bind",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn port_zero_gives_one_number_for_both_protocols() {
        for _ in 0..20 {
            let (udp, tcp) = udp_and_tcp(loopback(0)).unwrap();
            assert_eq!(udp.local_addr().unwrap(), tcp.local_addr().unwrap());
        }
    }

    #[test]
    fn a_taken_udp_port_is_named_with_a_remedy() {
        let taken = udp(loopback(0)).unwrap();
        let addr = taken.local_addr().unwrap();
        let error = udp(addr).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot listen on UDP {addr}: ")),
            "{error}"
        );
        assert!(error.contains("choose another port with --bind"), "{error}");
    }

    #[test]
    fn a_taken_tcp_port_is_told_apart_from_a_udp_port() {
        let taken = TcpListener::bind(loopback(0)).unwrap();
        let addr = taken.local_addr().unwrap();
        let error = udp_and_tcp(addr).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot listen on TCP {addr}: ")),
            "{error}"
        );
    }

    #[test]
    fn an_address_of_another_host_is_explained() {
        let error = udp("192.0.2.1:0".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("an address of this host"), "{error}");
    }

    #[test]
    fn a_socket_with_default_buffers_falls_short() {
        let socket = UdpSocket::bind(loopback(0)).unwrap();
        SockRef::from(&socket).set_recv_buffer_size(8192).unwrap();
        let shortfalls = buffer_shortfalls(&socket).unwrap();
        assert_eq!(shortfalls[0].setting, "net.core.rmem_max");
        assert_eq!(shortfalls[0].got, 8192);
        assert_eq!(shortfalls[0].wanted, UDP_RECEIVE_BUFFER);
    }
}
