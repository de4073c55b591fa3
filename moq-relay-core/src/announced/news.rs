//! What a listener was not told yet.

use std::collections::{HashMap, HashSet, VecDeque};

use moq_transfork::path::Path;

use crate::announced::Announcement;

/// Paths that a listener keeps room for though there is no news.
const ROOM: usize = 64;

/// What a listener was not told yet.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Paths with news, in order of the first.
    order: VecDeque<Path>,
    /// Looked up and never gone through, since its order is random.
    paths: HashMap<Path, Change>,
    /// Whether it is to be told that it has heard of everything.
    pub(super) live: bool,
    /// Whether nothing follows.
    pub(super) closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Active,
    Ended,
    EndedThenActive,
}

impl News {
    pub(super) fn active(&mut self, path: &Path) {
        match self.paths.get_mut(path) {
            Some(change) => *change = Change::EndedThenActive,
            None => self.add(path, Change::Active),
        }
    }

    pub(super) fn ended(&mut self, path: &Path) {
        match self.paths.get_mut(path) {
            // The listener never heard of it. Its place in the order is passed over.
            Some(Change::Active) => {
                self.paths.remove(path);
            }
            Some(change) => *change = Change::Ended,
            None => self.add(path, Change::Ended),
        }
    }

    pub(super) fn live(&mut self) {
        self.live = true;
    }

    fn add(&mut self, path: &Path, change: Change) {
        self.paths.insert(path.clone(), change);
        self.order.push_back(path.clone());
        // Places without news gather when paths come and go unheard.
        if self.order.len() > 2 * self.paths.len() + 16 {
            let mut kept = HashSet::new();
            self.order
                .retain(|path| self.paths.contains_key(path) && kept.insert(path.clone()));
        }
    }

    /// Places in the order, with news or without.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.order.len()
    }

    /// Takes the next piece of news.
    pub(super) fn pop(&mut self) -> Option<Announcement> {
        while let Some(path) = self.order.front() {
            match self.paths.get_mut(path) {
                Some(change @ Change::EndedThenActive) => {
                    *change = Change::Active;
                    return Some(Announcement::Ended(path.clone()));
                }
                Some(Change::Active) => {
                    self.paths.remove(path);
                    return self.order.pop_front().map(Announcement::Active);
                }
                Some(Change::Ended) => {
                    self.paths.remove(path);
                    return self.order.pop_front().map(Announcement::Ended);
                }
                None => {
                    self.order.pop_front();
                }
            }
        }
        if self.paths.capacity() > ROOM {
            (self.paths, self.order) = Default::default();
        }
        std::mem::take(&mut self.live).then_some(Announcement::Live)
    }
}
