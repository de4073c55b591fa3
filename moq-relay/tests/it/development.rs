//! What `--dev` adds.

use std::net::TcpListener;

use moq_relay::tls::identity::Identity;
use moq_relay::tls::trust::Trust;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client;
use crate::process::{Files, Process, fail};

#[tokio::test]
async fn each_listener_has_a_line_with_the_address_really_bound() {
    let relay = Process::development(&[]).await;
    let lines: Vec<_> = relay
        .start
        .iter()
        .filter(|line| line.contains("listening"))
        .collect();
    assert_ne!(relay.addr.port(), 0);
    assert!(
        lines
            .iter()
            .all(|line| line.contains(&relay.addr.to_string())),
        "{lines:?}"
    );
    assert!(lines[0].contains("WebTransport (h3), raw QUIC (moq-transfork-03, moqf-02)"));
    assert!(lines[1].contains("HTTP (GET /fingerprint)"));
}

#[tokio::test]
async fn the_fingerprint_is_that_of_the_certificate_shown() {
    let relay = Process::development(&[]).await;
    let (head, body) = get(&relay, "/fingerprint").await;
    let conn = client::connect(&relay, "localhost", &Trust::Anyone)
        .await
        .unwrap();

    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    assert!(
        head.contains("\r\naccess-control-allow-origin: *\r\n"),
        "{head}"
    );
    assert_eq!(body, client::fingerprint(&conn));
    assert_eq!(body.len(), 64);
}

#[tokio::test]
async fn with_certificates_the_fingerprint_is_the_first_ones() {
    let files = Files::new();
    let (one, one_key) = files.certificate("one.example");
    let (two, two_key) = files.certificate("two.example");
    let flags = [
        "--tls-cert",
        &one,
        "--tls-key",
        &one_key,
        "--tls-cert",
        &two,
        "--tls-key",
        &two_key,
    ];
    let relay = Process::development(&flags).await;
    let one = Identity::load(one.as_ref(), one_key.as_ref()).unwrap();
    assert_eq!(get(&relay, "/fingerprint").await.1, one.fingerprint());
}

#[tokio::test]
async fn http_has_nothing_else() {
    let relay = Process::development(&[]).await;
    let (head, _) = get(&relay, "/").await;
    assert!(head.starts_with("http/1.1 404 "), "{head}");
}

#[tokio::test]
async fn without_it_nothing_listens_for_tcp() {
    let files = Files::new();
    let (cert, key) = files.certificate("localhost");
    let relay = Process::start(&["--tls-cert", &cert, "--tls-key", &key]).await;
    assert!(TcpStream::connect(relay.addr).await.is_err());
}

#[tokio::test]
async fn a_port_taken_for_tcp_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let (code, said) = fail(&["--dev", "--bind", &addr]).await;
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with(&format!("moq-relay: cannot listen on TCP {addr}: ")),
        "{said}"
    );
}

/// Returns head, in small letters, and body.
pub(crate) async fn get(relay: &Process, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(relay.addr).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        relay.addr
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_lowercase() + "\r\n", body.to_owned())
}
