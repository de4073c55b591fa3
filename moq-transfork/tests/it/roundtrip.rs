//! Every message, in every dialect, reads back as what was written, however it arrives.

use std::fmt::Debug;

use moq_transfork::Dialect;
use moq_transfork::coding::{DecodeError, Message};
use moq_transfork::stream::{Reader, StreamError};
use proptest::prelude::*;

use crate::messages::{Sample, Trial, sample};
use crate::pipe::{Pipe, poll, run};

/// Encodes and decodes, with something behind it.
struct RoundTrip;

impl Trial for RoundTrip {
    fn run<M: Message + PartialEq + Debug>(&mut self, message: &M, dialect: Dialect) {
        let mut bytes = message.to_bytes(dialect).unwrap().to_vec();
        let len = bytes.len();
        bytes.extend([0xff; 9]);
        let (decoded, consumed) = M::decode_slice(&bytes, dialect).unwrap();
        assert_eq!((&decoded, consumed), (message, len));
    }
}

/// Cuts a message at every byte: it must be incomplete, never something else.
struct Truncation;

impl Trial for Truncation {
    fn run<M: Message + PartialEq + Debug>(&mut self, message: &M, dialect: Dialect) {
        let bytes = message.to_bytes(dialect).unwrap();
        for len in 0..bytes.len() {
            let decoded = M::decode_slice(&bytes[..len], dialect);
            assert_eq!(
                decoded,
                Err(DecodeError::Incomplete),
                "{message:?} at {len}"
            );
        }
    }
}

/// Reads a message twice from a stream that has a few bytes at a time, dropping the future whenever
/// there are none.
struct Arrival(usize);

impl Trial for Arrival {
    fn run<M: Message + PartialEq + Debug>(&mut self, message: &M, dialect: Dialect) {
        let bytes = message.to_bytes(dialect).unwrap();
        let pipe = Pipe::default();
        let mut reader = Reader::new(pipe.recv(), dialect);
        let mut decoded: Vec<M> = Vec::new();
        for chunk in [&bytes[..], &bytes[..]].concat().chunks(self.0) {
            pipe.feed(chunk);
            while let Some(message) = poll(reader.decode()) {
                decoded.push(message.unwrap());
            }
        }
        assert_eq!(decoded.iter().collect::<Vec<_>>(), [message, message]);
        pipe.state().finished = true;
        assert_eq!(run(reader.decode_maybe::<M>()), Ok(None));
    }
}

/// Ends the stream inside of a message: that is an error, and only before the first byte an end.
struct EarlyEnd;

impl Trial for EarlyEnd {
    fn run<M: Message + PartialEq + Debug>(&mut self, message: &M, dialect: Dialect) {
        let bytes = message.to_bytes(dialect).unwrap();
        for len in 0..bytes.len() {
            let pipe = Pipe::default();
            pipe.feed(&bytes[..len]);
            pipe.state().finished = true;
            let mut reader = Reader::new(pipe.recv(), dialect);
            let decoded = run(reader.decode_maybe::<M>());
            let expected = if len == 0 {
                Ok(None)
            } else {
                Err(StreamError::Truncated)
            };
            assert_eq!(decoded, expected, "{message:?} at {len}");
        }
    }
}

fn try_each(sample: &Sample, mut trial: impl Trial) {
    sample.try_each(&mut trial);
}

proptest! {
    #[test]
    fn every_message_reads_back(sample in sample()) {
        try_each(&sample, RoundTrip);
    }

    #[test]
    fn a_message_cut_anywhere_is_incomplete(sample in sample()) {
        try_each(&sample, Truncation);
    }

    #[test]
    fn a_message_may_arrive_byte_by_byte(sample in sample()) {
        try_each(&sample, Arrival(1));
    }

    #[test]
    fn a_message_may_arrive_in_pieces(sample in sample(), size in 2usize..40) {
        try_each(&sample, Arrival(size));
    }

    #[test]
    fn a_stream_that_ends_inside_of_a_message_was_truncated(sample in sample()) {
        try_each(&sample, EarlyEnd);
    }
}
