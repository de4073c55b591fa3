//! What came of a track so far, group by group.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::check::{Checker, GroupEnd, Report};
use crate::command::print::{Frame, Print};
use crate::output::Output;
use crate::reading::Event;
use crate::units;

/// Counts, prints, hashes and checks what comes.
pub(super) struct Tally {
    print: Print,
    /// Whether groups are hashed.
    hash: bool,
    checker: Option<Checker>,
    open: BTreeMap<u64, OpenGroup>,
    received: Received,
    start: Instant,
}

/// What came in all.
#[derive(Debug, Default, Serialize)]
#[serde(tag = "event", rename = "received")]
pub(super) struct Received {
    /// Groups that ended.
    groups: u64,
    /// Those of them that ended before their end.
    cut: u64,
    /// Groups that had begun and not ended.
    open: u64,
    /// Groups that the relay said will not come.
    gaps: u64,
    frames: u64,
    bytes: u64,
    seconds: f64,
}

/// One group that ended.
#[derive(Serialize)]
#[serde(tag = "event", rename = "group")]
struct Group {
    group: u64,
    frames: u64,
    bytes: u64,
    sha256: String,
    end: GroupEnd,
}

#[derive(Default)]
struct OpenGroup {
    frames: u64,
    bytes: u64,
    first: Bytes,
    hash: Sha256,
}

impl Tally {
    pub(super) fn new(print: Print, hash: bool, check: bool) -> Self {
        Self {
            print,
            hash,
            checker: check.then(Checker::default),
            open: BTreeMap::new(),
            received: Received::default(),
            start: Instant::now(),
        }
    }

    /// Groups that have ended.
    pub(super) fn ended(&self) -> u64 {
        self.received.groups
    }

    /// Frames that have come.
    pub(super) fn frames(&self) -> u64 {
        self.received.frames
    }

    /// Takes one event and writes what there is to write of it.
    pub(super) fn take(&mut self, output: &mut Output, event: Event) -> io::Result<()> {
        match event {
            Event::Begin(group) => {
                self.open.insert(group, OpenGroup::default());
                if let Some(checker) = &mut self.checker {
                    checker.begin(group);
                }
                Ok(())
            }
            Event::Frame { group, payload } => self.frame(output, group, &payload),
            Event::End { group, end } => {
                let end = if end.is_ok() {
                    GroupEnd::Clean
                } else {
                    GroupEnd::Cut
                };
                self.end(output, group, end)
            }
            Event::Gap(gap) => {
                let (first, last) = gap.groups.into_inner();
                self.received.gaps += last.saturating_sub(first).saturating_add(1);
                if let Some(checker) = &mut self.checker {
                    checker.gap(first, last);
                }
                Ok(())
            }
            Event::TrackEnd(_) => Ok(()),
        }
    }

    /// Describes what came so far in one line.
    pub(super) fn line(&mut self) -> String {
        self.received.open = self.open.len() as u64;
        self.received.seconds = self.start.elapsed().as_secs_f64();
        match &self.checker {
            Some(checker) => format!("{}, {} wrong", self.received, checker.so_far().wrong),
            None => self.received.to_string(),
        }
    }

    /// Returns what came in all, and what the check says.
    pub(super) fn finish(mut self) -> (Received, Option<Report>) {
        self.received.open = self.open.len() as u64;
        self.received.seconds = self.start.elapsed().as_secs_f64();
        (self.received, self.checker.map(Checker::finish))
    }

    fn frame(&mut self, output: &mut Output, group: u64, payload: &Bytes) -> io::Result<()> {
        self.received.frames += 1;
        self.received.bytes += payload.len() as u64;
        if let Some(checker) = &mut self.checker {
            checker.frame(group, payload);
        }
        let open = self.open.entry(group).or_default();
        if open.frames == 0 {
            open.first = payload.clone();
        }
        if self.hash {
            open.hash.update(payload);
        }
        let frame = Frame {
            group,
            index: open.frames,
            payload,
            first: &open.first,
        };
        self.print.frame(output, &frame)?;
        open.frames += 1;
        open.bytes += payload.len() as u64;
        Ok(())
    }

    fn end(&mut self, output: &mut Output, group: u64, end: GroupEnd) -> io::Result<()> {
        self.received.groups += 1;
        self.received.cut += u64::from(end == GroupEnd::Cut);
        if let Some(checker) = &mut self.checker {
            checker.end(group, end);
        }
        let Some(OpenGroup {
            frames,
            bytes,
            hash,
            ..
        }) = self.open.remove(&group)
        else {
            return Ok(());
        };
        if !self.hash {
            return Ok(());
        }
        let sha256 = hex::encode(hash.finalize());
        output.event(&Group {
            group,
            frames,
            bytes,
            sha256,
            end,
        })
    }
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = units::bytes(self.bytes);
        let Self {
            groups,
            cut,
            open,
            gaps,
            frames,
            seconds,
            ..
        } = self;
        write!(
            f,
            "received {groups} groups ({cut} cut) and {open} still open, {gaps} given up; \
             {frames} frames, {size} in {seconds:.1} s"
        )
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            group,
            frames,
            bytes,
            sha256,
            ..
        } = self;
        let end = match self.end {
            GroupEnd::Clean => "",
            GroupEnd::Cut => ", cut",
        };
        write!(
            f,
            "group {group}: {frames} frames, {bytes} bytes, sha256 {sha256}{end}"
        )
    }
}
