//! Either end of OpenIGTLink.

use crate::igtl::{Client, Sender, Server};
use std::net::SocketAddr;

#[derive(Debug)]
pub(super) enum Link {
    Client(Client),
    Server(Server),
}

impl Link {
    /// Where it listens; none where it connects.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Client(_) => None,
            Self::Server(server) => Some(server.address()),
        }
    }

    pub(super) fn sender(&self) -> &Sender {
        match self {
            Self::Client(client) => client.sender(),
            Self::Server(server) => server.sender(),
        }
    }
}
