//! The `moq-test-client` program: parse, log, run, exit.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use moq_test_client::args::Args;
use moq_test_client::cli;
use tokio::runtime::Runtime;
use tokio::signal;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    start_logging(&args);
    let runtime = Runtime::new()?;
    let code = runtime.block_on(async {
        let stop = CancellationToken::new();
        let work = cli::run(&args, stop.clone());
        tokio::pin!(work);
        tokio::select! {
            code = &mut work => return code,
            () = interrupted() => stop.cancel(),
        }
        // The work now ends cleanly, unless the user has no patience.
        tokio::select! {
            code = work => code,
            () = interrupted_again() => 130,
        }
    });
    // A read of stdin that is still waiting must not hold the program up.
    runtime.shutdown_background();
    Ok(code.into())
}

fn start_logging(args: &Args) {
    // web-transport-quinn warns of every session that its peer closes.
    let default = if args.verbose {
        "info,moq_test_client=debug,moq_relay_core=debug,web_transport_quinn=error"
    } else {
        "warn,web_transport_quinn=error"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
}

/// Waits for a second signal; timeout(1) sends its one twice.
async fn interrupted_again() {
    sleep(Duration::from_secs(1)).await;
    interrupted().await;
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() {
    let Ok(mut terminate) = signal::unix::signal(signal::unix::SignalKind::terminate()) else {
        return signal::ctrl_c().await.unwrap_or_default();
    };
    tokio::select! {
        _received = signal::ctrl_c() => {}
        _received = terminate.recv() => {}
    }
}
