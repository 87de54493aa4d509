//! Between the input and the models: room for one frame, of which the newest wins, or for a few of which none is dropped.

use crate::live::input::ReceivedFrame;
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Frames that may wait where none is dropped.
const EVERY_FRAME: usize = 2;

/// Frames on their way to the models; memory is bounded.
#[derive(Debug)]
pub(super) struct Mailbox<T = Box<ReceivedFrame>> {
    state: Mutex<State<T>>,
    changed: Condvar,
    every_frame: bool,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    /// Nothing more comes.
    ended: bool,
    /// Nothing more is taken.
    closed: bool,
}

/// What came of a frame that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It waits.
    Kept,
    /// It waits, in the place of an older one that is dropped.
    Replaced,
    /// The loop has ended; it is dropped.
    Closed,
}

/// What there is to take.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken<T> {
    Frame(T),
    /// Nothing came in time.
    Nothing,
    /// Nothing more comes.
    Ended,
}

impl<T> Mailbox<T> {
    /// A mailbox where the newest frame wins, or, with `every_frame`, [`Mailbox::put`] waits for room.
    pub(super) fn new(every_frame: bool) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::with_capacity(EVERY_FRAME),
                ended: false,
                closed: false,
            }),
            changed: Condvar::new(),
            every_frame,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame.
    pub(super) fn put(&self, frame: T) -> Put {
        let mut state = self.state();
        while self.every_frame && state.waiting.len() >= EVERY_FRAME && !state.closed {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Put::Closed;
        }
        let replaced = !self.every_frame && state.waiting.pop_front().is_some();
        state.waiting.push_back(frame);
        self.changed.notify_all();
        if replaced { Put::Replaced } else { Put::Kept }
    }

    /// Takes the oldest frame that waits, after waiting for one at most this long.
    pub(super) fn take(&self, patience: Duration) -> Taken<T> {
        let until = Instant::now() + patience;
        let mut state = self.state();
        loop {
            if let Some(frame) = state.waiting.pop_front() {
                self.changed.notify_all();
                return Taken::Frame(frame);
            }
            if state.ended {
                return Taken::Ended;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Taken::Nothing;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Nothing more comes: who takes gets what waits, then the end.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    /// Nothing more is taken: who puts does not wait.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.waiting.clear();
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Arc, thread};

    const SOON: Duration = Duration::from_millis(1);

    #[test]
    fn the_newest_frame_wins() {
        let mailbox = Mailbox::new(false);
        assert_eq!(mailbox.take(SOON), Taken::Nothing);
        assert_eq!(mailbox.put(1), Put::Kept);
        assert_eq!(mailbox.put(2), Put::Replaced);
        assert_eq!(mailbox.put(3), Put::Replaced);
        mailbox.end();
        assert_eq!(mailbox.take(SOON), Taken::Frame(3));
        assert_eq!(mailbox.take(SOON), Taken::Ended);
    }

    #[test]
    fn no_frame_is_dropped_where_every_one_counts() {
        let mailbox = Arc::new(Mailbox::new(true));
        let filling = {
            let mailbox = mailbox.clone();
            thread::spawn(move || {
                let put: Vec<Put> = (0..20).map(|n| mailbox.put(n)).collect();
                mailbox.end();
                put
            })
        };
        let mut found = Vec::new();
        while let Taken::Frame(n) = mailbox.take(Duration::from_secs(10)) {
            found.push(n);
            assert!(mailbox.state().waiting.len() <= EVERY_FRAME);
        }
        assert_eq!(found, (0..20).collect::<Vec<_>>());
        assert!(filling.join().unwrap().iter().all(|put| *put == Put::Kept));
    }

    #[test]
    fn a_closed_mailbox_lets_who_waits_for_room_go() {
        let mailbox = Arc::new(Mailbox::new(true));
        (0..EVERY_FRAME).for_each(|n| assert_eq!(mailbox.put(n), Put::Kept));
        let waiting = {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.put(9))
        };
        thread::sleep(Duration::from_millis(20));
        mailbox.close();
        assert_eq!(waiting.join().unwrap(), Put::Closed);
    }
}
