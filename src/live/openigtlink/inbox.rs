//! What arrived and was not yet read.

use crate::{
    igtl::{Content, Incoming, LinkEnd, LinkEvent, Message},
    live::input::Arrival,
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Images that wait at most; one is being read.
const IMAGES: usize = 2;

/// All that waits at most.
const WAITING: usize = 256;

/// What arrived.
#[derive(Debug)]
pub(super) enum Arrived {
    /// An `IMAGE`.
    Image(Box<Message>, Arrival),
    /// An `IMAGE` of another device than those that are read, and which these are.
    Other(String, String),
    /// A message that is passed through.
    Passed(Arc<Message>),
    /// An `IMAGE` that cannot be read: device, what is wrong.
    Unreadable(String, String),
    /// A connection.
    Connected,
    /// The end of one, and why.
    Disconnected(String),
    /// Something that the user should know, once.
    Remark(String),
}

/// A bounded queue between the threads of connections and the one that reads.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Whether senders wait for room, instead of the oldest image being dropped.
    wait: bool,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// Device whose images are read; without one it is the first's.
    device: Option<String>,
    items: VecDeque<Arrived>,
    images: usize,
    dropped: u64,
    closed: bool,
}

impl Inbox {
    /// For images of `device`; without one, for those of the first that comes.
    pub(super) fn new(wait: bool, device: Option<String>) -> Self {
        let queue = Queue {
            device,
            ..Queue::default()
        };
        Self {
            wait,
            queue: Mutex::new(queue),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what an event brings.
    pub(super) fn receive(&self, event: LinkEvent) {
        if let Some(arrived) = arrived(event) {
            self.put(arrived);
        }
    }

    fn put(&self, item: Arrived) {
        let mut queue = self.lock();
        let item = queue.of_device(item);
        let is_image = |item: &Arrived| matches!(item, Arrived::Image(..));
        if is_image(&item) {
            while self.wait && queue.images >= IMAGES && !queue.closed {
                queue = self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if queue.images >= IMAGES {
                let oldest = queue.items.iter().position(is_image);
                oldest.and_then(|at| queue.items.remove(at));
                queue.dropped += 1;
            } else {
                queue.images += 1;
            }
        } else if queue.items.len() >= WAITING {
            // Connections must add up.
            let passed = |item: &Arrived| {
                !matches!(
                    item,
                    Arrived::Image(..) | Arrived::Connected | Arrived::Disconnected(_)
                )
            };
            match queue.items.iter().position(passed) {
                Some(oldest) => drop(queue.items.remove(oldest)),
                None => return,
            }
        }
        if !queue.closed {
            queue.items.push_back(item);
        }
        drop(queue);
        self.changed.notify_all();
    }

    /// The next, if it comes in time.
    pub(super) fn take(&self, time: Duration) -> Option<Arrived> {
        let queue = self.lock();
        let empty = |queue: &mut Queue| queue.items.is_empty();
        let waited = self.changed.wait_timeout_while(queue, time, empty);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        let item = queue.items.pop_front();
        if matches!(item, Some(Arrived::Image(..))) {
            queue.images -= 1;
            drop(queue);
            self.changed.notify_all();
        }
        item
    }

    /// Images dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    /// Lets senders that wait go.
    pub(super) fn close(&self) {
        *self.lock() = Queue {
            closed: true,
            ..Queue::default()
        };
        self.changed.notify_all();
    }
}

impl Queue {
    /// An image of another device than those that are read does not take their room.
    fn of_device(&mut self, item: Arrived) -> Arrived {
        let device = match &item {
            Arrived::Image(message, _) => &message.device,
            Arrived::Unreadable(device, _) => device,
            _ => return item,
        };
        let read = self.device.get_or_insert_with(|| device.clone());
        match read == device {
            true => item,
            false => Arrived::Other(device.clone(), read.clone()),
        }
    }
}

/// What an event means for the one that reads; none for what it does not read.
fn arrived(event: LinkEvent) -> Option<Arrived> {
    Some(match event {
        LinkEvent::Connected { .. } => Arrived::Connected,
        LinkEvent::Disconnected {
            end: LinkEnd::Stopped,
            ..
        } => return None,
        LinkEvent::Disconnected { peer, end, .. } => {
            Arrived::Disconnected(format!("{peer}: {end}"))
        }
        LinkEvent::ConnectFailed {
            error, failures: 1, ..
        } => Arrived::Remark(format!(
            "no connection: {error}; it is tried again until there is one"
        )),
        LinkEvent::TurnedAway { peer } => Arrived::Remark(format!(
            "{peer} was turned away: there are as many connections as there may be"
        )),
        LinkEvent::Failed { error } => Arrived::Remark(format!("a connection failed: {error}")),
        LinkEvent::Incoming { peer, incoming } => return incoming_of(peer, *incoming),
        _ => return None,
    })
}

fn incoming_of(peer: SocketAddr, incoming: Incoming) -> Option<Arrived> {
    match incoming {
        Incoming::Message {
            message,
            instant,
            time,
            ..
        } => match message.content {
            Content::Image(_) => {
                let arrival = Arrival { instant, time };
                Some(Arrived::Image(Box::new(message), arrival))
            }
            Content::Transform(_) | Content::Status(_) => Some(Arrived::Passed(Arc::new(message))),
            _ => None,
        },
        Incoming::Rejected {
            kind,
            device,
            problem,
        } if kind == "IMAGE" => Some(Arrived::Unreadable(device, problem.to_string())),
        Incoming::Rejected {
            kind,
            device,
            problem,
        } => Some(Arrived::Remark(format!(
            "{kind} of device {device:?} from {peer}: {problem}; such messages are dropped"
        ))),
        Incoming::Skipped { kind, device, .. } => Some(Arrived::Remark(format!(
            "{kind} of device {device:?} from {peer}: messages of this type are not read"
        ))),
    }
}
