//! Frames through one or several executors, with results in the order of the frames.

use crate::{
    engine::OutOfMemory,
    session::{
        error::ModelError,
        executor::interface::{CompletedFrame, Executor, PendingFrame},
    },
};
use std::collections::VecDeque;

/// Does the work of an executor whose device has no memory left, a frame at a time.
pub(crate) type FallbackWork = Box<dyn FnMut(PendingFrame) -> CompletedFrame + Send>;

/// Prepares the fallback when it is first needed.
pub(crate) type MakeFallback = Box<dyn Fn() -> Result<FallbackWork, ModelError> + Send>;

/// What leaves a [`Scheduler`], in the order in which it was pushed.
pub(crate) enum Output<P> {
    /// As it was pushed between frames.
    Passed(P),
    /// A frame with its result.
    Frame(Box<CompletedFrame>),
}

/// Something that happened while a frame was worked on; it has no place in the order of frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A device has no memory left.
    OutOfMemory(OutOfMemory),
    /// From now on the fallback does the work of a device that had no memory left.
    Fallback(OutOfMemory),
}

/// Entry of the reorder buffer.
enum Slot<P> {
    Done(Output<P>),
    /// The next frame that completes.
    Pending,
}

/// Deals batches of frames out to executors in turn and gives results back in order. Items of type `P` (the beginning
/// and end of sources, for instance) keep their place among the frames.
pub(crate) struct Scheduler<P> {
    executors: Vec<Box<dyn Executor>>,
    /// The executors that batches in flight are with, in the order of submission.
    in_flight: VecDeque<usize>,
    next_executor: usize,
    /// Wait for each batch right after its submission.
    one_at_a_time: bool,
    /// Frames of the next batch.
    filling: Vec<PendingFrame>,
    reorder_buffer: VecDeque<Slot<P>>,
    make_fallback: Option<MakeFallback>,
    fallback: Option<FallbackWork>,
    notices: Vec<Notice>,
}

impl<P> Scheduler<P> {
    /// With `one_at_a_time` each batch is waited for right after its submission.
    pub(crate) fn new(
        executors: Vec<Box<dyn Executor>>,
        one_at_a_time: bool,
        make_fallback: Option<MakeFallback>,
    ) -> Self {
        Self {
            executors,
            in_flight: VecDeque::new(),
            next_executor: 0,
            one_at_a_time,
            filling: Vec::new(),
            reorder_buffer: VecDeque::new(),
            make_fallback,
            fallback: None,
            notices: Vec::new(),
        }
    }

    /// Whether no frame is in flight or waiting for its batch to fill.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.filling.is_empty()
    }

    /// Whether a frame pushed now would wait for an earlier one.
    pub(crate) fn is_full(&self) -> bool {
        self.executors
            .get(self.next_executor)
            .is_some_and(|executor| executor.is_full() && executor.batch() == 1)
    }

    /// Whether a batch is in flight, so that [`Scheduler::wait_next`] has something to wait for.
    pub(crate) fn has_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// An item that keeps its place among the frames.
    pub(crate) fn pass(&mut self, item: P) {
        self.reorder_buffer
            .push_back(Slot::Done(Output::Passed(item)));
    }

    /// A frame to work on; submits its batch when that is full.
    pub(crate) fn push(&mut self, pending: PendingFrame) {
        if self.fallback.is_some() {
            // What is in flight comes first.
            self.drain();
        }
        if let Some(fallback) = &mut self.fallback {
            let completed = fallback(pending);
            return self
                .reorder_buffer
                .push_back(Slot::Done(Output::Frame(Box::new(completed))));
        }
        let batch = self
            .executors
            .get(self.next_executor)
            .map_or(1, |executor| executor.batch());
        self.reorder_buffer.push_back(Slot::Pending);
        self.filling.push(pending);
        if self.filling.len() >= batch {
            self.submit();
        }
    }

    /// Submits the frames that wait for their batch to fill.
    pub(crate) fn submit(&mut self) {
        if self.filling.is_empty() {
            return;
        }
        while self
            .executors
            .get(self.next_executor)
            .is_some_and(|executor| executor.is_full())
            && self.has_in_flight()
        {
            self.wait_next();
        }
        let frames = std::mem::take(&mut self.filling);
        if let Some(executor) = self.executors.get_mut(self.next_executor) {
            executor.submit(frames);
            self.in_flight.push_back(self.next_executor);
            self.next_executor = (self.next_executor + 1) % self.executors.len();
        }
        if self.one_at_a_time {
            self.wait_next();
        }
    }

    /// Waits for the batch that was submitted first.
    pub(crate) fn wait_next(&mut self) {
        let Some(at) = self.in_flight.pop_front() else {
            return;
        };
        let completed = self
            .executors
            .get_mut(at)
            .and_then(|executor| executor.wait_next())
            .unwrap_or_default();
        for frame in completed {
            let frame = self.with_fallback(at, frame);
            if let Some(slot) = self
                .reorder_buffer
                .iter_mut()
                .find(|slot| matches!(slot, Slot::Pending))
            {
                *slot = Slot::Done(Output::Frame(Box::new(frame)));
            }
        }
    }

    /// Works off all frames that were pushed.
    pub(crate) fn drain(&mut self) {
        self.submit();
        while self.has_in_flight() {
            self.wait_next();
        }
    }

    /// Waits for what is in flight. Frames whose batch was not submitted are dropped: neither they nor what follows them
    /// comes out any more.
    pub(crate) fn cancel(&mut self) {
        self.filling.clear();
        while self.has_in_flight() {
            self.wait_next();
        }
    }

    /// The executors, once nothing is in flight.
    pub(crate) fn into_executors(self) -> Vec<Box<dyn Executor>> {
        self.executors
    }

    /// What is next in order, if it is there.
    pub(crate) fn pop(&mut self) -> Option<Output<P>> {
        match self.reorder_buffer.pop_front()? {
            Slot::Done(output) => Some(output),
            Slot::Pending => {
                self.reorder_buffer.push_front(Slot::Pending);
                None
            }
        }
    }

    /// What happened since the last call.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Reports that a device has no memory and makes the fallback, where one is allowed.
    ///
    /// # Errors
    /// [`ModelError::OutOfMemory`] where none is allowed, and why the fallback could not be made.
    pub(crate) fn enter_fallback(&mut self, oom: OutOfMemory) -> Result<(), ModelError> {
        self.notices.push(Notice::OutOfMemory(oom.clone()));
        let Some(make) = &self.make_fallback else {
            return Err(ModelError::OutOfMemory(Box::new(oom)));
        };
        if self.fallback.is_none() {
            self.fallback = Some(make()?);
            self.notices.push(Notice::Fallback(oom));
        }
        Ok(())
    }

    /// A frame for which executor `at` had no memory is done again by the fallback, where one is allowed.
    fn with_fallback(&mut self, at: usize, mut completed: CompletedFrame) -> CompletedFrame {
        let Err(error) = &completed.objects else {
            return completed;
        };
        let Some(oom) = self
            .executors
            .get(at)
            .and_then(|executor| executor.out_of_memory(error))
        else {
            return completed;
        };
        match (self.enter_fallback(oom), &mut self.fallback) {
            (Ok(()), Some(fallback)) => return fallback(completed.pending),
            (Ok(()), None) => {}
            (Err(error), _) => completed.objects = Err(error),
        }
        completed
    }
}
