//! What we ask of a peer: announcements, subscriptions and their groups, single requests.

pub(super) mod announce;
pub(super) mod group;
pub(super) mod request;
pub(super) mod subscribe;
