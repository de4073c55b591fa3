//! A track and its cache against a naive model: whatever is written, cut, expired or evicted, each
//! reader gets each group of its range exactly once, whole and byte for byte, or is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::FutureExt;
use moq_relay_core::error::Error;
use moq_relay_core::model::cache::{Cache, CacheLimits};
use moq_relay_core::model::consumer::{TrackConsumer, TrackEvent};
use moq_relay_core::model::group::{GroupConsumer, GroupProducer};
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::{Gap, TrackInfo, TrackProducer};
use moq_transfork::code::Code;
use moq_transfork::message::GroupOrder;
use proptest::prelude::*;

use crate::world::path;

const MAX_AGE: Duration = Duration::from_secs(2);
const REORDERING: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
enum Step {
    Create(u64),
    Append,
    /// Writes a frame of a size to one of the open groups.
    Write(usize, usize),
    Finish(usize),
    Abort(usize),
    Skip(u64, u64),
    /// Lets time go by, in milliseconds, and old groups expire.
    Wait(u64),
    Join(Join),
    Leave(usize),
    /// A reader takes all there is, and reads some groups to their ends now, some later.
    Read(usize),
    Narrow(usize, u64, u64),
}

#[derive(Debug, Clone)]
struct Join {
    min: Option<u64>,
    max: Option<u64>,
    ascending: bool,
    expires: u64,
}

fn step() -> impl Strategy<Value = Step> {
    let join = (
        proptest::option::of(0_u64..20),
        proptest::option::weighted(0.3, 0_u64..30),
        any::<bool>(),
        prop_oneof![3 => Just(0_u64), 1 => 1_u64..3000],
    );
    let join = join.prop_map(|(min, max, ascending, expires)| Join {
        min,
        max,
        ascending,
        expires,
    });
    prop_oneof![
        3 => (0_u64..25).prop_map(Step::Create),
        // So far apart that a reader cannot remember every hole.
        2 => (0_u64..200).prop_map(|sequence| Step::Create(3 * sequence)),
        3 => Just(Step::Append),
        6 => (0_usize..8, 0_usize..1200).prop_map(|(group, size)| Step::Write(group, size)),
        4 => (0_usize..8).prop_map(Step::Finish),
        1 => (0_usize..8).prop_map(Step::Abort),
        1 => (0_u64..25, 0_u64..5).prop_map(|(start, count)| Step::Skip(start, count)),
        2 => (0_u64..1500).prop_map(Step::Wait),
        2 => join.prop_map(Step::Join),
        1 => (0_usize..5).prop_map(Step::Leave),
        5 => (0_usize..5).prop_map(Step::Read),
        1 => (0_usize..5, 0_u64..25, 0_u64..40)
            .prop_map(|(reader, min, max)| Step::Narrow(reader, min, max)),
    ]
}

/// What the model knows of one group that was written under a number; there may be several, one
/// after the other, if the first were cut.
#[derive(Debug, Default, Clone)]
struct Written {
    frames: Vec<Vec<u8>>,
    whole: bool,
}

struct Reader {
    track: TrackConsumer,
    /// True if it began wherever the newest group was when it first looked.
    from_latest: bool,
    ascending: bool,
    /// Handed out, and not read to its end yet.
    reading: Vec<GroupConsumer>,
    whole: BTreeSet<u64>,
    cut: BTreeSet<u64>,
    told: BTreeSet<u64>,
    end: Option<Result<(), Error>>,
}

struct Bench {
    cache: Cache,
    track: Option<TrackProducer>,
    open: Vec<(GroupProducer, usize)>,
    written: BTreeMap<u64, Vec<Written>>,
    readers: Vec<Reader>,
    frames: u8,
}

impl Bench {
    fn new(budget: u64, expires: u64) -> Self {
        let mut limits = CacheLimits::default();
        limits.max_bytes = budget;
        limits.min_track_bytes = budget / 4;
        limits.max_age = MAX_AGE;
        let cache = Cache::new(limits);
        let track = TrackProducer::new(path("track"), &cache, REORDERING);
        let info = TrackInfo {
            expires: Duration::from_millis(expires),
            ..TrackInfo::default()
        };
        track.set_info(info, None);
        Self {
            cache,
            track: Some(track),
            open: Vec::new(),
            written: BTreeMap::new(),
            readers: Vec::new(),
            frames: 0,
        }
    }

    async fn take(&mut self, step: Step) {
        let track = self.track.as_ref().expect("the track is live");
        match step {
            Step::Create(sequence) => {
                let created = track.create_group(sequence);
                self.created(created);
            }
            Step::Append => {
                let created = track.append_group();
                self.created(created);
            }
            Step::Write(at, size) => self.write(at, size),
            Step::Finish(at) if at < self.open.len() => {
                let (group, part) = self.open.swap_remove(at);
                let sequence = group.sequence();
                // A group that was given up meanwhile is not made whole by its end.
                let finished = group.finish();
                assert_eq!(finished, Ok(()), "whole frames were written");
                self.part(sequence, part).whole = true;
            }
            Step::Abort(at) if at < self.open.len() => {
                self.open.swap_remove(at).0.abort(Error::Timeout);
            }
            Step::Skip(start, count) => track.skip(Gap {
                groups: start..=start + count,
                code: Code::app(1),
            }),
            Step::Wait(ms) => {
                tokio::time::advance(Duration::from_millis(ms)).await;
                track.expire();
            }
            Step::Join(join) if self.readers.len() < 5 => self.join(&join),
            Step::Leave(at) if at < self.readers.len() => drop(self.readers.swap_remove(at)),
            Step::Read(at) if at < self.readers.len() => {
                self.readers[at].read(&self.written, at % 2 == 0);
            }
            Step::Narrow(at, min, max) if at < self.readers.len() => {
                let reader = &mut self.readers[at].track;
                let mut update = reader.subscription().clone();
                (update.min, update.max) = (Some(min), Some(max));
                reader.update(&update);
            }
            Step::Finish(_) | Step::Abort(_) | Step::Join(_) | Step::Leave(_) => {}
            Step::Read(_) | Step::Narrow(..) => {}
        }
        let (used, max) = (self.cache.used(), self.cache.limits().max_bytes);
        assert!(used <= max, "{used} bytes of {max}");
    }

    fn created(&mut self, created: Result<GroupProducer, Error>) {
        match created {
            Ok(group) => {
                let parts = self.written.entry(group.sequence()).or_default();
                parts.push(Written::default());
                self.open.push((group, parts.len() - 1));
            }
            Err(Error::Duplicate | Error::Evicted) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn write(&mut self, at: usize, size: usize) {
        let Some((group, part)) = self.open.get_mut(at) else {
            return;
        };
        self.frames = self.frames.wrapping_add(1);
        let frame = vec![self.frames; size];
        let (sequence, part) = (group.sequence(), *part);
        match group.write_frame(frame.clone()) {
            Ok(()) => self.part(sequence, part).frames.push(frame),
            Err(Error::Evicted) => drop(self.open.swap_remove(at)),
            Err(error) => panic!("{error}"),
        }
    }

    fn part(&mut self, sequence: u64, part: usize) -> &mut Written {
        &mut self.written.get_mut(&sequence).expect("written")[part]
    }

    fn join(&mut self, join: &Join) {
        let order = if join.ascending {
            GroupOrder::Ascending
        } else {
            GroupOrder::Descending
        };
        let asked = Subscription {
            order,
            expires: Duration::from_millis(join.expires),
            min: join.min,
            max: join.max,
            ..Subscription::default()
        };
        let track = self.track.as_ref().expect("the track is live");
        self.readers.push(Reader {
            track: track.consume(asked).expect("the track is live"),
            from_latest: join.min.is_none(),
            ascending: join.ascending,
            reading: Vec::new(),
            whole: BTreeSet::new(),
            cut: BTreeSet::new(),
            told: BTreeSet::new(),
            end: None,
        });
    }

    /// Ends everything and checks that every reader has settled all of its range.
    fn end(mut self) {
        for (group, part) in std::mem::take(&mut self.open) {
            let sequence = group.sequence();
            group.finish().expect("whole frames were written");
            self.part(sequence, part).whole = true;
        }
        self.track.take().expect("the track is live").finish();
        for reader in &mut self.readers {
            reader.read(&self.written, true);
            assert_eq!(reader.end, Some(Ok(())), "the track has ended well");
            reader.assert_settled(&self.written);
        }
        self.readers.clear();
        assert_eq!(self.cache.used(), 0, "nothing is held when all is gone");
    }
}

impl Reader {
    /// Takes all events there are, and reads what was handed out, at once or partly.
    fn read(&mut self, written: &BTreeMap<u64, Vec<Written>>, to_the_end: bool) {
        let mut last = None;
        while self.end.is_none() {
            let Some(next) = self.track.next().now_or_never() else {
                break;
            };
            match next {
                Ok(Some(TrackEvent::Group(group))) => {
                    let sequence = group.sequence();
                    self.assert_wanted_once(sequence);
                    // Nothing was written meanwhile, so the order is the one asked for.
                    let in_order = last.is_none_or(|last| (last < sequence) == self.ascending);
                    assert!(in_order, "{sequence} after {last:?}");
                    last = Some(sequence);
                    self.reading.push(group);
                }
                Ok(Some(TrackEvent::Gap(gap))) => {
                    for sequence in gap.groups {
                        self.assert_wanted_once(sequence);
                        self.told.insert(sequence);
                    }
                }
                Ok(None) => self.end = Some(Ok(())),
                Err(error) => self.end = Some(Err(error)),
            }
        }
        for group in std::mem::take(&mut self.reading) {
            if !to_the_end && group.sequence() % 2 == 0 {
                self.reading.push(group);
                continue;
            }
            self.read_group(&group, written);
        }
    }

    /// A clone reads each time from the start, so that it does not matter how far it had come.
    fn read_group(&mut self, group: &GroupConsumer, written: &BTreeMap<u64, Vec<Written>>) {
        let sequence = group.sequence();
        let mut frames = Vec::new();
        let mut reader = group.clone();
        loop {
            match reader.next_frame().now_or_never() {
                None => {
                    self.reading.push(group.clone());
                    return;
                }
                Some(Ok(Some(frame))) => frames.push(frame.to_vec()),
                Some(Ok(None)) => break,
                Some(Err(_)) => {
                    self.cut.insert(sequence);
                    return;
                }
            }
        }
        let is_this = |part: &Written| part.whole && part.frames == frames;
        let known = written.get(&sequence).expect("it was written");
        assert!(
            known.iter().any(is_this),
            "group {sequence} is not what was written"
        );
        self.whole.insert(sequence);
    }

    fn assert_wanted_once(&self, sequence: u64) {
        let mut handed_out = self.reading.iter().map(GroupConsumer::sequence);
        let settled = [&self.whole, &self.cut, &self.told];
        assert!(
            !handed_out.any(|other| other == sequence),
            "{sequence} is handed out twice"
        );
        assert!(
            !settled.iter().any(|set| set.contains(&sequence)),
            "{sequence} is settled twice"
        );
        let asked = self.track.subscription();
        assert!(
            asked.min.is_none_or(|min| min <= sequence),
            "{sequence} below {asked:?}"
        );
        assert!(
            asked.max.is_none_or(|max| max >= sequence),
            "{sequence} above {asked:?}"
        );
    }

    fn assert_settled(&self, written: &BTreeMap<u64, Vec<Written>>) {
        assert!(self.reading.is_empty(), "all groups have ended");
        let settled: BTreeSet<_> = [&self.whole, &self.cut, &self.told]
            .into_iter()
            .flatten()
            .copied()
            .collect();
        let asked = self.track.subscription();
        let latest = settled.first().copied().unwrap_or(u64::MAX);
        let first = asked.min.max(Some(latest).filter(|_| self.from_latest));
        for sequence in written.keys().copied() {
            let wanted = first.is_none_or(|first| sequence >= first)
                && asked.max.is_none_or(|max| sequence <= max);
            if wanted {
                assert!(
                    settled.contains(&sequence),
                    "{sequence} is not settled for {asked:?}"
                );
            }
        }
    }
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn each_reader_gets_each_group_once_and_whole_or_is_told(
        budget in prop_oneof![Just(6_000_u64), Just(15_000), Just(u64::MAX / 4)],
        expires in prop_oneof![2 => Just(0_u64), 1 => 1_u64..2500],
        steps in proptest::collection::vec(step(), 1..400),
    ) {
        paused().block_on(async {
            let mut bench = Bench::new(budget, expires);
            for step in steps {
                bench.take(step).await;
            }
            bench.end();
        });
    }

    /// With room and time for everything nothing may be lost.
    #[test]
    fn with_room_for_all_every_finished_group_arrives(
        steps in proptest::collection::vec(step(), 1..120),
        min in 0_u64..10,
    ) {
        let quiet = |step: &Step| !matches!(step, Step::Wait(_) | Step::Abort(_) | Step::Skip(..));
        paused().block_on(async {
            let mut bench = Bench::new(u64::MAX / 4, 0);
            let join = Join { min: Some(min), max: None, ascending: true, expires: 0 };
            bench.join(&join);
            let untouched = |step: &Step| !matches!(
                step,
                Step::Leave(_) | Step::Narrow(..)
            );
            let near = |step: &Step| !matches!(step, Step::Create(sequence) if *sequence >= 25);
            for step in steps.into_iter().filter(quiet).filter(untouched).filter(near) {
                bench.take(step).await;
            }
            let expected: BTreeSet<_> = bench.written.keys().copied().filter(|key| *key >= min).collect();
            let open = std::mem::take(&mut bench.open);
            for (group, part) in open {
                let sequence = group.sequence();
                group.finish().expect("whole");
                bench.part(sequence, part).whole = true;
            }
            let mut reader = bench.readers.swap_remove(0);
            reader.read(&bench.written, true);
            prop_assert_eq!(&reader.whole, &expected);
            prop_assert!(reader.told.is_empty() && reader.cut.is_empty());
            Ok(())
        })?;
    }
}
