//! What a running proxy is told, a line at a time.

use std::fmt;
use std::str::FromStr;

use crate::impair::change::Change;
use crate::impair::duplex::Way;

/// One line: a change of one direction or of both, or a word of its own.
///
/// | line | meaning |
/// |---|---|
/// | `up loss=1% delay=40ms`, `down cut` | change one direction |
/// | `delay=40ms`, `both delay=40ms`, `cut` | change both |
/// | `rebind` | go on to the server from other ports |
/// | `stats` | say what happened so far |
/// | `quit` | end |
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Change the settings of some directions.
    Change(Way, Change),
    /// Change the ports that the server sees, as a NAT does that forgets.
    Rebind,
    /// Say what happened so far.
    Stats,
    /// End.
    Quit,
}

/// A line with the command it stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// As it was written.
    pub text: String,
    /// What it means.
    pub command: Command,
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        Ok(Self {
            command: text.parse()?,
            text: text.to_owned(),
        })
    }
}

impl FromStr for Command {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text {
            "rebind" => return Ok(Self::Rebind),
            "stats" => return Ok(Self::Stats),
            "quit" => return Ok(Self::Quit),
            _ => {}
        }
        let (first, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let way = match first {
            "up" => Way::Up,
            "down" => Way::Down,
            "both" => Way::Both,
            _ => return Ok(Self::Change(Way::Both, text.parse()?)),
        };
        Ok(Self::Change(way, rest.parse()?))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(way: Way, text: &str) -> Result<Command, String> {
        Ok(Command::Change(way, text.parse().unwrap()))
    }

    #[test]
    fn a_change_is_of_both_directions_unless_it_names_one() {
        for (line, expected) in [
            (
                "up loss=1% delay=40ms",
                change(Way::Up, "loss=1% delay=40ms"),
            ),
            ("  down   cut ", change(Way::Down, "cut")),
            ("both\tclear", change(Way::Both, "clear")),
            ("cut", change(Way::Both, "cut")),
            ("heal loss=0", change(Way::Both, "heal loss=0")),
            ("rebind", Ok(Command::Rebind)),
            ("stats\r", Ok(Command::Stats)),
            ("quit", Ok(Command::Quit)),
        ] {
            assert_eq!(line.parse(), expected, "{line:?}");
        }
    }

    #[test]
    fn a_line_that_says_nothing_is_refused() {
        for line in ["", "up", "sideways loss=1%", "rebind now", "up rebind"] {
            assert!(line.parse::<Command>().is_err(), "{line:?} was accepted");
        }
    }
}
