//! Relay URLs: which transport, which host, which port.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// The address of a relay, checked once at the edge.
///
/// | scheme | means | default port |
/// |---|---|---|
/// | `https://` | WebTransport over HTTP/3 | 443 |
/// | `moqf://` | MoqTransfork directly on QUIC | 443 |
/// | `http://` | asks `http://host:port/fingerprint` over TCP for the certificate's hash, then as `https://` on the same port | 80 |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayUrl {
    scheme: Scheme,
    url: Url,
}

/// What a [`RelayUrl`] begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// WebTransport.
    Https,
    /// Raw QUIC.
    Moqf,
    /// WebTransport, with the certificate's hash fetched in clear first.
    Http,
}

/// Why a text is not a relay's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It does not parse as a URL.
    #[error("{0}: write it like https://localhost:4443")]
    Url(#[from] url::ParseError),
    /// Its scheme is none of ours.
    #[error("unknown scheme {0:?}: use https:// (WebTransport), moqf:// (raw QUIC) or http://")]
    Scheme(String),
    /// It names no host.
    #[error("no host in the URL: write it like https://localhost:4443")]
    Host,
}

impl RelayUrl {
    /// Returns the scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host, an IPv6 address without its brackets: as DNS and TLS want it.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// Returns the port, the scheme's default where the URL names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        let default = match self.scheme {
            Scheme::Https | Scheme::Moqf => 443,
            Scheme::Http => 80,
        };
        self.url.port().unwrap_or(default)
    }

    /// Returns the `https` URL that a WebTransport session asks for, path and query kept.
    #[must_use]
    pub fn webtransport(&self) -> Url {
        let mut text = format!(
            "https://{}:{}",
            self.url.host_str().unwrap_or_default(),
            self.port()
        );
        text.push_str(self.url.path());
        if let Some(query) = self.url.query() {
            text.push('?');
            text.push_str(query);
        }
        Url::parse(&text).unwrap_or_else(|_| self.url.clone())
    }
}

impl FromStr for RelayUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text)?;
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "moqf" => Scheme::Moqf,
            "http" => Scheme::Http,
            // `localhost:4443` parses as a URL whose scheme is `localhost`.
            other => return Err(AddressError::Scheme(other.to_owned())),
        };
        match url.host_str() {
            None | Some("") => Err(AddressError::Host),
            Some(_) => Ok(Self { scheme, url }),
        }
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RelayUrl {
        text.parse().unwrap()
    }

    #[test]
    fn each_scheme_has_its_transport_and_default_port() {
        assert_eq!(
            (parse("https://a").scheme(), parse("https://a").port()),
            (Scheme::Https, 443)
        );
        assert_eq!(
            (parse("moqf://a").scheme(), parse("moqf://a").port()),
            (Scheme::Moqf, 443)
        );
        assert_eq!(
            (parse("http://a").scheme(), parse("http://a").port()),
            (Scheme::Http, 80)
        );
        assert_eq!(parse("moqf://a:4443").port(), 4443);
    }

    #[test]
    fn an_ipv6_host_loses_its_brackets_for_tls_only() {
        for scheme in ["https", "moqf"] {
            let url = parse(&format!("{scheme}://[::1]:4443/live?jwt=x"));
            assert_eq!(url.host(), "::1");
            assert_eq!(url.webtransport().as_str(), "https://[::1]:4443/live?jwt=x");
        }
    }

    #[test]
    fn the_webtransport_url_of_http_keeps_the_port_that_was_asked() {
        assert_eq!(
            parse("http://relay:4443/x").webtransport().as_str(),
            "https://relay:4443/x"
        );
        assert_eq!(
            parse("http://relay/x").webtransport().as_str(),
            "https://relay:80/x"
        );
    }

    #[test]
    fn an_address_without_scheme_or_host_is_refused_with_advice() {
        let error = "localhost:4443".parse::<RelayUrl>().unwrap_err();
        assert!(error.to_string().contains("https://"), "{error}");
        assert!("".parse::<RelayUrl>().is_err());
        assert!("moqf://".parse::<RelayUrl>().is_err());
        assert!("ftp://host".parse::<RelayUrl>().is_err());
    }
}
