//! What is asked of the relays.

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
    pub(super) fps: u32,
    pub(super) size: u32,
    pub(super) grouping: u32,
    pub(super) key_frame: u32,
    pub(super) focus: Focus,
    /// Whether it belongs to the quick form.
    pub(super) quick: bool,
}

/// What a shape is there to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Focus {
    /// What a frame costs; at most this many times what it costs bare quinn, if there is a goal.
    Frames(Option<f64>),
    /// What somebody who receives nothing costs.
    Memory,
    /// How soon everybody knows everything.
    Announcements,
}

const FANOUT: Shape = Shape {
    name: "fanout-10k",
    about: "100 subscribers, 10 KiB frames, 30/s, 30 a group",
    publishers: 1,
    broadcasts: 1,
    subscribers: 100,
    subscriptions: 1,
    listeners: 0,
    slow: 0,
    fps: 30,
    size: 10 << 10,
    grouping: 30,
    key_frame: 1,
    focus: Focus::Frames(Some(1.15)),
    quick: true,
};

/// All of them, in the order they are shown.
pub(super) const ALL: [Shape; 10] = [
    FANOUT,
    Shape {
        name: "fanout-1k",
        about: "100 subscribers, 1 KiB frames, 50/s, 50 a group",
        fps: 50,
        size: 1 << 10,
        grouping: 50,
        ..FANOUT
    },
    Shape {
        name: "group-per-frame",
        about: "100 subscribers, 1 KiB frames, 50/s, one a group",
        fps: 50,
        size: 1 << 10,
        grouping: 1,
        focus: Focus::Frames(Some(1.2)),
        ..FANOUT
    },
    Shape {
        name: "fanout-300",
        about: "300 subscribers, 1 KiB frames, 30/s, 30 a group",
        subscribers: 300,
        size: 1 << 10,
        ..FANOUT
    },
    Shape {
        name: "audio",
        about: "100 subscribers, 160-byte frames every 20 ms, 50 a group",
        fps: 50,
        size: 160,
        grouping: 50,
        focus: Focus::Frames(None),
        quick: false,
        ..FANOUT
    },
    Shape {
        name: "video",
        about: "20 subscribers, 8 Mbit/s at 60 frames/s, groups of 2 s with key frames ten times as large",
        subscribers: 20,
        fps: 60,
        size: 15_504,
        grouping: 120,
        key_frame: 10,
        focus: Focus::Frames(None),
        quick: false,
        ..FANOUT
    },
    Shape {
        name: "rooms",
        about: "1,000 rooms, 200 subscribers in ten each, 200 bytes every second, one a group",
        publishers: 50,
        broadcasts: 20,
        subscribers: 200,
        subscriptions: 10,
        fps: 1,
        size: 200,
        grouping: 1,
        focus: Focus::Frames(None),
        quick: false,
        ..FANOUT
    },
    Shape {
        name: "slow",
        about: "as fanout-10k, and one of the 100 reads 50 KiB/s",
        slow: 1,
        focus: Focus::Frames(None),
        quick: false,
        ..FANOUT
    },
    Shape {
        name: "announce",
        about: "32,000 tracks announced to 20 listeners",
        broadcasts: 32_000,
        subscribers: 0,
        listeners: 20,
        fps: 0,
        focus: Focus::Announcements,
        quick: false,
        ..FANOUT
    },
    Shape {
        name: "idle",
        about: "1,000 subscribers of a track without frames",
        subscribers: 1_000,
        fps: 0,
        focus: Focus::Memory,
        quick: false,
        ..FANOUT
    },
];

impl Shape {
    /// The arguments of `moq-test-client bench`.
    pub(super) fn load(&self) -> Vec<String> {
        let number = |name: &str, value: u32| format!("--{name}={value}");
        vec![
            number("publishers", self.publishers),
            number("broadcasts", self.broadcasts),
            number("subscribers", self.subscribers),
            number("subscriptions", self.subscriptions),
            number("listeners", self.listeners),
            number("slow", self.slow),
            "--slow-rate=50K".to_owned(),
            number("fps", self.fps),
            number("frame-size", self.size),
            number("frames-per-group", self.grouping),
            number("key-frame", self.key_frame),
        ]
    }

    /// The mean size of a frame.
    pub(super) fn mean_size(&self) -> u32 {
        self.size * (self.grouping + self.key_frame - 1) / self.grouping
    }

    /// Whether bare quinn has a form of it: one track to all, at one speed.
    pub(super) fn has_floor(&self) -> bool {
        self.publishers * self.broadcasts == 1 && self.slow == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_the_video_has_its_bitrate() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|shape| shape.name).collect();
        assert_eq!(names.len(), ALL.len());
        let video = ALL.iter().find(|shape| shape.name == "video").unwrap();
        let bits = video.mean_size() * video.fps * 8;
        assert!(bits.abs_diff(8_000_000) < 10_000, "{bits}");
    }
}
