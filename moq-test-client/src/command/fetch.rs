//! `fetch`: gets one past group.

use std::fmt;

use anyhow::Context as _;
use bytes::Bytes;
use moq_relay_core::source::{FetchRequest, Source};
use moq_transfork::message::Priority;
use moq_transfork::path::Path;
use serde::Serialize;
use tokio::time::timeout;

use crate::command::print::{Frame, Print};
use crate::command::{Context, Outcome, lost, written};
use crate::connect::{Client, connect};
use crate::output::complain;
use crate::units;

/// What to get.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The track.
    path: Path,

    /// The group's sequence.
    group: u64,

    /// The first frame wanted, from 0.
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    frame: u64,

    /// Priority, 0 to 255: higher goes first.
    #[arg(long, value_name = "NUMBER", default_value_t = 128)]
    priority: u8,

    /// What to print of every frame.
    #[arg(long, value_enum, value_name = "WHAT", default_value = "describe")]
    print: Print,
}

/// What came in all.
#[derive(Default, Serialize)]
#[serde(tag = "event", rename = "fetched")]
struct Fetched {
    group: u64,
    frames: u64,
    bytes: u64,
}

/// Runs `fetch`.
///
/// # Errors
///
/// When there is no session, or the relay has no such group, or it breaks off.
pub async fn run(context: &mut Context, args: &Args) -> anyhow::Result<Outcome> {
    if !context.options.dialect.has_fetch() {
        complain("this dialect has no FETCH: --dialect draft03 has");
        return Ok(Outcome::Unsupported);
    }
    let mut client = connect(&context.options, None).await?;
    let fetched = fetch(context, args, &mut client).await;
    client.close("done").await;
    let fetched = fetched?;
    if args.print == Print::None {
        written(context.output.event(&fetched))?;
    } else {
        written(context.output.aside(&fetched))?;
    }
    Ok(Outcome::Done)
}

async fn fetch(context: &mut Context, args: &Args, client: &mut Client) -> anyhow::Result<Fetched> {
    let request = FetchRequest {
        path: args.path.clone(),
        priority: Priority::new(args.priority.into()),
        group: args.group,
        frame: args.frame,
    };
    let failed = || format!("cannot fetch group {} of {}", args.group, args.path);
    let limit = context.options.timeout;
    let silent = || format!("{}: nothing came within {} ms", failed(), limit.as_millis());

    let peer = client.peer().clone();
    let mut group = timeout(limit, peer.fetch(&request))
        .await
        .with_context(silent)?
        .with_context(failed)?;
    let mut fetched = Fetched {
        group: args.group,
        ..Fetched::default()
    };
    let mut first: Option<Bytes> = None;
    loop {
        let frame = tokio::select! {
            frame = timeout(limit, group.next_frame()) => frame.with_context(silent)?,
            () = context.stop.cancelled() => return Ok(fetched),
            error = lost(client) => return Err(error),
        };
        let Some(payload) = frame.with_context(failed)? else {
            return Ok(fetched);
        };
        let index = args.frame + fetched.frames;
        let first = first.get_or_insert_with(|| payload.clone());
        let frame = Frame {
            group: args.group,
            index,
            payload: &payload,
            first,
        };
        written(args.print.frame(&mut context.output, &frame))?;
        fetched.frames += 1;
        fetched.bytes += payload.len() as u64;
    }
}

impl fmt::Display for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = units::bytes(self.bytes);
        write!(
            f,
            "fetched group {}: {} frames, {size}",
            self.group, self.frames
        )
    }
}
