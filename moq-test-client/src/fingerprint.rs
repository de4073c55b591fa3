//! Asks a relay for its certificate's hash over plain HTTP, as `http://` URLs promise.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::address::RelayUrl;
use crate::tls::Fingerprint;

/// The most bytes of an answer that are read: headers and 64 digits are far below it.
const MAX_ANSWER: u64 = 16 * 1024;

/// Why the hash could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No TCP connection, or it broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The server answered something else than 200.
    #[error("the server answered {0:?} instead of 200")]
    Status(String),
    /// The body is not a hash.
    #[error("the answer is not a fingerprint: {0:?}")]
    Body(String),
}

/// Asks `http://host:port/fingerprint` and returns the hash in the answer.
///
/// # Errors
///
/// When there is no connection, no status 200, or no 64 hexadecimal digits in the body. It has no
/// time limit of its own: the caller's covers it.
pub async fn fetch(relay: &RelayUrl) -> Result<Fingerprint, FetchError> {
    let mut stream = TcpStream::connect((relay.host(), relay.port())).await?;
    // HTTP/1.0: the server ends the connection after the body and does not chunk it.
    let request = format!(
        "GET /fingerprint HTTP/1.0\r\nHost: {}:{}\r\nAccept: */*\r\n\r\n",
        relay.host(),
        relay.port()
    );
    stream.write_all(request.as_bytes()).await?;

    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    parse(&String::from_utf8_lossy(&answer))
}

fn parse(answer: &str) -> Result<Fingerprint, FetchError> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(FetchError::Status(shorten(status)));
    }
    body.trim()
        .parse()
        .map_err(|_| FetchError::Body(shorten(body)))
}

/// Keeps an error readable whatever the server said.
fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_answer_yields_its_hash() {
        let hash = "0f".repeat(32);
        let answer = format!("HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\n\r\n{hash}");
        assert_eq!(parse(&answer).unwrap().to_string(), hash);
    }

    #[test]
    fn anything_else_is_an_error_that_quotes_the_answer() {
        let missing = parse("HTTP/1.1 404 Not Found\r\n\r\n")
            .unwrap_err()
            .to_string();
        assert!(missing.contains("404"), "{missing}");
        let page = parse("HTTP/1.1 200 OK\r\n\r\n<html>")
            .unwrap_err()
            .to_string();
        assert!(page.contains("<html>"), "{page}");
        assert!(parse("").is_err());
        assert!(parse("SSH-2.0-OpenSSH").is_err());
    }
}
