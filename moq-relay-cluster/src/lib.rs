//! Relays that find each other through one root node and form a mesh that heals.
//!
//! Every node dials the root, announces its own name there, learns the names of the others and
//! links to each of them. What users publish at one node is announced to all the others, and what
//! comes from a node is never announced to a node: so there are no loops, and nothing outlives its
//! publisher. It speaks MoqTransfork like anyone else and is **not** a second protocol; it knows
//! nothing of sockets and certificates, which are behind [`dial::Dial`].
//!
//! Start with [`cluster::Cluster`]: give it every session you accept, in place of the relay, and
//! run it. [`config::Config`] says who this node is, and [`auth::Auth`] who else may be one.

pub mod auth;
pub mod backoff;
pub mod cluster;
pub mod config;
mod connect;
pub mod dial;
mod hello;
mod link;
mod links;
mod membership;
mod pursuit;
pub mod snapshot;
