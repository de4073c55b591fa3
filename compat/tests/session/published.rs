//! Each published crate as publisher and as subscriber.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use moq_relay_core::model::group::GroupConsumer;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::TrackInfo;
use moq_relay_core::source::Source;
use moq_transfork::Path;

use crate::world::{Via, World, soon};

const VIAS: [Via; 2] = [Via::WebTransport, Via::Quic];

/// Small, empty, and large enough for many packets.
fn frames() -> Vec<Bytes> {
    let large: Vec<u8> = (0..100_000_u32)
        .map(|i| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    vec![
        Bytes::from_static(b"hello"),
        Bytes::new(),
        large.into(),
        Bytes::from_static(b"end"),
    ]
}

async fn read_ours(mut group: GroupConsumer) -> Result<Vec<Bytes>> {
    let mut frames = Vec::new();
    while let Some(frame) = soon(async { Ok(group.next_frame().await?) }).await? {
        frames.push(frame);
    }
    Ok(frames)
}

/// The tests that are the same for all published crates.
macro_rules! common {
    ($transfork:ident, $webtransport:ident, $name:expr, $track:expr) => {
        use $transfork as theirs;

        use super::*;

        fn path() -> Result<Path> {
            Ok($name.parse()?)
        }

        async fn session(world: &World, via: Via) -> Result<theirs::Session> {
            let conn = world.dial(via).await?;
            let session = match via {
                Via::WebTransport => $webtransport::Session::connect(conn, &world.url()?).await?,
                Via::Quic => $webtransport::Session::from(conn),
            };
            soon(async {
                Ok(theirs::Session::connect(theirs::web_transport::Session::from(session)).await?)
            })
            .await
        }

        async fn read_theirs(mut group: theirs::GroupConsumer) -> Result<Vec<Bytes>> {
            let mut frames = Vec::new();
            while let Some(frame) = soon(async { Ok(group.read_frame().await?) }).await? {
                frames.push(frame);
            }
            Ok(frames)
        }

        async fn next_of_theirs(
            track: &mut theirs::TrackConsumer,
        ) -> Result<theirs::GroupConsumer> {
            soon(async { track.next_group().await?.context("the track has ended") }).await
        }

        #[tokio::test]
        async fn what_it_publishes_arrives_whole() -> Result<()> {
            for via in VIAS {
                let world = World::start()?;
                let mut publisher = session(&world, via).await?;
                let (mut producer, consumer) = $track.produce();
                publisher.publish(consumer)?;
                world.published(&path()?).await?;

                let mut reader = world
                    .relay
                    .origin()
                    .track(&path()?, Subscription::default())?;
                for sequence in 0..3 {
                    let mut group = producer.append_group();
                    frames()
                        .into_iter()
                        .for_each(|frame| group.write_frame(frame));
                    drop(group);
                    let group =
                        soon(async { reader.next_group().await?.context("no end") }).await?;
                    ensure!(
                        group.sequence() == sequence,
                        "{via:?}: {}",
                        group.sequence()
                    );
                    ensure!(
                        read_ours(group).await? == frames(),
                        "{via:?}: group {sequence}"
                    );
                }
            }
            Ok(())
        }

        #[tokio::test]
        async fn it_gets_the_open_group_from_its_start_and_then_goes_on() -> Result<()> {
            for via in VIAS {
                let world = World::start()?;
                let track = world.relay.publish(path()?, TrackInfo::default())?;
                let mut open = track.create_group(7)?;
                open.write_frame("before")?;

                let subscriber = session(&world, via).await?;
                let mut reader = subscriber.subscribe($track.into());
                let mut late = next_of_theirs(&mut reader).await?;
                let first = soon(async { Ok(late.read_frame().await?) }).await?;
                ensure!(first.as_deref() == Some(b"before"), "{via:?}: {first:?}");
                open.write_frame("after")?;
                open.finish()?;
                ensure!(read_theirs(late).await? == ["after"], "{via:?}");

                let mut next = track.append_group()?;
                frames()
                    .into_iter()
                    .try_for_each(|frame| next.write_frame(frame))?;
                next.finish()?;
                let next = next_of_theirs(&mut reader).await?;
                ensure!(read_theirs(next).await? == frames(), "{via:?}");
            }
            Ok(())
        }

        #[tokio::test]
        async fn two_of_it_meet_over_both_transports() -> Result<()> {
            for (from, to) in [VIAS, [Via::Quic, Via::WebTransport]].map(|[from, to]| (from, to)) {
                let world = World::start()?;
                let mut publisher = session(&world, from).await?;
                let (mut producer, consumer) = $track.produce();
                publisher.publish(consumer)?;
                world.published(&path()?).await?;
                let mut group = producer.append_group();
                frames()
                    .into_iter()
                    .for_each(|frame| group.write_frame(frame));
                drop(group);

                let subscriber = session(&world, to).await?;
                let mut reader = subscriber.subscribe($track.into());
                let group = next_of_theirs(&mut reader).await?;
                ensure!(read_theirs(group).await? == frames(), "{from:?} to {to:?}");
                ensure!(world.relay.stats().upstreams_total == 1);
            }
            Ok(())
        }
    };
}

mod of_0_8_0 {
    common!(
        transfork08,
        webtransport04,
        "demo/some/video",
        theirs::Track::build()
            .path("demo")
            .path("some")
            .path("video")
    );
}

mod of_0_9_0 {
    common!(
        transfork09,
        webtransport04,
        "demo/some/video",
        theirs::Track::build()
            .path("demo")
            .path("some")
            .path("video")
    );
}

mod of_0_11_0 {
    common!(
        transfork11,
        webtransport06,
        "demo/some/video",
        theirs::Track::build()
            .path("demo")
            .path("some")
            .path("video")
    );
}

mod of_0_12_0 {
    common!(
        transfork12,
        webtransport06,
        "demo/some/video",
        theirs::Track::build().path("demo/some/video")
    );
}
