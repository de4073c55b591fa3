//! Conformance tests, in the form of the public interop runner.
//!
//! Every test works on paths that nobody else uses, so that it can run against a busy relay, and
//! takes silence for failure.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout};

use self::lab::Lab;
use self::oracle::Failure;
use self::tap::{Details, TapWriter, Verdict};
use crate::command::{Context, Outcome};
use crate::unique;

mod data;
mod lab;
mod oracle;
mod session;
mod subscription;
pub mod tap;

/// Limit on a test as a whole; each of its steps has its own, smaller one.
const LIMIT: Duration = Duration::from_secs(20);

/// One test.
struct Test {
    name: &'static str,
    /// Returns what was received if that is as it must be.
    body: for<'a> fn(&'a Lab) -> BoxFuture<'a, Result<String, Failure>>,
}

const TESTS: [Test; 10] = [
    Test {
        name: "setup-only",
        body: |lab| Box::pin(session::setup_only(lab)),
    },
    Test {
        name: "announce-only",
        body: |lab| Box::pin(session::announce_only(lab)),
    },
    Test {
        name: "publish-namespace-done",
        body: |lab| Box::pin(session::publish_namespace_done(lab)),
    },
    Test {
        name: "subscribe-error",
        body: |lab| Box::pin(subscription::subscribe_error(lab)),
    },
    Test {
        name: "announce-subscribe",
        body: |lab| Box::pin(subscription::announce_subscribe(lab)),
    },
    Test {
        name: "subscribe-before-announce",
        body: |lab| Box::pin(subscription::subscribe_before_announce(lab)),
    },
    Test {
        name: "single-object",
        body: |lab| Box::pin(data::single_object(lab)),
    },
    Test {
        name: "single-group",
        body: |lab| Box::pin(data::single_group(lab)),
    },
    Test {
        name: "multiple-groups",
        body: |lab| Box::pin(data::multiple_groups(lab)),
    },
    Test {
        name: "late-subscriber",
        body: |lab| Box::pin(data::late_subscriber(lab)),
    },
];

/// Writes the names of all tests, one a line.
///
/// # Errors
///
/// When nobody reads any more.
pub fn list(context: &mut Context) -> anyhow::Result<Outcome> {
    let names: String = TESTS
        .iter()
        .map(|test| format!("{}\n", test.name))
        .collect();
    context
        .output
        .bytes(names.as_bytes())
        .context("cannot write to stdout")?;
    Ok(Outcome::Done)
}

/// Runs all tests, or the one of this name, and reports them as TAP.
///
/// # Errors
///
/// When nobody reads the results any more.
pub async fn run(context: &mut Context, only: Option<&str>) -> anyhow::Result<Outcome> {
    let tests: Vec<&Test> = TESTS
        .iter()
        .filter(|test| only.is_none_or(|name| name == test.name))
        .collect();
    let comments = [
        format!("moq-test-client {}", env!("CARGO_PKG_VERSION")),
        format!("Relay: {}", context.options.url),
        format!("Dialect: {}", context.options.dialect),
    ];
    let mut tap = TapWriter::start(&mut context.output, &comments, tests.len().max(1))?;
    if let (Some(name), []) = (only, &tests[..]) {
        tap.skip(name, "this client has no such test")?;
        return Ok(Outcome::Unsupported);
    }

    let mut outcome = Outcome::Done;
    let run = format!("{:016x}", unique::random());
    for test in tests {
        let lab = Lab::new(&context.options, &run, test.name)?;
        let (verdict, details) = tokio::select! {
            judged = judge(test, &lab) => judged,
            () = context.stop.cancelled() => {
                tap.bail_out("interrupted")?;
                return Ok(Outcome::Failed);
            }
        };
        if verdict == Verdict::NotOk {
            outcome = Outcome::Failed;
        }
        tap.result(test.name, verdict, &details)?;
    }
    Ok(outcome)
}

async fn judge(test: &Test, lab: &Lab) -> (Verdict, Details) {
    tracing::info!(test = test.name, "starting");
    let start = Instant::now();
    let result = match timeout(LIMIT, (test.body)(lab)).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new("an end of the test", "none in time")),
    };
    let duration = start.elapsed();
    match result {
        Ok(received) => {
            let received = Some(received);
            (
                Verdict::Ok,
                Details {
                    duration,
                    received,
                    ..Details::default()
                },
            )
        }
        Err(Failure {
            expected,
            received,
            message,
        }) => {
            tracing::info!(test = test.name, %expected, %received, "failed");
            let (expected, received) = (Some(expected), Some(received));
            (
                Verdict::NotOk,
                Details {
                    duration,
                    expected,
                    received,
                    message,
                },
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runner_finds_all_names_it_knows() {
        let names: Vec<_> = TESTS.iter().map(|test| test.name).collect();
        let core = [
            "setup-only",
            "announce-only",
            "publish-namespace-done",
            "subscribe-error",
            "announce-subscribe",
            "subscribe-before-announce",
        ];
        let data = [
            "single-object",
            "single-group",
            "multiple-groups",
            "late-subscriber",
        ];
        assert_eq!(names, [&core[..], &data[..]].concat());
    }
}
