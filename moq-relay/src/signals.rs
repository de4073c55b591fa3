//! The signals that ask the process to end, to read its files again, or to tell of itself.

use std::io;

/// Listens for the signals that ask the process to end, from its creation on.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to listen; from now on the signals no longer end the process by themselves.
    ///
    /// # Errors
    ///
    /// Fails when the system refuses the handlers.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    #[cfg(unix)]
    pub fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Begins to listen; from now on the signals no longer end the process by themselves.
    ///
    /// # Errors
    ///
    /// Does not fail on this system.
    #[cfg(not(unix))]
    pub fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next signal and returns its name. Cancel-safe.
    #[cfg(unix)]
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }

    /// Waits for the next Ctrl-C and returns its name. Cancel-safe.
    #[cfg(not(unix))]
    pub async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(_) => std::future::pending().await,
        }
    }
}

/// Listens for a signal that asks the process for something other than to end, from its creation on.
/// On systems without such signals nobody asks.
#[derive(Debug)]
pub struct Requests {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Requests {
    /// Begins to listen for SIGHUP, by which the process is asked to read its files again; from now
    /// on it no longer ends the process by itself.
    ///
    /// # Errors
    ///
    /// Fails when the system refuses the handler.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn to_reload() -> io::Result<Self> {
        Self::listen(tokio::signal::unix::SignalKind::hangup())
    }

    /// Begins to listen for SIGUSR1, by which the process is asked what there is to tell; otherwise
    /// as [`to_reload`](Self::to_reload).
    ///
    /// # Errors
    ///
    /// As [`to_reload`](Self::to_reload).
    ///
    /// # Panics
    ///
    /// As [`to_reload`](Self::to_reload).
    pub fn to_report() -> io::Result<Self> {
        Self::listen(tokio::signal::unix::SignalKind::user_defined1())
    }

    fn listen(kind: tokio::signal::unix::SignalKind) -> io::Result<Self> {
        let signal = tokio::signal::unix::signal(kind)?;
        Ok(Self { signal })
    }

    /// Waits for the next one. Cancel-safe.
    pub async fn next(&mut self) {
        if self.signal.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

#[cfg(not(unix))]
impl Requests {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// Does not fail on this system, which has no such signal.
    pub fn to_reload() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// Does not fail on this system, which has no such signal.
    pub fn to_report() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for ever.
    pub async fn next(&mut self) {
        std::future::pending().await
    }
}
