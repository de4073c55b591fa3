//! Media made by ffmpeg, published by moq-karp, and compared hash by hash where it arrives.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::timeout;

use self::audience::{Audience, Joined};
pub(super) use self::film::Film;
use self::film::{Begin, Part};
use super::cases::{Case, Who};
use super::peers::{Dialect, Peer};
use super::play::Troupe;
use super::stage::Stage;
use crate::client::{Client, Event};
use crate::process::Line;

mod audience;
mod film;
mod groups;
mod mp4;

/// Where it is published, as the path of a URL.
const PATH: &str = "/demo/bbb";

/// How long anything may take that needs no film to pass.
const PATIENCE: Duration = Duration::from_secs(10);

/// Publishes the film and holds what two sets of subscribers get against it.
///
/// # Errors
/// Naming the first group that differs.
pub(super) async fn play(
    troupe: &Troupe,
    film: &Film,
    stage: &mut Stage,
    case: &Case,
) -> anyhow::Result<String> {
    let Who::Theirs(karp) = case.publisher.who else {
        bail!("only moq-karp publishes media")
    };
    let publisher = stage.target(case.publisher.over);
    let publisher = troupe.peers.publish_media(&karp, &publisher, PATH);
    let mut input = stage
        .enter(publisher)?
        .stdin()
        .context("the publisher has no input")?;
    film.feed_header(&mut input).await?;

    let client = troupe.client(stage, case.subscriber)?;
    let broadcast = Broadcast::find(Layout::of(&karp), &client, stage, film).await?;
    let early = Audience::join(Joined::AtTheStart, &client, stage, &broadcast, film)?;
    let begun = Begin::after(Duration::from_secs(1));
    film.feed(&mut input, begun, Part::First).await?;
    let late = Audience::join(Joined::Late, &client, stage, &broadcast, film)?;
    film.feed(&mut input, begun, Part::Second).await?;

    let early = early.check(film, begun).await.context("from the start")?;
    let late = late.check(film, begun).await.context("joined late")?;
    drop(input);
    Ok(format!("{early} and {late} groups"))
}

/// The paths of what a publisher publishes.
struct Broadcast {
    /// What all tracks are below.
    base: String,
    layout: Layout,
}

impl Broadcast {
    /// Waits until all tracks are announced.
    async fn find(
        layout: Layout,
        client: &Client,
        stage: &mut Stage,
        film: &Film,
    ) -> anyhow::Result<Self> {
        let log = stage.enter(client.announced(layout.prefix))?.log();
        let mut missing: BTreeSet<&String> = film.tracks.keys().collect();
        let base = |line: &Line| {
            let Some(Event::Active { path }) = Event::of(line) else {
                return None;
            };
            let (base, name) = path.strip_suffix(layout.ending)?.rsplit_once('/')?;
            missing.retain(|missing| *missing != name);
            missing.is_empty().then(|| base.to_owned())
        };
        let base = timeout(PATIENCE, log.find(base)).await;
        let base = base.context("the film was not announced in time")?;
        Ok(Self {
            base: base.context("the follower ended")?,
            layout,
        })
    }

    fn track(&self, name: &str) -> String {
        format!("{}/{name}{}", self.base, self.layout.ending)
    }

    fn catalog(&self) -> String {
        format!("{}{}", self.base, self.layout.catalog)
    }
}

/// What differs in the paths of the publishers' versions.
#[derive(Clone, Copy)]
struct Layout {
    /// What everything is below.
    prefix: &'static str,
    /// What is behind a track's name.
    ending: &'static str,
    /// What is behind the path of the broadcast in that of its catalog.
    catalog: &'static str,
}

impl Layout {
    fn of(karp: &Peer) -> Self {
        match karp.dialect {
            // The slash at the front comes from the URL.
            Dialect::Fork04s => Self {
                prefix: "/demo/bbb",
                ending: ".karp",
                catalog: "/catalog.json",
            },
            Dialect::Draft03 | Dialect::Fork02 | Dialect::Fork04 => Self {
                prefix: "demo/bbb",
                ending: "",
                catalog: "",
            },
        }
    }
}
