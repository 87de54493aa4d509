//! The connections of a server or a client, and what is sent on all of them.

use super::{
    content,
    encode::Encoded,
    error::EncodeError,
    link::Link,
    link_event::{LinkEnd, LinkEvent},
    link_options::LinkOptions,
    message::{Content, Message, Status},
    outbox::is_same,
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Figures of a server or a client since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LinkFigures {
    /// Connections that there are now.
    pub connected: u64,
    /// Connections that there were, with those.
    pub connections: u64,
    /// Messages sent, on each connection.
    pub sent: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Messages that a newer one replaced, or that were too many, on each connection.
    pub dropped: u64,
    /// Messages that arrived.
    pub received: u64,
    /// Messages that arrived with a wrong check sum or content.
    pub rejected: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) rejected: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

type Listener = dyn Fn(LinkEvent) + Send + Sync;

/// What a server or client, its threads and its senders share.
pub(super) struct Hub {
    pub(super) options: LinkOptions,
    pub(super) counters: Counters,
    pub(super) stop: AtomicBool,
    listener: Box<Listener>,
    state: Mutex<State>,
}

struct State {
    links: Vec<Arc<Link>>,
    /// Messages for connections that come later.
    kept: Vec<Arc<Encoded>>,
    status: Status,
}

impl Hub {
    pub(super) fn new(
        options: LinkOptions,
        listener: impl Fn(LinkEvent) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let status = Status {
            code: 1,
            sub_code: 0,
            name: String::new(),
            text: String::new(),
        };
        Arc::new(Self {
            options,
            counters: Counters::default(),
            stop: AtomicBool::new(false),
            listener: Box::new(listener),
            state: Mutex::new(State {
                links: Vec::new(),
                kept: Vec::new(),
                status,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn report(&self, event: LinkEvent) {
        (self.listener)(event);
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Ends all connections, and lets none begin.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        let links = std::mem::take(&mut self.state().links);
        links.iter().for_each(|link| link.end(LinkEnd::Stopped));
    }

    /// Enters a connection, with what was kept for it; not where this end stopped.
    pub(super) fn enter(&self, link: &Arc<Link>) -> bool {
        let mut state = self.state();
        if self.stopped() {
            return false;
        }
        Counters::add(&self.counters.connections, 1);
        state
            .kept
            .iter()
            .for_each(|message| self.push(link, message));
        state.links.push(Arc::clone(link));
        true
    }

    pub(super) fn leave(&self, link: &Arc<Link>) {
        self.state().links.retain(|other| !Arc::ptr_eq(other, link));
    }

    pub(super) fn connected(&self) -> usize {
        self.state().links.len()
    }

    fn push(&self, link: &Link, message: &Arc<Encoded>) {
        Counters::add(&self.counters.dropped, link.push(message));
    }

    /// The answer to a request that is answered here.
    pub(super) fn answer(&self, device: &str, request: &str) -> Option<Arc<Encoded>> {
        let content = match request {
            "GET_CAPABIL" => Content::Capability(CAPABILITY.map(str::to_owned).to_vec()),
            "GET_STATUS" => Content::Status(self.state().status.clone()),
            _ => return None,
        };
        let message = Message {
            device: device.to_owned(),
            time: None,
            metadata: Vec::new(),
            content,
        };
        Encoded::new(message).ok().map(Arc::new)
    }
}

/// Types that are read, or answered.
const CAPABILITY: [&str; 8] = [
    "IMAGE",
    "TRANSFORM",
    "STATUS",
    "STRING",
    "POINT",
    "CAPABILITY",
    "GET_CAPABIL",
    "GET_STATUS",
];

/// Sends on all connections of a server or a client. Each connection has a thread and a mailbox of its own: of `IMAGE`, `POINT` and
/// `TRANSFORM` the newest of each device waits, so a slow peer misses some and delays nobody.
#[derive(Clone)]
pub struct Sender(pub(super) Arc<Hub>);

impl Sender {
    /// Sends a message on every connection that there is. Returns at once: bytes are made by the threads that send, once for all.
    ///
    /// # Errors
    /// [`EncodeError`] for a message that does not fit into its fields.
    pub fn send(&self, message: impl Into<Arc<Message>>) -> Result<(), EncodeError> {
        self.send_encoded(Encoded::new(message)?);
        Ok(())
    }

    /// Sends a message that was looked at before. Returns at once.
    pub fn send_encoded(&self, message: Encoded) {
        let message = Arc::new(message);
        let state = self.0.state();
        state
            .links
            .iter()
            .for_each(|link| self.0.push(link, &message));
    }

    /// Sends a message on every connection that there is, and first on each that comes later, until another message of its type and
    /// device is kept. At most [`LinkOptions::waiting`] are kept, the newest.
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub fn keep(&self, message: impl Into<Arc<Message>>) -> Result<(), EncodeError> {
        let message = Arc::new(Encoded::new(message)?);
        let mut state = self.0.state();
        state
            .links
            .iter()
            .for_each(|link| self.0.push(link, &message));
        state.kept.retain(|kept| !is_same(kept, &message));
        state.kept.push(message);
        let beyond = state.kept.len().saturating_sub(self.0.options.waiting);
        state.kept.drain(..beyond);
        Ok(())
    }

    /// Sets what `GET_STATUS` is answered with; before, it is code 1, OK.
    ///
    /// # Errors
    /// [`EncodeError`] for a name or text that does not fit.
    pub fn set_status(&self, status: Status) -> Result<(), EncodeError> {
        content::check(&Content::Status(status.clone()))?;
        self.0.state().status = status;
        Ok(())
    }

    /// Ends all connections that there are. A client connects again; clients of a server may.
    pub fn disconnect(&self, reason: &str) {
        let links = self.0.state().links.clone();
        links
            .iter()
            .for_each(|link| link.end(LinkEnd::Ended(reason.to_owned())));
    }

    /// Waits until all that waits was sent on all connections, but not longer than `time`; whether it was.
    pub fn flush(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            let links = self.0.state().links.clone();
            if links.iter().all(|link| link.is_idle()) {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        !self.0.state().links.is_empty()
    }

    /// Figures since the server or client began.
    pub fn figures(&self) -> LinkFigures {
        let connected = self.0.connected() as u64;
        let counters = &self.0.counters;
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LinkFigures {
            connected,
            connections: value(&counters.connections),
            sent: value(&counters.sent),
            bytes: value(&counters.bytes),
            dropped: value(&counters.dropped),
            received: value(&counters.received),
            rejected: value(&counters.rejected),
        }
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sender({:?})", self.figures())
    }
}
