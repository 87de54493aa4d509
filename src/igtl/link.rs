//! One connection: its mailbox, and the socket.

use super::{
    encode::{Encoded, Version},
    link_event::LinkEnd,
    outbox::Outbox,
};
use std::{
    io,
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: SocketAddr,
    pub(super) stream: TcpStream,
    outbox: Outbox,
    /// Whether the peer reads headers of version 2.
    second: AtomicBool,
    end: Mutex<Option<LinkEnd>>,
    pub(super) sent: AtomicU64,
    pub(super) dropped: AtomicU64,
}

impl Link {
    /// A connection over a socket, on which writing returns within a part of `stall`.
    ///
    /// # Errors
    /// The socket's.
    pub(super) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        waiting: usize,
        stall: Duration,
        first: Version,
    ) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        let wait = (stall / 8).clamp(Duration::from_millis(10), Duration::from_secs(1));
        stream.set_write_timeout(Some(wait))?;
        Ok(Self {
            peer,
            stream,
            outbox: Outbox::new(waiting),
            second: AtomicBool::new(first == Version::V2),
            end: Mutex::default(),
            sent: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        })
    }

    /// Puts a message into the mailbox; returns how many it dropped.
    pub(super) fn push(&self, message: &Arc<Encoded>) -> u64 {
        let dropped = self.outbox.push(message);
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
        dropped
    }

    /// Whether all was sent.
    pub(super) fn is_idle(&self) -> bool {
        self.outbox.is_idle()
    }

    /// The peer has sent a header of this version, and is answered in it.
    pub(super) fn shown(&self, version: u16) {
        if version > 1 {
            self.second.store(true, Ordering::Relaxed);
        }
    }

    fn version(&self) -> Version {
        match self.second.load(Ordering::Relaxed) {
            true => Version::V2,
            false => Version::V1,
        }
    }

    /// Ends the connection; the first reason stays.
    pub(super) fn end(&self, end: LinkEnd) {
        self.end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(end);
        self.outbox.close();
        // It may be shut already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Why it ended.
    pub(super) fn take_end(&self) -> LinkEnd {
        let end = self
            .end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        end.unwrap_or(LinkEnd::Closed)
    }

    /// Sends what comes into the mailbox until the connection ends; `sent` is called with the bytes of each message.
    pub(super) fn send_all(&self, stall: Duration, sent: impl Fn(usize)) {
        while let Some(message) = self.outbox.take() {
            let mut since = Instant::now();
            let written = message.write(self.version(), &mut &self.stream, |error, moved| {
                if moved {
                    since = Instant::now();
                }
                is_timeout(error) && since.elapsed() < stall
            });
            match written {
                Ok(bytes) => {
                    self.sent.fetch_add(1, Ordering::Relaxed);
                    message.note();
                    sent(bytes);
                }
                Err(error) if is_timeout(&error) => self.end(LinkEnd::Stalled(stall)),
                Err(error) => self.end(LinkEnd::Write(error)),
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
