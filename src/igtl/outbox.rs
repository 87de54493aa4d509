//! What waits to be sent on a connection.

use super::{encode::Encoded, message::Content};
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// A bounded mailbox. Of `IMAGE`, `POINT` and `TRANSFORM` the newest of each device waits, in the place of the one that it
/// replaces; others wait in turn, and go first. Where it is full, the oldest is dropped.
#[derive(Debug)]
pub(super) struct Outbox {
    bound: usize,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<Arc<Encoded>>,
    newest: VecDeque<Arc<Encoded>>,
    /// Whether one that was taken is being sent.
    sending: bool,
    closed: bool,
}

impl Outbox {
    /// An empty one, for at most `bound` messages in turn, and as many devices.
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound: bound.max(1),
            waiting: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message; returns how many were dropped for it, or it itself where the connection has ended.
    pub(super) fn push(&self, message: &Arc<Encoded>) -> u64 {
        let mut waiting = self.lock();
        if waiting.closed {
            return 1;
        }
        let replaces = |other: &&mut Arc<Encoded>| is_same(other, message);
        // Large messages are freed after the lock.
        let mut replaced = None;
        let dropped = if !is_replaced(message) {
            waiting.queue.push_back(Arc::clone(message));
            shorten(&mut waiting.queue, self.bound)
        } else if let Some(place) = waiting.newest.iter_mut().find(replaces) {
            replaced = Some(std::mem::replace(place, Arc::clone(message)));
            1
        } else {
            waiting.newest.push_back(Arc::clone(message));
            shorten(&mut waiting.newest, self.bound)
        };
        drop(waiting);
        self.changed.notify_one();
        drop(replaced);
        dropped
    }

    /// Waits for a message; `None` once it is closed.
    pub(super) fn take(&self) -> Option<Arc<Encoded>> {
        let mut waiting = self.lock();
        waiting.sending = false;
        loop {
            if waiting.closed {
                return None;
            }
            let first = waiting.queue.pop_front();
            if let Some(message) = first.or_else(|| waiting.newest.pop_front()) {
                waiting.sending = true;
                return Some(message);
            }
            waiting = self
                .changed
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether all was sent, before the last call of `take`.
    pub(super) fn is_idle(&self) -> bool {
        let waiting = self.lock();
        waiting.queue.is_empty() && waiting.newest.is_empty() && !waiting.sending
    }

    /// Drops what waits; nothing is taken or added any more.
    pub(super) fn close(&self) {
        *self.lock() = Waiting {
            closed: true,
            ..Waiting::default()
        };
        self.changed.notify_all();
    }
}

fn shorten(messages: &mut VecDeque<Arc<Encoded>>, bound: usize) -> u64 {
    let beyond = messages.len().saturating_sub(bound);
    messages.drain(..beyond);
    beyond as u64
}

/// Whether a newer message of its type and device makes a message needless.
fn is_replaced(message: &Encoded) -> bool {
    matches!(
        message.message().content,
        Content::Image(_) | Content::Points(_) | Content::Transform(_)
    )
}

/// Whether two messages are of the same type and device.
pub(super) fn is_same(one: &Encoded, other: &Encoded) -> bool {
    let (one, other) = (one.message(), other.message());
    one.content.type_name() == other.content.type_name() && one.device == other.device
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::igtl::{Message, Status};

    fn message(device: &str, content: Content) -> Arc<Encoded> {
        let message = Message {
            device: device.to_owned(),
            time: None,
            metadata: vec![],
            content,
        };
        Arc::new(Encoded::new(message).unwrap())
    }

    fn transform(device: &str, x: f32) -> Arc<Encoded> {
        message(device, Content::Transform([[x; 4]; 3]))
    }

    fn status(code: u16) -> Arc<Encoded> {
        let status = Status {
            code,
            sub_code: 0,
            name: String::new(),
            text: String::new(),
        };
        message("s", Content::Status(status))
    }

    #[test]
    fn the_newest_of_a_device_waits_in_its_place_and_states_go_first() {
        let outbox = Outbox::new(8);
        assert_eq!(outbox.push(&transform("a", 1.0)), 0);
        assert_eq!(outbox.push(&transform("b", 1.0)), 0);
        assert_eq!(outbox.push(&message("a", Content::Points(vec![]))), 0);
        assert_eq!(outbox.push(&transform("a", 2.0)), 1);
        assert_eq!(outbox.push(&status(1)), 0);
        assert_eq!(outbox.push(&status(2)), 0);
        let taken = |n: usize| -> Vec<Arc<Message>> {
            let taken = (0..n).map(|_| outbox.take().unwrap().message().clone());
            taken.collect()
        };
        let states = taken(2);
        assert_eq!(states[0], *status(1).message());
        assert_eq!(states[1], *status(2).message());
        let rest = taken(3);
        assert_eq!(rest[0], *transform("a", 2.0).message());
        assert_eq!(rest[1].device, "b");
        assert_eq!(rest[2].content, Content::Points(vec![]));
    }

    #[test]
    fn it_is_bounded_and_ends() {
        let outbox = Outbox::new(3);
        let dropped: u64 = (0..10).map(|n| outbox.push(&status(n))).sum();
        let devices: u64 = (0..10)
            .map(|n| outbox.push(&transform(&n.to_string(), 0.0)))
            .sum();
        assert_eq!((dropped, devices), (7, 7));
        assert_eq!(outbox.take().unwrap().message(), status(7).message());
        outbox.close();
        assert!(outbox.take().is_none());
        assert_eq!(outbox.push(&status(1)), 1);
    }
}
