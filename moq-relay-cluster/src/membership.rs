//! What the root says: which nodes there are.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use moq_relay_core::announced::Announcement;
use moq_relay_core::role::NodeName;
use moq_relay_core::session::Peer;
use moq_relay_core::source::Source;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::info;

/// How long a root that cannot say when it has told everything is believed not to have.
const SETTLING: Duration = Duration::from_secs(5);

/// News of the nodes there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    Found(NodeName),
    Gone(NodeName),
}

/// The nodes that the root has told of. While it is away they stay known, and when it is back only
/// those that it does not name again are gone.
#[derive(Debug)]
pub(crate) struct Membership {
    own: Option<NodeName>,
    known: Mutex<BTreeSet<NodeName>>,
    news: mpsc::Sender<News>,
}

impl Membership {
    pub(crate) fn new(own: Option<NodeName>, news: mpsc::Sender<News>) -> Self {
        Self {
            own,
            known: Mutex::default(),
            news,
        }
    }

    /// Follows the root until it is gone.
    pub(crate) async fn follow(&self, root: &Peer) {
        let mut announced = root.announced(&NodeName::origins());
        let mut named = BTreeSet::new();
        let mut settled = root
            .dialect()
            .has_live()
            .then_some(())
            .map_or(Some(Instant::now() + SETTLING), |()| None);
        loop {
            let next = match settled {
                None => announced.next().await,
                Some(at) => match timeout_at(at, announced.next()).await {
                    Ok(next) => next,
                    Err(_elapsed) => Some(Announcement::Live),
                },
            };
            match next {
                Some(Announcement::Active(path)) => {
                    if let Some(name) = NodeName::from_path(&path) {
                        named.insert(name.clone());
                        self.found(name).await;
                    }
                }
                Some(Announcement::Ended(path)) => {
                    if let Some(name) = NodeName::from_path(&path) {
                        named.remove(&name);
                        self.gone(name).await;
                    }
                }
                Some(Announcement::Live) => {
                    settled = None;
                    for name in self.unnamed(&named) {
                        self.gone(name).await;
                    }
                }
                None => return,
            }
        }
    }

    async fn found(&self, name: NodeName) {
        if self.own.as_ref() != Some(&name) && self.lock().insert(name.clone()) {
            info!(node = %name, "the root knows a node");
            let _shut_down = self.news.send(News::Found(name)).await;
        }
    }

    async fn gone(&self, name: NodeName) {
        if self.lock().remove(&name) {
            info!(node = %name, "the root knows a node no more");
            let _shut_down = self.news.send(News::Gone(name)).await;
        }
    }

    fn unnamed(&self, named: &BTreeSet<NodeName>) -> Vec<NodeName> {
        self.lock().difference(named).cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<NodeName>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
