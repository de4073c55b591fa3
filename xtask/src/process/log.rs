//! What a process printed, line by line, to be searched, waited for and shown.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::sync::watch;

/// How many lines of a process are kept; the oldest go first.
const KEPT: usize = 50_000;

/// Is told of each line as it arrives.
pub(crate) type Teller = Box<dyn Fn(&Line) + Send + Sync>;

/// Where a line was printed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Stdout,
    Stderr,
}

/// One line that a process printed.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Where to.
    pub(crate) origin: Origin,
    /// When it was read.
    pub(crate) at: SystemTime,
    /// Without its line ending; what was no UTF-8 is replaced.
    pub(crate) text: String,
}

/// The lines of one process, in the order they were read.
pub(crate) struct Log {
    kept: Mutex<Kept>,
    teller: Option<Teller>,
    /// How many of its streams are open; marked as changed with each line.
    open: watch::Sender<usize>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<Line>,
    /// How many lines went before the first of `lines`.
    gone: usize,
}

impl Log {
    pub(super) fn new(teller: Option<Teller>) -> Self {
        Self {
            kept: Mutex::default(),
            teller,
            open: watch::Sender::new(0),
        }
    }

    /// Waits for the first line, from the very first on, of which `pick` makes something.
    ///
    /// `None` once the process has closed its streams without such a line.
    pub(crate) async fn find<T>(&self, mut pick: impl FnMut(&Line) -> Option<T>) -> Option<T> {
        let mut changed = self.open.subscribe();
        let mut next = 0;
        loop {
            let open = *changed.borrow_and_update();
            if let Some(found) = self.scan(&mut next, &mut pick) {
                return Some(found);
            }
            if open == 0 {
                return None;
            }
            changed.changed().await.ok()?;
        }
    }

    /// The lines printed to stdout so far.
    pub(crate) fn stdout(&self) -> Vec<String> {
        self.lines().into_iter().map(|line| line.text).collect()
    }

    /// The lines printed to stdout so far, with the time of each.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let kept = self.lock();
        kept.lines
            .iter()
            .filter(|line| line.origin == Origin::Stdout)
            .cloned()
            .collect()
    }

    /// The lines of both streams so far, with the time of each.
    pub(crate) fn all(&self) -> Vec<Line> {
        self.lock().lines.iter().cloned().collect()
    }

    /// Tells whether any line, of either stream, contains `text`.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.lock()
            .lines
            .iter()
            .any(|line| line.text.contains(text))
    }

    /// The last lines of both streams.
    pub(crate) fn tail(&self, count: usize) -> Vec<String> {
        let kept = self.lock();
        let skip = kept.lines.len().saturating_sub(count);
        kept.lines
            .iter()
            .skip(skip)
            .map(|line| line.text.clone())
            .collect()
    }

    pub(super) fn open(self: &Arc<Self>) -> OpenLog {
        self.open.send_modify(|open| *open += 1);
        OpenLog {
            log: Arc::clone(self),
        }
    }

    fn scan<T>(&self, next: &mut usize, pick: &mut impl FnMut(&Line) -> Option<T>) -> Option<T> {
        let kept = self.lock();
        let skip = next.saturating_sub(kept.gone);
        *next = kept.gone + kept.lines.len();
        kept.lines.iter().skip(skip).find_map(pick)
    }

    fn push(&self, line: Line) {
        if let Some(teller) = &self.teller {
            teller(&line);
        }
        {
            let mut kept = self.lock();
            if kept.lines.len() == KEPT {
                kept.lines.pop_front();
                kept.gone += 1;
            }
            kept.lines.push_back(line);
        }
        self.open.send_modify(|_| {});
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream of a process, counted as open until dropped.
pub(super) struct OpenLog {
    log: Arc<Log>,
}

impl OpenLog {
    /// Reads a stream to its end.
    pub(super) async fn read(self, origin: Origin, stream: impl AsyncRead + Unpin) {
        let mut stream = BufReader::new(stream);
        let mut bytes = Vec::new();
        // An unreadable pipe is an ended one.
        while stream
            .read_until(b'\n', &mut bytes)
            .await
            .is_ok_and(|read| read > 0)
        {
            let text = String::from_utf8_lossy(&bytes)
                .trim_end_matches(['\r', '\n'])
                .to_owned();
            self.log.push(Line {
                origin,
                at: SystemTime::now(),
                text,
            });
            bytes.clear();
        }
    }
}

impl Drop for OpenLog {
    fn drop(&mut self) {
        self.log.open.send_modify(|open| *open -= 1);
    }
}
