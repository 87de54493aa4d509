//! An executor on a thread of its own.

use crate::{
    engine::OutOfMemory,
    session::{
        error::{ModelError, SessionError},
        executor::interface::{CompletedFrame, Executor, PendingFrame},
    },
};
use std::{
    collections::VecDeque,
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    thread::{self, JoinHandle},
};

/// An executor that works on a thread of its own, so that submitting does not wait.
pub(crate) struct OnThread {
    to_do: Option<Sender<Vec<PendingFrame>>>,
    results: Receiver<Vec<CompletedFrame>>,
    /// A result that was looked for and found.
    ready: std::cell::RefCell<VecDeque<Vec<CompletedFrame>>>,
    submitted: usize,
    thread: Option<JoinHandle<()>>,
}

impl OnThread {
    pub(crate) fn new(mut executor: Box<dyn Executor>) -> Result<Self, SessionError> {
        let (to_do, submitted) = channel::<Vec<PendingFrame>>();
        let (done, results) = channel();
        let work = move || {
            for frames in submitted {
                executor.submit(frames);
                if done.send(executor.wait_next().unwrap_or_default()).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("infer".to_owned()).spawn(work);
        let thread = thread.map_err(|e| {
            SessionError::Internal(format!("the inference thread could not be started: {e}"))
        })?;
        Ok(Self {
            to_do: Some(to_do),
            results,
            ready: Default::default(),
            submitted: 0,
            thread: Some(thread),
        })
    }
}

impl Executor for OnThread {
    fn batch(&self) -> usize {
        1
    }

    fn is_full(&self) -> bool {
        self.submitted >= 2
    }

    fn submit(&mut self, frames: Vec<PendingFrame>) {
        self.submitted += 1;
        if let Some(to_do) = &self.to_do {
            // A thread that ended is noticed when its results are waited for.
            let _ = to_do.send(frames);
        }
    }

    fn is_ready(&self) -> bool {
        let mut ready = self.ready.borrow_mut();
        match self.results.try_recv() {
            Ok(done) => ready.push_back(done),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return true,
        }
        !ready.is_empty()
    }

    fn wait_next(&mut self) -> Option<Vec<CompletedFrame>> {
        if self.submitted == 0 {
            return None;
        }
        self.submitted -= 1;
        self.ready
            .get_mut()
            .pop_front()
            .or_else(|| self.results.recv().ok())
    }

    fn out_of_memory(&self, _: &ModelError) -> Option<OutOfMemory> {
        None
    }
}

impl Drop for OnThread {
    fn drop(&mut self) {
        self.to_do = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
