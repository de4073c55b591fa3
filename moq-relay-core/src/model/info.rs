//! What is known of a track besides its groups.

use std::ops::RangeInclusive;
use std::time::Duration;

use moq_transfork::code::Code;
use moq_transfork::message::{GroupOrder, Priority};

/// What a publisher says of a track (draft-03, INFO).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackInfo {
    /// The publisher's own priority, which decides where subscribers' priorities are equal.
    pub priority: Priority,
    /// The publisher's own order, for subscribers that do not ask for one.
    pub order: GroupOrder,
    /// How long a finished group is of use; zero means for ever.
    pub expires: Duration,
}

/// What a track is, and how far it has come (draft-03, INFO).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latest {
    /// What the publisher says of the track.
    pub info: TrackInfo,
    /// The newest group, if there is one yet.
    pub latest: Option<u64>,
}

/// A run of groups that a reader will not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// First and last group of the run.
    pub groups: RangeInclusive<u64>,
    /// Why.
    pub code: Code,
}
