//! The links that congestion control is judged by, and how figures are printed.

use std::time::Duration;

use crate::figures::Figures;
use crate::net::link::Path;

/// What makes a link out of one that only takes its time.
pub(crate) type Spoil = fn(Path) -> Path;

const QUEUE: Duration = Duration::from_millis(100);

/// Links at 40 ms, all but the last three of which take 2.4 Mbit/s of video.
pub(crate) const LINKS: [(&str, Spoil); 8] = [
    ("clean", |path| path),
    ("1 % loss", |path| path.lossy(0.01)),
    ("3 % loss", |path| path.lossy(0.03)),
    ("10 Mbit/s, 1 % loss", |path| {
        path.limited(10_000_000, QUEUE).lossy(0.01)
    }),
    ("3 Mbit/s", |path| path.limited(3_000_000, QUEUE)),
    ("2.2 Mbit/s", |path| path.limited(2_200_000, QUEUE)),
    ("2 Mbit/s", |path| path.limited(2_000_000, QUEUE)),
    ("1 Mbit/s", |path| path.limited(1_000_000, QUEUE)),
];

/// What the columns of [`row`] are, after the first one, which is the caller's.
pub(crate) fn head(first: &str) -> String {
    format!(
        "| {first} | p50 ms | p99 ms | max ms | in time % | frames % | groups % | dropped % | \
         bytes per byte |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    )
}

/// One line of a table in Markdown.
pub(crate) fn row(name: &str, figures: &Figures) -> String {
    let Figures {
        p50,
        p99,
        max,
        in_time,
        frames,
        groups,
        dropped,
        cost,
    } = figures;
    let [p50, p99, max] = [p50, p99, max].map(Duration::as_millis);
    let [in_time, frames, groups, dropped] =
        [in_time, frames, groups, dropped].map(|share| 100.0 * share);
    format!(
        "| {name} | {p50} | {p99} | {max} | {in_time:.1} | {frames:.1} | {groups:.1} | \
         {dropped:.1} | {cost:.2} |"
    )
}
