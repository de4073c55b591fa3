//! A group: an append-only log of frames that one producer writes and any number of readers
//! follow.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use moq_transfork::frame::{FrameScanner, frame_header};
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use crate::error::Error;
use crate::model::cache::{Account, Cache, Evict};
pub(crate) use crate::model::log::Opening;
use crate::model::log::{self, Log};
use crate::shared::{Seat, Shared};

/// Memory that a group costs besides its log.
const GROUP_OVERHEAD: u64 = 512;

/// Writes one group.
///
/// Dropping it without [`finish`](Self::finish) is an error for the readers.
#[derive(Debug)]
pub struct GroupProducer {
    group: Arc<GroupShared>,
    scanner: FrameScanner,
    /// Frame ends found by the write under way; kept for its allocation.
    ends: Vec<u64>,
}

/// Reads one group from the place it is at. Clones read on their own.
#[derive(Debug, Clone)]
pub struct GroupConsumer {
    group: Arc<GroupShared>,
    offset: u64,
    seat: Seat,
    /// Tells whoever fetches the group once no reader wants it any more.
    _wanted: Option<Arc<DropGuard>>,
}

#[derive(Debug)]
pub(super) struct GroupShared {
    sequence: u64,
    account: Arc<Account>,
    /// What the account was charged for this group and not yet given back.
    charged: AtomicU64,
    finished: OnceLock<Instant>,
    state: Shared<GroupState>,
}

#[derive(Debug, Default)]
struct GroupState {
    log: Log,
    /// `Ok` once the producer said that the group is whole.
    end: Option<Result<(), Error>>,
}

impl GroupProducer {
    pub(super) fn new(sequence: u64, account: Arc<Account>) -> Result<Self, Error> {
        account
            .charge(GROUP_OVERHEAD)
            .map_err(|_full| Error::Evicted)?;
        let group = Arc::new(GroupShared {
            sequence,
            account,
            charged: AtomicU64::new(GROUP_OVERHEAD),
            finished: OnceLock::new(),
            state: Shared::default(),
        });
        let entry: Weak<GroupShared> = Arc::downgrade(&group);
        group.account.enroll(sequence, entry);
        Ok(Self {
            group,
            scanner: FrameScanner::default(),
            ends: Vec::new(),
        })
    }

    /// Makes a group that belongs to no track.
    pub(crate) fn alone(sequence: u64, cache: &Cache) -> Result<Self, Error> {
        Self::new(sequence, cache.open_spare_account())
    }

    pub(super) fn shared(&self) -> &Arc<GroupShared> {
        &self.group
    }

    /// The group's place in its track.
    pub fn sequence(&self) -> u64 {
        self.group.sequence
    }

    /// Returns a reader at the first frame.
    pub fn consume(&self) -> GroupConsumer {
        GroupConsumer::new(self.group.clone())
    }

    /// Appends one frame.
    ///
    /// # Errors
    /// [`Error::Evicted`] if the cache had to give the group up.
    pub fn write_frame(&mut self, payload: impl Into<Bytes>) -> Result<(), Error> {
        let payload = payload.into();
        let header = frame_header(payload.len()).map_err(|_large| Error::Bounds("frame size"))?;
        self.write_wire(&[header, payload])
    }

    /// Appends bytes in wire form: FRAME headers and payloads, cut anywhere.
    ///
    /// The bytes are copied once, into memory that the log owns alone.
    ///
    /// # Errors
    /// [`Error::Bounds`] if a frame is larger than the protocol's limit, [`Error::Evicted`] if the
    /// cache had to give the group up.
    pub fn write_wire(&mut self, chunks: &[Bytes]) -> Result<(), Error> {
        let size: usize = chunks.iter().map(Bytes::len).sum();
        if size == 0 {
            return Ok(());
        }
        self.ends.clear();
        for chunk in chunks {
            self.scanner
                .scan(chunk, |end| self.ends.push(end))
                .map_err(|_too_large| Error::Bounds("frame size"))?;
        }
        let cost = log::cost(size, self.ends.len());
        self.group
            .account
            .charge(cost)
            .map_err(|_full| Error::Evicted)?;
        let mut owned = BytesMut::with_capacity(size);
        chunks
            .iter()
            .for_each(|chunk| owned.extend_from_slice(chunk));
        self.group.append(owned.freeze(), &self.ends, cost)
    }

    /// Ends the group: it is whole.
    ///
    /// # Errors
    /// [`Error::Truncated`] if a frame is not complete; the readers then see that error.
    pub fn finish(self) -> Result<(), Error> {
        let end = if self.scanner.at_boundary() {
            Ok(())
        } else {
            Err(Error::Truncated)
        };
        self.group.end(end.clone());
        end
    }

    /// Ends the group before its end; the readers see the error.
    pub fn abort(self, error: Error) {
        self.group.end(Err(error));
    }
}

impl Drop for GroupProducer {
    fn drop(&mut self) {
        self.group.end(Err(Error::Dropped));
    }
}

impl GroupConsumer {
    pub(super) fn new(group: Arc<GroupShared>) -> Self {
        Self {
            group,
            offset: 0,
            seat: Seat::default(),
            _wanted: None,
        }
    }

    /// Drops `guard` with the last of the readers that have it.
    pub(crate) fn wanting(mut self, guard: Arc<DropGuard>) -> Self {
        self._wanted = Some(guard);
        self
    }

    /// The group's place in its track.
    pub fn sequence(&self) -> u64 {
        self.group.sequence
    }

    /// When the group was finished, if it was.
    pub fn finished_at(&self) -> Option<Instant> {
        self.group.finished.get().copied()
    }

    /// Waits until the group is cut short, or given up after it was finished, and returns why; for
    /// ever if it stays whole. Cancel-safe.
    pub async fn cut(&self) -> Error {
        self.group.state.wait(GroupState::failure).await
    }

    /// Returns all bytes in wire form that follow the reader's place and lie in one piece, waiting
    /// for some if there are none; `None` at the end of a whole group. Cancel-safe.
    ///
    /// # Errors
    /// The error that the group was cut short with.
    pub async fn read_wire(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_wire(cx)).await
    }

    /// Does what [`read_wire`](Self::read_wire) does, for one task at a time.
    pub(crate) fn poll_wire(&mut self, cx: &Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        self.poll_read(cx, |log, offset| {
            let bytes = log.read(*offset);
            *offset += bytes.len() as u64;
            Ok(bytes)
        })
    }

    /// Does what [`poll_wire`](Self::poll_wire) does from the first frame on, with the header of a
    /// stream before it, which is the same for all streams of the group with that subscribe id.
    pub(crate) fn poll_opening(
        &mut self,
        cx: &Context<'_>,
        subscribe: u64,
        header: impl FnOnce() -> Result<Bytes, Error>,
    ) -> Poll<Result<Option<Opening>, Error>> {
        self.poll_read(cx, |log, offset| {
            let opening = log.open(subscribe, header)?;
            *offset = opening.read() as u64;
            Ok(opening)
        })
    }

    /// Reads and moves the reader, once there is anything at its place.
    fn poll_read<R>(
        &mut self,
        cx: &Context<'_>,
        read: impl FnOnce(&mut Log, &mut u64) -> Result<R, Error>,
    ) -> Poll<Result<Option<R>, Error>> {
        let Self {
            group,
            offset,
            seat,
            ..
        } = self;
        group.state.poll(seat, cx, |state| {
            if *offset >= state.log.len() {
                return state.ended();
            }
            Some(read(&mut state.log, offset).map(Some))
        })
    }

    /// Returns why the group will never be whole, if so; if it was not finished either, the task
    /// is woken when there is news of it.
    pub(crate) fn poll_cut(&mut self, cx: &Context<'_>) -> Poll<Error> {
        self.group
            .state
            .poll(&mut self.seat, cx, GroupState::failure)
    }

    /// Returns the payload of the next whole frame; `None` at the end of a whole group.
    /// Cancel-safe.
    ///
    /// # Errors
    /// The error that the group was cut short with.
    pub async fn next_frame(&mut self) -> Result<Option<Bytes>, Error> {
        let offset = self.offset;
        let frame = self
            .group
            .state
            .wait(|state| match state.log.frame_end(offset) {
                Some(end) => Some(Ok(Some((end, state.log.copy(offset, end))))),
                None => state
                    .ended()
                    .map(|end| end.map(|_none: Option<Bytes>| None)),
            })
            .await?;
        Ok(frame.map(|(end, frame): (u64, Bytes)| {
            self.offset = end;
            // The top two bits of a QUIC varint are the logarithm of its length.
            let header = 1_usize << (frame[0] >> 6);
            frame.slice(header..)
        }))
    }

    /// Moves the reader to the start of frame `index`, counted from 0, waiting until it is known.
    /// Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Bounds`] if the group ends before that frame, or the error it was cut short with.
    pub async fn seek(&mut self, index: u64) -> Result<(), Error> {
        let index = usize::try_from(index).map_err(|_| Error::Bounds("frame number"))?;
        self.offset = self
            .group
            .state
            .wait(|state| match state.log.frame_start(index) {
                Some(start) => Some(Ok(start)),
                None => state.end.clone().map(|end| {
                    end?;
                    Err(Error::Bounds("frame number"))
                }),
            })
            .await?;
        Ok(())
    }

    /// True if the group will never be whole.
    pub fn is_cut(&self) -> bool {
        self.group.failure().is_some()
    }

    /// Frames that are complete so far.
    pub fn frames(&self) -> usize {
        self.group.state.lock().log.frames()
    }

    /// Bytes in wire form so far.
    pub fn size(&self) -> u64 {
        self.group.state.lock().log.len()
    }
}

impl Drop for GroupConsumer {
    fn drop(&mut self) {
        self.group.state.leave(&mut self.seat);
    }
}

impl GroupShared {
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(super) fn finished_at(&self) -> Option<Instant> {
        self.finished.get().copied()
    }

    /// Why the group will never be whole, if so.
    pub(super) fn failure(&self) -> Option<Error> {
        GroupState::failure(&mut self.state.lock())
    }

    fn append(&self, bytes: Bytes, ends: &[u64], cost: u64) -> Result<(), Error> {
        let appended = self.state.change(|state| {
            if let Some(end) = &state.end {
                return Err(end.clone().err().unwrap_or(Error::Cancelled));
            }
            let saved = state.log.append(bytes, ends);
            // Under the lock, so that an eviction gives back exactly what the log holds.
            self.charged.fetch_add(cost, Ordering::Relaxed);
            self.release(saved);
            Ok(())
        });
        if appended.is_err() {
            self.account.release(cost);
        }
        appended
    }

    fn end(&self, end: Result<(), Error>) {
        self.state.change(|state| {
            if state.end.is_none() {
                match &end {
                    Ok(()) => {
                        let _first = self.finished.set(Instant::now());
                    }
                    // Nobody may read what will never be whole.
                    Err(_) => self.clear(state),
                }
                state.end = Some(end);
            }
        });
    }

    fn clear(&self, state: &mut GroupState) {
        state.log = Log::default();
        let held = self.charged.swap(0, Ordering::Relaxed);
        self.account.release(held);
    }

    fn release(&self, bytes: u64) {
        self.charged.fetch_sub(bytes, Ordering::Relaxed);
        self.account.release(bytes);
    }
}

impl GroupState {
    fn failure(&mut self) -> Option<Error> {
        self.end.as_ref()?.as_ref().err().cloned()
    }

    fn ended<T>(&self) -> Option<Result<Option<T>, Error>> {
        self.end.clone().map(|end| end.map(|()| None))
    }
}

impl Evict for GroupShared {
    fn evict(&self) {
        let mut state = self.state.lock();
        self.clear(&mut state);
        state.end = Some(Err(Error::Evicted));
    }

    fn wake(&self) {
        self.state.ring();
    }

    fn account(&self) -> &Account {
        &self.account
    }

    fn sequence(&self) -> u64 {
        self.sequence
    }
}

impl Drop for GroupShared {
    fn drop(&mut self) {
        let held = self.charged.swap(0, Ordering::Relaxed);
        self.account.release(held);
    }
}
