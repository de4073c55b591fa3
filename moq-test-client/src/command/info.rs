//! `info`: asks what a track is.

use std::fmt;

use anyhow::Context as _;
use moq_relay_core::model::track::Latest;
use moq_relay_core::source::Source;
use moq_transfork::message::GroupOrder;
use moq_transfork::path::Path;
use serde::Serialize;
use tokio::time::timeout;

use crate::command::{Context, Outcome, lost, written};
use crate::connect::{Client, connect};

/// What to ask.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The track.
    path: Path,
}

/// What a track is.
#[derive(Serialize)]
#[serde(tag = "event", rename = "info")]
struct Info {
    path: String,
    /// Higher goes first.
    priority: u64,
    order: &'static str,
    /// Milliseconds; 0 is for ever.
    expires_ms: u128,
    /// The newest group, if known.
    latest: Option<u64>,
}

/// Runs `info`.
///
/// # Errors
///
/// When there is no session, or no answer, or nobody publishes the track.
pub async fn run(context: &mut Context, args: &Args) -> anyhow::Result<Outcome> {
    let mut client = connect(&context.options, None).await?;
    let latest = ask(context, args, &mut client).await;
    client.close("done").await;
    written(context.output.event(&Info::new(&args.path, &latest?)))?;
    Ok(Outcome::Done)
}

async fn ask(context: &Context, args: &Args, client: &mut Client) -> anyhow::Result<Latest> {
    let peer = client.peer().clone();
    let limit = context.options.timeout;
    let answer = tokio::select! {
        answer = timeout(limit, peer.info(&args.path)) => answer,
        () = context.stop.cancelled() => anyhow::bail!("interrupted"),
        error = lost(client) => return Err(error),
    };
    answer
        .with_context(|| format!("no answer within {} ms", limit.as_millis()))?
        .with_context(|| format!("cannot tell what {} is", args.path))
}

impl Info {
    fn new(path: &Path, Latest { info, latest }: &Latest) -> Self {
        Self {
            path: path.to_string(),
            priority: info.priority.get(),
            order: match info.order {
                GroupOrder::Default => "default",
                GroupOrder::Ascending => "ascending",
                GroupOrder::Descending => "descending",
            },
            expires_ms: info.expires.as_millis(),
            latest: *latest,
        }
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            priority,
            order,
            expires_ms,
            latest,
        } = self;
        write!(f, "{path}: priority {priority}, order {order}, expires ")?;
        match expires_ms {
            0 => write!(f, "never")?,
            millis => write!(f, "after {millis} ms")?,
        }
        match latest {
            Some(latest) => write!(f, ", latest group {latest}"),
            None => write!(f, ", no group yet"),
        }
    }
}
