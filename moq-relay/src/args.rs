//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use moq_relay_core::relay::RelayConfig;

use crate::cluster::args::ClusterArgs;
use crate::transport::Congestion;
use crate::units;

const EXAMPLES: &str = "\
Examples:
  Try it out, with a self-signed certificate that clients pin by its fingerprint:
    moq-relay --dev
  Serve the world:
    moq-relay --bind '[::]:443' --tls-cert relay.pem --tls-key relay.key
  One node of a cluster, which the others reach as a.example:
    moq-relay --cluster-root root.example --cluster-node a.example \\
      --cluster-secret-file secret --tls-cert a.pem --tls-key a.key --bind '[::]:443'
  Two names on one port:
    moq-relay --tls-cert a.pem --tls-key a.key --tls-cert b.pem --tls-key b.key

Times take a unit (250ms, 5s, 2m, 1h), and so do sizes (64KiB, 512MiB, 2GiB, 500MB).
RUST_LOG, where it is set, goes before -v and -q. Everything is logged to stderr.
SIGINT or SIGTERM stops the relay as --grace says, a second one at once. SIGHUP makes it read
certificates and keys again, for the connections that come then. SIGUSR1 has it log its counters,
and each node of its cluster with the state of its link, at level info.
Exit code 0: stopped by a signal; 1: failed at run time; 2: started with something wrong.";

/// Relays MoqTransfork tracks from publishers to subscribers, over WebTransport and raw QUIC.
#[derive(Debug, clap::Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Args {
    /// Listen on this UDP address (with --dev, on the same TCP port too); port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "[::]:4443")]
    pub bind: SocketAddr,

    /// What to serve with and whom to believe.
    #[command(flatten)]
    pub tls: TlsArgs,

    /// How much, how fast, how long.
    #[command(flatten)]
    pub limits: LimitArgs,

    /// Other relays.
    #[command(flatten)]
    pub cluster: ClusterArgs,

    /// What to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Certificates, ours and those of others.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// Serve with the PEM certificate chain in this file, the server's own certificate first
    ///
    /// May be repeated, each with its --tls-key in the same order. The first certificate that
    /// covers the name a client asks for (SNI) is used, and the last one if none does.
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Vec<PathBuf>,

    /// The PEM private key of the --tls-cert at the same place
    #[arg(long, value_name = "FILE")]
    pub tls_key: Vec<PathBuf>,

    /// When dialling other relays, trust the PEM root certificates in this file instead of the
    /// system's
    ///
    /// May be repeated. Clients that connect here are not concerned.
    #[arg(long, value_name = "FILE")]
    pub tls_root: Vec<PathBuf>,

    /// Danger: when dialling other relays, believe any certificate
    ///
    /// Anyone on the way can then read and change what passes between the relays. Clients that
    /// connect here are not concerned. It goes before --tls-root.
    #[arg(long)]
    pub tls_disable_verify: bool,

    /// Development: answer GET /fingerprint over HTTP, and without --tls-cert make a self-signed
    /// certificate
    ///
    /// The certificate is made anew at every start, lasts 13 days, and covers localhost,
    /// 127.0.0.1 and ::1. Browsers accept it by its hash, which is the answer to GET
    /// /fingerprint on the same port number over TCP: the SHA-256 of the first certificate in
    /// hexadecimal.
    #[arg(long)]
    pub dev: bool,

    /// Also cover this name or address in the self-signed certificate; may be repeated
    #[arg(
        long,
        value_name = "NAME",
        requires = "dev",
        conflicts_with = "tls_cert"
    )]
    pub dev_name: Vec<String>,
}

/// What the relay may use.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Refuse connections beyond this many at a time; each costs 40 to 75 KiB
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// Spread the connections over this many threads [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Congestion control of what is sent; bbr copes with random loss, but floods links that are
    /// slower than their tracks
    #[arg(long, value_enum, default_value_t = Congestion::Cubic)]
    pub congestion: Congestion,

    /// Keep groups of all tracks in at most this much memory, for subscribers who join or lag
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = units::bytes)]
    pub cache_size: u64,

    /// Keep a finished group for this long, and up to 4s more; the newest of a track stays as long
    /// as the track
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::duration)]
    pub cache_age: Duration,

    /// Stay subscribed to a track for this long after its last subscriber has gone
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::duration)]
    pub linger: Duration,

    /// After SIGINT or SIGTERM, let groups under way finish for this long
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::duration)]
    pub grace: Duration,
}

impl LimitArgs {
    /// Returns what of it concerns the relay's core, whose own defaults hold for the rest.
    pub fn relay_config(&self) -> RelayConfig {
        let mut config = RelayConfig::default();
        config.cache.max_bytes = self.cache_size;
        config.cache.max_age = self.cache_age;
        config.limits.linger = self.linger;
        config
    }
}

/// What is logged, and how.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// Log more: -v state changes, -vv also every frame
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Log less: -q only warnings and errors, -qq only errors
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "verbose")]
    pub quiet: u8,

    /// Log lines of text, or one JSON object a line
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line to read.
    Text,
    /// A JSON object.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    fn parse(flags: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["moq-relay"], flags].concat())
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn nothing_given_means_the_defaults() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.bind, "[::]:4443".parse().unwrap());
        assert_eq!(args.limits.max_connections, 10_000);
        assert_eq!(args.limits.threads, None);
        assert_eq!(args.limits.congestion, Congestion::Cubic);
        assert_eq!(args.limits.grace, Duration::from_secs(5));
        assert_eq!(args.log.log_format, LogFormat::Text);
        let (ours, default) = (args.limits.relay_config(), RelayConfig::default());
        assert_eq!(ours.cache.max_bytes, default.cache.max_bytes);
        assert_eq!(ours.cache.max_age, default.cache.max_age);
        assert_eq!(ours.limits.linger, default.limits.linger);
        assert!(!args.tls.dev && !args.tls.tls_disable_verify);
    }

    #[test]
    fn what_concerns_the_core_reaches_it() {
        let args = parse(&["--cache-size=64KiB", "--cache-age=2m", "--linger=250ms"]).unwrap();
        let config = args.limits.relay_config();
        assert_eq!(config.cache.max_bytes, 65_536);
        assert_eq!(config.cache.max_age, Duration::from_secs(120));
        assert_eq!(config.limits.linger, Duration::from_millis(250));
    }

    #[test]
    fn certificates_and_keys_repeat_in_order() {
        let args = parse(&["--tls-cert=a", "--tls-key=b", "--tls-cert=c", "--tls-key=d"]).unwrap();
        assert_eq!(args.tls.tls_cert, [PathBuf::from("a"), PathBuf::from("c")]);
        assert_eq!(args.tls.tls_key, [PathBuf::from("b"), PathBuf::from("d")]);
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        assert!(parse(&["--dev-name=relay"]).is_err());
        assert!(parse(&["--dev", "--tls-cert=a", "--tls-key=b", "--dev-name=relay"]).is_err());
        assert!(parse(&["-q", "-v"]).is_err());
        assert!(parse(&["--max-connections=0"]).is_err());
        assert!(parse(&["--threads=0"]).is_err());
        assert!(parse(&["--grace=5"]).is_err());
    }

    #[test]
    fn the_seeds_command_line_is_understood() {
        let args = parse(&[
            "--bind=127.0.0.1:1",
            "--tls-cert=a",
            "--tls-key=b",
            "--dev",
            "-v",
        ]);
        assert!(args.unwrap().tls.dev);
    }
}
