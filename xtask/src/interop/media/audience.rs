//! The subscribers of a film, and what they got of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::timeout;

use super::film::Begin;
use super::groups::{Group, Groups};
use super::{Broadcast, Film, PATIENCE};
use crate::client::{Client, Event};
use crate::interop::stage::Stage;
use crate::process::{Line, Log};

/// How long it may take from when the relay looks for the newest group until that arrives.
const SUBSCRIBING: Duration = Duration::from_millis(500);

/// Subscribers of all tracks of a film and of its catalog, who joined at the same time.
pub(super) struct Audience {
    joined: Joined,
    /// What each printed, by the track's name.
    logs: BTreeMap<String, Arc<Log>>,
    catalog: Arc<Log>,
}

/// When an audience joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    AtTheStart,
    Late,
}

impl Audience {
    /// Subscribes to everything below the path of a broadcast.
    ///
    /// # Errors
    /// Where a subscriber cannot be started.
    pub(super) fn join(
        joined: Joined,
        client: &Client,
        stage: &mut Stage,
        broadcast: &Broadcast,
        film: &Film,
    ) -> anyhow::Result<Self> {
        let mut enter = |path: &str| anyhow::Ok(stage.enter(client.subscribe_events(path))?.log());
        let catalog = enter(&broadcast.catalog())?;
        let mut logs = BTreeMap::new();
        for name in film.tracks.keys() {
            logs.insert(name.clone(), enter(&broadcast.track(name))?);
        }
        Ok(Self {
            joined,
            logs,
            catalog,
        })
    }

    /// Waits for the film's last frames, compares all groups, and counts those that arrived.
    ///
    /// # Errors
    /// Naming the first group that is missing or not the same as in the film.
    pub(super) async fn check(&self, film: &Film, begun: Begin) -> anyhow::Result<usize> {
        self.check_catalog(film).await?;
        let mut count = 0;
        for (name, expected) in &film.tracks {
            let log = self
                .logs
                .get(name)
                .context("a track without a subscriber")?;
            let end = timeout(PATIENCE, log.find(|line| is_last_frame(line, expected))).await;
            let received = Received::of(log, begun)?;
            received
                .compare(expected, self.joined)
                .with_context(|| name.clone())?;
            end.with_context(|| format!("{name} did not end in time"))?;
            count += received.groups.len();
        }
        Ok(count)
    }

    /// The catalog has to name every track.
    async fn check_catalog(&self, film: &Film) -> anyhow::Result<()> {
        let names_all = |line: &Line| {
            let Some(Event::Frame { hex, .. }) = Event::of(line) else {
                return None;
            };
            let catalog = String::from_utf8(hex::decode(hex).ok()?).ok()?;
            film.tracks
                .keys()
                .all(|name| catalog.contains(name.as_str()))
                .then_some(())
        };
        let found = timeout(PATIENCE, self.catalog.find(names_all)).await;
        found
            .context("no catalog with all tracks in time")?
            .context("the catalog's track ended")
    }
}

fn is_last_frame(line: &Line, expected: &Groups) -> Option<()> {
    let Some(Event::Frame { group, frame, .. }) = Event::of(line) else {
        return None;
    };
    let (last, frames) = expected.last_key_value()?;
    (group == *last && frame + 1 == frames.len()).then_some(())
}

/// What one subscriber got.
#[derive(Debug, Default)]
struct Received {
    groups: Groups,
    /// The hashes that the subscriber told of the groups that ended as they should.
    ended: BTreeMap<u64, String>,
}

impl Received {
    fn of(log: &Log, begun: Begin) -> anyhow::Result<Self> {
        let mut received = Self::default();
        for line in log.lines() {
            let Some(event) = Event::of(&line) else {
                continue;
            };
            match event {
                Event::Frame { group, frame, hex } => {
                    let frames = received.groups.entry(group).or_default();
                    ensure!(
                        frame == frames.len(),
                        "frame {frame} of group {group} out of order"
                    );
                    let payload = hex::decode(hex).context("a payload that is no hexadecimal")?;
                    frames.push(begun.until(line.at), &[&payload]);
                }
                Event::Group { group, sha256, end } if end == "clean" => {
                    received.ended.insert(group, sha256);
                }
                Event::Group { .. } | Event::Active { .. } | Event::Ended { .. } => {}
            }
        }
        Ok(received)
    }

    /// From the first group received on, every group has to be there and be the same.
    ///
    /// All but the last have to have ended, too; the last one is open as long as the publisher
    /// waits for more.
    fn compare(&self, expected: &Groups, joined: Joined) -> anyhow::Result<()> {
        let (first, began) = self.groups.first_key_value().context("nothing arrived")?;
        match joined {
            Joined::AtTheStart => ensure!(*first == 0, "the first group was {first}"),
            Joined::Late => check_newest(*first, began.begun, expected)?,
        }
        let numbers: Vec<_> = self.groups.keys().collect();
        let due: Vec<_> = expected
            .keys()
            .skip_while(|number| *number < first)
            .collect();
        ensure!(numbers == due, "groups {numbers:?} of {due:?} arrived");
        for (number, group) in &self.groups {
            same(group, &expected[number]).with_context(|| format!("group {number}"))?;
        }
        for number in &due[..due.len() - 1] {
            let told = self.ended.get(number);
            let told = told.with_context(|| format!("group {number} did not end as it should"))?;
            ensure!(
                *told == expected[number].sha256(),
                "group {number}: another hash was told"
            );
        }
        Ok(())
    }
}

/// A late subscriber has to begin with the group that was the newest when it subscribed.
fn check_newest(first: u64, arrived: Duration, expected: &Groups) -> anyhow::Result<()> {
    let newest = |at: Duration| {
        let begun = expected.iter().filter(|(_, group)| group.begun <= at);
        begun.map(|(number, _)| *number).max().unwrap_or_default()
    };
    let due = newest(arrived.saturating_sub(SUBSCRIBING))..=newest(arrived);
    ensure!(
        due.contains(&first),
        "group {first} arrived first, at {arrived:?}"
    );
    Ok(())
}

fn same(received: &Group, expected: &Group) -> anyhow::Result<()> {
    let (got, due) = (received.len(), expected.len());
    ensure!(got == due, "{got} of {due} frames arrived");
    let differs = received
        .frames()
        .iter()
        .zip(expected.frames())
        .position(|(a, b)| a != b);
    ensure!(
        differs.is_none(),
        "frame {} has another hash",
        differs.unwrap_or_default()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film() -> Groups {
        let mut groups = Groups::new();
        for (number, frame) in [(0, "a"), (0, "b"), (1, "c"), (2, "d")] {
            let due = Duration::from_secs(number);
            groups
                .entry(number)
                .or_default()
                .push(due, &[frame.as_bytes()]);
        }
        groups
    }

    fn arrived(groups: Groups) -> Received {
        let ended = groups
            .iter()
            .map(|(number, group)| (*number, group.sha256()))
            .collect();
        Received { groups, ended }
    }

    #[test]
    fn the_film_from_the_start_or_from_a_group_on_is_right() {
        let late = film().split_off(&1);

        arrived(film())
            .compare(&film(), Joined::AtTheStart)
            .unwrap();
        arrived(late.clone())
            .compare(&film(), Joined::Late)
            .unwrap();
        assert!(arrived(late).compare(&film(), Joined::AtTheStart).is_err());
    }

    #[test]
    fn a_late_subscriber_begins_with_the_group_that_is_the_newest() {
        let late = |first: u64, at: u64| {
            let mut groups = film().split_off(&first);
            groups.entry(first).or_default().begun = Duration::from_millis(at);
            arrived(groups).compare(&film(), Joined::Late)
        };

        late(1, 1_900).unwrap();
        late(1, 2_400).unwrap();
        late(2, 2_400).unwrap();
        assert!(late(1, 2_600).is_err());
        assert!(late(0, 1_900).is_err());
        assert!(late(2, 1_900).is_err());
    }

    #[test]
    fn a_group_that_is_missing_cut_or_different_is_found() {
        let wrong = |change: fn(&mut Received)| {
            let mut received = arrived(film());
            change(&mut received);
            received.compare(&film(), Joined::AtTheStart).is_err()
        };

        assert!(wrong(|received| drop(received.groups.remove(&1))));
        assert!(wrong(|received| drop(received.groups.remove(&2))));
        assert!(wrong(|received| drop(received.ended.remove(&1))));
        assert!(wrong(|received| received
            .groups
            .entry(1)
            .or_default()
            .push(Duration::ZERO, &[b"more"])));
        assert!(wrong(|received| drop(
            received.ended.insert(0, String::new())
        )));
    }

    #[test]
    fn the_last_group_may_still_be_open() {
        let mut received = arrived(film());
        received.ended.remove(&2);

        received.compare(&film(), Joined::AtTheStart).unwrap();
    }
}
