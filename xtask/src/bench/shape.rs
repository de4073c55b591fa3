//! What is asked of the relays.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a round takes.
const ROUND: Duration = Duration::from_millis(2500);

/// How much of it goes by before it is measured: whoever has come or gone is no news any more.
const SETTLE: Duration = Duration::from_millis(1200);

/// By when everyone is there, with time to spare, where it is measured in rounds. One more round
/// follows, which is not measured.
const COMING: Duration = Duration::from_millis(2500);

/// One load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// In a sentence, for the page.
    pub(super) about: &'static str,
    pub(super) publishers: u32,
    pub(super) broadcasts: u32,
    pub(super) subscribers: u32,
    pub(super) subscriptions: u32,
    pub(super) listeners: u32,
    /// How many subscribers read slowly.
    pub(super) slow: u32,
    /// Measured in so many rounds, to every second of which the slow ones come; 0 is at once.
    pub(super) rounds: u32,
    pub(super) rate: Rate,
    pub(super) size: u32,
    pub(super) grouping: u32,
    pub(super) key_frame: u32,
    /// Milliseconds over which the subscribers come.
    pub(super) ramp: u32,
    /// Milliseconds that each of them stays, from its subscription on; 0 is to the end.
    pub(super) stay: u32,
    /// Milliseconds before it is measured.
    pub(super) warmup: u32,
    /// It is measured for no longer than so many seconds: more would tell nothing new.
    pub(super) at_most: u64,
    /// Milliseconds that the path adds each way.
    pub(super) delay: u32,
    pub(super) cores: Cores,
    pub(super) focus: Focus,
    pub(super) floor: Floor,
    /// The shape whose turns it shares, since the two are compared.
    pub(super) beside: Option<&'static str>,
    /// Whether it belongs to the quick form.
    pub(super) quick: bool,
}

/// When the next frame is published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rate {
    /// So many a second, whatever becomes of them.
    Frames(u32),
    /// As soon as no more than so many of a track are under way.
    InFlight(u32),
}

/// Where relay and load run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cores {
    /// The relay has one processor for itself, and the load another.
    Apart,
    /// Both have both.
    Shared,
}

/// Which forms of it bare quinn has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Floor {
    /// None: it has but one track to all, at one speed, on one processor.
    None,
    /// A stream a frame.
    Frames,
    /// That, and a stream a group.
    Groups,
}

/// What a shape is there to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Focus {
    /// What a frame costs; at most this many times what it costs bare quinn, if there is a goal.
    Frames(Option<f64>),
    /// How many there can be.
    Throughput,
    /// What somebody who receives nothing costs.
    Memory,
    /// How soon everybody knows everything.
    Announcements,
    /// How soon somebody who comes late has a frame.
    Join,
}

impl Shape {
    /// The arguments of `moq-test-client bench`.
    pub(super) fn load(&self) -> Vec<String> {
        let number = |name: &str, value: u32| format!("--{name}={value}");
        let rate = match self.rate {
            Rate::Frames(fps) => number("fps", fps),
            Rate::InFlight(frames) => number("in-flight", frames),
        };
        let mut load = vec![
            number("publishers", self.publishers),
            number("broadcasts", self.broadcasts),
            number("subscribers", self.subscribers),
            number("subscriptions", self.subscriptions),
            number("listeners", self.listeners),
            number("slow", self.slow),
            "--slow-rate=50K".to_owned(),
            rate,
            number("frame-size", self.size),
            number("frames-per-group", self.grouping),
            number("key-frame", self.key_frame),
            format!("--ramp={}ms", self.ramp),
            format!("--warmup={}ms", self.warmup),
        ];
        if self.stay > 0 {
            load.push(format!("--stay={}ms", self.stay));
        }
        if self.rounds > 0 {
            load.extend(self.round_load());
        }
        load
    }

    fn round_load(&self) -> [String; 5] {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let from = now.unwrap_or_default() + COMING + ROUND;
        [
            format!("--rounds={}", self.rounds),
            format!("--rounds-from={}", from.as_millis()),
            format!("--round-time={}ms", ROUND.as_millis()),
            format!("--settle={}ms", SETTLE.as_millis()),
            "--slow-stay=every-second-round".to_owned(),
        ]
    }

    /// How long it takes to be measured, where it is for `seconds` as a rule.
    pub(super) fn lasts(&self, seconds: u64) -> Duration {
        match self.rounds {
            0 => Duration::from_secs(seconds),
            rounds => COMING + ROUND * (rounds + 1),
        }
    }

    /// The arguments of bare quinn's sending side.
    pub(super) fn bare_load(&self, frames_per_stream: u32) -> Vec<String> {
        let rate = match self.rate {
            Rate::Frames(fps) => format!("--fps={fps}"),
            Rate::InFlight(frames) => format!("--in-flight={frames}"),
        };
        vec![
            rate,
            format!("--frame-size={}", self.size),
            format!("--frames-per-stream={frames_per_stream}"),
            format!("--frames-per-group={}", self.grouping),
            format!("--key-frame={}", self.key_frame),
        ]
    }

    /// How many connections there are in all, that of the load itself included, which waits for
    /// the tracks.
    pub(super) fn connections(&self) -> u32 {
        self.publishers + self.subscribers + self.listeners + 1
    }

    /// Whether there are frames at all.
    pub(super) fn has_frames(&self) -> bool {
        self.rate != Rate::Frames(0) && self.subscribers > 0
    }

    /// How many times an announcement is heard, by the listeners and by the load itself, which
    /// waits for all of them.
    pub(super) fn heard(&self) -> u32 {
        self.publishers * self.broadcasts * (self.listeners + 1)
    }

    /// The mean size of a frame.
    #[cfg(test)]
    fn mean_size(&self) -> u32 {
        self.size * (self.grouping + self.key_frame - 1) / self.grouping
    }
}

/// Puts together the shapes that take turns with each other, in the order of the first of each.
pub(super) fn batches(shapes: &[Shape]) -> Vec<Vec<Shape>> {
    let mut batches: Vec<Vec<Shape>> = Vec::new();
    for shape in shapes {
        let beside = |batch: &&mut Vec<Shape>| Some(batch[0].name) == shape.beside;
        match batches.iter_mut().find(beside) {
            Some(batch) => batch.push(*shape),
            None => batches.push(vec![*shape]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::super::shapes::ALL;
    use super::*;

    #[test]
    fn names_are_unique_and_the_video_has_its_bitrate() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|shape| shape.name).collect();
        assert_eq!(names.len(), ALL.len());
        let video = ALL.iter().find(|shape| shape.name == "video").unwrap();
        assert_eq!(video.rate, Rate::Frames(60));
        let bits = video.mean_size() * 60 * 8;
        assert!(bits.abs_diff(8_000_000) < 10_000, "{bits}");
    }

    #[test]
    fn what_is_compared_takes_turns_and_stands_alone_without_the_other() {
        let batch = batches(&ALL);
        let beside = |batch: &&Vec<Shape>| batch.iter().any(|shape| shape.beside.is_some());
        let batch = batch.iter().find(beside).unwrap();
        assert_eq!(batch.len(), 2);
        let alone = batch[1];
        assert_eq!(batches(&[alone]).len(), 1);
    }
}
