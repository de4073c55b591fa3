//! A connection that follows what is announced.

use moq_transfork::dialect::Dialect;
use moq_transfork::filter::Filter;
use moq_transfork::message::Announce;
use moq_transfork::path::Path;
use moq_transfork::setup::{self, Established};
use moq_transfork::stream::{self, AnnounceReader, AnnounceRequest};
use web_transport_quinn::Session;

use super::connection::{Connection, Connector, Pace};
use super::subscriber::answer;

/// A session that hears of every track below a path.
pub(super) struct Listener {
    dialect: Dialect,
    connection: Connection,
    reader: AnnounceReader<Session>,
    /// The request ends with it, and the session with its control stream.
    _kept: (AnnounceRequest<Session>, Established<Session>),
}

impl Listener {
    /// Connects and asks.
    ///
    /// # Errors
    ///
    /// Why there is no session.
    pub(super) async fn open(
        connector: &Connector,
        dialect: Dialect,
        prefix: &Path,
    ) -> anyhow::Result<Self> {
        let connection = connector.connect(Pace::Full).await?;
        let session = &connection.session;
        let established = setup::connect(session, &[dialect]).await?;
        let filter = Filter::Prefix(prefix.clone());
        let (request, reader) = stream::announce(session, dialect, filter).await?;
        Ok(Self {
            dialect,
            connection,
            reader,
            _kept: (request, established),
        })
    }

    /// Waits until this many tracks have been announced.
    ///
    /// # Errors
    ///
    /// Why the session ended before.
    pub(super) async fn hear(&mut self, tracks: usize) -> anyhow::Result<()> {
        let heard = async {
            let mut heard = 0;
            while heard < tracks {
                match self.reader.next().await? {
                    Some(Announce::Active(_path)) => heard += 1,
                    Some(Announce::Ended(_) | Announce::Live) => {}
                    None => anyhow::bail!("the relay ended the announcements"),
                }
            }
            Ok(())
        };
        tokio::select! {
            heard = heard => heard,
            ended = answer(&self.connection.session, self.dialect) => ended,
        }
    }

    /// Keeps the session to its end.
    ///
    /// # Errors
    ///
    /// Why it ended.
    pub(super) async fn stay(&mut self) -> anyhow::Result<()> {
        self.hear(usize::MAX).await
    }

    /// Ends the session.
    pub(super) async fn close(self) {
        self.connection.close().await;
    }
}
