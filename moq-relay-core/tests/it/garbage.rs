//! Bytes that make no sense, on every kind of stream.

use std::time::Duration;

use moq_relay_core::memory::Session;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::{
    AnnouncePlease, Fetch, GroupHeader, Info, InfoPlease, Priority, SubscribeGap, SubscribeUpdate,
};
use moq_transfork::stream::SubscribeWriter;
use moq_transfork::wt::{SendStream as _, Session as _};
use moq_transfork::{Code, Filter};
use tokio::time::{sleep, timeout};

use crate::dice::{Dice, assert_no_panic, watch_for_panics};
use crate::raw::{Raw, said, subscribe};
use crate::world::{
    Client, INSTANT, Seen, World, groups, path, published, read_all, settle, write_groups,
};

/// What a peer may say first on a stream of its own, with the type.
fn sayings(dialect: Dialect, id: u64) -> Vec<Vec<u8>> {
    let mut fetch = vec![3];
    fetch.extend(said(
        &InfoPlease {
            path: path("clock"),
        },
        dialect,
    ));
    let mut all = vec![fetch];
    for (kind, body) in [
        (
            1,
            said(
                &AnnouncePlease {
                    filter: Filter::any(),
                },
                dialect,
            ),
        ),
        (2, said(&subscribe(id, "clock"), dialect)),
        (
            4,
            said(
                &InfoPlease {
                    path: path("clock"),
                },
                dialect,
            ),
        ),
    ] {
        let mut bytes = vec![kind];
        bytes.extend(body);
        all.push(bytes);
    }
    if dialect != Dialect::Fork04s {
        let message = Fetch {
            path: path("clock"),
            priority: Priority::NEUTRAL,
            group: 0,
            frame: 0,
        };
        let mut bytes = vec![3];
        bytes.extend(said(&message, dialect));
        all.push(bytes);
    }
    let mut update = vec![2];
    update.extend(said(&subscribe(id + 1, "clock"), dialect));
    update.extend(said(&SubscribeUpdate::default(), dialect));
    all.push(update);
    let header = GroupHeader {
        subscribe: 0,
        sequence: id,
    };
    let mut group = vec![0];
    group.extend(said(&header, dialect));
    group.extend_from_slice(b"\x03abc");
    all.push(group);
    all
}

/// A publisher and a subscriber that behave, and have to notice nothing.
async fn bystanders(world: &mut World) -> (Client, Client) {
    let publisher = world.client(Dialect::Fork02).await;
    let subscriber = world.client(Dialect::Draft03).await;
    (publisher, subscriber)
}

#[tokio::test(start_paused = true)]
async fn garbage_on_any_stream_harms_nobody_else() {
    watch_for_panics();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut world = World::new();
    let (publisher, subscriber) = bystanders(&mut world).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let mut reader = subscriber.subscribe("clock");
    for round in 0..150 {
        let raw = Raw::connect(&mut world, Dialect::ALL[round as usize % 4]).await;
        let mut open = Vec::new();
        for i in 0..30 {
            let Some(stream) = say_anything(&raw, &mut dice, 2 * i).await else {
                break;
            };
            open.push(stream);
        }
        settle().await;
        // Its answers to the relay's own requests are no better.
        while let Ok(Ok((mut send, _recv))) = timeout(INSTANT, raw.transport.accept_bi()).await {
            let _closed = send.write_all(&dice.bytes(60)).await;
        }
        settle().await;
        write_groups(&track, [round]);
        assert_eq!(read_all(&mut reader).await, groups([round]));
        match dice.roll(3) {
            0 => raw.transport.close(dice.roll(100) as u32, "enough"),
            1 => raw.transport.cut(),
            _ => {}
        }
    }
    assert_no_panic();
}

/// Opens a stream that says something, or nothing, or half of it. Nothing is returned if the
/// session is over.
async fn say_anything(raw: &Raw, dice: &mut Dice, id: u64) -> Option<impl Sized + use<>> {
    let sayings = sayings(raw.dialect, id);
    let saying = sayings[dice.roll(sayings.len())].clone();
    let mut bytes = match dice.roll(5) {
        0 => dice.bytes(40),
        1 => saying,
        _ => dice.spoil(saying),
    };
    let uni = dice.roll(3) == 0;
    // Most types are ones that exist, so that not each session ends at once.
    let spare = uni || dice.roll(20) > 0;
    if let Some(first) = bytes.first_mut().filter(|_| spare) {
        *first = if uni { 0 } else { 1 + *first % 4 };
    }
    let (mut send, recv) = if uni {
        (raw.transport.open_uni().await.ok()?, None)
    } else {
        let (send, recv) = raw.transport.open_bi().await.ok()?;
        (send, Some(recv))
    };
    let size = 1 + dice.roll(10);
    for part in bytes.chunks(size) {
        let _closed = send.write_all(part).await;
    }
    match dice.roll(4) {
        0 => send.reset(3),
        1 => drop(send.finish()),
        _ => {}
    }
    Some((send, recv))
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_says_anything_harms_only_its_own_tracks() {
    watch_for_panics();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut world = World::new();
    let (publisher, subscriber) = bystanders(&mut world).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let mut reader = subscriber.subscribe("clock");
    for round in 0..100 {
        let dialect = Dialect::ALL[round as usize % 4];
        let name = format!("wild/{round}");
        let (wild, _told) = Raw::publisher(&mut world, dialect, &[&name]).await;
        let mut victim = subscriber.subscribe(&name);
        let upstream = wild.subscribed().await;
        let id = upstream.subscribe.id;
        let mut writer = upstream.writer;
        if dice.roll(3) > 0 {
            let latest = dice.roll(5) as u64;
            let info = Info {
                latest,
                ..Info::default()
            };
            writer.info(&info).await.expect("open");
        }
        for _ in 0..20 {
            serve_anything(&wild, &mut writer, &mut dice, id).await;
        }
        match dice.roll(3) {
            0 => drop(writer.finish()),
            1 => writer.abort(Code(9)),
            _ => {}
        }
        wild.transport.close(0, "");
        // It ends, whichever way, and nothing comes twice.
        sleep(Duration::from_secs(30)).await;
        let seen = read_all(&mut victim).await;
        assert!(
            matches!(seen.last(), Some(Seen::End | Seen::Failed(_))),
            "{round}: {seen:?}"
        );
        write_groups(&track, [round]);
        assert_eq!(read_all(&mut reader).await, groups([round]), "{round}");
    }
    assert_no_panic();
}

/// A gap, a group of garbage, a good group, or a pause.
async fn serve_anything(
    wild: &Raw,
    writer: &mut SubscribeWriter<Session>,
    dice: &mut Dice,
    id: u64,
) {
    let sequence = dice.roll(20) as u64;
    match dice.roll(4) {
        0 => {
            let gap = SubscribeGap {
                start: sequence,
                count: dice.roll(10) as u64,
                code: Code(dice.roll(100) as u32),
            };
            let _refused = writer.gap(&gap).await;
        }
        1 => {
            let mut group = wild.begin_group(id, sequence, &dice.bytes(50)).await;
            match dice.roll(3) {
                0 => group.reset(1),
                _ => drop(group.finish()),
            }
        }
        2 => wild.send(id, sequence).await,
        _ => settle().await,
    }
}
