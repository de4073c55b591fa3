//! The same message, made by us and by each published crate.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use moq_transfork::coding::{DecodeError, Message};
use moq_transfork::frame::frame_header;
use moq_transfork::message as ours;
use moq_transfork::{Dialect, Filter};
use proptest::prelude::*;

use crate::sample::{Sample, sample};

const EXTENSION: u64 = 0x41;

/// The extension of a sample, if any, as we make it.
fn extensions(sample: &Sample) -> ours::Extensions {
    let extension = sample.extension.clone();
    let extensions = extension.map(|bytes| (EXTENSION, Bytes::from(bytes)));
    ours::Extensions(BTreeMap::from_iter(extensions))
}

/// The tests that are the same for all published crates.
macro_rules! common {
    ($crate_name:ident, $dialect:expr) => {
        use $crate_name::coding::{Decode, DecodeError as TheirError, Encode};
        use $crate_name::message as theirs;

        use super::*;

        const DIALECT: Dialect = $dialect;

        fn encoded(message: &impl Encode) -> Vec<u8> {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            bytes
        }

        /// Both encode to the same bytes, and each decodes what the other encoded.
        fn agree<O, T>(ours: &O, theirs: &T)
        where
            O: Message + PartialEq + Debug,
            T: Encode + Decode + Debug,
        {
            let bytes = ours.to_bytes(DIALECT).expect("the dialect has it");
            assert_eq!(
                hex::encode(&bytes),
                hex::encode(encoded(theirs)),
                "{ours:?}"
            );
            they_read(theirs, &bytes);
            we_read(ours, &bytes);
        }

        fn they_read<T: Decode + Debug>(expected: &T, mut bytes: &[u8]) {
            let decoded = T::decode(&mut bytes).expect("they decode it");
            assert!(bytes.is_empty());
            assert_eq!(format!("{decoded:?}"), format!("{expected:?}"));
        }

        fn we_read<O: Message + PartialEq + Debug>(expected: &O, bytes: &[u8]) {
            let decoded = O::decode_slice(bytes, DIALECT).expect("we decode it");
            assert_eq!((&decoded.0, decoded.1), (expected, bytes.len()));
        }

        fn order(sample: &Sample) -> theirs::GroupOrder {
            match sample.ascending {
                true => theirs::GroupOrder::Asc,
                false => theirs::GroupOrder::Desc,
            }
        }

        /// An extension as their API wants it: a type of its own.
        struct Extension(Vec<u8>);

        impl theirs::Extension for Extension {
            fn id() -> u64 {
                EXTENSION
            }
        }

        impl Encode for Extension {
            fn encode<W: bytes::BufMut>(&self, output: &mut W) {
                output.put_slice(&self.0);
            }
        }

        impl Decode for Extension {
            fn decode<B: bytes::Buf>(input: &mut B) -> Result<Self, TheirError> {
                Ok(Extension(input.copy_to_bytes(input.remaining()).to_vec()))
            }
        }

        fn their_extensions(sample: &Sample) -> theirs::Extensions {
            let mut extensions = theirs::Extensions::default();
            if let Some(bytes) = sample.extension.clone() {
                extensions.set(Extension(bytes));
            }
            extensions
        }

        #[test]
        fn the_version_is_the_crates_own() {
            assert_eq!(u64::from(theirs::Version::CURRENT), DIALECT.version());
        }

        #[test]
        fn stream_types_agree() {
            agree(&ours::UniType::Group, &theirs::DataType::Group);
            agree(&ours::StreamType::Session, &theirs::ControlType::Session);
            agree(&ours::StreamType::Announce, &theirs::ControlType::Announce);
            agree(
                &ours::StreamType::Subscribe,
                &theirs::ControlType::Subscribe,
            );
            agree(&ours::StreamType::Info, &theirs::ControlType::Info);
        }

        proptest! {
            #[test]
            fn setup_agrees(sample in sample()) {
                let versions: Vec<_> =
                    sample.versions.iter().map(|version| theirs::Version::from(*version)).collect();
                agree(
                    &ours::SessionClient {
                        versions: sample.versions.clone(),
                        extensions: extensions(&sample),
                    },
                    &theirs::ClientSetup {
                        versions: versions.into(),
                        extensions: their_extensions(&sample),
                    },
                );
                agree(
                    &ours::SessionServer { version: sample.id, extensions: extensions(&sample) },
                    &theirs::ServerSetup {
                        version: sample.id.into(),
                        extensions: their_extensions(&sample),
                    },
                );
            }

            /// We read it but never send it to them: they would read it as the wrong message.
            #[test]
            fn session_updates_are_read(sample in sample()) {
                let update = ours::SessionUpdate { bitrate: sample.number };
                let bitrate = Some(sample.number).filter(|bitrate| *bitrate > 0);
                let bytes = encoded(&theirs::SessionInfo { bitrate });
                we_read(&update, &bytes);
                prop_assert_eq!(update.to_bytes(Dialect::Draft03).unwrap(), bytes);
                prop_assert!(update.to_bytes(DIALECT).is_err());
            }

            #[test]
            fn groups_agree(sample in sample()) {
                agree(
                    &ours::GroupHeader { subscribe: sample.id, sequence: sample.number },
                    &theirs::Group { subscribe: sample.id, sequence: sample.number },
                );
                agree(
                    &ours::SubscribeGap {
                        start: sample.id,
                        count: sample.number,
                        code: sample.code(),
                    },
                    &theirs::GroupDrop {
                        sequence: sample.id,
                        count: sample.number,
                        code: sample.code,
                    },
                );
                let size = (sample.number % (1 << 26)) as usize;
                let header = frame_header(size).unwrap();
                prop_assert_eq!(&encoded(&theirs::Frame { size })[..], &header[..]);
            }
        }
    };
}

/// The tests of crates that have paths in parts.
macro_rules! parts {
    ($crate_name:ident) => {
        fn path(path: &moq_transfork::Path) -> $crate_name::Path {
            path.parts().collect()
        }

        #[test]
        fn fetch_streams_agree() {
            agree(&ours::StreamType::Fetch, &theirs::ControlType::Fetch);
        }

        proptest! {
            #[test]
            fn announcements_agree(sample in sample()) {
                let suffix = path(&sample.path);
                agree(
                    &ours::AnnouncePlease { filter: Filter::Prefix(sample.path.clone()) },
                    &theirs::AnnouncePlease { prefix: suffix.clone() },
                );
                agree(
                    &ours::Announce::Active(sample.path.clone()),
                    &theirs::Announce::Active { suffix: suffix.clone() },
                );
                agree(&ours::Announce::Ended(sample.path), &theirs::Announce::Ended { suffix });
            }

            /// The crates can encode it, though their sessions do not survive it.
            #[test]
            fn fetches_agree(sample in sample()) {
                agree(
                    &ours::Fetch {
                        path: sample.path.clone(),
                        priority: sample.priority(),
                        group: sample.id,
                        frame: sample.number,
                    },
                    &theirs::Fetch {
                        path: path(&sample.path),
                        priority: sample.priority,
                        group: sample.id,
                        offset: sample.number as usize,
                    },
                );
            }
        }
    };
}

/// The tests of messages that carry a path, with its form and whether there is an expiry.
macro_rules! tracks {
    ($path:expr $(, $expires:ident)?) => {
        /// The sample as the dialect can say it.
        fn fit(sample: Sample) -> Sample {
            let expires = sample.expires * u32::from(DIALECT.has_expires());
            Sample { expires, ..sample }
        }

        fn our_update(sample: &Sample) -> ours::SubscribeUpdate {
            ours::SubscribeUpdate {
                priority: ours::Priority::new(sample.number),
                order: sample.order(),
                expires: sample.expires,
                min: sample.min,
                max: sample.max,
            }
        }

        fn their_update(sample: &Sample) -> theirs::SubscribeUpdate {
            theirs::SubscribeUpdate {
                priority: sample.number,
                group_order: order(sample),
                $(group_expires: sample.$expires,)?
                group_min: sample.min,
                group_max: sample.max,
            }
        }

        proptest! {
            #[test]
            fn subscriptions_agree(sample in sample().prop_map(fit)) {
                agree(
                    &ours::Subscribe {
                        id: sample.id,
                        path: sample.path.clone(),
                        priority: sample.priority(),
                        order: sample.order(),
                        expires: sample.expires,
                        min: sample.min,
                        max: sample.max,
                    },
                    &theirs::Subscribe {
                        id: sample.id,
                        path: $path(&sample),
                        priority: sample.priority,
                        group_order: order(&sample),
                        $(group_expires: sample.$expires,)?
                        group_min: sample.min,
                        group_max: sample.max,
                    },
                );
            }

            #[test]
            fn infos_agree(sample in sample().prop_map(fit)) {
                agree(
                    &ours::Info {
                        priority: sample.priority(),
                        order: sample.order(),
                        expires: sample.expires,
                        latest: sample.number,
                    },
                    &theirs::Info {
                        track_priority: sample.priority,
                        group_order: order(&sample),
                        $(group_expires: sample.$expires,)?
                        group_latest: sample.number,
                    },
                );
                agree(
                    &ours::InfoPlease { path: sample.path.clone() },
                    &theirs::InfoRequest { path: $path(&sample) },
                );
            }
        }
    };
}

mod fork02 {
    common!(transfork08, Dialect::Fork02);
    parts!(transfork08);
    tracks!(|sample: &Sample| path(&sample.path), expires);

    /// Their encoder says it, neither decoder reads it, and we never say it.
    #[test]
    fn the_live_marker_is_neither_sent_nor_read() {
        let bytes = encoded(&theirs::Announce::Live);
        assert!(theirs::Announce::decode(&mut &bytes[..]).is_err());
        assert!(ours::Announce::decode_slice(&bytes, DIALECT).is_err());
        assert!(ours::Announce::Live.to_bytes(DIALECT).is_err());
    }

    proptest! {
        /// Their encoder forgets the expiry that their decoder wants.
        #[test]
        fn subscribe_updates_are_what_their_decoder_reads(sample in sample()) {
            let bytes = our_update(&sample).to_bytes(DIALECT).unwrap();
            they_read(&their_update(&sample), &bytes);
            let forgotten = encoded(&their_update(&sample));
            let decoded = ours::SubscribeUpdate::decode_slice(&forgotten, DIALECT);
            prop_assert_eq!(decoded, Err(DecodeError::Incomplete));
        }
    }
}

macro_rules! fork04 {
    ($module:ident, $crate_name:ident) => {
        mod $module {
            common!($crate_name, Dialect::Fork04);
            parts!($crate_name);
            tracks!(|sample: &Sample| path(&sample.path));

            #[test]
            fn the_live_marker_agrees() {
                agree(&ours::Announce::Live, &theirs::Announce::Live);
            }

            proptest! {
                #[test]
                fn subscribe_updates_agree(sample in sample().prop_map(fit)) {
                    agree(&our_update(&sample), &their_update(&sample));
                }
            }
        }
    };
}

fork04!(fork04_first, transfork09);
fork04!(fork04_last, transfork11);

mod fork04s {
    common!(transfork12, Dialect::Fork04s);
    tracks!(Sample::text);

    #[test]
    fn the_live_marker_agrees() {
        agree(&ours::Announce::Live, &theirs::Announce::Live);
    }

    proptest! {
        #[test]
        fn subscribe_updates_agree(sample in sample().prop_map(fit)) {
            agree(&our_update(&sample), &their_update(&sample));
        }

        #[test]
        fn announcements_agree(sample in sample(), pattern in "[a-c/]{0,4}[*]?[a-c/*]{0,4}") {
            agree(
                &ours::AnnouncePlease { filter: pattern.parse().unwrap() },
                &theirs::AnnouncePlease { filter: theirs::Filter::new(&pattern) },
            );
            agree(
                &ours::Announce::Active(sample.path.clone()),
                &theirs::Announce::Active(sample.text()),
            );
            agree(
                &ours::Announce::Ended(sample.path.clone()),
                &theirs::Announce::Ended(sample.text()),
            );
        }
    }
}
