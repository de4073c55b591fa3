//! What is known of a session's path.

use std::time::Duration;

use web_transport_trait as wt;

/// What quinn knows of a connection at one moment.
pub(super) struct Stats<'a> {
    conn: &'a quinn::Connection,
    counts: quinn::ConnectionStats,
}

impl<'a> Stats<'a> {
    pub(super) fn of(conn: &'a quinn::Connection) -> Self {
        let counts = conn.stats();
        Self { conn, counts }
    }
}

impl wt::Stats for Stats<'_> {
    fn bytes_sent(&self) -> Option<u64> {
        Some(self.counts.udp_tx.bytes)
    }

    fn bytes_received(&self) -> Option<u64> {
        Some(self.counts.udp_rx.bytes)
    }

    fn bytes_lost(&self) -> Option<u64> {
        Some(self.counts.path.lost_bytes)
    }

    fn packets_sent(&self) -> Option<u64> {
        Some(self.counts.udp_tx.datagrams)
    }

    fn packets_received(&self) -> Option<u64> {
        Some(self.counts.udp_rx.datagrams)
    }

    fn packets_lost(&self) -> Option<u64> {
        Some(self.counts.path.lost_packets)
    }

    fn rtt(&self) -> Option<Duration> {
        Some(self.counts.path.rtt)
    }

    /// What congestion control paces to, if it does, or a congestion window each round trip.
    fn estimated_send_rate(&self) -> Option<u64> {
        let paced = self.conn.congestion_state().metrics().pacing_rate;
        // BBR says 0 before its first sample.
        if let Some(rate) = paced.filter(|rate| *rate > 0) {
            return Some(rate);
        }
        let path = &self.counts.path;
        let bits = u128::from(path.cwnd) * 8 * 1_000_000_000;
        let rate = bits.checked_div(path.rtt.as_nanos())?;
        u64::try_from(rate).ok().filter(|rate| *rate > 0)
    }
}
