//! Decoding allocates in proportion to what has arrived, whatever that claims about what follows.
//!
//! One test alone, because the whole process is measured.

#![allow(
    clippy::unwrap_used,
    reason = "a panic is how a test fails, also in its helpers"
)]

use std::alloc::System;
use std::pin::pin;
use std::task::{Context, Waker};

use bytes::{Bytes, BytesMut};
use moq_transfork::Dialect;
use moq_transfork::coding::{Message, varint};
use moq_transfork::message::{
    Announce, AnnouncePlease, Fetch, Info, InfoPlease, SessionClient, SessionServer, Subscribe,
};
use moq_transfork::stream::Reader;
use moq_transfork::wt;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a message of no bytes may allocate: the first buffer, an error, a path.
const BASE: usize = 1024;
/// What each further byte may: a growing buffer, its copy in the message, and the list it is in.
const PER_BYTE: usize = 32;

#[test]
fn decoding_allocates_no_more_than_has_arrived() {
    for numbers in hostile() {
        let mut wire = BytesMut::new();
        numbers
            .iter()
            .for_each(|number| varint::encode(*number, &mut wire).unwrap());
        for rest in [0, 100, 4000] {
            let mut bytes = wire.clone();
            bytes.resize(bytes.len() + rest, 0x01);
            for dialect in Dialect::ALL {
                check::<SessionClient>(&bytes, dialect);
                check::<SessionServer>(&bytes, dialect);
                check::<AnnouncePlease>(&bytes, dialect);
                check::<Announce>(&bytes, dialect);
                check::<Subscribe>(&bytes, dialect);
                check::<Info>(&bytes, dialect);
                check::<InfoPlease>(&bytes, dialect);
                check::<Fetch>(&bytes, dialect);
            }
        }
    }
}

/// Counts and lengths that promise much, some of them within the limits.
fn hostile() -> Vec<Vec<u64>> {
    let sizes = [32, 64, 1023, 8192, 16 * 1024, u32::MAX.into(), varint::MAX];
    let mut wires = Vec::new();
    for size in sizes {
        wires.extend([vec![size], vec![0, size], vec![1, size], vec![1, 1, size]]);
        wires.extend([
            vec![0, 1, 9, size],
            vec![32, 0, 0, size],
            vec![64, 1, 1, size],
        ]);
    }
    wires
}

fn check<M: Message>(bytes: &[u8], dialect: Dialect) {
    let region = Region::new(ALLOCATOR);
    drop(M::decode_slice(bytes, dialect));
    let at_once = allocated(&region);

    let chunks = bytes.chunks(7).rev().map(Bytes::copy_from_slice).collect();
    let mut reader = Reader::new(Chunks(chunks), dialect);
    let region = Region::new(ALLOCATOR);
    let read = pin!(reader.decode::<M>()).poll(&mut Context::from_waker(Waker::noop()));
    drop(read);
    let in_pieces = allocated(&region);

    let allowed = BASE + PER_BYTE * bytes.len();
    assert!(at_once <= allowed, "{at_once} bytes for {}", bytes.len());
    assert!(
        in_pieces <= allowed,
        "{in_pieces} bytes for {}",
        bytes.len()
    );
}

fn allocated(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change.bytes_allocated + usize::try_from(change.bytes_reallocated).unwrap_or(0)
}

/// A stream that has these chunks, the last one first, and never ends.
struct Chunks(Vec<Bytes>);

impl wt::RecvStream for Chunks {
    type Error = Never;

    async fn read(&mut self, _: &mut [u8]) -> Result<Option<usize>, Never> {
        Err(Never)
    }

    async fn read_chunk(&mut self, _: usize) -> Result<Option<Bytes>, Never> {
        match self.0.pop() {
            Some(chunk) => Ok(Some(chunk)),
            None => std::future::pending().await,
        }
    }

    fn stop(&mut self, _: u32) {}

    async fn closed(&mut self) -> Result<(), Never> {
        Ok(())
    }
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("never")]
struct Never;

impl wt::Error for Never {
    fn session_error(&self) -> Option<(u32, String)> {
        None
    }
}
