//! The thread of the models, and the bounded queue before it.

use super::{
    request::PredictCall,
    types::{PredictError, Prediction, Predictor},
};
use bytes::Bytes;
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread::{self, JoinHandle},
};
use tokio::sync::oneshot;

/// What comes of a request.
pub(super) type Outcome = Result<Prediction, PredictError>;

/// A request that waits for the models: its body, and where its outcome goes.
struct Job {
    body: Bytes,
    outcome: oneshot::Sender<Outcome>,
}

/// Why a request was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotQueued {
    /// As many wait as may.
    Full,
    /// The models' thread has ended.
    Ended,
}

/// The queue; the thread of the models ends when it is dropped.
pub(super) struct Queue {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Queue {
    /// A thread that lets `predictor` work on requests, of which at most `waiting` wait.
    pub(super) fn start(
        mut predictor: impl Predictor + 'static,
        waiting: usize,
        max_pixels: u64,
    ) -> io::Result<Self> {
        let (jobs, queue) = sync_channel(waiting);
        let work = move || work(&mut predictor, &queue, max_pixels);
        let thread = thread::Builder::new()
            .name("predict".to_owned())
            .spawn(work)?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Queues a request; its outcome comes later.
    pub(super) fn push(&self, body: Bytes) -> Result<oneshot::Receiver<Outcome>, NotQueued> {
        let (outcome, later) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(NotQueued::Ended)?;
        match jobs.try_send(Job { body, outcome }) {
            Ok(()) => Ok(later),
            Err(TrySendError::Full(_)) => Err(NotQueued::Full),
            Err(TrySendError::Disconnected(_)) => Err(NotQueued::Ended),
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(predictor: &mut impl Predictor, queue: &Receiver<Job>, max_pixels: u64) {
    while let Ok(job) = queue.recv() {
        // Nobody waits for it any more.
        if job.outcome.is_closed() {
            continue;
        }
        let made = catch_unwind(AssertUnwindSafe(|| {
            outcome(predictor, &job.body, max_pixels)
        }));
        let internal = |_| {
            Err(PredictError::Failed(
                "the models failed unexpectedly".to_owned(),
            ))
        };
        let _ = job.outcome.send(made.unwrap_or_else(internal));
    }
}

fn outcome(predictor: &mut impl Predictor, body: &[u8], max_pixels: u64) -> Outcome {
    let call = PredictCall::parse(body)?;
    let models = predictor.models();
    if models.iter().all(|model| model.id != *call.model) {
        let known: Vec<String> = models.into_iter().map(|model| model.id).collect();
        return Err(PredictError::Model {
            name: call.model.chars().take(100).collect(),
            known: known.join(", "),
        });
    }
    let picture = call.picture(max_pixels)?;
    predictor.predict(&call.model, picture, &call.params())
}
