//! The program as its users run it.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::relay::soon;

/// What a program that ended has said.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program with these arguments, in an environment that does not concern it.
pub(crate) fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moq-test-client"));
    command.args(args).kill_on_drop(true);
    for name in [
        "RELAY_URL",
        "TESTCASE",
        "TLS_DISABLE_VERIFY",
        "VERBOSE",
        "RUST_LOG",
    ] {
        command.env_remove(name);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
pub(crate) async fn run(args: &[&str]) -> Run {
    Run::of(program(args)).await
}

impl Run {
    /// Runs a program to its end.
    pub(crate) async fn of(mut command: Command) -> Self {
        Self::end(command.spawn().unwrap()).await
    }

    /// Waits for a program to end.
    pub(crate) async fn end(child: Child) -> Self {
        let output = soon(child.wait_with_output()).await.unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Starts the program, feeds it all of `stdin`, and waits until it says that it publishes. Its
/// stdin stays open.
pub(crate) async fn publisher(args: &[&str], stdin: &[u8]) -> Child {
    let mut child = program(args).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(stdin).await.unwrap();
    input.flush().await.unwrap();
    child.stdin = Some(input);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = soon(lines.next_line()).await.unwrap().unwrap_or_default();
    assert!(first.contains("publishing"), "{first:?}");
    child
}

#[tokio::test]
async fn a_wrong_command_line_is_a_usage_error() {
    for args in [
        &["fly"][..],
        &["-r", "nowhere"],
        &["publish", "--clock", "--load"],
    ] {
        let run = run(args).await;
        assert_eq!(run.code, 2, "{args:?}");
        assert!(run.stdout.is_empty());
        assert!(run.stderr.contains("error"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn help_tells_defaults_units_and_exit_codes() {
    let run = run(&["--help"]).await;
    assert_eq!(run.code, 0);
    for part in [
        "https://localhost:4443",
        "draft03",
        "127",
        "RELAY_URL",
        "moqf://",
    ] {
        assert!(run.stdout.contains(part), "{part} in {}", run.stdout);
    }
}

#[tokio::test]
async fn what_a_dialect_lacks_is_unsupported() {
    let fetch = run(&["--dialect", "fork04", "fetch", "demo", "0"]).await;
    assert_eq!(fetch.code, 127, "{}", fetch.stderr);
    let live = run(&["--dialect", "fork02", "announced", "--exit-when-live"]).await;
    assert_eq!(live.code, 127, "{}", live.stderr);
}
