//! A subscriber behind a link that is slower than what is sent.

use std::ops::Range;
use std::time::Duration;

use moq_relay_core::limits::Limits;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::TrackInfo;
use moq_relay_core::source::Source;
use moq_transfork::message::Priority;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::figures::{Figures, latencies, percentile};
use crate::journal::{Entry, assert_settled, whole};
use crate::load::Load;
use crate::net::Cable;
use crate::net::link::Path;
use crate::scenario::{Scenario, VIDEO};
use crate::world::{World, path, soon};

const MS: Duration = Duration::from_millis(1);

/// As much video as it takes to disturb others.
const SOME_VIDEO: Load = Load { groups: 8, ..VIDEO };

/// Speech: next to nothing beside the video. Its groups are fewer, so that only its priority puts
/// them first.
const AUDIO: Load = Load {
    frame: 200,
    rate: 50,
    group: 250,
    groups: 6,
};

/// A cable at 40 ms that takes so many bits per second on its way down.
fn cable(rate: u64) -> Cable {
    let up = Path::clean(20 * MS);
    let down = up.limited(rate, 100 * MS);
    Cable { down, up }
}

fn urgent() -> Subscription {
    Subscription {
        priority: Priority::new(200),
        ..Subscription::default()
    }
}

#[test]
fn latency_is_bounded_and_does_not_grow() {
    for rate in [2_200_000, 2_000_000, 1_000_000] {
        let scenario = Scenario::new(|path| path.limited(rate, 100 * MS));
        let (seen, _) = scenario.run(1);
        assert!(whole(&seen).len() < 29, "{rate}: it was meant to be slow");
        // What the last groups leave behind is sent after the end, when nothing newer is there.
        let (early, late) = (median_latency(&seen, 5..15), median_latency(&seen, 15..25));
        assert!(late <= early + 100 * MS, "{rate}: {early:?}, then {late:?}");

        // A group's first frame is a second old when the group is finished. Then a newer one
        // outruns it, at once or when the next begins.
        let bound = Limits::default().max_backlog + 2000 * MS;
        let slowest = latencies(&seen).last().copied().unwrap_or_default();
        assert!(slowest <= bound, "{rate}: {slowest:?}");
        assert_settled(&seen, VIDEO.groups);
    }
}

/// The median latency of the frames of some groups.
fn median_latency(seen: &[Entry], groups: Range<u64>) -> Duration {
    let theirs = |(_, event): &&Entry| {
        event
            .frame()
            .is_some_and(|frame| groups.contains(&frame.group))
    };
    let seen: Vec<Entry> = seen.iter().filter(theirs).cloned().collect();
    percentile(&latencies(&seen), 50)
}

#[tokio::test(start_paused = true)]
async fn audio_of_higher_priority_does_not_wait_for_the_video() {
    let mut world = World::new(1);
    let (_camera, video) = world.publisher("demo/video").await;
    let (_microphone, audio) = world.publisher("demo/audio").await;
    let subscriber = world.client(cable(2_000_000)).await;
    let seen = subscriber
        .watch("demo/video", Subscription::default())
        .await;
    let heard = subscriber.watch("demo/audio", urgent()).await;
    tokio::join!(
        VIDEO.publish(video, world.began()),
        AUDIO.publish(audio, world.began())
    );
    let (seen, heard) = (seen.finish().await, heard.finish().await);
    assert!(whole(&seen).len() < 20, "the link was meant to be slow");
    assert_eq!(whole(&heard).len() as u64, AUDIO.groups);
    // It does wait in the queue of the link, which no priority can jump.
    let latency = percentile(&latencies(&heard), 99);
    assert!(latency <= 150 * MS, "{latency:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_is_answered_though_the_link_is_full() {
    let mut world = World::new(1);
    let (_camera, video) = world.publisher("demo/video").await;
    let (_microphone, _audio) = world.publisher("demo/audio").await;
    let subscriber = world.client(cable(2_000_000)).await;
    let _seen = subscriber
        .watch("demo/video", Subscription::default())
        .await;
    let mut publishing = JoinSet::new();
    publishing.spawn(VIDEO.publish(video, world.began()));
    sleep(Duration::from_secs(10)).await;

    let audio = path("demo/audio");
    let asked = Instant::now();
    let track = subscriber.subscribe("demo/audio", urgent());
    soon(track.info()).await.expect("it is published");
    let subscribed = asked.elapsed();

    let asked = Instant::now();
    soon(subscriber.peer.announced(&audio).next()).await;
    let announced = asked.elapsed();

    let slowest = subscribed.max(announced);
    assert!(slowest <= 150 * MS, "{subscribed:?}, {announced:?}");
}

/// Lets three subscribers watch by good links, with perhaps one more whose cable changes to
/// `bad` once it has subscribed, and returns the figures of the three.
async fn beside(bad: Option<Cable>) -> Vec<Figures> {
    let mut world = World::new(1);
    let (_publisher, track) = world.publisher("demo/video").await;
    let mut watching = Vec::new();
    for _ in 0..3 {
        let client = world.client(cable(10_000_000)).await;
        let journal = client.watch("demo/video", Subscription::default()).await;
        watching.push((client, journal));
    }
    let slow = world.client(cable(10_000_000)).await;
    let mut _burden = None;
    if let Some(bad) = bad {
        _burden = Some(slow.watch("demo/video", Subscription::default()).await);
        world.lay(&slow, bad);
    }
    SOME_VIDEO.publish(track, world.began()).await;
    let mut figures = Vec::new();
    for (client, journal) in watching {
        let seen = journal.finish().await;
        figures.push(Figures::of(&seen, &SOME_VIDEO, world.sent_to(&client)));
    }
    figures
}

#[tokio::test(start_paused = true)]
async fn the_other_subscribers_do_not_notice() {
    let alone = beside(None).await;
    let dead = Cable::both(Path::clean(20 * MS).lossy(1.0));
    for bad in [cable(1_000_000), cable(100_000), dead] {
        for (alone, beside) in alone.iter().zip(beside(Some(bad)).await) {
            assert_eq!(beside.groups, 1.0);
            assert!(beside.p99 <= alone.p99.mul_f64(1.1), "{beside:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_publishes_more_than_its_link_takes_still_subscribes_at_once() {
    let mut world = World::new(1);
    let (_mic, _audio) = world.publisher("demo/audio").await;
    let down = Path::clean(20 * MS);
    let up = down.limited(2_000_000, 100 * MS);
    let broadcaster = world.client(Cable { down, up }).await;
    let video = broadcaster
        .tracks
        .create(path("demo/video"), TrackInfo::default());
    let mut announced = world.relay.origin().announced(&path("demo/video"));
    soon(announced.next()).await;
    let viewer = world.client(cable(10_000_000)).await;
    let _seen = viewer.watch("demo/video", Subscription::default()).await;
    let mut publishing = JoinSet::new();
    publishing.spawn(VIDEO.publish(video.expect("the path is free"), world.began()));
    sleep(Duration::from_secs(10)).await;

    let asked = Instant::now();
    let track = broadcaster.subscribe("demo/audio", urgent());
    soon(track.info()).await.expect("it is published");
    assert!(asked.elapsed() < 500 * MS, "{:?}", asked.elapsed());
}
