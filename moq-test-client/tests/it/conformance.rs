//! The conformance tests, run as the public runner runs them.

use crate::program::{Run, program, run};
use crate::relay::TestRelay;

/// The test points of a TAP output.
fn points(run: &Run) -> Vec<&str> {
    run.stdout
        .lines()
        .filter(|line| line.starts_with("ok ") || line.starts_with("not ok "))
        .collect()
}

#[tokio::test]
async fn our_relay_passes_in_every_dialect() {
    let relay = TestRelay::start().await;
    for dialect in ["draft03", "fork02", "fork04", "fork04s"] {
        for scheme in ["https", "moqf"] {
            let url = relay.url(scheme);
            let run = run(&["-r", &url, "--tls-disable-verify", "--dialect", dialect]).await;
            assert_eq!(run.code, 0, "{dialect} over {scheme}: {}", run.stdout);
            assert_eq!(points(&run).len(), 10);
        }
    }
}

#[tokio::test]
async fn the_environment_says_what_the_command_line_does_not() {
    let relay = TestRelay::start().await;
    let mut program = program(&[]);
    program
        .env("RELAY_URL", relay.url("moqf"))
        .env("TESTCASE", "setup-only")
        .env("TLS_DISABLE_VERIFY", "1");
    let run = Run::of(program).await;
    assert_eq!(points(&run), ["ok 1 - setup-only"]);
    assert_eq!(run.code, 0);
    assert!(run.stdout.starts_with("TAP version 14\n"), "{}", run.stdout);
    assert!(run.stdout.contains("\n1..1\n"), "{}", run.stdout);
}

#[tokio::test]
async fn a_flag_beats_the_environment_and_empty_variables_are_unset() {
    let relay = TestRelay::start().await;
    let url = relay.url("moqf");
    let mut flags = program(&[
        "--relay",
        &url,
        "-t",
        "announce-only",
        "--tls-disable-verify",
    ]);
    flags
        .env("RELAY_URL", "moqf://127.0.0.1:1")
        .env("TESTCASE", "setup-only");
    flags.env("TLS_DISABLE_VERIFY", "0").env("VERBOSE", "");
    assert_eq!(points(&Run::of(flags).await), ["ok 1 - announce-only"]);

    let mut empty = program(&["--list"]);
    empty
        .env("RELAY_URL", "")
        .env("TESTCASE", "")
        .env("TLS_DISABLE_VERIFY", "");
    assert_eq!(Run::of(empty).await.code, 0);
}

#[tokio::test]
async fn verification_is_on_for_every_word_that_means_no() {
    let relay = TestRelay::start().await;
    for no in ["", "0", "false"] {
        let mut program = program(&["-r", &relay.url("moqf"), "-t", "setup-only"]);
        program.env("TLS_DISABLE_VERIFY", no);
        let run = Run::of(program).await;
        assert_eq!(run.code, 1, "{no:?}");
        assert!(run.stdout.contains("certificate"), "{}", run.stdout);
    }
}

#[tokio::test]
async fn the_names_are_listed_one_a_line() {
    let run = run(&["-l"]).await;
    assert_eq!(run.code, 0);
    assert_eq!(run.stdout.lines().count(), 10);
    assert_eq!(run.stdout.lines().next(), Some("setup-only"));
}

#[tokio::test]
async fn an_unknown_test_is_skipped_with_its_own_exit_code() {
    let run = run(&["-t", "fly"]).await;
    assert_eq!(run.code, 127);
    assert!(run.stdout.contains("ok 1 - fly # SKIP"), "{}", run.stdout);
}

#[tokio::test]
async fn no_relay_is_a_failure_of_the_test_that_says_so() {
    let run = run(&[
        "-r",
        "moqf://127.0.0.1:1",
        "-t",
        "setup-only",
        "--timeout",
        "200ms",
    ])
    .await;
    assert_eq!(run.code, 1);
    assert_eq!(points(&run), ["not ok 1 - setup-only"]);
    for part in [
        "  ---\n",
        "duration_ms: ",
        "expected: \"a session\"",
        "received: ",
        "message: ",
    ] {
        assert!(run.stdout.contains(part), "{part} in {}", run.stdout);
    }
}
