//! What the command line takes and refuses.

use std::net::UdpSocket;

use crate::process::{Process, fail, fail_with, run};

#[tokio::test]
async fn help_names_every_flag_with_its_default_and_goes_to_stdout() {
    let output = run(&["--help"]).await;
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for text in [
        "--bind <ADDR>",
        "[default: [::]:4443]",
        "--tls-cert <FILE>",
        "--tls-key <FILE>",
        "--tls-root <FILE>",
        "--tls-disable-verify",
        "--dev",
        "--dev-name <NAME>",
        "--max-connections <N>",
        "--congestion <CONGESTION>",
        "[default: cubic]",
        "--cache-size <SIZE>",
        "[default: 256MiB]",
        "--cache-age <TIME>",
        "--linger <TIME>",
        "--grace <TIME>",
        "[default: 5s]",
        "--log-format <FORMAT>",
        "--verbose",
        "--quiet",
        "Examples:",
        "RUST_LOG",
    ] {
        assert!(help.contains(text), "{text:?} is missing in\n{help}");
    }
}

#[tokio::test]
async fn version_is_that_of_the_crate() {
    let output = run(&["--version"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said.trim_end(),
        concat!("moq-relay ", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn a_wrong_flag_or_value_is_a_usage_error() {
    for flags in [
        ["--dev", "--bogus"],
        ["--dev", "--bind=nowhere"],
        ["--dev", "--grace=5"],
        ["--dev", "--congestion=reno"],
        ["--dev", "--max-connections=0"],
    ] {
        let output = run(&flags).await;
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert!(
            String::from_utf8(output.stderr)
                .unwrap()
                .contains("error: "),
            "{flags:?}"
        );
    }
}

#[tokio::test]
async fn a_taken_port_is_a_run_time_error_with_a_remedy() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let (code, said) = fail(&["--dev", "--bind", &addr]).await;
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with(&format!("moq-relay: cannot listen on UDP {addr}: ")),
        "{said}"
    );
    assert!(said.contains("choose another port with --bind"), "{said}");
}

#[tokio::test]
async fn the_log_can_be_json() {
    let relay = Process::start(&["--dev", "--log-format", "json"]).await;
    let line: serde_json::Value = serde_json::from_str(&relay.start[0]).unwrap();
    assert_eq!(line["addr"], relay.addr.to_string());
    assert_eq!(line["level"], "INFO");
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_told() {
    let (code, said) = fail_with(&["--dev"], &[("RUST_LOG", "moq_relay=loud")]).await;
    assert_eq!(code, Some(2));
    assert!(said.contains("cannot read RUST_LOG"), "{said}");
}
