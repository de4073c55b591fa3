//! Which sessions the relay takes.

use moq_relay::dial::Dialer;
use moq_relay::tls::ALPN_RAW;
use moq_relay::tls::trust::Trust;
use moq_relay::transport::Congestion;
use quinn::ConnectionError;
use web_transport_trait::Session as _;

use crate::client;
use crate::process::Process;

#[tokio::test]
async fn web_transport_is_answered_for_any_path() {
    let mut relay = Process::development(&[]).await;
    let session = client::web_transport(&relay, "/any/path?jwt=abc").await;
    let line = relay.says(": connected").await;
    assert!(
        line.contains(r#"via="webtransport" path="/any/path""#),
        "{line}"
    );
    drop(session);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_at_once() {
    let mut relay = Process::development(&["--max-connections", "1"]).await;
    let first = client::raw(&relay).await;
    let error = client::connect(&relay, "localhost", &Trust::Anyone)
        .await
        .unwrap_err();
    assert!(
        matches!(error, ConnectionError::ConnectionClosed(_)),
        "{error}"
    );
    relay.says("raise --max-connections").await;

    first.close(0, b"");
    relay.says(": disconnected").await;
    client::connect(&relay, "localhost", &Trust::Anyone)
        .await
        .unwrap();
}

#[tokio::test]
async fn another_relay_can_dial_it_by_its_name() {
    let mut relay = Process::development(&[]).await;
    let tls = Trust::Anyone.client_config(&ALPN_RAW).unwrap();
    let dialer = Dialer::new(client::endpoint(), tls, Congestion::Cubic);
    let session = dialer.dial("localhost", relay.addr.port()).await.unwrap();
    assert_eq!(session.protocol(), Some("moq-transfork-03"));
    relay.says(r#"via="quic""#).await;
}
