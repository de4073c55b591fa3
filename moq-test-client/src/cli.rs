//! Runs what the command line asks for.

use std::io;

use moq_relay_core::error::Error;
use moq_transfork::code::Code;
use tokio_util::sync::CancellationToken;

use crate::args::{Args, Command};
use crate::command::{Context, Outcome, announced, bench, fetch, impair, info, publish, subscribe};
use crate::conformance;
use crate::connect::ConnectError;
use crate::output::{Output, complain};

/// Runs the program until it is done or `stop` is cancelled, and returns its exit code.
///
/// What failed is written to stderr, with what to try.
pub async fn run(args: &Args, stop: CancellationToken) -> u8 {
    let output = Output::stdout(args.format);
    let mut context = Context {
        options: args.relay.options(),
        output,
        stop,
    };
    match dispatch(args, &mut context).await {
        Ok(outcome) => outcome.code(),
        // `moq-test-client ... | head` is not a failure.
        Err(error) if is_broken_pipe(&error) => Outcome::Done.code(),
        Err(error) => {
            match advice(&error) {
                Some(advice) => complain(&format!("{}\n  try: {advice}", describe(&error))),
                None => complain(&describe(&error)),
            }
            Outcome::Failed.code()
        }
    }
}

async fn dispatch(args: &Args, context: &mut Context) -> anyhow::Result<Outcome> {
    match &args.command {
        None if args.list => conformance::list(context),
        None => conformance::run(context, args.test()).await,
        Some(Command::Publish(args)) => publish::run(context, args).await,
        Some(Command::Subscribe(args)) => subscribe::run(context, args).await,
        Some(Command::Announced(args)) => announced::run(context, args).await,
        Some(Command::Info(args)) => info::run(context, args).await,
        Some(Command::Fetch(args)) => fetch::run(context, args).await,
        Some(Command::Impair(args)) => impair::run(context, args).await,
        Some(Command::Bench(args)) => bench::run(context, args).await,
    }
}

/// Joins the causes of an error; one that its effect quotes already is left out.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn advice(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        let connect = cause
            .downcast_ref::<ConnectError>()
            .and_then(ConnectError::advice);
        let track = cause
            .downcast_ref::<Error>()
            .filter(|error| error.code() == Code::NOT_FOUND);
        connect.or(track.map(|_| "is the track published? `announced` lists those that are"))
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_error_is_described_once_from_effect_to_cause() {
        let cause = io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        let quoting = anyhow::Error::new(cause).context("cannot fetch x: refused");
        assert_eq!(describe(&quoting), "cannot fetch x: refused");
        let plain = Err::<(), _>(Error::NotFound)
            .context("cannot read demo")
            .unwrap_err();
        assert_eq!(describe(&plain), "cannot read demo: not found");
    }

    #[test]
    fn a_missing_track_comes_with_advice() {
        let error = anyhow::Error::new(Error::Peer(Code::NOT_FOUND)).context("cannot read demo");
        assert!(advice(&error).is_some_and(|advice| advice.contains("announced")));
        assert_eq!(advice(&anyhow::Error::new(Error::Cancelled)), None);
    }
}
