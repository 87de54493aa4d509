//! What the loop's thread, the encoder and the viewers share.

use super::tally::Tally;
use crate::live::LiveFrame;
use bytes::Bytes;
use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use tokio::sync::watch;

/// What is shared.
pub(super) struct Shared {
    tally: Mutex<Tally>,
    mailbox: Mutex<Mailbox>,
    arrived: Condvar,
    /// The newest frame as a message.
    pub(super) newest: watch::Sender<Option<Bytes>>,
    /// Changes when there is something new beside frames; true when the output has ended.
    pub(super) news: watch::Sender<bool>,
    viewers: AtomicUsize,
}

/// The newest frame that the encoder has not taken.
#[derive(Default)]
struct Mailbox {
    frame: Option<Arc<LiveFrame>>,
    closed: bool,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            tally: Mutex::new(Tally::new(Instant::now())),
            mailbox: Mutex::default(),
            arrived: Condvar::new(),
            newest: watch::Sender::new(None),
            news: watch::Sender::new(false),
            viewers: AtomicUsize::new(0),
        }
    }

    /// The books; a panic of another thread leaves them as usable as they were.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame in the place of the one that the encoder has not taken.
    pub(super) fn put(&self, frame: Arc<LiveFrame>) {
        // The former frame is dropped after the lock.
        let former = self.mailbox().frame.replace(frame);
        self.arrived.notify_one();
        drop(former);
    }

    /// Waits for a frame; none when the output has ended.
    pub(super) fn take(&self) -> Option<Arc<LiveFrame>> {
        let mut mailbox = self.mailbox();
        loop {
            if mailbox.closed {
                return None;
            }
            if let Some(frame) = mailbox.frame.take() {
                return Some(frame);
            }
            mailbox = (self.arrived.wait(mailbox)).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends encoder and viewers.
    pub(super) fn close(&self) {
        self.mailbox().closed = true;
        self.arrived.notify_all();
        self.news.send_replace(true);
    }

    /// Number of viewers.
    pub(super) fn viewers(&self) -> usize {
        self.viewers.load(Ordering::Relaxed)
    }

    /// Counts a viewer until the result is dropped.
    pub(super) fn viewer(self: &Arc<Self>) -> Counted {
        self.viewers.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }
}

/// A viewer that is counted.
pub(super) struct Counted(pub(super) Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.viewers.fetch_sub(1, Ordering::Relaxed) == 1 {
            // The next viewer must not begin with a frame of long ago.
            self.0.newest.send_replace(None);
        }
    }
}
