//! Why a server did not start.

use std::{io, net::SocketAddr};

/// A server that cannot be started. Displayed as: the address or value, what was wrong, what would work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address cannot be listened on.
    #[error("{address}: cannot be listened on: {source}{}", remedy(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system gives no thread or no events of sockets.
    #[error("{address}: the server cannot be started: {source}")]
    Start {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A key that no header can carry.
    #[error("the API key {problem}; give 1 to 256 characters of ASCII without blanks")]
    ApiKey {
        /// What is wrong with it.
        problem: &'static str,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; end the program that does, or give another port (0: any)",
        io::ErrorKind::PermissionDenied => "; give a port from 1024 on",
        io::ErrorKind::AddrNotAvailable => "; give an address of this machine",
        _ => "",
    }
}
