//! Publishing, subscribing and asking, end to end.

use crate::program::{Run, program, publisher, run};
use crate::relay::TestRelay;

/// The arguments that every program here begins with, then `rest`.
fn args<'a>(url: &'a str, pin: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["-r", url, "--tls-fingerprint", pin], rest].concat()
}

#[tokio::test]
async fn a_load_passes_its_check() {
    let relay = TestRelay::start().await;
    let (url, pin) = (relay.url("moqf"), relay.fingerprint.to_string());
    let load = [
        "publish",
        "--load",
        "--fps",
        "200",
        "--frames-per-group",
        "5",
    ];
    let _publisher = publisher(&args(&url, &pin, &load), b"").await;

    let check = [
        "--format",
        "json",
        "subscribe",
        "--path",
        "load",
        "--check",
        "--groups",
        "4",
    ];
    let run = run(&args(&url, &pin, &check)).await;
    assert_eq!(run.code, 0, "{} {}", run.stdout, run.stderr);
    assert!(run.stdout.contains(r#""event":"check""#), "{}", run.stdout);
    assert!(
        run.stdout.contains(r#""wrong":0,"faults":[]"#),
        "{}",
        run.stdout
    );
}

#[tokio::test]
async fn a_check_of_something_else_fails() {
    let relay = TestRelay::start().await;
    let (url, pin) = (relay.url("https"), relay.fingerprint.to_string());
    let lines = ["publish", "--stdin", "lines"];
    let _publisher = publisher(&args(&url, &pin, &lines), b"not a load\n").await;

    let check = ["subscribe", "--path", "stdin", "--check", "--groups", "1"];
    let run = run(&args(&url, &pin, &check)).await;
    assert_eq!(run.code, 1);
    assert!(
        run.stdout.contains("not a self-checking frame"),
        "{}",
        run.stdout
    );
}

#[tokio::test]
async fn lines_arrive_as_they_were_typed_from_the_first_group_on() {
    let relay = TestRelay::start().await;
    let (url, pin) = (relay.url("https"), relay.fingerprint.to_string());
    let lines = ["publish", "--stdin", "lines", "--frames-per-group", "2"];
    let _publisher = publisher(&args(&url, &pin, &lines), b"one\n\nthree\nfour\n").await;

    let ascending = ["--from-start", "--order", "ascending", "--groups", "2"];
    let print = [
        &["subscribe", "--path", "stdin", "--print", "lines"][..],
        &ascending,
    ]
    .concat();
    let run = run(&args(&url, &pin, &print)).await;
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "one\n\nthree\nfour\n"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn both_ends_of_a_byte_stream_have_the_same_hash() {
    let relay = TestRelay::start().await;
    let (url, pin) = (relay.url("moqf"), relay.fingerprint.to_string());
    let bytes = ["publish", "--stdin", "bytes", "--frames-per-group", "0"];
    let mut publisher = publisher(&args(&url, &pin, &bytes), b"abc").await;
    publisher.stdin = None;

    let hash = ["subscribe", "--path", "stdin", "--hash"];
    let run = run(&args(&url, &pin, &hash)).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert!(run.stdout.contains(sha256), "{}", run.stdout);
    let ended = Run::end(publisher).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[tokio::test]
async fn a_clock_is_printed_as_moq_clock_prints_it() {
    let relay = TestRelay::start().await;
    let (url, pin) = (relay.url("moqf"), relay.fingerprint.to_string());
    let _publisher = publisher(&args(&url, &pin, &["publish"]), b"").await;

    let clock = ["subscribe", "--print", "clock", "--duration", "1s"];
    let run = run(&args(&url, &pin, &clock)).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    let first = run.stdout.lines().next().unwrap_or_default();
    let shape: String = first
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00 00:00:00");
}

#[tokio::test]
async fn announcements_information_and_past_groups_can_be_asked_for() {
    let relay = TestRelay::start().await;
    let (url, pin) = (relay.url("moqf"), relay.fingerprint.to_string());
    let lines = [
        "publish",
        "--stdin",
        "lines",
        "--path",
        "demo/chat",
        "--priority",
        "200",
    ];
    let _publisher = publisher(&args(&url, &pin, &lines), b"zero\none\n").await;
    // The groups are at the relay once somebody has read them.
    let read = [
        "subscribe",
        "--path",
        "demo/chat",
        "--from-start",
        "--groups",
        "2",
    ];
    assert_eq!(run(&args(&url, &pin, &read)).await.code, 0);

    let announced = run(&args(
        &url,
        &pin,
        &["announced", "demo", "--exit-when-live"],
    ))
    .await;
    assert_eq!(
        (announced.code, announced.stdout.as_str()),
        (0, "active demo/chat\nlive\n")
    );

    let info = run(&args(&url, &pin, &["info", "demo/chat"])).await;
    assert_eq!(info.code, 0, "{}", info.stderr);
    assert!(info.stdout.contains("priority 200") && info.stdout.contains("latest group 1"));

    let fetch = ["fetch", "demo/chat", "0", "--print", "lines"];
    let fetch = run(&args(&url, &pin, &fetch)).await;
    assert_eq!(
        (fetch.code, fetch.stdout.as_str()),
        (0, "zero\n"),
        "{}",
        fetch.stderr
    );
}

#[tokio::test]
async fn what_nobody_publishes_is_an_error_with_advice() {
    let relay = TestRelay::start().await;
    let (url, pin) = (relay.url("https"), relay.fingerprint.to_string());
    for rest in [
        &["subscribe", "--path", "no/such"][..],
        &["info", "no/such"],
    ] {
        let run = run(&args(&url, &pin, rest)).await;
        assert_eq!(run.code, 1);
        assert!(run.stderr.contains("no/such"), "{}", run.stderr);
        assert!(run.stderr.contains("announced"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn silence_until_the_time_is_up_is_a_failure() {
    let relay = TestRelay::start().await;
    let (url, pin) = (relay.url("moqf"), relay.fingerprint.to_string());
    let _publisher = publisher(&args(&url, &pin, &["publish", "--stdin", "lines"]), b"").await;
    let silent = ["subscribe", "--path", "stdin", "--duration", "200ms"];
    assert_eq!(run(&args(&url, &pin, &silent)).await.code, 1);
}

#[tokio::test]
async fn an_interrupt_completes_the_group_and_ends_both_sides_cleanly() {
    let relay = TestRelay::start().await;
    let (url, pin) = (relay.url("moqf"), relay.fingerprint.to_string());
    let load = [
        "publish",
        "--load",
        "--fps",
        "5",
        "--frames-per-group",
        "50",
    ];
    let publisher = publisher(&args(&url, &pin, &load), b"").await;
    let check = ["subscribe", "--path", "load", "--check"];
    let mut subscriber = program(&args(&url, &pin, &check));
    subscriber.arg("--print").arg("describe");
    let mut subscriber = subscriber.spawn().unwrap();
    // One frame has come: now it is in the middle of the group.
    let mut stdout = tokio::io::BufReader::new(subscriber.stdout.take().unwrap());
    let mut line = String::new();
    crate::relay::soon(tokio::io::AsyncBufReadExt::read_line(
        &mut stdout,
        &mut line,
    ))
    .await
    .unwrap();

    let pid = publisher.id().unwrap().to_string();
    let interrupted = tokio::process::Command::new("kill")
        .args(["-s", "INT", &pid])
        .status()
        .await;
    assert!(interrupted.unwrap().success());
    let (publisher, subscriber) = (Run::end(publisher).await, Run::end(subscriber).await);
    assert_eq!(publisher.code, 0, "{}", publisher.stderr);
    assert_eq!(subscriber.code, 0, "{}", subscriber.stderr);
}
