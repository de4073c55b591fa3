//! What relays and clients said, line by line, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use anyhow::ensure;

use crate::client::Event;
use crate::process::Line;

/// The links of a relay that are open, by the other node's name: how many.
pub(super) fn open_links(lines: &[Line]) -> BTreeMap<String, usize> {
    let mut open = BTreeMap::<_, usize>::new();
    for line in lines {
        if let Some(name) = node_after(&line.text, " linked node=").filter(|_| !is_failure(line)) {
            *open.entry(name.to_owned()).or_default() += 1;
        }
        let lost = node_after(&line.text, "link lost node=");
        if let Some(name) = lost.or_else(|| node_after(&line.text, "link closed node=")) {
            let left = open.get(name).copied().unwrap_or_default();
            match left {
                0 | 1 => drop(open.remove(name)),
                _ => drop(open.insert(name.to_owned(), left - 1)),
            }
        }
    }
    open
}

/// How many links were lost, other than closed in good order, since a time.
pub(super) fn links_lost(lines: &[Line], since: SystemTime) -> usize {
    count(lines, since, "link lost node=")
}

/// How many lines since a time contain a text.
pub(super) fn count(lines: &[Line], since: SystemTime, text: &str) -> usize {
    let lines = lines.iter().filter(|line| line.at >= since);
    lines.filter(|line| line.text.contains(text)).count()
}

fn node_after<'a>(text: &'a str, marker: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(marker)?;
    rest.split_whitespace().next()
}

fn is_failure(line: &Line) -> bool {
    line.text.contains("not linked node=")
}

/// News that a follower of announcements got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    Active(String),
    Ended(String),
}

impl News {
    /// Reads a line; `None` where it is no news.
    pub(super) fn of(line: &Line) -> Option<Self> {
        match Event::of(line)? {
            Event::Active { path } => Some(Self::Active(path)),
            Event::Ended { path } => Some(Self::Ended(path)),
            Event::Frame { .. } | Event::Group { .. } => None,
        }
    }
}

/// The paths that are published after all this news.
///
/// # Errors
/// Where a path was announced or unannounced twice in a row.
pub(super) fn published(news: &[News]) -> anyhow::Result<BTreeSet<String>> {
    let mut paths = BTreeSet::new();
    for news in news {
        match news {
            News::Active(path) => ensure!(paths.insert(path.clone()), "{path} announced twice"),
            News::Ended(path) => ensure!(paths.remove(path), "{path} unannounced twice"),
        }
    }
    Ok(paths)
}

/// A group that ended at a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) group: u64,
    /// Whether all of it came.
    pub(super) whole: bool,
    pub(super) at: SystemTime,
}

impl Arrival {
    /// Reads a line; `None` where it is no group's end.
    pub(super) fn of(line: &Line) -> Option<Self> {
        let Event::Group { group, end, .. } = Event::of(line)? else {
            return None;
        };
        Some(Self {
            group,
            whole: end == "clean",
            at: line.at,
        })
    }
}

/// Groups between the first and the last that did not come whole.
pub(super) fn groups_lost(arrivals: &[Arrival]) -> u64 {
    let whole: BTreeSet<_> = arrivals
        .iter()
        .filter(|arrival| arrival.whole)
        .map(|arrival| arrival.group)
        .collect();
    let all = arrivals.iter().map(|arrival| arrival.group);
    let Some((first, last)) = all.clone().min().zip(all.max()) else {
        return 0;
    };
    last - first + 1 - whole.len() as u64
}

/// The longest time without a group's end since a time.
pub(super) fn longest_pause(arrivals: &[Arrival], since: SystemTime) -> Duration {
    let times: Vec<_> = arrivals.iter().map(|arrival| arrival.at).collect();
    let pairs = times.windows(2).filter(|pair| pair[1] >= since);
    let pauses = pairs.map(|pair| pair[1].duration_since(pair[0]).unwrap_or_default());
    pauses.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Origin;

    fn lines(texts: &[&str]) -> Vec<Line> {
        let line = |(index, text): (usize, &&str)| Line {
            origin: Origin::Stderr,
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(index as u64),
            text: (*text).to_owned(),
        };
        texts.iter().enumerate().map(line).collect()
    }

    fn arrival(group: u64, millis: u64) -> Arrival {
        Arrival {
            group,
            whole: true,
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(millis),
        }
    }

    #[test]
    fn links_are_those_made_and_neither_lost_nor_closed() {
        let log = lines(&[
            "INFO root: cluster::links: linked node=root.drill:4443 dialled=true dialect=draft03",
            "INFO cluster::links: linked node=b:1 dialled=false dialect=draft03",
            "INFO cluster::pursuit: not linked node=c:1 error=no answer in time",
            "INFO cluster::links: linked node=b:1 dialled=true dialect=draft03",
            "INFO cluster::links: link closed node=b:1 age=1s",
            "INFO root: cluster::links: link lost node=root.drill:4443 age=2s error=timed out",
        ]);
        assert_eq!(open_links(&log), BTreeMap::from([("b:1".to_owned(), 1)]));
        assert_eq!(links_lost(&log, SystemTime::UNIX_EPOCH), 1);
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(6);
        assert_eq!(links_lost(&log, late), 0);
    }

    #[test]
    fn what_is_published_follows_from_the_news_and_twice_is_an_error() {
        let active = |path: &str| News::Active(path.to_owned());
        let ended = |path: &str| News::Ended(path.to_owned());
        let news = [
            active("x"),
            active("y"),
            ended("x"),
            active("x"),
            ended("y"),
        ];
        assert_eq!(published(&news).unwrap(), BTreeSet::from(["x".to_owned()]));
        assert!(published(&[active("x"), active("x")]).is_err());
        assert!(published(&[active("x"), ended("x"), ended("x")]).is_err());
    }

    #[test]
    fn a_group_that_came_in_part_or_not_at_all_is_lost() {
        let mut arrivals = vec![
            arrival(3, 0),
            arrival(5, 200),
            arrival(4, 300),
            arrival(8, 900),
        ];
        assert_eq!(groups_lost(&arrivals), 2);
        arrivals[1].whole = false;
        assert_eq!(groups_lost(&arrivals), 3);
        assert_eq!(groups_lost(&[]), 0);
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(250);
        assert_eq!(longest_pause(&arrivals, since), Duration::from_millis(600));
        assert_eq!(longest_pause(&arrivals[..1], since), Duration::ZERO);
    }
}
