//! One module a subcommand, and what they share.

use std::io;

use anyhow::Context as _;
use moq_transfork::message::GroupOrder;
use tokio_util::sync::CancellationToken;

use crate::connect::Client;
use crate::dial::DialOptions;
use crate::output::Output;

pub mod announced;
pub mod bench;
pub mod fetch;
pub mod impair;
pub mod info;
mod print;
pub mod publish;
pub mod subscribe;

/// What every command works with.
pub struct Context {
    /// How to connect.
    pub options: DialOptions,
    /// Where results go.
    pub output: Output,
    /// Cancelled when the user wants the program to end.
    pub stop: CancellationToken,
}

/// How a command ended, if nothing stood in its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All as asked.
    Done,
    /// Something did not come, or came wrong; it is in the output already.
    Failed,
    /// This program, or the dialect, has no such thing.
    Unsupported,
}

impl Outcome {
    /// Returns the program's exit code. (2 is left to wrong command lines.)
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Unsupported => 127,
        }
    }
}

/// Which group goes first when several wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// As the other side says.
    #[default]
    Default,
    /// The oldest.
    Ascending,
    /// The newest.
    Descending,
}

impl From<Order> for GroupOrder {
    fn from(order: Order) -> Self {
        match order {
            Order::Default => Self::Default,
            Order::Ascending => Self::Ascending,
            Order::Descending => Self::Descending,
        }
    }
}

/// Describes why a session ended that was still needed.
async fn lost(client: &mut Client) -> anyhow::Error {
    let remote = client.remote();
    anyhow::Error::new(client.closed().await).context(format!("the session with {remote} ended"))
}

/// Names the place where results could not be written.
fn written(result: io::Result<()>) -> anyhow::Result<()> {
    result.context("cannot write to stdout")
}
