//! How many system calls a process makes, as `perf` counts them.

use std::time::Duration;

use crate::process::{Launch, Process};

/// The tracepoint that every system call passes.
const EVENT: &str = "raw_syscalls:sys_enter";

/// For how long they are counted, in seconds.
pub(super) const SECONDS: f64 = 0.6;

/// What counts them after some time; it takes the right to look at another process.
pub(super) fn count(pid: u32, after: Duration) -> Launch {
    let after = after.as_secs_f64();
    let count = format!("sleep {after}; exec perf stat -x, -e {EVENT} -p {pid} -- sleep {SECONDS}");
    Launch::new("perf", "sh").args(["-c", &count])
}

/// Tells why they cannot be counted here, or `None` if they can.
pub(super) async fn obstacle() -> Option<String> {
    let perf = Launch::new("perf", "perf").args(["stat", "-x,", "-e", EVENT, "--", "true"]);
    match perf.capture().await {
        Ok((status, log)) if status.success() && calls(&log.tail(9)).is_some() => None,
        Ok((_, log)) => {
            let said = log.tail(9).into_iter().find(|line| !line.trim().is_empty());
            Some(said.unwrap_or_else(|| "perf counts none".to_owned()))
        }
        Err(error) => Some(format!("{error:#}")),
    }
}

/// How many system calls a second it was.
pub(super) async fn rate(mut counting: Process) -> Option<f64> {
    let status = counting.wait().await.ok()?;
    let calls = calls(&counting.log().tail(9)).filter(|_| status.success())?;
    Some(calls / SECONDS)
}

fn calls(lines: &[String]) -> Option<f64> {
    let counted = lines.iter().find(|line| line.contains(EVENT))?;
    counted.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_what_perf_writes() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let counted = "1234,,raw_syscalls:sys_enter,600000,100.00,,\n";
        assert_eq!(calls(&lines(counted)), Some(1234.0));
        let none = "<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n";
        assert_eq!(calls(&lines(none)), None);
        assert_eq!(calls(&lines("event syntax error")), None);
    }
}
