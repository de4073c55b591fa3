//! `impair` as its users run it.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UdpSocket;
use tokio::process::{Child, ChildStdout, Command};

use crate::program::{program, run};
use crate::relay::soon;

/// A running proxy that speaks JSON.
struct Impair {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    listening: Value,
}

impl Impair {
    async fn start(args: &[&str]) -> Self {
        let args = [&["--format", "json", "impair"], args].concat();
        let mut child = program(&args).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut impair = Self {
            child,
            stdout: BufReader::new(stdout).lines(),
            listening: Value::Null,
        };
        impair.listening = impair.event().await;
        impair
    }

    async fn event(&mut self) -> Value {
        let line = soon(self.stdout.next_line()).await.unwrap();
        serde_json::from_str(&line.expect("it says something")).unwrap()
    }

    /// Types a line and returns what is said about it.
    async fn say(&mut self, line: &str) -> Value {
        self.tell(line).await;
        self.event().await
    }

    /// Types a line.
    async fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        let line = format!("{line}\n");
        stdin.write_all(line.as_bytes()).await.unwrap();
    }

    async fn end(mut self) -> (Option<i32>, Value) {
        let summary = self.event().await;
        let status = soon(self.child.wait()).await.unwrap();
        (status.code(), summary)
    }
}

#[tokio::test]
async fn it_obeys_lines_and_tells_what_happened() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = server.local_addr().unwrap().to_string();
    let mut impair = Impair::start(&["--to", &to, "--seed", "5", "--both", "delay=5ms"]).await;
    assert_eq!(impair.listening["event"], "listening");
    assert_eq!(impair.listening["to"], to);
    assert_eq!(impair.listening["seed"], 5);

    let changed = impair.say("up clear").await;
    assert_eq!(changed["event"], "changed");
    assert_eq!(
        (&changed["up"], &changed["down"]),
        (&"clear".into(), &"delay=5ms".into())
    );

    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let proxy = impair.listening["address"].as_str().unwrap();
    client.connect(proxy).await.unwrap();
    client.send(b"hello").await.unwrap();
    let mut buffer = [0; 10];
    let (len, from) = soon(server.recv_from(&mut buffer)).await.unwrap();
    server.send_to(&buffer[..len], from).await.unwrap();
    assert_eq!(soon(client.recv(&mut buffer)).await.unwrap(), 5);

    assert_eq!(impair.say("rebind").await["line"], "rebind");
    let stats = impair.say("stats").await;
    assert_eq!(
        (&stats["event"], &stats["clients"]),
        (&"stats".into(), &1.into())
    );
    impair.tell("quit").await;
    let (code, summary) = impair.end().await;
    assert_eq!((code, &summary["event"]), (Some(0), &"summary".into()));
    assert_eq!(summary["rebinds"], 1);
    for way in ["up", "down"] {
        assert_eq!(summary[way]["packets"], 1);
        assert_eq!(summary[way]["delivered_bytes"], 5);
    }
}

#[tokio::test]
async fn ctrl_c_ends_it_with_a_summary() {
    let impair = Impair::start(&["--to", "127.0.0.1:9"]).await;
    let pid = impair.child.id().unwrap().to_string();
    let kill = Command::new("kill")
        .args(["-s", "INT", &pid])
        .status()
        .await;
    assert!(kill.unwrap().success());
    let (code, summary) = impair.end().await;
    assert_eq!((code, &summary["event"]), (Some(0), &"summary".into()));
}

#[tokio::test]
async fn the_address_stands_alone_on_the_first_line() {
    let run = run(&[
        "impair",
        "--to",
        "127.0.0.1:9",
        "--seed",
        "7",
        "--duration",
        "10ms",
    ])
    .await;
    let lines: Vec<_> = run.stdout.lines().collect();
    let address = lines[0].strip_prefix("127.0.0.1:").unwrap();
    assert_ne!(address.parse::<u16>().unwrap(), 0);
    assert_eq!(lines[1], "to 127.0.0.1:9, seed 7; up: clear; down: clear");
    assert_eq!(lines[2], "up:   0 packets (0 B) in, 0 (0 B) out, 0 lost");
    assert_eq!((lines.len(), run.code, run.stderr.as_str()), (5, 0, ""));
}

#[tokio::test]
async fn a_schedule_is_kept_and_stdin_need_not_be_there() {
    let schedule = "20ms quit; 10ms up loss=1% # later\n0s cut";
    let run = run(&["impair", "--to", "127.0.0.1:9", "--schedule", schedule]).await;
    let changes: Vec<_> = run
        .stdout
        .lines()
        .filter_map(|line| line.split_once(" s, "))
        .map(|(_seconds, change)| change)
        .collect();
    let expected = [
        "cut; up: cut; down: cut",
        "up loss=1%; up: cut loss=1%; down: cut",
    ];
    assert_eq!(
        (run.code, changes.as_slice()),
        (0, &expected[..]),
        "{}",
        run.stdout
    );
}

#[tokio::test]
async fn a_line_that_means_nothing_is_told_and_is_a_failure_in_the_end() {
    let mut impair = Impair::start(&["--to", "127.0.0.1:9"]).await;
    let refused = impair.say("up los=1%").await;
    assert_eq!(
        (&refused["event"], &refused["line"]),
        (&"refused".into(), &"up los=1%".into())
    );
    impair.tell("quit").await;
    assert_eq!(impair.end().await.0, Some(1));
}

#[tokio::test]
async fn a_wrong_command_line_is_a_usage_error() {
    for args in [
        &["impair"][..],
        &["impair", "--to", "localhost"],
        &["impair", "--to", "127.0.0.1:9", "--up", "lag=1ms"],
        &["impair", "--to", "127.0.0.1:9", "--schedule", "nowhere.txt"],
        &["impair", "--to", "127.0.0.1:9", "--schedule", "1s fly"],
        &["impair", "--to", "127.0.0.1:9", "--listen", "here"],
    ] {
        let run = run(args).await;
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{args:?}");
        assert!(run.stderr.contains("error"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn an_address_that_is_taken_and_a_server_that_is_nowhere_are_failures() {
    let taken = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    for (args, reason) in [
        (
            ["--to", "127.0.0.1:9", "--listen", &listen],
            "cannot listen on",
        ),
        (
            ["--to", "nowhere.invalid:9", "--listen", "127.0.0.1:0"],
            "cannot find the server",
        ),
    ] {
        let run = run(&[&["impair"], &args[..]].concat()).await;
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{args:?}");
        assert!(run.stderr.contains(reason), "{}", run.stderr);
    }
}
