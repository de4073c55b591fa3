//! What is held in memory, and who gives way when it is too much.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use moq_relay_core::error::Error;
use moq_relay_core::model::cache::{Cache, CacheLimits};
use moq_relay_core::model::group::{GroupConsumer, GroupProducer};
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::TrackProducer;

use crate::world::path;

const KB: usize = 1024;

fn cache(max: usize, min_track: usize) -> Cache {
    let mut limits = CacheLimits::default();
    limits.max_bytes = max as u64;
    limits.min_track_bytes = min_track as u64;
    Cache::new(limits)
}

fn track(cache: &Cache, name: &str) -> TrackProducer {
    TrackProducer::new(path(name), cache, Duration::from_secs(10))
}

fn open(track: &TrackProducer, size: usize) -> (GroupProducer, GroupConsumer) {
    let mut group = track.append_group().expect("there is room");
    group.write_frame(vec![1; size]).expect("there is room");
    let reader = group.consume();
    (group, reader)
}

fn finished(track: &TrackProducer, size: usize) -> GroupConsumer {
    let (group, reader) = open(track, size);
    group.finish().expect("it is whole");
    reader
}

fn is_whole(group: &GroupConsumer, size: usize) -> bool {
    let mut group = group.clone();
    match group.next_frame().now_or_never() {
        Some(Ok(Some(frame))) => frame.len() == size,
        Some(Err(Error::Evicted)) => false,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_grows_without_end_gives_way_before_tracks_that_need_little() {
    let cache = cache(4096 * KB, 512 * KB);
    let modest: Vec<_> = (0..5)
        .map(|i| track(&cache, &format!("modest/{i}")))
        .collect();
    let kept: Vec<_> = modest.iter().map(|track| open(track, 100 * KB)).collect();
    let greedy = track(&cache, "greedy");
    let (mut endless, _) = open(&greedy, KB);
    let mut written = 0;
    let end = loop {
        match endless.write_frame(vec![2; 10 * KB]) {
            Ok(()) => written += 10 * KB,
            Err(error) => break error,
        }
    };
    assert_eq!(end, Error::Evicted);
    assert!(
        written > 3000 * KB,
        "{written} is less than what the others left"
    );
    for (_, reader) in &kept {
        assert!(is_whole(reader, 100 * KB));
    }
    assert!(cache.used() < 1000 * KB as u64, "it has given back all");
}

#[tokio::test(start_paused = true)]
async fn the_oldest_goes_first_and_each_track_keeps_its_least() {
    let cache = cache(1000 * KB, 100 * KB);
    let small = track(&cache, "small");
    let its_own: Vec<_> = (0..9).map(|_| finished(&small, 10 * KB)).collect();
    let large = track(&cache, "large");
    let mut theirs = Vec::new();
    for _ in 0..30 {
        theirs.push(finished(&large, 50 * KB));
        assert!(cache.used() <= 1000 * KB as u64);
    }
    assert!(
        its_own.iter().all(|group| is_whole(group, 10 * KB)),
        "it holds less than its least"
    );
    let whole: Vec<_> = theirs
        .iter()
        .map(|group| is_whole(group, 50 * KB))
        .collect();
    let first_kept = whole.iter().position(|whole| *whole).expect("the newest");
    assert!(whole[first_kept..].iter().all(|whole| *whole), "{whole:?}");
    assert!(
        (13..16).contains(&first_kept),
        "{first_kept}: as many as fit are kept"
    );
}

#[tokio::test(start_paused = true)]
async fn what_can_never_fit_costs_nobody_anything() {
    let cache = cache(1000 * KB, 0);
    let modest = track(&cache, "modest");
    let kept = finished(&modest, 500 * KB);
    let greedy = track(&cache, "greedy");
    let mut group = greedy.append_group().expect("there is room");
    assert_eq!(group.write_frame(vec![0; 1001 * KB]), Err(Error::Evicted));
    assert!(is_whole(&kept, 500 * KB));
}

#[tokio::test(start_paused = true)]
async fn small_frames_count_with_all_they_cost() {
    let cache = cache(1000 * KB, 0);
    let track = track(&cache, "small");
    let mut frames = 0_u64;
    let mut group = track.append_group().expect("there is room");
    while group.write_frame(vec![1; 1]).is_ok() {
        frames += 1;
    }
    // A frame of one byte is two on the wire, and 16 more in the index.
    assert!((35_000..45_000).contains(&frames), "{frames} frames fit");
    drop(group);
    let mut groups = Vec::new();
    for _ in 0..5000 {
        groups.extend(track.append_group());
        assert!(cache.used() <= 1000 * KB as u64);
    }
    drop((groups, track));
    assert_eq!(cache.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cut_group_gives_its_memory_back_at_once() {
    let cache = cache(1000 * KB, 0);
    let track = track(&cache, "cut");
    let (group, reader) = open(&track, 500 * KB);
    assert!(cache.used() > 500 * KB as u64);
    group.abort(Error::Timeout);
    assert_eq!(cache.used(), 0, "though it has a reader");
    drop(reader);
    let (dropped, _reader) = open(&track, 500 * KB);
    drop(dropped);
    assert_eq!(cache.used(), 0);
}

/// Not on a paused clock: threads of their own write, read and give way.
#[test]
fn the_budget_holds_whoever_writes_at_the_same_time() {
    let cache = cache(300 * KB, 20 * KB);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4_usize)
            .map(|i| {
                let cache = &cache;
                scope.spawn(move || write_much(cache, i))
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let used = cache.used();
                assert!(used <= 300 * KB as u64, "{used} bytes");
                std::thread::yield_now();
            }
        });
        let whole: usize = writers
            .into_iter()
            .map(|writer| writer.join().expect("no panic"))
            .sum();
        done.store(true, Ordering::Relaxed);
        assert!(whole > 1000, "{whole} groups came through");
    });
    assert_eq!(cache.used(), 0);
}

/// Writes and reads groups, and returns how many came whole.
fn write_much(cache: &Cache, seed: usize) -> usize {
    let track = track(cache, &format!("track/{seed}"));
    let mut reader = track.consume(Subscription::default()).expect("live");
    let mut whole = 0;
    for i in 0..1000 {
        let size = (i * 7919 + seed * 104_729) % (20 * KB);
        let Ok(mut group) = track.append_group() else {
            continue;
        };
        if group.write_frame(vec![seed as u8; size]).is_err() || group.finish().is_err() {
            continue;
        }
        while let Some(Ok(Some(mut group))) = reader.next_group().now_or_never() {
            if let Some(Ok(Some(frame))) = group.next_frame().now_or_never() {
                assert!(frame.iter().all(|byte| *byte == seed as u8));
                whole += 1;
            }
        }
    }
    whole
}
