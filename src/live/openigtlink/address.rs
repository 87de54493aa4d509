//! Addresses of OpenIGTLink servers.

use crate::igtl::DEFAULT_PORT;
use std::{fmt, str::FromStr};

/// A server of OpenIGTLink: `igtl://host[:port][/device]`, also without `igtl://`. The port is 18944 where none is given; a device
/// names the `IMAGE` that is read. An IPv6 address is in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IgtlAddress {
    /// Name or address of the host, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Device name of the images.
    pub device: Option<String>,
}

/// A text is no address of an OpenIGTLink server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given}: {problem}; use igtl://host:port or igtl://host:port/device")]
pub struct IgtlAddressError {
    given: String,
    problem: &'static str,
}

impl IgtlAddress {
    /// `host:port`, as it is connected to.
    pub fn host_and_port(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for IgtlAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "igtl://{}", self.host_and_port())?;
        match &self.device {
            Some(device) => write!(f, "/{device}"),
            None => Ok(()),
        }
    }
}

impl FromStr for IgtlAddress {
    type Err = IgtlAddressError;

    fn from_str(given: &str) -> Result<Self, IgtlAddressError> {
        let wrong = |problem| {
            let given = given.to_owned();
            Err(IgtlAddressError { given, problem })
        };
        let rest = given.strip_prefix("igtl://").unwrap_or(given);
        let (server, device) = match rest.split_once('/') {
            Some((server, device)) => (server, Some(device).filter(|device| !device.is_empty())),
            None => (rest, None),
        };
        if server.contains('@') {
            // Not repeated, as it may hold a password.
            return Err(IgtlAddressError {
                given: "igtl://…@…".to_owned(),
                problem: "OpenIGTLink has no users and passwords",
            });
        }
        let (host, port) = match server.strip_prefix('[').and_then(|s| s.split_once(']')) {
            Some((host, port)) => (
                host,
                port.strip_prefix(':').or(port.is_empty().then_some("")),
            ),
            None => match server.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (server, Some("")),
            },
        };
        let port = match port {
            Some("") => Some(DEFAULT_PORT),
            Some(port) => port.parse().ok().filter(|&port| port > 0),
            None => None,
        };
        let Some(port) = port else {
            return wrong("the port is no number from 1 to 65535");
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return wrong("there is no host in it");
        }
        if device.is_some_and(|device| device.len() > 20) {
            return wrong("a device name has at most 20 bytes");
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            device: device.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        for (given, shown) in [
            ("igtl://plus", "igtl://plus:18944"),
            ("10.0.0.2:18945", "igtl://10.0.0.2:18945"),
            (
                "igtl://plus:1/Image_Reference",
                "igtl://plus:1/Image_Reference",
            ),
            ("igtl://plus/", "igtl://plus:18944"),
            ("igtl://[::1]:5/a", "igtl://[::1]:5/a"),
            ("igtl://[::1]", "igtl://[::1]:18944"),
        ] {
            assert_eq!(given.parse::<IgtlAddress>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_none_is_refused_without_its_password() {
        for given in [
            "",
            "igtl://",
            "igtl://:5",
            "a:0",
            "a:99999",
            "a:b",
            "[::1]5",
            "a/twenty-one-characters!",
        ] {
            let error = given.parse::<IgtlAddress>().unwrap_err().to_string();
            assert!(
                error.starts_with(given) && error.contains("; use igtl://"),
                "{error}"
            );
        }
        let error = "igtl://me:secret@host".parse::<IgtlAddress>().unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}
