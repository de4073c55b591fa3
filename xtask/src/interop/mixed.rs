//! Clusters of our relays and theirs: tests of the relay's own that need the published one.

use std::path::Path;

use anyhow::ensure;

use super::cases::Relay;
use super::peers::Folder;
use super::stage::Stage;
use crate::process::Launch;

/// The main file of those tests, from the root folder.
pub(super) const SOURCE: &str = "moq-relay/tests/mixed/main.rs";

/// Runs the test in which this relay is the root.
///
/// # Errors
/// Where it fails, or is not there.
pub(super) async fn play(
    tests: &Path,
    peers: &Folder,
    stage: &mut Stage,
    root: Relay,
) -> anyhow::Result<String> {
    let test = match root {
        Relay::Tested => "the_published_relay_is_a_node_of_our_root",
        Relay::Theirs(_) => "the_published_relay_is_the_root_of_our_nodes",
    };
    let launch = Launch::new(test, tests)
        .args(["--exact", test])
        .env("MOQ_PEERS_DIR", peers.path());
    let process = stage.enter(launch)?;
    let status = process.wait().await?;
    ensure!(status.success(), "{test} failed");
    ensure!(process.log().contains("1 passed"), "{test} is not there");
    Ok("from each to each of three relays".to_owned())
}
