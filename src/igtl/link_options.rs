//! How servers and clients behave.

use super::{encode::Version, read::ReadLimits};
use std::time::Duration;

/// How a server or a client behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkOptions {
    /// Bounds of what is read.
    pub limits: ReadLimits,
    /// Most `STATUS`, `STRING`, `CAPABILITY` and requests that wait on a connection, and most devices of which the newest
    /// message waits; the oldest is dropped.
    pub waiting: usize,
    /// A peer that accepts nothing for so long is cut off; what it does not read in time is dropped before.
    pub stall: Duration,
    /// Most clients of a server; others are turned away.
    pub clients: usize,
    /// How long a client waits for a connection.
    pub connect: Duration,
    /// The pauses of a client between attempts to connect: the first, doubled each time, and the longest. A connection that
    /// lasts for the longest begins anew.
    pub pauses: [Duration; 2],
    /// Version of headers until the peer has shown which it reads. Peers that read only version 1 cannot follow another.
    pub first_version: Version,
}

impl Default for LinkOptions {
    /// 64 messages, 10 s, 16 clients, 5 s, 0.2 s to 5 s, version 1.
    fn default() -> Self {
        Self {
            limits: ReadLimits::default(),
            waiting: 64,
            stall: Duration::from_secs(10),
            clients: 16,
            connect: Duration::from_secs(5),
            pauses: [Duration::from_millis(200), Duration::from_secs(5)],
            first_version: Version::V1,
        }
    }
}
