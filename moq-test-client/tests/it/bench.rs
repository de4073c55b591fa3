//! The benchmark as a program, against a relay that works and one that loses.

use std::sync::Arc;
use std::time::Duration;

use moq_relay_core::error::Error;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::tracks::Tracks;
use moq_test_client::connect::connect;
use moq_test_client::payload::{Stamp, encode};
use moq_transfork::dialect::Dialect;
use serde_json::Value;
use tokio::time::interval;

use crate::program::{Run, run};
use crate::relay::TestRelay;

/// Frames in each group of the lossy publisher.
const FRAMES: u32 = 2;

async fn bench(relay: &TestRelay, args: &[&str]) -> Run {
    let (url, root) = (relay.url("moqf"), relay.certificate_file());
    let mut all = vec!["--format=json", "--relay", &url, "--tls-root"];
    all.push(root.to_str().unwrap());
    all.extend(["bench", "--warmup=100ms", "--ramp=0s"]);
    all.extend(args);
    run(&all).await
}

/// The last line: what the benchmark found.
fn result(run: &Run) -> Value {
    let last = run.stdout.lines().last().unwrap_or_default();
    let result: Value = serde_json::from_str(last).unwrap_or_default();
    assert_eq!(result["event"], "result", "{}{}", run.stdout, run.stderr);
    result
}

fn number(result: &Value, name: &str) -> u64 {
    result[name]
        .as_u64()
        .unwrap_or_else(|| panic!("no {name} in {result}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_works_delivers_every_frame_of_a_benchmark() {
    let relay = TestRelay::start().await;
    let run = bench(
        &relay,
        &[
            "--subscribers=5",
            "--publishers=2",
            "--subscriptions=2",
            "--listeners=1",
            "--fps=20..50",
            "--frame-size=100..3K",
            "--frames-per-group=1..10",
            "--key-frame=3",
            "--duration=2s",
        ],
    )
    .await;
    let result = result(&run);
    assert_eq!(run.code, 0, "{result}");
    assert_eq!(number(&result, "connections"), 2 + 5 + 1);
    assert_eq!(number(&result, "subscribed"), 10);
    assert_eq!(result["loss"], 0.0);
    let frames = number(&result, "steady_frames");
    assert!((10 * 20..10 * 2 * 50 + 100).contains(&frames), "{frames}");
    assert_eq!(result["join"]["count"], 10);
    assert_eq!(result["announced"]["count"], 1);
    assert!(result["latency"]["max"].as_u64() >= result["latency"]["p50"].as_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_of_samples_only_grow() {
    let relay = TestRelay::start().await;
    let run = bench(
        &relay,
        &["--subscribers=2", "--duration=1s", "--interval=100ms"],
    )
    .await;
    let samples: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &Value| event["event"] == "sample")
        .collect();
    assert!(samples.len() > 6, "{}", run.stdout);
    for name in [
        "frames",
        "groups",
        "bytes",
        "published_frames",
        "connections",
    ] {
        let counts: Vec<u64> = samples.iter().map(|sample| number(sample, name)).collect();
        assert!(counts.is_sorted(), "{name}: {counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_are_skipped_or_cut_on_the_way_are_found() {
    let relay = TestRelay::start().await;
    let tracks = Tracks::default();
    let track = tracks
        .create("lossy/0/0".parse().unwrap(), TrackInfo::default())
        .unwrap();
    let options = relay.options("moqf", Dialect::Draft03);
    let client = connect(&options, Some(Arc::new(tracks))).await.unwrap();
    let run = tokio::select! {
        () = lose(&track) => panic!("it loses without end"),
        run = bench(
            &relay,
            &["--role=subscribe", "--prefix=lossy", "--subscribers=2", "--duration=2s"],
        ) => run,
    };
    client.close("done").await;

    let result = result(&run);
    assert_eq!(run.code, 1, "{result}");
    let [whole, lost, cut] =
        ["groups", "lost_groups", "cut_groups"].map(|name| number(&result, name));
    assert!(whole > 20, "{result}");
    // Of every five groups, one is skipped and one is cut; those at either end may be missing. A cut
    // that overtakes the group's header on a busy machine looks like a skip.
    assert!((lost + cut).abs_diff(2 * whole / 3) <= 8, "{result}");
    assert!(lost + 4 >= whole / 3, "{result}");
    assert!(cut > 0, "{result}");
    let loss = result["loss"].as_f64().unwrap();
    assert!((0.3..0.5).contains(&loss), "{result}");
    assert_eq!(number(&result, "corrupt_frames"), 0);
}

/// Publishes groups without end, and of every five skips the second and cuts the fourth.
async fn lose(track: &TrackProducer) {
    let mut ticks = interval(Duration::from_millis(20));
    for sequence in 0.. {
        ticks.tick().await;
        if sequence % 5 == 1 {
            continue;
        }
        let mut group = track.create_group(sequence).unwrap();
        for frame in 0..FRAMES {
            let stamp = Stamp {
                stream: 0,
                group: sequence,
                frame,
                frames: FRAMES,
                micros: 0,
            };
            if sequence % 5 == 3 && frame + 1 == FRAMES {
                // What was written has to arrive before the reset does.
                ticks.tick().await;
                group.abort(Error::Cancelled);
                break;
            }
            group.write_frame(encode(&stamp, 100)).unwrap();
            if frame + 1 == FRAMES {
                group.finish().unwrap();
                break;
            }
        }
    }
}
