//! A relay as a process: where it is to listen, and where ours says it does.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::timeout;

use crate::process::Process;

/// How long the relay may take to say where it listens.
const START: Duration = Duration::from_secs(20);

/// Waits for the line in which the relay names the address it is bound to.
///
/// # Errors
/// Where it ends, or lets the time pass, without one.
pub(crate) async fn listening(relay: &Process) -> anyhow::Result<SocketAddr> {
    let log = relay.log();
    let address = timeout(START, log.find(|line| address(&line.text))).await;
    let address = address.context("the relay did not say in time where it listens")?;
    address.with_context(|| format!("the relay ended at once:\n{}", log.tail(20).join("\n")))
}

/// The first socket address with a port in a line, whatever stands around it.
fn address(line: &str) -> Option<SocketAddr> {
    let outside = |c: char| c.is_whitespace() || "=/,;()\"'".contains(c);
    let plain = console::strip_ansi_codes(line);
    let mut addresses = plain
        .split(outside)
        .filter_map(|word| word.parse::<SocketAddr>().ok());
    addresses.find(|address| address.port() != 0)
}

/// A port that is free for both UDP and TCP right now.
pub(crate) fn free_port() -> anyhow::Result<SocketAddr> {
    for _ in 0..100 {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let address = udp.local_addr()?;
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port is free for both UDP and TCP")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_among_fields_urls_and_colours() {
        let expected = "127.0.0.1:4443".parse().ok();

        assert_eq!(
            address("INFO listening \u{1b}[3maddr\u{1b}[0m=127.0.0.1:4443 h3"),
            expected
        );
        assert_eq!(
            address("listening on udp 127.0.0.1:4443 (h3, moqf-02)"),
            expected
        );
        assert_eq!(
            address("fingerprint at http://127.0.0.1:4443/fingerprint"),
            expected
        );
        assert_eq!(address("listening on [::]:4443"), "[::]:4443".parse().ok());
    }

    #[test]
    fn a_port_that_is_not_bound_yet_and_a_time_are_no_address() {
        assert_eq!(address("binding 127.0.0.1:0"), None);
        assert_eq!(address("2026-11-22T13:25:42Z starting"), None);
    }
}
