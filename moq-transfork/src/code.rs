//! The numbers that resets, STOP_SENDING and session closes carry.

use std::fmt;

/// An error code as it travels in a stream reset, a STOP_SENDING or a session close.
///
/// Old peers read every code below 31 as 0, so a code informs, and nothing may depend on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u32);

impl Code {
    /// The stream or session is no longer wanted; nobody is at fault.
    pub const CANCEL: Code = Code(0);
    /// The peer lacks an extension that is required.
    pub const REQUIRED_EXTENSION: Code = Code(1);
    /// The group is older than publisher or subscriber wanted it to get.
    pub const EXPIRED: Code = Code(2);
    /// The peer took too long.
    pub const TIMEOUT: Code = Code(3);
    /// The transport below failed.
    pub const TRANSPORT: Code = Code(4);
    /// A message could not be decoded.
    pub const DECODE: Code = Code(5);
    /// The peer may not do this.
    pub const UNAUTHORIZED: Code = Code(6);
    /// The peer asks for more than it is granted.
    pub const TOO_MANY: Code = Code(7);
    /// No protocol version is shared.
    pub const VERSION: Code = Code(9);
    /// A stream of unknown or misplaced type was opened.
    pub const UNEXPECTED_STREAM: Code = Code(10);
    /// A length or number is beyond its limit.
    pub const BOUNDS_EXCEEDED: Code = Code(11);
    /// Something unique was used twice.
    pub const DUPLICATE: Code = Code(12);
    /// The track or group does not exist.
    pub const NOT_FOUND: Code = Code(13);
    /// A stream ended inside a message or frame.
    pub const WRONG_SIZE: Code = Code(14);
    /// The peer broke a rule of the protocol.
    pub const PROTOCOL_VIOLATION: Code = Code(15);
    /// Our side let go of the stream without ending it.
    pub const DROPPED: Code = Code(24);
    /// The group was given up to keep memory within its budget.
    pub const EVICTED: Code = Code(31);

    /// Makes the code of an application's own number, which is `number + 64`.
    ///
    /// Saturates at [`u32::MAX`].
    pub const fn app(number: u32) -> Code {
        Code(number.saturating_add(64))
    }

    /// Tells the draft's name of the code, if it has one.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "cancel",
            1 => "required extension",
            2 => "expired",
            3 => "timeout",
            4 => "transport",
            5 => "decode",
            6 => "unauthorized",
            7 => "too many requests",
            9 => "version",
            10 => "unexpected stream",
            11 => "bounds exceeded",
            12 => "duplicate",
            13 => "not found",
            14 => "wrong size",
            15 => "protocol violation",
            24 => "dropped",
            31 => "evicted",
            _ => return None,
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.0) {
            (Some(name), number) => write!(f, "{name} ({number})"),
            (None, number @ 64..) => write!(f, "application {} ({number})", number - 64),
            (None, number) => write!(f, "unknown ({number})"),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}
