//! Whom the load is put on.

use std::str::FromStr;

use anyhow::{Context as _, ensure};

use super::shape::{Floor, Shape};

/// Who carries the load.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    /// Quinn without a protocol: the floor. A stream a frame, or a stream a group.
    Bare(Streams),
    /// This relay.
    Ours,
    /// The published relay 0.6.15.
    Seed,
    /// One that runs already.
    Running(Running),
}

/// What bare quinn opens a stream for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Streams {
    Frame,
    Group,
}

/// A relay that somebody else has started: `NAME=URL,PID[,DIALECT]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Running {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) pid: u32,
    pub(super) dialect: String,
}

impl Target {
    /// What it is called in results.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Bare(Streams::Frame) => "bare",
            Self::Bare(Streams::Group) => "bare-group",
            Self::Ours => "ours",
            Self::Seed => "seed",
            Self::Running(running) => &running.name,
        }
    }

    /// Whether it can carry this load.
    pub(super) fn takes(&self, shape: &Shape) -> bool {
        match self {
            Self::Bare(Streams::Frame) => shape.floor != Floor::None,
            Self::Bare(Streams::Group) => shape.floor == Floor::Groups,
            Self::Running(_) => shape.delay == 0,
            Self::Ours | Self::Seed => true,
        }
    }
}

/// The targets in the order of their turns in a run: forth and back, so that none is always first.
pub(super) fn turns(targets: &[Target], run: u32) -> Vec<&Target> {
    let mut turns: Vec<&Target> = targets.iter().collect();
    if run % 2 == 1 {
        turns.reverse();
    }
    turns
}

impl FromStr for Running {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let usage = "write NAME=URL,PID or NAME=URL,PID,DIALECT";
        let (name, rest) = text.split_once('=').context(usage)?;
        let mut parts = rest.split(',');
        let (url, pid) = parts.next().zip(parts.next()).context(usage)?;
        let dialect = parts.next().unwrap_or("draft03");
        ensure!(parts.next().is_none() && !name.is_empty(), usage);
        Ok(Self {
            name: name.to_owned(),
            url: url.to_owned(),
            pid: pid.parse().context(usage)?,
            dialect: dialect.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_relay_is_given_by_name_url_and_process() {
        let running: Running = "new=https://localhost:4443,17".parse().unwrap();
        assert_eq!((running.name.as_str(), running.pid), ("new", 17));
        assert_eq!(running.url, "https://localhost:4443");
        let old: Running = "old=moqf://127.0.0.1:1,2,fork04".parse().unwrap();
        assert_eq!(old.dialect, "fork04");
        for text in ["", "x", "x=y", "x=y,z", "=y,1", "x=y,1,fork02,4"] {
            assert!(text.parse::<Running>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_target_is_first_as_often_as_last() {
        let targets = [Target::Ours, Target::Seed];
        let order = |run| turns(&targets, run)[0].name().to_owned();
        assert_eq!([order(0), order(1), order(2)], ["ours", "seed", "ours"]);
    }
}
