//! The shapes that there are.

use super::shape::{Cores, Floor, Focus, Rate, Shape};

const FANOUT: Shape = Shape {
    name: "fanout-10k",
    about: "100 subscribers, 10 KiB frames, 30/s, 30 a group",
    publishers: 1,
    broadcasts: 1,
    subscribers: 100,
    subscriptions: 1,
    listeners: 0,
    slow: 0,
    rounds: 0,
    rate: Rate::Frames(30),
    size: 10 << 10,
    grouping: 30,
    key_frame: 1,
    ramp: 200,
    stay: 0,
    // A second for relay and connections to settle, and one in which system calls are counted.
    warmup: 2000,
    at_most: u64::MAX,
    delay: 0,
    cores: Cores::Apart,
    focus: Focus::Frames(Some(1.15)),
    floor: Floor::Groups,
    beside: None,
    quick: true,
};

const FLOOD: Shape = Shape {
    name: "flood-10k",
    about: "as many 10 KiB frames as 100 subscribers can be sent, 30 a group, 16 under way to each",
    rate: Rate::InFlight(16),
    at_most: 3,
    focus: Focus::Throughput,
    floor: Floor::Frames,
    quick: false,
    ..FANOUT
};

const ANNOUNCE: Shape = Shape {
    name: "announce",
    about: "32,000 tracks announced to 20 listeners",
    broadcasts: 32_000,
    subscribers: 0,
    listeners: 20,
    rate: Rate::Frames(0),
    warmup: 0,
    at_most: 1,
    focus: Focus::Announcements,
    floor: Floor::None,
    quick: false,
    ..FANOUT
};

const IDLE: Shape = Shape {
    name: "idle",
    about: "1,000 subscribers of a track without frames",
    subscribers: 1_000,
    rate: Rate::Frames(0),
    ramp: 1000,
    warmup: 500,
    at_most: 2,
    focus: Focus::Memory,
    floor: Floor::Frames,
    quick: false,
    ..FANOUT
};

/// All of them, in the order they are shown.
pub(super) const ALL: [Shape; 18] = [
    FANOUT,
    Shape {
        name: "slow",
        about: "as fanout-10k, but every second 2.5 s one of the 100 is one that reads 50 KiB/s",
        slow: 1,
        rounds: 10,
        focus: Focus::Frames(None),
        floor: Floor::None,
        quick: false,
        ..FANOUT
    },
    Shape {
        name: "fanout-1k",
        about: "100 subscribers, 1 KiB frames, 50/s, 50 a group",
        rate: Rate::Frames(50),
        size: 1 << 10,
        grouping: 50,
        ..FANOUT
    },
    Shape {
        name: "group-per-frame",
        about: "100 subscribers, 1 KiB frames, 50/s, one a group",
        rate: Rate::Frames(50),
        size: 1 << 10,
        grouping: 1,
        focus: Focus::Frames(Some(1.2)),
        floor: Floor::Frames,
        ..FANOUT
    },
    Shape {
        name: "fanout-300",
        about: "300 subscribers, 1 KiB frames, 30/s, 30 a group",
        subscribers: 300,
        size: 1 << 10,
        ramp: 600,
        floor: Floor::Frames,
        ..FANOUT
    },
    Shape {
        name: "audio",
        about: "100 subscribers, 160-byte frames every 20 ms, 50 a group",
        rate: Rate::Frames(50),
        size: 160,
        grouping: 50,
        focus: Focus::Frames(None),
        floor: Floor::Frames,
        quick: false,
        ..FANOUT
    },
    Shape {
        name: "video",
        about: "20 subscribers, 8 Mbit/s at 60 frames/s, groups of 2 s with key frames ten times as large",
        subscribers: 20,
        rate: Rate::Frames(60),
        size: 15_504,
        grouping: 120,
        key_frame: 10,
        focus: Focus::Frames(None),
        floor: Floor::Frames,
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
        rate: Rate::Frames(1),
        size: 200,
        grouping: 1,
        ramp: 400,
        focus: Focus::Frames(None),
        floor: Floor::None,
        quick: false,
        ..FANOUT
    },
    FLOOD,
    Shape {
        name: "flood-10k-2",
        about: "as flood-10k, relay and load on both processors",
        cores: Cores::Shared,
        floor: Floor::None,
        ..FLOOD
    },
    Shape {
        name: "flood-1k",
        about: "as many 1 KiB frames as 100 subscribers can be sent, 30 a group, 64 under way to each",
        rate: Rate::InFlight(64),
        size: 1 << 10,
        ..FLOOD
    },
    Shape {
        name: "flood-1k-2",
        about: "as flood-1k, relay and load on both processors",
        rate: Rate::InFlight(64),
        size: 1 << 10,
        cores: Cores::Shared,
        floor: Floor::None,
        ..FLOOD
    },
    Shape {
        name: "join",
        about: "300 subscribers come one after the other, 20 ms away each way, to 10 KiB frames at 30/s, \
                30 a group, and stay half a second",
        subscribers: 300,
        // The first has to wait for the publisher too, and who comes meanwhile: 1 in 100.
        ramp: 6000,
        // A frame to 300 would keep relay and proxy busy for 20 ms, and newcomers wait for that.
        stay: 500,
        warmup: 200,
        at_most: 1,
        delay: 20,
        focus: Focus::Join,
        floor: Floor::None,
        quick: false,
        ..FANOUT
    },
    ANNOUNCE,
    Shape {
        name: "announce-4k",
        about: "4,000 tracks announced to 20 listeners: an announcement is to cost no more among many",
        broadcasts: 4_000,
        beside: Some(ANNOUNCE.name),
        ..ANNOUNCE
    },
    Shape {
        name: "announce-1k",
        about: "1,000 tracks announced to 20 listeners, which the published relay can bear too",
        broadcasts: 1_000,
        ..ANNOUNCE
    },
    IDLE,
    Shape {
        name: "connected",
        about: "1,000 connections that have asked for nothing",
        subscriptions: 0,
        ..IDLE
    },
];
