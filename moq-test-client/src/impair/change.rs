//! Settings as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::impair::quantity::{Chance, Rate};
use crate::impair::settings::{MAX_TIME, Settings};
use crate::units;

/// What to change about one direction: words such as `loss=1% delay=40ms`, with spaces or commas
/// between them. What is not named stays.
///
/// ```
/// use moq_test_client::impair::change::Change;
/// use moq_test_client::impair::settings::Settings;
///
/// let change: Change = "delay=40ms loss=1%".parse()?;
/// let mut settings = Settings::default();
/// change.apply(&mut settings);
/// assert_eq!(settings.to_string(), "loss=1% delay=40ms");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    words: Vec<Word>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Word {
    /// Everything as if nothing had ever been set.
    Clear,
    Cut,
    Heal,
    Loss(Chance),
    Duplicate(Chance),
    Rate(Option<Rate>),
    Queue(Duration),
    Delay(Duration),
    Jitter(Duration),
    Reorder(Chance),
    Hold(Duration),
}

impl Change {
    /// Changes what is named, from the first word to the last.
    pub fn apply(&self, settings: &mut Settings) {
        for word in &self.words {
            word.apply(settings);
        }
    }

    /// Whether a cut is among the words, though another may heal it at once: what was under way
    /// is lost.
    pub(super) fn cuts(&self) -> bool {
        self.words.contains(&Word::Cut)
    }
}

impl Word {
    fn apply(self, settings: &mut Settings) {
        match self {
            Self::Clear => *settings = Settings::default(),
            Self::Cut => settings.cut = true,
            Self::Heal => settings.cut = false,
            Self::Loss(chance) => settings.loss = chance,
            Self::Duplicate(chance) => settings.duplicate = chance,
            Self::Rate(rate) => settings.rate = rate,
            Self::Queue(time) => settings.queue = time,
            Self::Delay(time) => settings.delay = time,
            Self::Jitter(time) => settings.jitter = time,
            Self::Reorder(chance) => settings.reorder = chance,
            Self::Hold(time) => settings.hold = time,
        }
    }
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<Word> = text
            .split([' ', '\t', ','])
            .filter(|word| !word.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        if words.is_empty() {
            return Err("nothing to change: write something like delay=40ms loss=1%".to_owned());
        }
        Ok(Self { words })
    }
}

impl FromStr for Word {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, value)) = text.split_once('=') else {
            return match text {
                "clear" => Ok(Self::Clear),
                "cut" => Ok(Self::Cut),
                "heal" => Ok(Self::Heal),
                _ => Err(unknown(text)),
            };
        };
        match name {
            "loss" => value.parse().map(Self::Loss),
            "duplicate" => value.parse().map(Self::Duplicate),
            "rate" if value == "none" => Ok(Self::Rate(None)),
            "rate" => value.parse().map(|rate| Self::Rate(Some(rate))),
            "queue" => time(value).map(Self::Queue),
            "delay" => time(value).map(Self::Delay),
            "jitter" => time(value).map(Self::Jitter),
            "reorder" => value.parse().map(Self::Reorder),
            "hold" => time(value).map(Self::Hold),
            _ => Err(unknown(name)),
        }
    }
}

fn unknown(name: &str) -> String {
    format!(
        "unknown setting {name:?}: there are delay=, jitter=, loss=, duplicate=, reorder=, hold=, \
         rate=, queue=, cut, heal and clear"
    )
}

fn time(text: &str) -> Result<Duration, String> {
    let time = units::parse_duration(text)?;
    if time > MAX_TIME {
        return Err(format!("{text:?} is more than an hour"));
    }
    Ok(time)
}

/// Writes what differs from the default, as [`Change`] reads it after a `clear`.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = Self::default();
        let chance = |name: &str, value: Chance, none: Chance| {
            (value != none).then(|| format!("{name}={value}"))
        };
        let time = |name: &str, value: Duration, none: Duration| {
            (value != none).then(|| format!("{name}={}ms", value.as_nanos() as f64 / 1e6))
        };
        let words = [
            self.cut.then(|| "cut".to_owned()),
            chance("loss", self.loss, none.loss),
            chance("duplicate", self.duplicate, none.duplicate),
            self.rate.map(|rate| format!("rate={rate}")),
            time("queue", self.queue, none.queue),
            time("delay", self.delay, none.delay),
            time("jitter", self.jitter, none.jitter),
            chance("reorder", self.reorder, none.reorder),
            time("hold", self.hold, none.hold),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        if words.is_empty() {
            return f.write_str("clear");
        }
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(settings: &mut Settings, text: &str) -> String {
        text.parse::<Change>().unwrap().apply(settings);
        settings.to_string()
    }

    #[test]
    fn every_setting_reads_back_as_it_was_written() {
        let all = "cut loss=1% duplicate=0.5% rate=10mbit queue=50ms delay=40ms jitter=2.5ms \
                   reorder=3% hold=7ms";
        assert_eq!(changed(&mut Settings::default(), all), all);
        let commas = all.replace(' ', ",");
        assert_eq!(changed(&mut Settings::default(), &commas), all);
    }

    #[test]
    fn what_is_not_named_stays_until_all_is_cleared() {
        let mut settings = Settings::default();
        changed(&mut settings, "delay=40ms loss=1% rate=1gbit");
        assert_eq!(
            changed(&mut settings, "cut loss=0 rate=none"),
            "cut delay=40ms"
        );
        assert_eq!(changed(&mut settings, "heal"), "delay=40ms");
        assert_eq!(changed(&mut settings, "clear"), "clear");
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "nothing to change"),
            (" ,", "nothing to change"),
            ("lag=4ms", "unknown setting \"lag\""),
            ("delay", "unknown setting \"delay\""),
            ("loss=lots", "not a probability"),
            ("rate=10", "not a rate"),
            ("delay=2h", "more than an hour"),
            ("delay=1ms loss", "unknown setting \"loss\""),
        ] {
            let error = text.parse::<Change>().unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
