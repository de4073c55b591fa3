//! SESSION_UPDATE: the rate that the transport believes it can send.

use std::time::Duration;

use moq_relay_core::memory::{self, Config};
use moq_relay_core::model::track::TrackProducer;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::SessionUpdate;
use moq_transfork::stream::StreamError;
use moq_transfork::wt::{RecvStream as _, SendStream as _, Session as _};
use tokio::time::{sleep, timeout};

use crate::raw::{Raw, subscribe};
use crate::world::{INSTANT, World, published, soon, write_group};

fn limited() -> Config {
    Config {
        rate: Some(1_000_000),
        ..Config::default()
    }
}

/// Sends a group of 2,000 bytes every half second for some time.
async fn send_for(track: &TrackProducer, seconds: u32) {
    for _ in 0..seconds * 2 {
        write_group(track, &[&"x".repeat(2000)]);
        sleep(Duration::from_millis(500)).await;
    }
}

/// A peer on a limited link, and the relay's end of that link, once the track is published.
async fn peer(world: &mut World) -> (Raw, memory::Session) {
    published(world, "demo/a").await;
    let (near, far) = memory::pair(limited());
    world.serve(far.clone());
    (Raw::set_up(near, Dialect::Draft03).await, far)
}

fn told(bitrate: u64) -> Result<Option<SessionUpdate>, StreamError> {
    Ok(Some(SessionUpdate { bitrate }))
}

#[tokio::test(start_paused = true)]
async fn peers_of_the_draft_are_told_the_rate_and_each_change_that_matters() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("demo/a");
    let (mut raw, far) = peer(&mut world).await;
    let _subscription = raw.subscribe(&subscribe(0, "demo/a")).await;
    assert_eq!(soon(raw.updates.update()).await, told(8_000_000));
    // The relay's end is the one that sends.
    far.set_rate(Some(1_100_000));
    send_for(&track, 5).await;
    let small = timeout(INSTANT, raw.updates.update()).await;
    assert!(small.is_err(), "a tenth more is no news: {small:?}");
    far.set_rate(Some(2_000_000));
    send_for(&track, 2).await;
    assert_eq!(soon(raw.updates.update()).await, told(16_000_000));
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_changed_in_a_pause_is_told_a_second_after_it() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("demo/a");
    let (mut raw, far) = peer(&mut world).await;
    let _subscription = raw.subscribe(&subscribe(0, "demo/a")).await;
    assert_eq!(soon(raw.updates.update()).await, told(8_000_000));
    far.set_rate(Some(2_000_000));
    let idle = timeout(Duration::from_secs(600), raw.updates.update()).await;
    assert!(
        idle.is_err(),
        "nobody looks while nothing is sent: {idle:?}"
    );
    for (rate, bitrate) in [(3_000_000, 24_000_000), (1_000_000, 8_000_000)] {
        far.set_rate(Some(rate));
        send_for(&track, 2).await;
        assert_eq!(soon(raw.updates.update()).await, told(bitrate));
        sleep(Duration::from_secs(600)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn peers_of_the_forks_are_told_nothing_they_would_choke_on() {
    for dialect in [Dialect::Fork02, Dialect::Fork04, Dialect::Fork04s] {
        let mut world = World::new();
        let transport = world.accept(limited());
        let version = dialect.version().to_be_bytes();
        // SESSION_CLIENT with one version of eight bytes, as the published crates send it.
        let mut hello = vec![0, 1, 0xc0];
        hello.extend_from_slice(&version[1..]);
        hello.push(0);
        let (mut send, mut recv) = transport.open_bi().await.expect("open");
        send.write_all(&hello).await.expect("open");
        sleep(Duration::from_secs(10)).await;
        let mut said = Vec::new();
        while let Ok(Ok(Some(bytes))) = timeout(INSTANT, recv.read_chunk(usize::MAX)).await {
            said.extend_from_slice(&bytes);
        }
        let mut expected = vec![0xc0];
        expected.extend_from_slice(&version[1..]);
        expected.push(0);
        assert_eq!(said, expected, "{dialect}: SESSION_SERVER and no more");
    }
}
