//! What we ask of a peer: announcements, subscriptions and their groups, single requests.

use moq_transfork::message::Info;

pub(super) mod announce;
pub(super) mod group;
pub(super) mod request;
pub(super) mod subscribe;

/// The newest group that the publisher has, as far as INFO can say it: 0 may also mean none yet.
fn known_latest(info: &Info) -> Option<u64> {
    Some(info.latest).filter(|latest| *latest > 0)
}
