//! Logging, to stderr.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::args::{LogArgs, LogFormat};

/// Sends the log of the process to stderr, as the command line and `RUST_LOG` ask.
///
/// # Errors
///
/// Fails when `RUST_LOG` cannot be read, and when a log was set up before.
pub fn init(args: &LogArgs) -> Result<(), LogError> {
    let value = env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(value, args)?)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    match args.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(LogError::Taken)
}

/// Tells why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `RUST_LOG` is not a list of directives.
    #[error(
        "cannot read RUST_LOG={value:?} ({reason}); write for example RUST_LOG=moq_relay_core=debug"
    )]
    Filter {
        /// The value found.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The process has a log already.
    #[error("cannot set up the log: {0}")]
    Taken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Reads the filter from the value of `RUST_LOG`, and without one from `-v` and `-q`.
fn filter(value: String, args: &LogArgs) -> Result<EnvFilter, LogError> {
    if value.is_empty() {
        return Ok(EnvFilter::new(directives(args)));
    }
    EnvFilter::try_new(&value).map_err(|error| {
        let reason = error.to_string();
        LogError::Filter { value, reason }
    })
}

/// Chooses what is logged. The flags speak about this project's crates; of the libraries below,
/// DEBUG is a line per packet, and some call it a warning when a peer goes away.
const fn directives(args: &LogArgs) -> &'static str {
    match (args.quiet, args.verbose) {
        (2.., _) => "error",
        (1, _) => "warn,web_transport_quinn=error",
        (0, 0) => "info,web_transport_quinn=error",
        (0, 1) => {
            "info,web_transport_quinn=error,moq_relay=debug,moq_relay_core=debug,moq_transfork=debug"
        }
        (0, 2..) => "debug,moq_relay=trace,moq_relay_core=trace,moq_transfork=trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(verbose: u8, quiet: u8) -> LogArgs {
        LogArgs {
            verbose,
            quiet,
            log_format: LogFormat::Text,
        }
    }

    #[test]
    fn the_environment_goes_before_the_flags() {
        let filter = filter("quinn=trace".into(), &args(0, 1)).unwrap();
        assert_eq!(filter.to_string(), "quinn=trace");
    }

    #[test]
    fn an_unreadable_filter_is_quoted_in_the_error() {
        let error = filter("moq_relay=loud".into(), &args(0, 0)).unwrap_err();
        assert!(
            error.to_string().contains(r#"RUST_LOG="moq_relay=loud""#),
            "{error}"
        );
    }

    #[test]
    fn every_count_of_flags_is_a_filter_that_parses() {
        for verbose in 0..4 {
            for quiet in 0..4 {
                let text = directives(&args(verbose, quiet));
                assert!(EnvFilter::try_new(text).is_ok(), "{text}");
            }
        }
    }
}
