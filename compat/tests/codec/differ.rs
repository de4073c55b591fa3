//! Bytes of any origin are read alike by us and by the published crates, but for our limits.

use std::fmt::Debug;

use moq_transfork::Dialect;
use moq_transfork::coding::{DecodeError, Message};
use moq_transfork::message as ours;
use proptest::prelude::*;

/// Holds what we make of bytes against what they do: `theirs` is how many bytes they took.
fn hold<M: Message + Debug>(bytes: &[u8], dialect: Dialect, theirs: Option<usize>) {
    match (M::decode_slice(bytes, dialect), theirs) {
        (Ok((_, ours)), Some(theirs)) => assert_eq!(ours, theirs),
        (Err(DecodeError::Limit { .. } | DecodeError::Path(_)), Some(_)) => {}
        (Err(error), Some(_)) => panic!("they accept what we refuse: {error}"),
        (Ok((message, _)), None) => panic!("we accept what they refuse: {message:?}"),
        (Err(_), None) => {}
    }
}

macro_rules! differ {
    ($test:ident, $crate_name:ident, $dialect:expr, $($ours:ident = $theirs:ident),+ $(,)?) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(2000))]

            #[test]
            fn $test(bytes in proptest::collection::vec(prop_oneof![0..4u8, 0..0x40u8, any::<u8>()], 0..40)) {
                use $crate_name::coding::Decode;

                $({
                    let mut rest = &bytes[..];
                    let theirs = $crate_name::message::$theirs::decode(&mut rest).ok();
                    let taken = theirs.map(|_| bytes.len() - rest.len());
                    hold::<ours::$ours>(&bytes, $dialect, taken);
                })+
            }
        }
    };
}

differ!(
    fork02_is_read_alike,
    transfork08,
    Dialect::Fork02,
    SessionClient = ClientSetup,
    SessionServer = ServerSetup,
    SessionUpdate = SessionInfo,
    AnnouncePlease = AnnouncePlease,
    Announce = Announce,
    Subscribe = Subscribe,
    SubscribeUpdate = SubscribeUpdate,
    SubscribeGap = GroupDrop,
    Info = Info,
    InfoPlease = InfoRequest,
    Fetch = Fetch,
    GroupHeader = Group,
);
differ!(
    fork04_is_read_alike,
    transfork09,
    Dialect::Fork04,
    SessionClient = ClientSetup,
    SessionServer = ServerSetup,
    SessionUpdate = SessionInfo,
    AnnouncePlease = AnnouncePlease,
    Announce = Announce,
    Subscribe = Subscribe,
    SubscribeUpdate = SubscribeUpdate,
    SubscribeGap = GroupDrop,
    Info = Info,
    InfoPlease = InfoRequest,
    Fetch = Fetch,
    GroupHeader = Group,
);
differ!(
    fork04_is_read_alike_to_its_last,
    transfork11,
    Dialect::Fork04,
    SessionClient = ClientSetup,
    SessionServer = ServerSetup,
    SessionUpdate = SessionInfo,
    AnnouncePlease = AnnouncePlease,
    Announce = Announce,
    Subscribe = Subscribe,
    SubscribeUpdate = SubscribeUpdate,
    SubscribeGap = GroupDrop,
    Info = Info,
    InfoPlease = InfoRequest,
    Fetch = Fetch,
    GroupHeader = Group,
);
differ!(
    fork04s_is_read_alike,
    transfork12,
    Dialect::Fork04s,
    SessionClient = ClientSetup,
    SessionServer = ServerSetup,
    SessionUpdate = SessionInfo,
    AnnouncePlease = AnnouncePlease,
    Announce = Announce,
    Subscribe = Subscribe,
    SubscribeUpdate = SubscribeUpdate,
    SubscribeGap = GroupDrop,
    Info = Info,
    InfoPlease = InfoRequest,
    GroupHeader = Group,
);
