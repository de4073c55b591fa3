//! What the published crates encode, and what their decoders accept.

use std::time::Duration;

use bytes::BytesMut;
use moq_transfork::coding::{DecodeError, EncodeError, Field, Input, Message, Output, varint};
use moq_transfork::frame::frame_header;
use moq_transfork::message::{
    Announce, AnnouncePlease, Fetch, GroupHeader, GroupOrder, Info, InfoPlease, Priority,
    SessionClient, SessionServer, SessionUpdate, StreamType, Subscribe, SubscribeGap,
    SubscribeUpdate, UniType,
};
use moq_transfork::{Code, Dialect, Filter};

use super::{Row, number};

impl Row<'_> {
    #[expect(clippy::too_many_lines, reason = "one arm per message")]
    pub(super) fn check_primitive(&self) {
        match self.name {
            "varint" => {
                let mut output = BytesMut::new();
                varint::encode(self.number("value"), &mut output).unwrap();
                assert_eq!(output, self.bytes);
                assert_eq!(Input::new(&self.bytes).varint(), Ok(self.number("value")));
            }
            "i8" => {
                let priority = self.priority("value");
                let info = Info {
                    priority,
                    ..Info::default()
                };
                let bytes = info.to_bytes(self.dialect).unwrap();
                assert_eq!(bytes[..1], self.bytes);
                assert_eq!(self.decode_as::<Info>(&bytes).priority, priority);
            }
            "string" => {
                let mut output = Output::default();
                output
                    .bytes(self.fields["value"].as_str().unwrap().as_bytes())
                    .unwrap();
                assert_eq!(output.take(), self.bytes);
                assert_eq!(Input::new(&self.bytes).text(), Ok("clock"));
            }
            "duration" => self.check_duration(),
            "GroupOrder" => {
                let order = self.order("value");
                let info = Info {
                    order,
                    ..Info::default()
                };
                let bytes = info.to_bytes(self.dialect).unwrap();
                assert_eq!(bytes[1..2], self.bytes);
                assert_eq!(self.decode_as::<Info>(&bytes).order, order);
            }
            "DataType" => self.both(&UniType::Group),
            "ControlType" => self.both(&match self.fields["value"].as_str().unwrap() {
                "Session" => StreamType::Session,
                "Announce" => StreamType::Announce,
                "Subscribe" => StreamType::Subscribe,
                "Fetch" => StreamType::Fetch,
                "Info" => StreamType::Info,
                value => panic!("unknown type {value}"),
            }),
            "Frame(header)" => {
                assert_eq!(
                    frame_header(self.number("size") as usize).unwrap(),
                    self.bytes
                );
            }
            "Path" => {
                let mut output = Output::default();
                output.path(&self.path("parts"), self.dialect).unwrap();
                assert_eq!(output.take(), self.bytes);
                assert_eq!(
                    Input::new(&self.bytes).path(self.dialect),
                    Ok(self.path("parts"))
                );
            }
            _ => self.check_message(),
        }
    }

    /// Milliseconds travel in SUBSCRIBE and INFO of 0.8 only; later crates never send the type.
    fn check_duration(&self) {
        let millis = self.number("ms");
        let mut output = Output::default();
        match self.dialect {
            Dialect::Fork02 => {
                output
                    .expires(Duration::from_millis(millis), self.dialect)
                    .unwrap();
            }
            dialect @ (Dialect::Draft03 | Dialect::Fork04 | Dialect::Fork04s) => {
                assert!(!dialect.has_expires());
                let micros = self.bytes.len() == 4;
                output
                    .varint(if micros { millis * 1000 } else { millis })
                    .unwrap();
            }
        }
        assert_eq!(output.take(), self.bytes);
    }

    #[expect(clippy::too_many_lines, reason = "one arm per message")]
    fn check_message(&self) {
        match self.name {
            "ClientSetup" => self.both(&SessionClient {
                versions: self.list("versions").map(number).collect(),
                extensions: self.extensions(),
            }),
            "ServerSetup" => self.both(&SessionServer {
                version: number(&self.fields["version"]),
                extensions: self.extensions(),
            }),
            "SessionInfo" => {
                let update = SessionUpdate {
                    bitrate: self.fields["bitrate"].as_u64().unwrap_or(0),
                };
                assert_eq!(update.to_bytes(Dialect::Draft03).unwrap(), self.bytes);
                assert_eq!(self.decode::<SessionUpdate>(), update);
                self.refused(&update);
            }
            "Group" => self.both(&GroupHeader {
                subscribe: self.number("subscribe"),
                sequence: self.number("sequence"),
            }),
            "GroupDrop" => self.both(&SubscribeGap {
                start: self.number("sequence"),
                count: self.number("count"),
                code: Code(self.number("code") as u32),
            }),
            "AnnouncePlease" => {
                let filter = match self.dialect {
                    Dialect::Fork04s => self.fields["filter"].as_str().unwrap().parse().unwrap(),
                    Dialect::Draft03 | Dialect::Fork02 | Dialect::Fork04 => {
                        Filter::Prefix(self.path("prefix"))
                    }
                };
                self.both(&AnnouncePlease { filter });
            }
            "Announce" => self.check_announce(),
            "InfoRequest" => self.both(&InfoPlease {
                path: self.path("path"),
            }),
            "Fetch" => self.both(&Fetch {
                path: self.path("path"),
                priority: self.priority("priority"),
                group: self.number("group"),
                frame: self.number("offset"),
            }),
            "Subscribe" => self.both(&Subscribe {
                id: self.number("id"),
                path: self.path("path"),
                priority: self.priority("priority"),
                order: self.order("group_order"),
                expires: self.expires("group_expires_ms"),
                min: self.fields["group_min"].as_u64(),
                max: self.fields["group_max"].as_u64(),
            }),
            "SubscribeUpdate" => self.check_subscribe_update(),
            "Info" => self.both(&Info {
                priority: self.priority("track_priority"),
                order: self.order("group_order"),
                expires: self.expires("group_expires_ms"),
                latest: self.number("group_latest"),
            }),
            name => panic!("unknown message {name}"),
        }
    }

    /// The encoder of 0.8 can say live, its decoder and thus we cannot.
    fn check_announce(&self) {
        let field = if self.dialect == Dialect::Fork04s {
            "capture"
        } else {
            "suffix"
        };
        match self.fields["status"].as_str().unwrap() {
            "active" => self.both(&Announce::Active(self.path(field))),
            "ended" => self.both(&Announce::Ended(self.path(field))),
            "live" if self.dialect == Dialect::Fork02 => {
                self.refused(&Announce::Live);
                assert!(Announce::decode_slice(&self.bytes, self.dialect).is_err());
            }
            "live" => self.both(&Announce::Live),
            status => panic!("unknown status {status}"),
        }
    }

    /// The encoder of 0.8 forgets the expiry that its decoder and thus we expect.
    fn check_subscribe_update(&self) {
        let update = SubscribeUpdate {
            priority: Priority::new(self.number("priority")),
            order: self.order("group_order"),
            expires: self.expires("group_expires_ms"),
            min: self.fields["group_min"].as_u64(),
            max: self.fields["group_max"].as_u64(),
        };
        if self.dialect != Dialect::Fork02 {
            return self.both(&update);
        }
        let decoded = SubscribeUpdate::decode_slice(&self.bytes, self.dialect);
        assert_eq!(decoded, Err(DecodeError::Incomplete));
        let mut bytes = self.bytes.clone();
        bytes.splice(2..2, [0x45, 0xdc]);
        assert_eq!(update.to_bytes(self.dialect).unwrap(), bytes);
    }

    pub(super) fn check_decode(&self) {
        match self.name {
            "GroupOrder" => self.decides::<OrderOnly>(),
            "Announce" => self.decides::<Announce>(),
            "SubscribeUpdate" => self.decides::<SubscribeUpdate>(),
            "Info" => self.decides::<Info>(),
            "ControlType" => self.decides::<KnownType>(),
            "Subscribe" => self.decides::<Subscribe>(),
            name => panic!("unknown message {name}"),
        }
    }
}

/// The order of a group as a message of its own.
#[derive(Debug)]
struct OrderOnly(GroupOrder);

impl Message for OrderOnly {
    fn fields(_: Dialect) -> &'static [Field] {
        &[Field::Varint]
    }

    fn encode(&self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        let info = Info {
            order: self.0,
            ..Info::default()
        };
        output.byte(info.to_bytes(dialect)?[1]);
        Ok(())
    }

    fn decode(input: &mut Input<'_>, dialect: Dialect) -> Result<Self, DecodeError> {
        let order = input.byte()?;
        let info = [0x80, order, 0, 0];
        Info::decode_slice(&info, dialect).map(|(info, _)| OrderOnly(info.order))
    }
}

/// A stream type that is refused where the session layer would close the session.
#[derive(Debug)]
struct KnownType(StreamType);

impl Message for KnownType {
    fn fields(dialect: Dialect) -> &'static [Field] {
        StreamType::fields(dialect)
    }

    fn encode(&self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        self.0.encode(output, dialect)
    }

    fn decode(input: &mut Input<'_>, dialect: Dialect) -> Result<Self, DecodeError> {
        let kind = StreamType::decode(input, dialect)?;
        if let StreamType::Unknown(value) = kind {
            return Err(DecodeError::Invalid {
                name: "stream type",
                value,
            });
        }
        Ok(KnownType(kind))
    }
}
