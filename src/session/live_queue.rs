//! The queue of a live loop: frames in flight, the one that waits, and results.

use crate::session::{
    error::SessionError,
    executor::interface::{CompletedFrame, Executor, PendingFrame},
};
use std::collections::VecDeque;

/// What [`Session::push`](super::Session::push) does with a frame that comes while the models are busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenBusy {
    /// Wait until the oldest frame in flight is done: every frame gets a result.
    #[default]
    Wait,
    /// Keep the newest frame that waits and drop the one that waited before: results are of current frames.
    DropOldest,
}

/// The live loop of a session.
pub(crate) struct Live {
    executor: Box<dyn Executor>,
    /// Frames in flight and the one that waits are bounded by the executor and this.
    waiting: Option<PendingFrame>,
    pub(crate) in_flight: usize,
    pub(crate) done: VecDeque<Result<CompletedFrame, SessionError>>,
    pub(crate) when_busy: WhenBusy,
    pub(crate) dropped: u64,
}

/// Results that may wait to be taken.
const MAX_RESULTS: usize = 64;

impl Live {
    pub(crate) fn new(executor: Box<dyn Executor>) -> Self {
        Self {
            executor,
            waiting: None,
            in_flight: 0,
            done: VecDeque::new(),
            when_busy: WhenBusy::default(),
            dropped: 0,
        }
    }

    /// Submits a frame, or lets it wait. Refused while too many results wait to be taken, unless the oldest may be dropped.
    pub(crate) fn push(&mut self, pending: PendingFrame) -> Result<(), SessionError> {
        self.collect(false);
        if self.done.len() >= MAX_RESULTS {
            match self.when_busy {
                WhenBusy::Wait => return Err(SessionError::ResultsNotTaken(self.done.len())),
                WhenBusy::DropOldest => {
                    self.done.pop_front();
                    self.dropped += 1;
                }
            }
        }
        self.admit(pending);
        Ok(())
    }

    fn admit(&mut self, pending: PendingFrame) {
        if !self.executor.is_full() {
            return self.submit(pending);
        }
        match self.when_busy {
            WhenBusy::Wait => {
                // A frame may wait from before the change to this mode; it goes first.
                while self.executor.is_full() {
                    self.collect(true);
                }
                self.submit(pending);
            }
            WhenBusy::DropOldest => {
                self.dropped += u64::from(self.waiting.replace(pending).is_some());
            }
        }
    }

    fn submit(&mut self, pending: PendingFrame) {
        self.executor.submit(vec![pending]);
        self.in_flight += 1;
    }

    /// Takes the results that are there, or waits for the oldest; then the frame that waits may go.
    pub(crate) fn collect(&mut self, wait: bool) {
        while self.in_flight > 0 && (self.executor.is_ready() || (wait && self.executor.is_full()))
        {
            self.wait_next();
        }
        if !self.executor.is_full()
            && let Some(pending) = self.waiting.take()
        {
            self.submit(pending);
        }
    }

    pub(crate) fn wait_next(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match self.executor.wait_next() {
            Some(done) => self.done.extend(done.into_iter().map(Ok)),
            None => self.done.push_back(Err(SessionError::Internal(
                "the inference thread ended by a fault of ultramotion".to_owned(),
            ))),
        }
    }
}
