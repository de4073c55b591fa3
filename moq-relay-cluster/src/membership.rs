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

    /// Follows the root until it is gone. What ends with its session is no news of the nodes.
    pub(crate) async fn follow(&self, root: &Peer) {
        tokio::select! {
            biased;
            () = root.closed() => {}
            () = self.hear(root) => {}
        }
    }

    async fn hear(&self, root: &Peer) {
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

#[cfg(test)]
mod tests {
    use moq_relay_core::memory;
    use moq_relay_core::origin::Locality;
    use moq_relay_core::relay::{Relay, RelayConfig};
    use moq_relay_core::role::Role;
    use moq_relay_core::visit::{Admission, ConnectOptions, ServeOptions};
    use moq_transfork::message::Extensions;
    use tokio::time::timeout;

    use super::*;

    fn name(name: &str) -> NodeName {
        name.parse().expect("valid")
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_stay_known_when_this_relay_ends_the_session_to_the_root() {
        let [root, own] = [(); 2].map(|()| Relay::new(RelayConfig::default()));
        let other = name("other:1");
        let _other = root.origin().attach_node(&other, &Locality::Local);
        let far = memory::Config {
            delay: Duration::from_millis(50),
            ..memory::Config::default()
        };
        let (client, server) = memory::pair(far);
        let mut options = ServeOptions::default();
        options.doorkeeper = Box::new(|_| {
            Ok(Admission {
                role: Role::Node(name("own:1")),
                answer: Extensions::default(),
            })
        });
        let serving = async { root.serve_with(server, options).await };
        let (news, mut heard) = mpsc::channel(8);
        let membership = Membership::new(None, news);
        let following = async {
            let options = ConnectOptions::to(name("root:1"));
            let visit = own.connect(client, options).await?;
            let peer = visit.peer().clone();
            tokio::join!(visit.run(), membership.follow(&peer)).0
        };
        let draining = async {
            assert_eq!(heard.recv().await, Some(News::Found(other)));
            own.drain(Duration::ZERO).await;
        };
        let all = async { tokio::join!(serving, following, draining) };
        let (served, followed, ()) = timeout(Duration::from_secs(60), all).await.expect("an end");
        assert_eq!((served, followed), (Ok(()), Ok(())));
        assert!(heard.try_recv().is_err(), "no node is gone");
    }
}
