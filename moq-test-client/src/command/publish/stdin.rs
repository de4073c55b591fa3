//! Whatever comes on stdin.

use std::io;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use moq_relay_core::model::group::GroupProducer;
use moq_relay_core::model::track::TrackProducer;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader, Stdin};
use tokio_util::sync::CancellationToken;

use crate::command::publish::totals::Totals;

/// What of stdin becomes one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Unit {
    /// A line, without its line feed.
    Lines,
    /// What one read returns, at most --frame-size bytes.
    Bytes,
}

/// Cuts a byte stream into frames.
pub(super) struct Input<R = Stdin> {
    reader: BufReader<R>,
    unit: Unit,
    max: usize,
}

impl Input {
    /// Cuts the program's stdin.
    pub(super) fn new(unit: Unit, max: usize) -> Self {
        Self::from_reader(tokio::io::stdin(), unit, max)
    }
}

impl<R: AsyncRead + Unpin> Input<R> {
    fn from_reader(reader: R, unit: Unit, max: usize) -> Self {
        Self {
            reader: BufReader::new(reader),
            unit,
            max: max.max(1),
        }
    }

    /// Returns the next frame; `None` at the end of the input.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self.unit {
            Unit::Lines => {
                let mut line = Vec::new();
                if self.reader.read_until(b'\n', &mut line).await? == 0 {
                    return Ok(None);
                }
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                Ok(Some(line.into()))
            }
            Unit::Bytes => {
                let mut chunk = BytesMut::with_capacity(self.max);
                let read = (&mut self.reader)
                    .take(self.max as u64)
                    .read_buf(&mut chunk)
                    .await?;
                Ok((read > 0).then(|| chunk.freeze()))
            }
        }
    }
}

/// Publishes until the input ends or `stop`; a group ends after `grouping` frames, if not 0.
pub(super) async fn run(
    track: &TrackProducer,
    mut input: Input,
    grouping: u32,
    stop: &CancellationToken,
    totals: &mut Totals,
) -> anyhow::Result<()> {
    let mut open: Option<(GroupProducer, u32)> = None;
    loop {
        let frame = tokio::select! {
            frame = input.next() => frame.context("cannot read stdin")?,
            () = stop.cancelled() => None,
        };
        let Some(frame) = frame else { break };
        let (mut group, frames) = match open.take() {
            Some(open) => open,
            None => {
                totals.group();
                (track.append_group()?, 0)
            }
        };
        let len = frame.len();
        group.write_frame(frame)?;
        totals.frame(track, len);
        if frames + 1 == grouping {
            group.finish()?;
        } else {
            open = Some((group, frames.saturating_add(1)));
        }
    }
    if let Some((group, _frames)) = open {
        group.finish()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn frames(text: &[u8], unit: Unit, max: usize) -> Vec<Bytes> {
        let mut input = Input::from_reader(text, unit, max);
        let mut frames = Vec::new();
        while let Some(frame) = input.next().await.unwrap() {
            frames.push(frame);
        }
        frames
    }

    #[tokio::test]
    async fn every_line_is_a_frame_even_the_empty_and_the_unfinished_one() {
        assert_eq!(
            frames(b"one\n\nthree", Unit::Lines, 1).await,
            ["one", "", "three"]
        );
        assert!(frames(b"", Unit::Lines, 1).await.is_empty());
    }

    #[tokio::test]
    async fn no_byte_is_lost_between_chunks() {
        assert_eq!(
            frames(b"abcdefg", Unit::Bytes, 3).await,
            ["abc", "def", "g"]
        );
        assert_eq!(frames(b"a\nb", Unit::Bytes, 100).await, ["a\nb"]);
    }
}
