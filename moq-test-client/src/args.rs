//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{FalseyValueParser, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Parser, Subcommand};
use moq_transfork::dialect::Dialect;

use crate::address::{AddressError, RelayUrl};
use crate::command::{announced, bench, fetch, impair, info, publish, subscribe};
use crate::dial::DialOptions;
use crate::output::Format;
use crate::tls::{Fingerprint, Trust};
use crate::units;

const DEFAULT_RELAY: &str = "https://localhost:4443";

const EXAMPLES: &str = "\
Examples:
  Run all conformance tests, or one of them:
    moq-test-client --relay https://localhost:4443 --tls-disable-verify
    moq-test-client -r http://localhost:4443 -t late-subscriber
  Publish a clock and watch it, here in the dialect of the published crates 0.8:
    moq-test-client --dialect fork02 -r moqf://127.0.0.1:4443 --tls-root cert.pem publish
    moq-test-client --dialect fork02 -r http://127.0.0.1:4443 subscribe --print clock
  Verify ten seconds of a generated load:
    moq-test-client publish --load --path demo/load --fps 60 --frame-size 4K
    moq-test-client subscribe --path demo/load --check --duration 10s
  Send lines, take them as JSON:
    tail -f log | moq-test-client publish --stdin lines --path demo/log
    moq-test-client --format json subscribe --path demo/log --print lines

Exit codes:
  0    done, all checks and tests passed
  1    something failed
  2    the command line is wrong
  127  this program has no such test, or the dialect no such request";

/// Publishes to, subscribes from and checks any MoqTransfork relay.
///
/// Without a subcommand it runs the conformance tests and reports them as TAP version 14.
#[derive(Debug, Parser)]
#[command(name = "moq-test-client", version, after_help = EXAMPLES, args_override_self = true)]
pub struct Args {
    /// Where the relay is and how to talk to it.
    #[command(flatten)]
    pub relay: RelayArgs,

    /// How to write results: lines for people, or one JSON object a line with an `event` member.
    /// Conformance results are always TAP.
    #[arg(
        long,
        global = true,
        help_heading = "Output",
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub format: Format,

    /// Log what happens on stderr. RUST_LOG says it in more detail.
    #[arg(short, long, global = true, help_heading = "Output", env = "VERBOSE",
          action = ArgAction::SetTrue,
          value_parser = FalseyValueParser::new())]
    pub verbose: bool,

    /// Run this conformance test only.
    #[arg(
        short,
        long,
        env = "TESTCASE",
        help_heading = "Conformance tests",
        value_name = "NAME"
    )]
    pub test: Option<String>,

    /// List the names of the conformance tests, one a line.
    #[arg(short, long, help_heading = "Conformance tests")]
    pub list: bool,

    /// What to do instead of conformance tests.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do with the relay.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Publish a track: a clock, stdin, or a generated load that checks itself.
    Publish(publish::Args),
    /// Read a track: print it, hash it, or check it.
    Subscribe(subscribe::Args),
    /// Follow which tracks are published.
    Announced(announced::Args),
    /// Ask what a track is, without subscribing.
    Info(info::Args),
    /// Get one past group.
    Fetch(fetch::Args),
    /// Stand between clients and a relay as a bad network: a UDP proxy.
    Impair(impair::Args),
    /// Load the relay with publishers and subscribers, and measure what arrives.
    Bench(bench::Args),
}

/// Where the relay is and how to talk to it.
#[derive(Debug, clap::Args)]
pub struct RelayArgs {
    /// The relay: https:// is WebTransport, moqf:// raw QUIC, and http:// WebTransport after
    /// fetching the certificate's hash from http://HOST:PORT/fingerprint.
    #[arg(short, long, global = true, help_heading = "Relay", env = "RELAY_URL", value_name = "URL",
          default_value = DEFAULT_RELAY, value_parser = parse_relay)]
    pub relay: RelayUrl,

    /// The protocol to speak: the draft's, or that of the published crates 0.8 (fork02), 0.9 to
    /// 0.11 (fork04) or 0.12 (fork04s).
    #[arg(long, global = true, help_heading = "Relay", value_name = "DIALECT",
          default_value = "draft03",
          value_parser = PossibleValuesParser::new(["draft03", "fork02", "fork04", "fork04s"])
              .try_map(|name| name.parse::<Dialect>()))]
    pub dialect: Dialect,

    /// Trust this root certificate instead of the system's (PEM file; may be repeated).
    #[arg(long, global = true, help_heading = "Relay", value_name = "FILE")]
    pub tls_root: Vec<PathBuf>,

    /// Trust the certificate with this SHA-256 hash and no other (64 hex digits; may be repeated).
    #[arg(
        long,
        global = true,
        help_heading = "Relay",
        value_name = "HEX",
        conflicts_with = "tls_root"
    )]
    pub tls_fingerprint: Vec<Fingerprint>,

    /// Trust any certificate. For tests on your own machine.
    #[arg(long, global = true, help_heading = "Relay", env = "TLS_DISABLE_VERIFY",
          action = ArgAction::SetTrue,
          value_parser = FalseyValueParser::new())]
    pub tls_disable_verify: bool,

    /// The local UDP socket, such as 127.0.0.1:0 [default: any port of the relay's address family].
    #[arg(long, global = true, help_heading = "Relay", value_name = "ADDR")]
    pub bind: Option<SocketAddr>,

    /// How long to wait for the session, or for an answer: 500ms, 10s, 2m.
    #[arg(long, global = true, help_heading = "Relay", value_name = "DURATION",
          default_value = "10s",
          value_parser = units::parse_duration)]
    pub timeout: Duration,
}

impl RelayArgs {
    /// Returns how to connect.
    #[must_use]
    pub fn options(&self) -> DialOptions {
        let trust = if self.tls_disable_verify {
            Trust::Anything
        } else if !self.tls_fingerprint.is_empty() {
            Trust::Fingerprints(self.tls_fingerprint.clone())
        } else if !self.tls_root.is_empty() {
            Trust::Roots(self.tls_root.clone())
        } else {
            Trust::System
        };
        DialOptions {
            url: self.relay.clone(),
            dialect: self.dialect,
            trust,
            bind: self.bind,
            timeout: self.timeout,
        }
    }
}

impl Args {
    /// Returns the one conformance test asked for, if any: an empty TESTCASE means all.
    #[must_use]
    pub fn test(&self) -> Option<&str> {
        self.test.as_deref().filter(|name| !name.is_empty())
    }
}

/// Takes an empty RELAY_URL for an unset one, as container setups produce it.
fn parse_relay(text: &str) -> Result<RelayUrl, AddressError> {
    if text.is_empty() {
        DEFAULT_RELAY.parse()
    } else {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn connection_flags_go_before_or_after_the_subcommand() {
        let before = parse("x -r moqf://a:1 --dialect fork04s announced").unwrap();
        let after = parse("x announced -r moqf://a:1 --dialect fork04s").unwrap();
        for args in [before, after] {
            assert_eq!(args.relay.relay.to_string(), "moqf://a:1");
            assert_eq!(args.relay.dialect, Dialect::Fork04s);
        }
    }

    #[test]
    fn the_weakest_trust_that_was_asked_for_wins() {
        let pin = "ab".repeat(32);
        let trust = |line: &str| parse(line).unwrap().relay.options().trust;
        assert_eq!(
            trust("x --tls-root a.pem"),
            Trust::Roots(vec!["a.pem".into()])
        );
        let pinned = trust(&format!("x --tls-fingerprint {pin}"));
        assert_eq!(pinned, Trust::Fingerprints(vec![pin.parse().unwrap()]));
        assert_eq!(
            trust("x --tls-root a.pem --tls-disable-verify"),
            Trust::Anything
        );
    }

    #[test]
    fn wrong_values_are_usage_errors() {
        for line in [
            "x -r localhost:4443",
            "x --dialect fork99",
            "x --timeout soon",
            "x fly",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
