//! Frames.

use bytes::Bytes;
use moq_transfork::Code;
use moq_transfork::frame::{
    FrameError, FrameScanner, MAX_FRAME_SIZE, frame, frame_header, frame_payload,
};
use proptest::prelude::*;

fn ends(scanner: &mut FrameScanner, bytes: &[u8]) -> Vec<u64> {
    let mut ends = Vec::new();
    scanner.scan(bytes, |end| ends.push(end)).unwrap();
    ends
}

#[test]
fn empty_frames_end_with_their_header() {
    let mut scanner = FrameScanner::new();
    assert!(scanner.at_boundary());
    assert_eq!(ends(&mut scanner, &[0, 0, 1, 7, 0x40, 0x00]), [1, 2, 4, 6]);
    assert!(scanner.at_boundary());
    assert_eq!(scanner.offset(), 6);
}

#[test]
fn a_group_cut_in_a_header_or_a_payload_is_not_at_a_boundary() {
    let mut scanner = FrameScanner::new();
    scanner.scan(&[0x40], |_| panic!("no frame ends")).unwrap();
    assert!(!scanner.at_boundary());
    scanner
        .scan(&[0x02, 1], |_| panic!("no frame ends"))
        .unwrap();
    assert!(!scanner.at_boundary());
    assert_eq!(ends(&mut scanner, &[2]), [4]);
    assert!(scanner.at_boundary());
}

#[test]
fn the_largest_frame_is_accepted_and_one_more_byte_is_not() {
    let header = frame_header(MAX_FRAME_SIZE as usize).unwrap();
    assert!(FrameScanner::new().scan(&header, |_| ()).is_ok());
    let larger = (MAX_FRAME_SIZE as u32 + 1) | 0x8000_0000;
    let error = FrameScanner::new()
        .scan(&larger.to_be_bytes(), |_| ())
        .unwrap_err();
    assert_eq!(error, FrameError::TooLarge(MAX_FRAME_SIZE + 1));
    assert_eq!(error.code(), Code::BOUNDS_EXCEEDED);
    assert!(frame_header(MAX_FRAME_SIZE as usize + 1).is_err());
    assert!(FrameScanner::new().scan(&[0xff; 8], |_| ()).is_err());
}

#[test]
fn a_payload_is_taken_out_of_exactly_one_frame() {
    assert_eq!(frame_payload(frame(b"hello").unwrap()).unwrap(), "hello");
    assert_eq!(frame_payload(Bytes::from_static(&[0])).unwrap(), "");
    for bad in [&[][..], &[0x40], &[2, 1], &[1, 1, 1], &[0x80, 0, 0]] {
        assert_eq!(
            frame_payload(Bytes::from_static(bad)),
            Err(FrameError::WrongSize)
        );
    }
}

proptest! {
    #[test]
    fn boundaries_do_not_depend_on_how_bytes_arrive(
        sizes in proptest::collection::vec(0usize..200, 0..10),
        cut in 1usize..50,
    ) {
        let mut wire = Vec::new();
        let mut expected = Vec::new();
        for size in sizes {
            wire.extend(frame(&vec![0xff; size]).unwrap());
            expected.push(wire.len() as u64);
        }
        let mut scanner = FrameScanner::new();
        let mut found = Vec::new();
        for chunk in wire.chunks(cut) {
            found.extend(ends(&mut scanner, chunk));
        }
        prop_assert_eq!(found, expected);
        prop_assert!(scanner.at_boundary());
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut scanner = FrameScanner::new();
        let mut last = 0;
        let _ = scanner.scan(&bytes, |end| { assert!(end > last); last = end; });
        prop_assert!(last <= bytes.len() as u64);
        let _ = frame_payload(Bytes::from(bytes));
    }
}
