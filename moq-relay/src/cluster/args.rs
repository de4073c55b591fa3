//! The part of the command line that makes the relay one of many.

use std::path::PathBuf;

use moq_relay_core::role::NodeName;

/// Other relays.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Join the cluster whose nodes find each other at this relay
    ///
    /// Without it this relay may be the root of others. It is dialled again whenever it is gone;
    /// the links between the nodes do not depend on it. The port is 443 if none is given.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub cluster_root: Option<NodeName>,

    /// How other nodes of the cluster reach this relay
    ///
    /// Its certificate has to be for this host, as far as the others check it. Without it this
    /// relay uses the cluster, and what is published here stays here.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub cluster_node: Option<NodeName>,

    /// Take for nodes whoever has a certificate that the PEM root certificates in this file vouch
    /// for
    ///
    /// May be repeated. Nodes show the first --tls-cert when they dial, and the host of a node has
    /// to be in it. It must be good for clients too: with an extended key usage that has
    /// clientAuth, or none.
    #[arg(long, value_name = "FILE")]
    pub cluster_tls_root: Vec<PathBuf>,

    /// Take for nodes whoever knows the secret in this file, of at least 16 bytes
    ///
    /// It is never sent. White space at its end does not count.
    #[arg(long, value_name = "FILE")]
    pub cluster_secret_file: Option<PathBuf>,

    /// Danger: take anyone for a node who says so
    ///
    /// Anyone can then make every node dial any host, and announce to all what they like. It is
    /// what links to the relays of the published crates need.
    #[arg(long)]
    pub cluster_open: bool,
}

impl ClusterArgs {
    /// True if the relay takes part in a cluster.
    pub const fn is_used(&self) -> bool {
        self.cluster_root.is_some() || self.cluster_node.is_some()
    }

    /// True if there is a way to tell who is a node.
    pub fn has_proof(&self) -> bool {
        self.cluster_open || self.cluster_secret_file.is_some() || !self.cluster_tls_root.is_empty()
    }
}
