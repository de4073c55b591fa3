//! Runs what the command line asks for.

use std::io::{self, Write};

use tokio_util::sync::CancellationToken;

use crate::args::{Args, Command};
use crate::command::{Context, Outcome, announced, fetch, info, publish, subscribe};
use crate::conformance;
use crate::connect::ConnectError;
use crate::dial::DialError;
use crate::output::Output;

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
            complain(&error);
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
    }
}

fn complain(error: &anyhow::Error) {
    let mut text = format!("error: {error:#}\n");
    if let Some(advice) = advice(error) {
        text.push_str(&format!("  try: {advice}\n"));
    }
    if io::stderr().write_all(text.as_bytes()).is_err() {
        tracing::debug!("nobody reads stderr");
    }
}

fn advice(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        let connect = cause
            .downcast_ref::<ConnectError>()
            .and_then(ConnectError::advice);
        connect.or_else(|| {
            cause
                .downcast_ref::<DialError>()
                .and_then(DialError::advice)
        })
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    })
}
