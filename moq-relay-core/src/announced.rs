//! Which paths are published: a set that changes, and listeners that follow it.

mod news;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};

use moq_transfork::path::Path;
use slab::Slab;
use tokio::sync::oneshot;

use crate::announced::news::News;
use crate::error::Error;
use crate::shared::{Seat, Shared, lock};

/// News of a path, in the words of draft-03, ANNOUNCE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcement {
    /// The path is published now.
    Active(Path),
    /// The path is not published any more.
    Ended(Path),
    /// Everything that was published when the listener came has been told.
    Live,
}

/// Follows the paths below a prefix.
///
/// News that was not taken yet is merged by path, so that a slow listener costs memory for each
/// path at most once. A path that ended and came back is told as both.
#[derive(Debug)]
pub struct Announced {
    listener: Arc<Listener>,
    seat: Seat,
    /// Why there is nothing to follow.
    refusal: Option<Error>,
    /// Tells whoever feeds the set that nobody listens any more.
    _listening: Option<oneshot::Sender<Infallible>>,
}

/// Feeds a set to which others listen. The set ends with it.
#[derive(Debug)]
pub(crate) struct Feeder {
    set: Arc<AnnounceSet>,
    /// Ends once nobody listens any more.
    listened: oneshot::Receiver<Infallible>,
}

/// The paths that are published, with those who listen.
///
/// A change costs one step for each listener, however many paths there are.
#[derive(Debug, Default)]
pub(crate) struct AnnounceSet {
    state: Mutex<SetState>,
}

#[derive(Debug, Default)]
struct SetState {
    paths: BTreeMap<Path, ()>,
    listeners: Slab<Arc<Listener>>,
    closed: bool,
}

#[derive(Debug)]
pub(crate) struct Listener {
    prefix: Path,
    news: Shared<News>,
    /// Where to sign off.
    home: Mutex<Option<(Arc<AnnounceSet>, usize)>>,
}

impl Announced {
    /// Returns the next piece of news, waiting for it; `None` once the source is gone and all was
    /// told. Cancel-safe.
    pub async fn next(&mut self) -> Option<Announcement> {
        let Self { listener, seat, .. } = self;
        let next = |news: &mut News| match news.pop() {
            Some(announcement) => Some(Some(announcement)),
            None => news.closed.then_some(None),
        };
        poll_fn(|cx| listener.news.poll(seat, cx, next)).await
    }

    /// Returns the next piece of news if there is one already.
    pub fn try_next(&mut self) -> Option<Announcement> {
        self.listener.news.lock().pop()
    }

    /// Follows nothing, for a reason.
    pub(crate) fn refused(error: Error) -> Self {
        let mut news = News::default();
        news.closed = true;
        Self {
            listener: Listener::new(&Path::default(), news),
            seat: Seat::default(),
            refusal: Some(error),
            _listening: None,
        }
    }

    /// Tells whether the news ended because there may be none.
    pub(crate) fn into_end(mut self) -> Result<(), Error> {
        self.refusal.take().map_or(Ok(()), Err)
    }

    pub(crate) fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.listener.news.leave(&mut self.seat);
        self.listener.leave();
    }
}

impl Listener {
    fn new(prefix: &Path, news: News) -> Arc<Self> {
        Arc::new(Self {
            prefix: prefix.clone(),
            news: Shared::new(news),
            home: Mutex::default(),
        })
    }

    fn home(&self) -> MutexGuard<'_, Option<(Arc<AnnounceSet>, usize)>> {
        lock(&self.home)
    }

    fn leave(&self) {
        if let Some((set, key)) = self.home().take() {
            set.lock().listeners.try_remove(key);
        }
    }

    pub(crate) fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Follows another set from now on: hears of the difference, as if one had turned into the
    /// other. Neither set may change meanwhile.
    pub(crate) fn move_to(self: &Arc<Self>, set: &Arc<AnnounceSet>) {
        let mut home = self.home();
        let Some((old, key)) = home.take() else {
            return;
        };
        let before: Vec<_> = {
            let mut old = old.lock();
            old.listeners.try_remove(key);
            old.below(&self.prefix).cloned().collect()
        };
        let mut state = set.lock();
        self.news.change(|news| {
            for path in &before {
                if !state.paths.contains_key(path) {
                    news.ended(path);
                }
            }
            for path in state.below(&self.prefix) {
                if before.binary_search(path).is_err() {
                    news.active(path);
                }
            }
        });
        let key = state.listeners.insert(self.clone());
        *home = Some((set.clone(), key));
    }
}

impl Feeder {
    /// A set with a listener, who is told that it is live by [`AnnounceSet::live`] alone.
    pub(crate) fn new(prefix: &Path) -> (Announced, Self) {
        let (listening, listened) = oneshot::channel();
        let set = Arc::<AnnounceSet>::default();
        let mut announced = set.welcome(prefix, false);
        announced._listening = Some(listening);
        (announced, Self { set, listened })
    }

    pub(crate) fn set(&self) -> Arc<AnnounceSet> {
        self.set.clone()
    }

    /// Waits until nobody listens any more. Cancel-safe.
    pub(crate) async fn ignored(&mut self) {
        let Err(_gone) = (&mut self.listened).await;
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.set.close();
    }
}

impl AnnounceSet {
    /// Adds a path. Returns false if it was there.
    pub(crate) fn insert(&self, path: &Path) -> bool {
        let mut state = self.lock();
        let new = state.paths.insert(path.clone(), ()).is_none();
        if new {
            state.tell(path, News::active);
        }
        new
    }

    /// Removes a path. Returns false if it was not there.
    pub(crate) fn remove(&self, path: &Path) -> bool {
        let mut state = self.lock();
        let known = state.paths.remove(path).is_some();
        if known {
            state.tell(path, News::ended);
        }
        known
    }

    /// Paths in the set.
    pub(crate) fn len(&self) -> usize {
        self.lock().paths.len()
    }

    /// Takes every path out; listeners go on.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        for path in std::mem::take(&mut state.paths).into_keys() {
            state.tell(&path, News::ended);
        }
    }

    /// Says that all paths known at the start are in; listeners that came before are told too.
    pub(crate) fn live(&self) {
        for (_, listener) in &self.lock().listeners {
            listener.news.change(News::live);
        }
    }

    /// Ends the set: every path is gone, and listeners end once they have heard.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        for path in std::mem::take(&mut state.paths).into_keys() {
            state.tell(&path, News::ended);
        }
        for (_, listener) in &state.listeners {
            listener.news.change(|news| news.closed = true);
        }
    }

    /// Returns a listener, which first hears of the paths that are there, in order, then that it
    /// is live.
    pub(crate) fn listen(self: &Arc<Self>, prefix: &Path) -> Announced {
        self.welcome(prefix, true)
    }

    fn welcome(self: &Arc<Self>, prefix: &Path, live: bool) -> Announced {
        let mut state = self.lock();
        let mut news = News::default();
        (news.live, news.closed) = (live, state.closed);
        for path in state.below(prefix) {
            news.active(path);
        }
        let listener = Listener::new(prefix, news);
        let key = state.listeners.insert(listener.clone());
        *listener.home() = Some((self.clone(), key));
        Announced {
            listener,
            seat: Seat::default(),
            refusal: None,
            _listening: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, SetState> {
        lock(&self.state)
    }
}

impl SetState {
    fn below<'a>(&'a self, prefix: &'a Path) -> impl Iterator<Item = &'a Path> {
        // The paths below a prefix are neighbours.
        let from = self.paths.range(prefix.clone()..).map(|(path, ())| path);
        from.take_while(|path| path.has_prefix(prefix))
    }

    fn tell(&self, path: &Path, change: impl Fn(&mut News, &Path)) {
        for (_, listener) in &self.listeners {
            if path.has_prefix(&listener.prefix) {
                listener.news.change(|news| change(news, path));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn path(name: &str) -> Path {
        name.parse().expect("the path is valid")
    }

    fn told(listener: &mut Announced) -> Vec<String> {
        std::iter::from_fn(|| listener.try_next())
            .map(|news| match news {
                Announcement::Active(path) => format!("+{path}"),
                Announcement::Ended(path) => format!("-{path}"),
                Announcement::Live => "live".to_owned(),
            })
            .collect()
    }

    #[test]
    fn a_listener_hears_of_what_is_there_in_order_and_then_that_it_is_live() {
        let set = Arc::new(AnnounceSet::default());
        for name in ["b", "a/2", "a/1", "ab"] {
            assert!(set.insert(&path(name)));
        }
        assert_eq!(told(&mut set.listen(&path("a"))), ["+a/1", "+a/2", "live"]);
    }

    #[test]
    fn news_that_was_not_taken_is_merged_by_path() {
        let set = Arc::new(AnnounceSet::default());
        set.insert(&path("known"));
        let mut listener = set.listen(&Path::default());
        assert_eq!(told(&mut listener), ["+known", "live"]);
        for _ in 0..1000 {
            set.remove(&path("known"));
            set.insert(&path("known"));
            set.insert(&path("unheard"));
            set.remove(&path("unheard"));
        }
        assert!(listener.listener.news.lock().places() < 50);
        assert_eq!(told(&mut listener), ["-known", "+known"]);
        set.remove(&path("known"));
        set.insert(&path("known"));
        set.remove(&path("known"));
        assert_eq!(told(&mut listener), ["-known"]);
    }

    #[test]
    fn a_set_that_closes_ends_every_path_and_every_listener() {
        let set = Arc::new(AnnounceSet::default());
        set.insert(&path("a"));
        let mut before = set.listen(&Path::default());
        told(&mut before);
        set.close();
        assert_eq!(told(&mut before), ["-a"]);
        assert!(before.listener.news.lock().closed);
        assert_eq!(told(&mut set.listen(&Path::default())), ["live"]);
    }

    #[test]
    fn a_listener_that_moves_lets_go_of_its_last_task_outside_the_lock() {
        let (done, over) = mpsc::channel();
        thread::spawn(move || {
            let set = Arc::new(AnnounceSet::default());
            let mut listener = set.listen(&Path::default());
            set.insert(&path("a"));
            told(&mut listener);
            let waker = Waker::from(Arc::new(Publishes(set)));
            let mut look = |waker: &Waker| {
                let next = pin!(listener.next());
                next.poll(&mut Context::from_waker(waker))
            };
            assert!(look(&waker).is_pending());
            drop(waker);
            assert!(look(Waker::noop()).is_pending());
            let ended = Announcement::Ended(path("a"));
            assert_eq!(look(Waker::noop()), Poll::Ready(Some(ended)));
            done.send(()).expect("the test waits");
        });
        over.recv_timeout(Duration::from_secs(10))
            .expect("it has locked itself out");
    }

    /// Publishes a path for as long as somebody may wake it.
    struct Publishes(Arc<AnnounceSet>);

    impl Wake for Publishes {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Publishes {
        fn drop(&mut self) {
            self.0.remove(&path("a"));
        }
    }

    #[test]
    fn a_listener_that_goes_is_forgotten() {
        let set = Arc::new(AnnounceSet::default());
        drop(set.listen(&Path::default()));
        assert!(set.lock().listeners.is_empty());
    }
}
