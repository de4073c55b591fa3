//! What the parts of the relay cost by themselves: `cargo bench -p moq-relay-core`.

use std::hint::black_box;

use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher};
use futures_util::FutureExt;
use moq_relay_core::announced::Announced;
use moq_relay_core::model::group::GroupConsumer;
use moq_relay_core::model::track::TrackInfo;
use moq_relay_core::source::Source;
use moq_relay_core::tracks::Tracks;
use moq_transfork::coding::Message;
use moq_transfork::dialect::Dialect;
use moq_transfork::frame::{FrameScanner, frame};
use moq_transfork::message::{Announce, GroupHeader, Subscribe};
use moq_transfork::path::Path;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// Frames that are appended and read in one turn.
const FRAMES: usize = 30;

/// Paths that are announced in one turn, and to how many.
const PATHS: usize = 10_000;
const LISTENERS: usize = 100;

fn main() {
    divan::main();
}

fn path(number: usize) -> Path {
    format!("demo/room/{number}")
        .parse()
        .expect("a path of three parts")
}

fn subscribe() -> Subscribe {
    Subscribe {
        id: 1000,
        path: path(1),
        priority: Default::default(),
        order: Default::default(),
        expires: Default::default(),
        min: None,
        max: None,
    }
}

/// Decodes the messages of which a relay sees the most.
#[divan::bench(args = Dialect::ALL)]
fn decode(bencher: Bencher<'_, '_>, dialect: Dialect) {
    let header = GroupHeader {
        subscribe: 1000,
        sequence: 100_000,
    };
    let bytes = |message: Result<Bytes, _>| message.expect("every dialect can say it");
    let subscribe = bytes(subscribe().to_bytes(dialect));
    let announce = bytes(Announce::Active(path(1)).to_bytes(dialect));
    let header = bytes(header.to_bytes(dialect));
    bencher.counter(ItemsCount::new(3usize)).bench(|| {
        let subscribe = Subscribe::decode_slice(black_box(&subscribe), dialect);
        let announce = Announce::decode_slice(black_box(&announce), dialect);
        let header = GroupHeader::decode_slice(black_box(&header), dialect);
        (subscribe.is_ok(), announce.is_ok(), header.is_ok())
    });
}

/// Encodes them.
#[divan::bench(args = Dialect::ALL)]
fn encode(bencher: Bencher<'_, '_>, dialect: Dialect) {
    let header = GroupHeader {
        subscribe: 1000,
        sequence: 100_000,
    };
    let (subscribe, announce) = (subscribe(), Announce::Active(path(1)));
    bencher.counter(ItemsCount::new(3usize)).bench(|| {
        let subscribe = black_box(&subscribe).to_bytes(dialect);
        let announce = black_box(&announce).to_bytes(dialect);
        let header = black_box(&header).to_bytes(dialect);
        (subscribe, announce, header)
    });
}

/// Finds the frames in a group's bytes, in pieces as they come from the network.
#[divan::bench(args = [100, 1_000, 10_000])]
fn scan_frames(bencher: Bencher<'_, '_>, size: usize) {
    let one = frame(&vec![7; size]).expect("a small frame");
    let wire: Vec<u8> = one.repeat(FRAMES);
    bencher.counter(BytesCount::of_slice(&wire)).bench(|| {
        let (mut scanner, mut frames) = (FrameScanner::new(), 0);
        for piece in wire.chunks(1400) {
            let scanned = scanner.scan(black_box(piece), |_end| frames += 1);
            assert!(scanned.is_ok());
        }
        frames
    });
}

/// Appends the frames of a group, each of which every reader takes at once.
#[divan::bench(args = [1, 100, 10_000])]
fn append_and_read(bencher: Bencher<'_, '_>, readers: usize) {
    let payload = Bytes::from(vec![7; 1024]);
    let tracks = Tracks::default();
    let track = tracks
        .create(path(0), TrackInfo::default())
        .expect("a new track");
    bencher
        .counter(ItemsCount::new(FRAMES * readers))
        .with_inputs(|| {
            let group = track.append_group().expect("the cache has room");
            let readers: Vec<GroupConsumer> = (0..readers).map(|_| group.consume()).collect();
            (group, readers)
        })
        .bench_local_values(|(mut group, mut readers)| {
            for _ in 0..FRAMES {
                group
                    .write_frame(payload.clone())
                    .expect("the cache has room");
                for reader in &mut readers {
                    let read = reader.read_wire().now_or_never();
                    assert!(black_box(read).is_some());
                }
            }
            group.finish().expect("it was open");
        });
}

/// Announces paths to listeners, each of which hears of all.
#[divan::bench(sample_count = 10)]
fn announce(bencher: Bencher<'_, '_>) {
    let paths: Vec<Path> = (0..PATHS).map(path).collect();
    bencher
        .counter(ItemsCount::new(PATHS * LISTENERS))
        .with_inputs(|| {
            let tracks = Tracks::default();
            let listeners = (0..LISTENERS).map(|_| tracks.announced(&Path::default()));
            let listeners: Vec<Announced> = listeners.collect();
            (tracks, listeners)
        })
        .bench_local_values(|(tracks, mut listeners)| {
            let create = |path: &Path| tracks.create(path.clone(), TrackInfo::default());
            let published: Vec<_> = paths.iter().map(create).collect();
            let mut heard = 0;
            for listener in &mut listeners {
                heard += std::iter::from_fn(|| listener.try_next()).count();
            }
            assert!(heard >= PATHS * LISTENERS, "{heard}");
            published
        });
}
