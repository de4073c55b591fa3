//! The results file: every trial, and where it was made.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::stats::{Spread, spread};
use crate::cargo;

/// The targets that the others are compared with.
pub(super) const FLOOR: &str = "bare";
pub(super) const SEED: &str = "seed";

/// Everything that was measured in one go.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) machine: Machine,
    /// What this was measured for, or under what circumstances.
    pub(super) note: String,
    /// Why no system calls were counted, if none were.
    pub(super) without_syscalls: Option<String>,
    /// Whether the processors were kept awake all the time.
    #[serde(default)]
    pub(super) awake: bool,
    pub(super) trials: Vec<Trial>,
    /// What could not be measured.
    pub(super) failures: Vec<Failure>,
}

/// A run that came to nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) shape: String,
    pub(super) target: String,
    pub(super) run: u32,
    /// The last that was said.
    pub(super) reason: String,
    /// What the relay was doing then, if it ran.
    #[serde(default)]
    pub(super) busy: Option<Busy>,
}

/// How busy a relay was that failed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Busy {
    /// Processor seconds that it had used.
    pub(super) cpu: f64,
    /// Seconds since the load began.
    pub(super) seconds: f64,
}

/// Where, when and of what it was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) date: String,
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    pub(super) commit: String,
    /// The load average of the last minute before the first trial: above 0.5 others were at work.
    pub(super) load: f64,
}

/// One run of one shape against one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Trial {
    pub(super) shape: String,
    pub(super) target: String,
    pub(super) run: u32,
    /// Frames delivered while it was measured.
    pub(super) frames: u64,
    /// Bytes of payload in them.
    pub(super) bytes: u64,
    /// Seconds that were measured.
    pub(super) seconds: f64,
    /// Processor seconds of the relay in that time.
    pub(super) cpu: f64,
    /// The share of its core that the load used.
    pub(super) load_core: f64,
    /// Context switches of the relay in that time.
    pub(super) switches: f64,
    /// Hundredths of a second that the host took from the machine in that time.
    #[serde(default)]
    pub(super) steal: u64,
    /// System calls of the relay for each delivered frame, counted before that time, since
    /// counting costs time itself.
    pub(super) syscalls: Option<f64>,
    /// KiB of heap and stacks that the relay grew by for every subscriber.
    pub(super) kib_per_subscriber: Option<f64>,
    /// MiB of the relay that were resident at the end.
    pub(super) rss: f64,
    /// Latencies in milliseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
    /// The same in the rounds without slow readers, where there were rounds with them.
    pub(super) without_slow: Option<WithoutSlow>,
    /// From a subscription to its first whole frame.
    pub(super) join: Option<Join>,
    /// The share of groups that did not come whole; bare quinn has none.
    pub(super) loss: Option<f64>,
    /// Sessions and subscriptions that failed.
    pub(super) failed: u64,
    /// Seconds until the last listener knew all tracks.
    pub(super) announced: Option<f64>,
    /// Processor seconds of the relay in that time.
    pub(super) announce_cpu: Option<f64>,
    /// How many announcements were heard in it, by all.
    pub(super) heard: u32,
}

/// Latencies in milliseconds while no slow reader was there.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct WithoutSlow {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// How long subscribers wait for their first whole frame, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Join {
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// How much more than one round trip.
    pub(super) beyond_p50: f64,
    pub(super) beyond_p99: f64,
    /// The round trip of the path, as QUIC measures it.
    pub(super) round_trip: f64,
}

/// A figure that is taken from each trial.
pub(super) type Figure = fn(&Trial) -> Option<f64>;

impl Trial {
    /// Processor microseconds for each delivered frame.
    pub(super) fn cpu_per_frame(&self) -> Option<f64> {
        (self.frames > 0).then(|| self.cpu * 1e6 / self.frames as f64)
    }

    /// Processor seconds for each delivered GiB.
    pub(super) fn cpu_per_gib(&self) -> Option<f64> {
        (self.bytes > 0).then(|| self.cpu * f64::from(1 << 30) / self.bytes as f64)
    }

    /// Delivered frames a second.
    pub(super) fn frames_per_second(&self) -> Option<f64> {
        (self.frames > 0).then(|| self.frames as f64 / self.seconds)
    }

    /// Frames that a second of processor time is enough for.
    pub(super) fn frames_per_cpu_second(&self) -> Option<f64> {
        (self.frames > 0).then(|| self.frames as f64 / self.cpu)
    }

    /// Processor microseconds for each time that an announcement was heard.
    pub(super) fn cpu_per_announcement(&self) -> Option<f64> {
        Some(self.announce_cpu? * 1e6 / f64::from(self.heard))
    }

    /// How many times longer the others' p99 is with slow readers than without.
    pub(super) fn harm_p99(&self) -> Option<f64> {
        Some(self.p99 / self.without_slow?.p99)
    }

    /// The same of their median.
    pub(super) fn harm_p50(&self) -> Option<f64> {
        Some(self.p50 / self.without_slow?.p50)
    }

    /// Groups that did not come whole, in percent.
    pub(super) fn lost_percent(&self) -> Option<f64> {
        Some(100.0 * self.loss?)
    }

    /// Context switches for each delivered frame.
    pub(super) fn switches_per_frame(&self) -> Option<f64> {
        (self.frames > 0).then(|| self.switches / self.frames as f64)
    }
}

impl Results {
    /// Sums up a figure of one target.
    pub(super) fn of(&self, shape: &str, target: &str, figure: Figure) -> Option<Spread> {
        spread(self.trials(shape, target).filter_map(figure))
    }

    /// Sums up how many times larger a figure is than another target's in the same run.
    pub(super) fn ratio(
        &self,
        shape: &str,
        target: &str,
        to: &str,
        figure: Figure,
    ) -> Option<Spread> {
        let ratio =
            |trial: &Trial| Some(figure(trial)? / figure(self.trial(shape, to, trial.run)?)?);
        spread(self.trials(shape, target).filter_map(ratio))
    }

    /// Sums up how many times larger a figure is in the first shape than in the same run of the
    /// second.
    pub(super) fn ratio_of_shapes(
        &self,
        target: &str,
        [shape, to]: [&str; 2],
        figure: Figure,
    ) -> Option<Spread> {
        let ratio =
            |trial: &Trial| Some(figure(trial)? / figure(self.trial(to, target, trial.run)?)?);
        spread(self.trials(shape, target).filter_map(ratio))
    }

    /// The runs of a shape that failed against a target.
    pub(super) fn failures(&self, shape: &str, target: &str) -> Vec<&Failure> {
        let wanted = |failure: &&Failure| failure.shape == shape && failure.target == target;
        self.failures.iter().filter(wanted).collect()
    }

    /// Hundredths of a second that the host took: at most in a run, and in all of them.
    pub(super) fn steal(&self) -> (u64, u64) {
        let steal = || self.trials.iter().map(|trial| trial.steal);
        (steal().max().unwrap_or(0), steal().sum())
    }

    /// How often each was run.
    pub(super) fn runs(&self) -> u32 {
        let last = self.trials.iter().map(|trial| trial.run + 1);
        last.max().unwrap_or(0)
    }

    /// The targets that a shape was run against, in the order they took their turns.
    pub(super) fn targets(&self, shape: &str) -> Vec<&str> {
        let mut targets: Vec<&str> = Vec::new();
        for trial in self.trials.iter().filter(|trial| trial.shape == shape) {
            if !targets.contains(&trial.target.as_str()) {
                targets.push(&trial.target);
            }
        }
        targets
    }

    fn trial(&self, shape: &str, target: &str, run: u32) -> Option<&Trial> {
        self.trials(shape, target).find(|trial| trial.run == run)
    }

    fn trials(&self, shape: &str, target: &str) -> impl Iterator<Item = &Trial> {
        let wanted = move |trial: &&Trial| trial.shape == shape && trial.target == target;
        self.trials.iter().filter(wanted)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn save(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads a file back.
    ///
    /// # Errors
    /// Where there is none, or it is of another form.
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }
}

impl Machine {
    /// Describes this one, now.
    pub(super) async fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
        let model = model
            .and_then(|line| line.split_once(": "))
            .map(|(_, name)| name);
        let head = cargo::tool("git", &["describe", "--always", "--dirty"]);
        let commit = cargo::output(head).await.unwrap_or_default().join("");
        let load = read("/proc/loadavg");
        let load = load.split(' ').next().and_then(|load| load.parse().ok());
        Self {
            date: OffsetDateTime::now_utc().date().to_string(),
            processor: model.unwrap_or("unknown").trim().to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            commit,
            load: load.unwrap_or(0.0),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn trial(target: &str, run: u32, cpu: f64) -> Trial {
        Trial {
            shape: "fanout-10k".to_owned(),
            target: target.to_owned(),
            run,
            frames: 1000,
            bytes: 1 << 20,
            seconds: 1.0,
            cpu,
            load_core: 0.2,
            switches: 500.0,
            steal: 2,
            syscalls: Some(0.5),
            kib_per_subscriber: Some(60.0),
            rss: 20.0,
            p50: 1.0,
            p99: 2.0,
            p999: 3.0,
            max: 4.0,
            without_slow: None,
            join: None,
            loss: Some(0.0),
            failed: 0,
            announced: None,
            announce_cpu: None,
            heard: 0,
        }
    }

    pub(crate) fn results(trials: Vec<Trial>) -> Results {
        let machine = Machine {
            date: "2026-11-22".to_owned(),
            processor: "a processor".to_owned(),
            cores: 2,
            kernel: "6".to_owned(),
            commit: "abc".to_owned(),
            load: 0.1,
        };
        Results {
            machine,
            note: String::new(),
            without_syscalls: None,
            awake: true,
            trials,
            failures: Vec::new(),
        }
    }

    #[test]
    fn a_ratio_compares_within_each_run_and_not_across() {
        // The machine was twice as slow in the second run.
        let results = results(vec![
            trial("bare", 0, 0.01),
            trial("ours", 0, 0.012),
            trial("bare", 1, 0.02),
            trial("ours", 1, 0.024),
        ]);
        let ratio = results
            .ratio("fanout-10k", "ours", "bare", Trial::cpu_per_frame)
            .unwrap();
        assert!(
            (ratio.low - 1.2).abs() < 1e-9 && (ratio.high - 1.2).abs() < 1e-9,
            "{ratio:?}"
        );
        assert_eq!(results.targets("fanout-10k"), ["bare", "ours"]);
        assert_eq!(
            results.ratio("fanout-10k", "ours", "seed", Trial::cpu_per_frame),
            None
        );
    }

    #[test]
    fn results_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/results.json");
        let written = results(vec![trial("ours", 0, 0.5)]);
        written.save(&path).unwrap();
        let read = Results::load(&path).unwrap();
        assert_eq!(format!("{written:?}"), format!("{read:?}"));
    }
}
