//! Which sessions the relay takes.

use moq_relay::dial::Dialer;
use moq_relay::tls::ALPN_RAW;
use moq_relay::tls::trust::Trust;
use moq_relay::transport::Congestion;
use moq_relay_core::model::group::GroupProducer;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::tracks::Tracks;
use quinn::ConnectionError;
use web_transport_trait::Session as _;

use crate::client::{self, Client};
use crate::process::{Process, soon};

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

    first.close(0, "");
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

#[tokio::test]
async fn stream_limits_grow_with_what_peers_do() {
    const TRACKS: usize = 200;
    let relay = Process::development(&[]).await;
    let tracks = Tracks::default();
    let open: Vec<_> = (0..TRACKS).map(|n| open_group(&tracks, n)).collect();

    // Each group stays open, so that its stream and its request's are never free for another.
    let _publisher = Client::new(client::web_transport(&relay, "/").await, &tracks).await;
    let subscriber =
        Client::new(client::web_transport(&relay, "/").await, &Tracks::default()).await;
    let mut received = Vec::new();
    for (track, _) in &open {
        let mut reader = subscriber.subscribe(track.path()).await;
        let mut group = soon(reader.next_group()).await.unwrap().expect("a group");
        assert!(soon(group.next_frame()).await.unwrap().is_some());
        received.push((reader, group));
    }
}

fn open_group(tracks: &Tracks, number: usize) -> (TrackProducer, GroupProducer) {
    let path = format!("demo/{number}").parse().unwrap();
    let track = tracks.create(path, TrackInfo::default()).unwrap();
    let mut group = track.append_group().unwrap();
    group.write_frame("hello").unwrap();
    (track, group)
}
