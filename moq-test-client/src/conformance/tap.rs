//! Test results as TAP version 14.

use std::io;
use std::time::Duration;

use crate::output::Output;

/// Writes one run's results. The plan goes first; there are no subtests.
pub struct TapWriter<'a> {
    output: &'a mut Output,
    number: usize,
}

/// What is told about one test besides its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// How long it took; written in milliseconds.
    pub duration: Duration,
    /// What should have happened.
    pub expected: Option<String>,
    /// What happened instead, or what happened.
    pub received: Option<String>,
    /// One sentence for people.
    pub message: Option<String>,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Ok,
    /// It failed.
    NotOk,
}

impl<'a> TapWriter<'a> {
    /// Writes the head of a run: version, one comment per line of `comments`, and the plan.
    ///
    /// # Errors
    ///
    /// When nobody reads any more.
    pub fn start(output: &'a mut Output, comments: &[String], tests: usize) -> io::Result<Self> {
        let mut head = "TAP version 14\n".to_owned();
        for comment in comments {
            head.push_str("# ");
            head.push_str(&one_line(comment));
            head.push('\n');
        }
        head.push_str(&format!("1..{tests}\n"));
        output.bytes(head.as_bytes())?;
        Ok(Self { output, number: 0 })
    }

    /// Writes one test point with its details as a YAML block.
    ///
    /// # Errors
    ///
    /// When nobody reads any more.
    pub fn result(&mut self, name: &str, verdict: Verdict, details: &Details) -> io::Result<()> {
        self.number += 1;
        let verdict = match verdict {
            Verdict::Ok => "ok",
            Verdict::NotOk => "not ok",
        };
        let mut text = format!("{verdict} {} - {}\n  ---\n", self.number, escape(name));
        let millis = details.duration.as_secs_f64() * 1000.0;
        text.push_str(&format!("  duration_ms: {millis:.1}\n"));
        for (key, value) in [
            ("expected", &details.expected),
            ("received", &details.received),
            ("message", &details.message),
        ] {
            if let Some(value) = value {
                text.push_str(&format!("  {key}: {}\n", quote(value)));
            }
        }
        text.push_str("  ...\n");
        self.output.bytes(text.as_bytes())
    }

    /// Writes a test point for a test that this program does not have.
    ///
    /// # Errors
    ///
    /// When nobody reads any more.
    pub fn skip(&mut self, name: &str, reason: &str) -> io::Result<()> {
        self.number += 1;
        let line = format!(
            "ok {} - {} # SKIP {}\n",
            self.number,
            escape(name),
            one_line(reason)
        );
        self.output.bytes(line.as_bytes())
    }

    /// Says that the run ends before its plan.
    ///
    /// # Errors
    ///
    /// When nobody reads any more.
    pub fn bail_out(&mut self, reason: &str) -> io::Result<()> {
        self.output
            .bytes(format!("Bail out! {}\n", one_line(reason)).as_bytes())
    }
}

/// Escapes a description: `#` would begin a directive, `\` is what escapes (TAP 14, "Escaping").
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        if matches!(c, '#' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Replaces every control character, so that a text cannot end its line.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Writes a YAML double-quoted scalar: always valid, whatever a peer put into the text
/// (YAML 1.2, section 7.3.1).
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // Line and paragraph separators end a line in YAML 1.1, the byte order mark is not
            // allowed inside a document.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                quoted.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;
    use crate::output::tests::Captured;

    #[test]
    fn a_run_reads_as_tap_14() {
        let captured = Captured::default();
        let mut output = Output::new(Format::Text, captured.clone());
        let comments = ["moq-test-client".to_owned()];
        let mut tap = TapWriter::start(&mut output, &comments, 3).unwrap();
        let duration = Duration::from_micros(12_340);
        let passed = Details {
            duration,
            ..Details::default()
        };
        tap.result("setup-only", Verdict::Ok, &passed).unwrap();
        let failed = Details {
            duration,
            expected: Some("group 0".into()),
            received: Some("nothing".into()),
            message: Some("no frame within 2000 ms".into()),
        };
        tap.result("single-object", Verdict::NotOk, &failed)
            .unwrap();
        tap.skip("fly", "not supported").unwrap();
        assert_eq!(
            captured.text(),
            r#"TAP version 14
# moq-test-client
1..3
ok 1 - setup-only
  ---
  duration_ms: 12.3
  ...
not ok 2 - single-object
  ---
  duration_ms: 12.3
  expected: "group 0"
  received: "nothing"
  message: "no frame within 2000 ms"
  ...
ok 3 - fly # SKIP not supported
"#
        );
    }

    #[test]
    fn a_description_cannot_smuggle_a_directive_or_a_line() {
        assert_eq!(
            escape("a # SKIP b\nnot ok 1 \\"),
            "a \\# SKIP b not ok 1 \\\\"
        );
    }

    #[test]
    fn yaml_values_are_one_line_whatever_they_hold() {
        assert_eq!(quote("say \"hi\"\\"), r#""say \"hi\"\\""#);
        assert_eq!(quote("a\n  ...\nok 2"), r#""a\n  ...\nok 2""#);
        assert_eq!(quote("\u{1b}\u{2028}\u{0}"), r#""\u001b\u2028\u0000""#);
        assert_eq!(quote("# - : é"), "\"# - : é\"");
    }
}
