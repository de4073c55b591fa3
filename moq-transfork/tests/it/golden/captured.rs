//! What was taken off running programs.

use std::time::Duration;

use moq_transfork::coding::Message;
use moq_transfork::frame::FrameScanner;
use moq_transfork::message::{
    Announce, AnnouncePlease, GroupHeader, GroupOrder, Info, InfoPlease, Priority, SessionClient,
    SessionServer, StreamType, Subscribe, SubscribeGap, UniType,
};
use moq_transfork::{Code, Filter};

use super::{Row, Used, path};

impl Row<'_> {
    #[expect(clippy::too_many_lines, reason = "one arm per message")]
    pub(super) fn check_capture(&self, capture: &str) -> Used {
        match capture {
            "client session stream" => {
                let body = self.after(&StreamType::Session);
                let versions = vec![self.dialect.version()];
                self.whole(
                    body,
                    &SessionClient {
                        versions,
                        ..SessionClient::default()
                    },
                );
            }
            "server session reply" => {
                let version = self.dialect.version();
                self.whole(
                    &self.bytes,
                    &SessionServer {
                        version,
                        ..SessionServer::default()
                    },
                );
            }
            "relay announce-please" => {
                let body = self.after(&StreamType::Announce);
                self.whole(
                    body,
                    &AnnouncePlease {
                        filter: Filter::any(),
                    },
                );
            }
            "publisher announce reply" => {
                let mut expected = vec![Announce::Active(path("clock"))];
                expected.extend(self.dialect.has_live().then_some(Announce::Live));
                self.sequence(&expected);
            }
            "subscriber-only client's announce reply" => self.sequence(&[Announce::Live]),
            "subscribe stream" => self.subscribes_to_clock(&self.bytes),
            "info reply" => {
                let order = GroupOrder::Descending;
                self.whole(
                    &self.bytes,
                    &Info {
                        order,
                        ..Info::default()
                    },
                );
            }
            "group uni stream" => self.check_group(),
            "group drop after mid-frame truncation" => {
                self.whole(
                    &self.bytes,
                    &SubscribeGap {
                        start: 5,
                        count: 0,
                        code: Code(14),
                    },
                );
            }
            "announce suffix for prefix [a]" => {
                self.announces(Filter::Prefix(path("a")), &["a/b", "a/c"], false);
            }
            "announce exact match (empty suffix)" => {
                self.announces(Filter::Prefix(path("a/b")), &["a/b"], false);
            }
            "announce reply to filter '/demo/*'" => {
                self.announces("/demo/*".parse().unwrap(), &["/demo/a", "/demo/b"], true);
            }
            "announce reply to filter '/d*a'" => {
                self.announces("/d*a".parse().unwrap(), &["/demo/a"], true);
            }
            "unannounce" => self.sequence(&[Announce::Ended(path("a/b"))]),
            "info-request stream" => {
                let body = self.after(&StreamType::Info);
                self.whole(
                    body,
                    &InfoPlease {
                        path: self.path("path"),
                    },
                );
            }
            "session stream over WebTransport" => {
                let bytes = self.after_webtransport();
                let versions = vec![self.dialect.version()];
                let client = SessionClient {
                    versions,
                    ..SessionClient::default()
                };
                self.whole(self.strip(bytes, &StreamType::Session), &client);
            }
            "relay announce-please over WebTransport" => {
                let body = self.strip(self.after_webtransport(), &StreamType::Announce);
                self.whole(
                    body,
                    &AnnouncePlease {
                        filter: Filter::any(),
                    },
                );
            }
            "subscribe over WebTransport" => self.subscribes_to_clock(self.after_webtransport()),
            "h3 control stream (client)"
            | "h3 control stream (server)"
            | "h3 CONNECT request"
            | "h3 CONNECT response" => return Used::Transport,
            capture => panic!("unknown capture {capture}"),
        }
        Used::Captured
    }

    fn subscribes_to_clock(&self, bytes: &[u8]) {
        let subscribe = Subscribe {
            id: 0,
            path: path("clock"),
            priority: Priority::NEUTRAL,
            order: GroupOrder::Descending,
            expires: Duration::ZERO,
            min: None,
            max: None,
        };
        self.whole(self.strip(bytes, &StreamType::Subscribe), &subscribe);
    }

    fn check_group(&self) {
        let body = self.strip(&self.bytes, &UniType::Group);
        let (header, len) = GroupHeader::decode_slice(body, self.dialect).unwrap();
        assert_eq!(
            header,
            GroupHeader {
                subscribe: 7,
                sequence: 5
            }
        );
        let mut ends = Vec::new();
        let mut scanner = FrameScanner::new();
        scanner.scan(&body[len..], |end| ends.push(end)).unwrap();
        assert_eq!(ends, [6]);
        assert_eq!(&body[len..], b"\x05hello");
    }

    /// The bytes are these announcements of tracks, one after another.
    fn announces(&self, filter: Filter, tracks: &[&str], live: bool) {
        let capture = |track: &&str| Announce::Active(filter.capture(&path(track)).unwrap());
        let mut expected: Vec<Announce> = tracks.iter().map(capture).collect();
        expected.extend(live.then_some(Announce::Live));
        self.sequence(&expected);
        for (track, announce) in tracks.iter().zip(expected) {
            let Announce::Active(capture) = announce else {
                panic!("not active")
            };
            assert_eq!(filter.restore(&capture), Ok(path(track)));
        }
    }
}
