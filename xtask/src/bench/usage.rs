//! What a process has used, as Linux tells it.

use std::fs;

use anyhow::Context as _;

/// What a process has used up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// Processor time in seconds, to the nanosecond: from `schedstat`, since `stat` counts
    /// hundredths. Threads that have ended are left out.
    pub(super) cpu: f64,
    /// Context switches, wanted or not.
    pub(super) switches: u64,
    /// Resident memory in KiB.
    pub(super) rss: u64,
    /// What of it is heap and stacks, and no part of a file.
    pub(super) heap: u64,
}

impl Usage {
    /// Looks at a process.
    ///
    /// # Errors
    /// Where it is gone.
    pub(super) fn of(pid: u32) -> anyhow::Result<Self> {
        let mut usage = Self::default();
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        for task in tasks.with_context(|| format!("process {pid} is gone"))? {
            let task = task?.path();
            // A thread that ends meanwhile is left out like those before it.
            let read = |name| fs::read_to_string(task.join(name)).unwrap_or_default();
            usage.cpu += on_cpu(&read("schedstat"));
            usage.switches += switches(&read("status"));
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        usage.rss = field(&status, "VmRSS:");
        usage.heap = field(&status, "RssAnon:");
        Ok(usage)
    }

    /// What was used from `earlier` to this; memory can have shrunk.
    pub(super) fn since(&self, earlier: &Self) -> Spent {
        Spent {
            cpu: self.cpu - earlier.cpu,
            switches: self.switches.saturating_sub(earlier.switches) as f64,
            heap: self.heap as f64 - earlier.heap as f64,
        }
    }
}

/// What was used in some time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) cpu: f64,
    pub(super) switches: f64,
    pub(super) heap: f64,
}

/// Seconds on a processor: the first number, in nanoseconds.
fn on_cpu(schedstat: &str) -> f64 {
    let nanos = schedstat.split(' ').next();
    let nanos = nanos.and_then(|nanos| nanos.parse().ok());
    nanos.unwrap_or(0.0) / 1e9
}

fn switches(status: &str) -> u64 {
    field(status, "voluntary_ctxt_switches:") + field(status, "nonvoluntary_ctxt_switches:")
}

fn field(status: &str, name: &str) -> u64 {
    let mut lines = status.lines();
    let value = lines.find_map(|line| line.strip_prefix(name));
    let number = value.and_then(|value| value.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_what_the_kernel_writes() {
        assert_eq!(on_cpu("1500000000 7 3\n"), 1.5);
        let status =
            "VmRSS:\t  1234 kB\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t2\n";
        assert_eq!(field(status, "VmRSS:"), 1234);
        assert_eq!(switches(status), 7);
        assert_eq!(field(status, "VmSwap:"), 0);
    }

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss > 100, "{usage:?}");
        assert!(Usage::of(u32::MAX).is_err());
    }
}
