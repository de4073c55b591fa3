//! Everything this program says on stdout, and its progress line on stderr.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line, each with an `event` member.
    Json,
}

/// Where results go.
///
/// Each write is flushed: a reader at the other end of a pipe sees a result when it happens.
pub struct Output {
    format: Format,
    out: Box<dyn Write + Send>,
}

impl Output {
    /// Writes to the program's stdout.
    #[must_use]
    pub fn stdout(format: Format) -> Self {
        Self::new(format, io::stdout())
    }

    /// Writes to `out`.
    pub fn new(format: Format, out: impl Write + Send + 'static) -> Self {
        Self {
            format,
            out: Box::new(out),
        }
    }

    /// Returns the format results are written in.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Writes one result: its text, or its JSON.
    ///
    /// # Errors
    ///
    /// When nobody reads any more.
    pub fn event(&mut self, event: &(impl Serialize + Display)) -> io::Result<()> {
        let mut line = match self.format {
            Format::Text => event.to_string().into_bytes(),
            Format::Json => serde_json::to_vec(event)?,
        };
        line.push(b'\n');
        self.bytes(&line)
    }

    /// Writes one result beside a flow of payload on stdout: its text to stderr, its JSON among
    /// the other events.
    ///
    /// # Errors
    ///
    /// When nobody reads any more.
    pub fn aside(&mut self, event: &(impl Serialize + Display)) -> io::Result<()> {
        match self.format {
            Format::Text => writeln!(io::stderr(), "{event}"),
            Format::Json => self.event(event),
        }
    }

    /// Writes bytes as they are, in either format.
    ///
    /// # Errors
    ///
    /// When nobody reads any more.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }
}

/// A line on stderr that changes in place; invisible unless stderr is a terminal.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Starts the line. It stays hidden if results go to the same terminal, which would tear both.
    #[must_use]
    pub fn new(results: Results) -> Self {
        let visible = match results {
            Results::Stream => !io::stdout().is_terminal(),
            Results::Few => true,
        };
        let target = if visible {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// Replaces the text. Cheap enough to call a few times a second.
    pub fn set(&self, message: String) {
        self.bar.set_message(message);
        self.bar.tick();
    }

    /// Hides the line while `write` writes to the same terminal.
    pub fn pause<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// What a command writes to stdout while its progress line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Results {
    /// A flow of lines or bytes.
    Stream,
    /// A line now and then, written inside [`Progress::pause`].
    Few,
}

/// Says on stderr what went wrong.
pub fn complain(text: &str) {
    if writeln!(io::stderr(), "error: {text}").is_err() {
        tracing::debug!("nobody reads stderr");
    }
}

/// Makes what a peer sent fit for one line on a terminal: control characters escaped, the length
/// cut at `max` characters.
#[must_use]
pub fn printable(bytes: &[u8], max: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut line = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == max {
            line.push('…');
            break;
        }
        if c.is_control() {
            line.extend(c.escape_default())
        } else {
            line.push(c)
        }
    }
    line
}

/// What stands around tests of everything that writes results.
#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A stdout that can be read back.
    #[derive(Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Serialize)]
    #[serde(tag = "event", rename = "sample")]
    struct Sample {
        value: u8,
    }

    impl Display for Sample {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "value {}", self.value)
        }
    }

    fn written(format: Format) -> String {
        let captured = Captured::default();
        Output::new(format, captured.clone())
            .event(&Sample { value: 7 })
            .unwrap();
        captured.text()
    }

    #[test]
    fn a_result_is_a_line_of_text_or_of_json() {
        assert_eq!(written(Format::Text), "value 7\n");
        assert_eq!(
            written(Format::Json),
            "{\"event\":\"sample\",\"value\":7}\n"
        );
    }

    #[test]
    fn what_a_peer_sent_cannot_drive_the_terminal() {
        assert_eq!(printable(b"a\x1b[2Jb\n", 20), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable(b"abcdef", 3), "abc…");
        assert_eq!(printable(b"\xff", 3), "\u{fffd}");
    }
}
