//! What happens on connections.

use super::{error::ReadError, read::Incoming};
use std::{io, net::SocketAddr, time::Duration};

/// What happened on a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkEvent {
    /// It is there.
    Connected {
        /// The other end.
        peer: SocketAddr,
    },
    /// It ended.
    Disconnected {
        /// The other end.
        peer: SocketAddr,
        /// Why.
        end: LinkEnd,
        /// Messages that were sent on it.
        sent: u64,
        /// Messages that a newer one replaced, or that were too many.
        dropped: u64,
    },
    /// A client could not connect; it tries again.
    ConnectFailed {
        /// Why.
        error: io::Error,
        /// Failures one after another, this one included.
        failures: u64,
        /// The pause until the next attempt.
        pause: Duration,
    },
    /// A server has as many clients as it may have and turned one away.
    TurnedAway {
        /// The other end.
        peer: SocketAddr,
    },
    /// A connection could not be accepted, or not be served for want of threads or sockets; others go on.
    Failed {
        /// Why.
        error: io::Error,
    },
    /// Something arrived. Of a type that is not read, only the first message of a connection is reported.
    Incoming {
        /// The other end.
        peer: SocketAddr,
        /// What.
        incoming: Box<Incoming>,
    },
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkEnd {
    /// The peer ended it.
    #[error("the peer closed the connection")]
    Closed,
    /// What it sent cannot be followed, or the system reported an error.
    #[error("what it sends cannot be read: {0}")]
    Read(#[source] ReadError),
    /// It reads nothing.
    #[error("it read nothing for {} s", .0.as_secs_f32())]
    Stalled(Duration),
    /// Nothing can be sent to it.
    #[error("nothing can be sent to it: {0}")]
    Write(#[source] io::Error),
    /// This end ended it, for this reason.
    #[error("{0}")]
    Ended(String),
    /// This end stopped.
    #[error("stopped")]
    Stopped,
}
