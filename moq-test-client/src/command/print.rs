//! Frames on stdout.

use std::fmt;
use std::io;

use bytes::Bytes;
use serde::Serialize;

use crate::output::{Format, Output, printable};
use crate::units;

/// How much of a payload a description shows, in characters.
const PREVIEW: usize = 60;

/// What is printed of every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Print {
    /// Where it is, how long it is, and how it begins.
    Describe,
    /// Its bytes, nothing added. As JSON: all of it, as hex digits.
    Raw,
    /// Its bytes and a line feed. As JSON: all of it, as text.
    Lines,
    /// A clock's frames as moq-clock prints them: the group's first frame before each later one.
    Clock,
    /// Nothing.
    None,
}

/// One frame, and where it stands.
pub(super) struct Frame<'a> {
    pub(super) group: u64,
    pub(super) index: u64,
    pub(super) payload: &'a Bytes,
    /// The first frame of the group.
    pub(super) first: &'a Bytes,
}

/// A frame as a line of text or JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename = "frame")]
struct Line {
    group: u64,
    frame: u64,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

impl Print {
    /// Whether groups must be printed one after the other, because nothing in the output tells
    /// which one a frame is of.
    pub(super) fn is_sequential(self) -> bool {
        matches!(self, Self::Raw | Self::Lines)
    }

    /// Writes one frame.
    ///
    /// # Errors
    ///
    /// When nobody reads any more.
    pub(super) fn frame(self, output: &mut Output, frame: &Frame<'_>) -> io::Result<()> {
        match (output.format(), self) {
            (_, Self::None) => Ok(()),
            (Format::Json, _) | (_, Self::Describe) => output.event(&self.line(frame)),
            (Format::Text, Self::Raw) => output.bytes(frame.payload),
            (Format::Text, Self::Lines) => output.bytes(&[&frame.payload[..], b"\n"].concat()),
            (Format::Text, Self::Clock) if frame.index == 0 => Ok(()),
            (Format::Text, Self::Clock) => output.bytes(format!("{}\n", tick(frame)).as_bytes()),
        }
    }

    fn line(self, frame: &Frame<'_>) -> Line {
        let payload = frame.payload;
        let text = match self {
            Self::Lines => Some(String::from_utf8_lossy(payload).into_owned()),
            Self::Clock => Some(tick(frame)),
            Self::Describe | Self::Raw | Self::None => None,
        };
        Line {
            group: frame.group,
            frame: frame.index,
            bytes: payload.len(),
            preview: (self == Self::Describe).then(|| printable(payload, PREVIEW)),
            text,
            hex: (self == Self::Raw).then(|| hex::encode(payload)),
        }
    }
}

/// Joins a second with its minute.
fn tick(frame: &Frame<'_>) -> String {
    let base = if frame.index == 0 {
        String::new()
    } else {
        printable(frame.first, PREVIEW)
    };
    base + &printable(frame.payload, PREVIEW)
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = units::bytes(self.bytes as u64);
        write!(f, "group {} frame {}: {size}", self.group, self.frame)?;
        match &self.preview {
            Some(preview) if !preview.is_empty() => write!(f, ": {preview}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::Captured;

    fn printed(print: Print, format: Format) -> String {
        let captured = Captured::default();
        let mut output = Output::new(format, captured.clone());
        let frames = [Bytes::from("2026-11-22 13:25:"), Bytes::from("42")];
        for (index, payload) in frames.iter().enumerate() {
            let frame = Frame {
                group: 25,
                index: index as u64,
                payload,
                first: &frames[0],
            };
            print.frame(&mut output, &frame).unwrap();
        }
        captured.text()
    }

    #[test]
    fn a_clock_prints_as_moq_clock_does() {
        assert_eq!(printed(Print::Clock, Format::Text), "2026-11-22 13:25:42\n");
    }

    #[test]
    fn raw_frames_are_printed_without_anything_between() {
        assert_eq!(printed(Print::Raw, Format::Text), "2026-11-22 13:25:42");
        assert_eq!(
            printed(Print::Lines, Format::Text),
            "2026-11-22 13:25:\n42\n"
        );
        assert_eq!(printed(Print::None, Format::Text), "");
    }

    #[test]
    fn a_description_tells_place_size_and_beginning() {
        let text = printed(Print::Describe, Format::Text);
        assert_eq!(text.lines().last(), Some("group 25 frame 1: 2 B: 42"));
    }

    #[test]
    fn every_kind_of_print_has_its_json_form() {
        let last = |print| {
            printed(print, Format::Json)
                .lines()
                .last()
                .unwrap()
                .to_owned()
        };
        let head = r#"{"event":"frame","group":25,"frame":1,"bytes":2"#;
        assert_eq!(last(Print::Describe), format!(r#"{head},"preview":"42"}}"#));
        assert_eq!(last(Print::Raw), format!(r#"{head},"hex":"3432"}}"#));
        assert_eq!(last(Print::Lines), format!(r#"{head},"text":"42"}}"#));
        assert_eq!(
            last(Print::Clock),
            format!(r#"{head},"text":"2026-11-22 13:25:42"}}"#)
        );
    }
}
