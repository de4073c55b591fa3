//! How the relay stops.

use moq_relay::session::Session;
use moq_relay::tls::trust::Trust;
use moq_relay_core::error::Error;
use moq_relay_core::model::consumer::TrackConsumer;
use moq_relay_core::model::group::{GroupConsumer, GroupProducer};
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::tracks::Tracks;
use quinn::ConnectionError;
use web_transport_trait::{Error as _, Session as _};

use crate::client::{self, Client};
use crate::process::{Process, soon};

#[tokio::test]
async fn either_signal_stops_it_with_success() {
    for signal in ["INT", "TERM"] {
        let relay = Process::development(&[]).await;
        relay.signal(signal).await;
        let (status, log) = relay.end().await;
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains(&format!(r#"signal="SIG{signal}""#)), "{log}");
    }
}

#[tokio::test]
async fn raw_sessions_are_closed_with_a_reason() {
    let relay = Process::development(&[]).await;
    let session = client::raw(&relay).await;
    is_closed_with_a_reason(relay, session).await;
}

#[tokio::test]
async fn web_transport_sessions_are_closed_with_a_reason() {
    let relay = Process::development(&[]).await;
    let session = client::web_transport(&relay, "/").await;
    is_closed_with_a_reason(relay, session).await;
}

async fn is_closed_with_a_reason(relay: Process, session: Session) {
    let client = Client::new(session.clone(), &Tracks::default()).await;
    relay.signal("TERM").await;
    assert_shut_down(&session, client).await;
    let (status, log) = relay.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
}

async fn assert_shut_down(session: &Session, client: Client) {
    let closed = soon(session.closed()).await;
    assert_eq!(
        closed.session_error(),
        Some((0, "shutting down".into())),
        "{closed}"
    );
    client.ended().await;
}

#[tokio::test]
async fn sessions_on_all_threads_are_closed_with_a_reason() {
    let relay = Process::development(&["--threads", "3"]).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let session = client::raw(&relay).await;
        clients.push((
            session.clone(),
            Client::new(session, &Tracks::default()).await,
        ));
    }
    relay.signal("TERM").await;
    for (session, client) in clients {
        assert_shut_down(&session, client).await;
    }
    let (status, log) = relay.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
}

#[tokio::test]
async fn a_group_under_way_is_finished_before_the_end() {
    let mut scene = Scene::new("1h").await;
    scene.stop().await;

    scene.sent.write_frame("two").unwrap();
    scene.sent.finish().unwrap();
    assert_eq!(
        soon(scene.received.next_frame()).await.unwrap().as_deref(),
        Some(&b"two"[..])
    );
    assert_eq!(soon(scene.received.next_frame()).await, Ok(None));

    let (status, log) = scene.relay.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
}

#[tokio::test]
async fn a_group_that_outlasts_the_grace_is_cut_but_not_ended() {
    let mut scene = Scene::new("100ms").await;
    scene.stop().await;
    let end = soon(scene.received.next_frame()).await;
    assert!(
        matches!(
            end,
            Err(Error::Peer(_) | Error::Transport(_) | Error::Dropped)
        ),
        "{end:?}"
    );
    let (status, log) = scene.relay.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
}

#[tokio::test]
async fn newcomers_are_refused_while_groups_finish() {
    let mut scene = Scene::new("1h").await;
    scene.stop().await;
    let error = client::connect(&scene.relay, "localhost", &Trust::Anyone)
        .await
        .unwrap_err();
    assert!(
        matches!(error, ConnectionError::ConnectionClosed(_)),
        "{error}"
    );
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut scene = Scene::new("1h").await;
    scene.stop().await;
    scene.relay.signal("TERM").await;
    let (status, log) = scene.relay.end().await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(
        log.contains("moq-relay: stopped by a second signal"),
        "{log}"
    );
}

/// A relay with a publisher whose group is under way, and a subscriber who has its first frame.
struct Scene {
    relay: Process,
    sent: GroupProducer,
    received: GroupConsumer,
    /// What must live as long as the scene does.
    _held: (TrackProducer, TrackConsumer, [Client; 2]),
}

impl Scene {
    async fn new(grace: &str) -> Self {
        let relay = Process::development(&["--threads=2", "--grace", grace]).await;
        let path = "demo/track".parse().unwrap();
        let tracks = Tracks::default();
        let track = tracks.create(path, TrackInfo::default()).unwrap();
        let mut sent = track.append_group().unwrap();
        sent.write_frame("one").unwrap();

        let publisher = Client::new(client::web_transport(&relay, "/").await, &tracks).await;
        let subscriber = Client::new(client::raw(&relay).await, &Tracks::default()).await;
        let mut reader = subscriber.subscribe(track.path()).await;
        let mut received = soon(reader.next_group()).await.unwrap().expect("a group");
        assert_eq!(
            soon(received.next_frame()).await.unwrap().as_deref(),
            Some(&b"one"[..])
        );
        Self {
            relay,
            sent,
            received,
            _held: (track, reader, [publisher, subscriber]),
        }
    }

    async fn stop(&mut self) {
        self.relay.signal("TERM").await;
        self.relay.says("finishing groups under way").await;
    }
}
