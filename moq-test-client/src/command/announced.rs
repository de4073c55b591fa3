//! `announced`: follows which tracks are published.

use std::fmt;
use std::time::Duration;

use moq_relay_core::announced::Announcement;
use moq_relay_core::source::Source;
use moq_transfork::path::Path;
use serde::Serialize;
use tokio::time::sleep;

use crate::command::{Context, Outcome, lost, written};
use crate::connect::{Client, connect};
use crate::output::complain;
use crate::units;

/// What to follow.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only tracks whose path begins with these parts, such as demo/live.
    #[arg(default_value = "", hide_default_value = true)]
    prefix: Path,

    /// End when everything that is published has been told. (The dialect fork02 has no word for
    /// that: use --duration.)
    #[arg(long)]
    exit_when_live: bool,

    /// End after this time.
    #[arg(long, value_parser = units::parse_duration)]
    duration: Option<Duration>,
}

/// News of a path.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum News {
    Active { path: String, parts: Vec<String> },
    Ended { path: String, parts: Vec<String> },
    Live,
}

/// Runs `announced`.
///
/// # Errors
///
/// When there is no session, or it ends early, or the relay refuses to tell.
pub async fn run(context: &mut Context, args: &Args) -> anyhow::Result<Outcome> {
    if args.exit_when_live && !context.options.dialect.has_live() {
        complain("this dialect has no live marker: use --duration");
        return Ok(Outcome::Unsupported);
    }
    let mut client = connect(&context.options, None).await?;
    let followed = follow(context, args, &mut client).await;
    client.close("done").await;
    followed.map(|()| Outcome::Done)
}

async fn follow(context: &mut Context, args: &Args, client: &mut Client) -> anyhow::Result<()> {
    let mut announced = client.peer().announced(&args.prefix);
    let time_is_up = sleep(args.duration.unwrap_or(Duration::MAX));
    let mut time_is_up = std::pin::pin!(time_is_up);
    loop {
        let news = tokio::select! {
            biased;
            () = context.stop.cancelled() => return Ok(()),
            () = &mut time_is_up => return Ok(()),
            news = announced.next() => news,
            error = lost(client) => return Err(error),
        };
        let Some(news) = news else {
            anyhow::bail!("{} ended the announcements", client.remote());
        };
        let live = news == Announcement::Live;
        written(context.output.event(&News::from(news)))?;
        if live && args.exit_when_live {
            return Ok(());
        }
    }
}

impl From<Announcement> for News {
    fn from(news: Announcement) -> Self {
        let parts = |path: &Path| path.parts().map(str::to_owned).collect();
        match news {
            Announcement::Active(path) => Self::Active {
                parts: parts(&path),
                path: path.to_string(),
            },
            Announcement::Ended(path) => Self::Ended {
                parts: parts(&path),
                path: path.to_string(),
            },
            Announcement::Live => Self::Live,
        }
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active { path, .. } => write!(f, "active {path}"),
            Self::Ended { path, .. } => write!(f, "ended {path}"),
            Self::Live => f.write_str("live"),
        }
    }
}
