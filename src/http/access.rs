//! Who may ask: the `Host` and `Origin` of requests.
//!
//! A page of the web can send requests to this machine, and with a name that it makes point here (DNS rebinding) it could read
//! the answers. A server of the loopback interface therefore answers to names of it alone, and no server answers to pages of
//! others.

use hyper::{HeaderMap, header};
use std::net::{IpAddr, SocketAddr};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the request has no Host header; HTTP/1.1 requires one")]
    NoHost,
    #[error(
        "Host {0:?}: this server listens on the loopback interface and answers to localhost, 127.0.0.1 and [::1] alone"
    )]
    ForeignHost(String),
    #[error("Origin {0:?}: pages of other sites may not use this server")]
    ForeignOrigin(String),
}

/// Whether a server at `address` answers to a request with these headers.
pub(super) fn check(address: SocketAddr, headers: &HeaderMap) -> Result<(), Refusal> {
    let host = header_text(headers, header::HOST).ok_or(Refusal::NoHost)?;
    if address.ip().is_loopback() && !names_loopback(&host) {
        return Err(Refusal::ForeignHost(host));
    }
    match header_text(headers, header::ORIGIN) {
        Some(origin) if !is_of(&origin, &host) => Err(Refusal::ForeignOrigin(origin)),
        _ => Ok(()),
    }
}

/// A header's text; other bytes are replaced, so that nothing passes as missing.
fn header_text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Whether an origin (`http://host:port`) is that of the page that this host has served.
fn is_of(origin: &str, host: &str) -> bool {
    let authority = origin
        .split_once("://")
        .filter(|(scheme, _)| ["http", "https"].contains(scheme));
    authority.is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

/// Whether `host` (`name` or `name:port`; any port, as a tunnel may end at another) is a name of the loopback interface.
fn names_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if is_port(port) => name,
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
            Some(_) => return false,
            None => host,
        },
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Whether text after a `]` is nothing, or a port.
fn is_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|p| p.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: Option<&str>, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        headers
    }

    #[test]
    fn a_server_of_the_loopback_interface_answers_to_its_names() {
        let here = "127.0.0.1:8000".parse().unwrap();
        for host in [
            "localhost",
            "LOCALHOST:8000",
            "127.0.0.1:8000",
            "127.8.9.1",
            "[::1]:9",
            "[::1]",
        ] {
            assert_eq!(check(here, &headers(Some(host), None)), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:8000",
            "127.0.0.1.evil.example",
            "192.168.1.4:8000",
            "[::1]evil",
            "[::2]:8000",
            "::1",
            "localhost:80:80",
            "localhost@evil.example",
            "",
        ] {
            let refused = check(here, &headers(Some(host), None));
            assert_eq!(refused, Err(Refusal::ForeignHost(host.to_owned())));
        }
        assert_eq!(check(here, &headers(None, None)), Err(Refusal::NoHost));
        let away = "192.168.1.4:8000".parse().unwrap();
        assert_eq!(check(away, &headers(Some("scanner:8000"), None)), Ok(()));
    }

    #[test]
    fn pages_of_others_are_refused() {
        let here = "127.0.0.1:8000".parse().unwrap();
        let from = |origin| check(here, &headers(Some("127.0.0.1:8000"), Some(origin)));
        assert_eq!(from("http://127.0.0.1:8000"), Ok(()));
        for origin in [
            "http://127.0.0.1:9000",
            "https://evil.example",
            "null",
            "file://127.0.0.1:8000",
            "",
        ] {
            assert!(from(origin).is_err(), "{origin}");
        }
    }
}
