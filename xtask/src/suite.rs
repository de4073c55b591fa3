//! Every test there is, by one command.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::cargo::{cargo, has, root, succeed};
use crate::term::{self, say};

/// Runs all tests.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask test                 everything
  cargo xtask test --skip-compat   without the crate that links the old peers

nextest runs the tests where it is installed, otherwise cargo's own runner does.")]
pub(crate) struct Args {
    /// Leaves out the tests that link the published crates of the old peers
    #[arg(long)]
    skip_compat: bool,
}

/// Runs the workspace's tests, its documentation's, and those that link the old peers.
///
/// # Errors
/// At the first of the three that fails.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    workspace().await?;
    documentation().await?;
    if args.skip_compat {
        say!("note: the tests that link the old peers were left out, as asked");
    } else {
        compat().await?;
    }
    say!("{}", term::paint("all tests passed", console::Color::Green));
    Ok(ExitCode::SUCCESS)
}

/// Runs the unit and integration tests of the workspace.
pub(crate) async fn workspace() -> anyhow::Result<()> {
    if has("cargo", &["nextest", "--version"]).await {
        return succeed(cargo(["nextest", "run", "--workspace"])).await;
    }
    say!("note: nextest is not installed (cargo install --locked cargo-nextest): cargo's own");
    say!("      runner is used instead, which is slower and puts no time limit on a test");
    succeed(cargo(["test", "--workspace", "--all-targets"])).await
}

/// Runs the examples in the documentation.
pub(crate) async fn documentation() -> anyhow::Result<()> {
    succeed(cargo(["test", "--workspace", "--doc"])).await
}

/// Runs the crate outside the workspace that links the published peers.
pub(crate) async fn compat() -> anyhow::Result<()> {
    succeed(cargo(["test", "--locked"]).args(outside())).await
}

/// The arguments that make cargo work on the crate outside the workspace.
pub(crate) fn outside() -> [OsString; 2] {
    let manifest = root().join("compat").join("Cargo.toml");
    ["--manifest-path".into(), manifest.into_os_string()]
}
