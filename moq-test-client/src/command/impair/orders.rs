//! Lines to obey, from the schedule and from stdin.

use std::future::pending;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines, Stdin};
use tokio::time::{Instant, sleep_until};

use crate::command::impair::events::Refused;
use crate::impair::command::Line;
use crate::impair::schedule::Schedule;

/// Whatever is due next.
pub(super) struct Orders<R = Stdin> {
    schedule: Schedule,
    /// The schedule's time zero.
    start: Instant,
    /// `None` after the end of the input.
    lines: Option<Lines<BufReader<R>>>,
}

impl Orders {
    /// Reads the program's stdin.
    pub(super) fn new(schedule: Schedule, start: Instant) -> Self {
        Self::from_reader(tokio::io::stdin(), schedule, start)
    }
}

impl<R: AsyncRead + Unpin> Orders<R> {
    fn from_reader(reader: R, schedule: Schedule, start: Instant) -> Self {
        Self {
            schedule,
            start,
            lines: Some(BufReader::new(reader).lines()),
        }
    }

    /// Returns the next line to obey, or one that nobody understands; waits for ever when there
    /// will be none. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Line, Refused> {
        loop {
            if let Some(line) = self.schedule.pop(self.start.elapsed()) {
                return Ok(line);
            }
            let due = self
                .schedule
                .next()
                .and_then(|at| self.start.checked_add(at));
            let read = tokio::select! {
                biased;
                () = until(due) => continue,
                read = read(&mut self.lines) => read,
            };
            match read {
                Some(text) if text.trim().is_empty() => {}
                Some(text) => return text.parse().map_err(|why| Refused::new(&text, why)),
                None => self.lines = None,
            }
        }
    }
}

/// Reads a line; input that cannot be read has ended.
async fn read<R: AsyncRead + Unpin>(lines: &mut Option<Lines<BufReader<R>>>) -> Option<String> {
    match lines {
        Some(lines) => lines.next_line().await.unwrap_or_default(),
        None => pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_come_at_once_and_the_schedule_in_its_time() {
        let start = Instant::now();
        let schedule = "2s heal; 1s cut".parse().unwrap();
        let mut orders = Orders::from_reader(&b"stats\n\nrebind\n"[..], schedule, start);
        let mut seen = Vec::new();
        for _ in 0..4 {
            let line = orders.next().await.unwrap();
            seen.push((start.elapsed().as_secs(), line.text));
        }
        let expected = [(0, "stats"), (0, "rebind"), (1, "cut"), (2, "heal")];
        assert_eq!(seen, expected.map(|(at, text)| (at, text.to_owned())));

        let wait = timeout(Duration::from_secs(3600), orders.next());
        assert!(wait.await.is_err(), "the end of all orders is no order");
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_means_nothing_is_refused_and_the_next_is_read() {
        let input = &b"fly\x1b[2J\ncut"[..];
        let mut orders = Orders::from_reader(input, Schedule::default(), Instant::now());
        let refused = orders.next().await.unwrap_err().to_string();
        assert!(
            refused.starts_with("refused: fly\\u{1b}[2J: unknown setting"),
            "{refused}"
        );
        assert_eq!(orders.next().await.unwrap().text, "cut");
    }
}
