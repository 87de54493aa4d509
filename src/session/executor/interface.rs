//! What runs the models on frames: one interface for the CPU, for graphs on a GPU, and for tests.

use crate::{
    engine::OutOfMemory,
    frame::{Frame, Object},
    session::{error::ModelError, prompted::Prompted},
};
use std::time::{Duration, Instant};

/// A decoded frame on its way through the models.
#[derive(Debug)]
pub(crate) struct PendingFrame {
    pub(crate) frame: Frame,
    /// What to outline in it, where no detector finds that.
    pub(crate) prompts: Option<Vec<Prompted>>,
    /// Number of the frame among those that were computed, from 0.
    pub(crate) number: u64,
    /// Time it took to decode.
    pub(crate) decode: Duration,
    /// When it was taken from the queue.
    pub(crate) queued_at: Instant,
}

/// The objects of a frame, or what went wrong with it.
pub(crate) type Objects = Result<Vec<Object>, ModelError>;

/// A frame with its result.
#[derive(Debug)]
pub(crate) struct CompletedFrame {
    pub(crate) pending: PendingFrame,
    pub(crate) objects: Objects,
    /// Time of each stage. Of frames that were worked on together each has the mean.
    pub(crate) times: Vec<(&'static str, Duration)>,
}

/// Runs the models on batches of frames, several of which may be in flight. Results come in the order of submission. An
/// error of a batch or frame comes out as that frame's result.
pub(crate) trait Executor: Send {
    /// Frames of a full batch.
    fn batch(&self) -> usize;

    /// Whether a further batch would have to wait for an earlier one.
    fn is_full(&self) -> bool;

    /// Enqueues the work on at most a batch of frames. Called only when [`Executor::is_full`] is false.
    fn submit(&mut self, frames: Vec<PendingFrame>);

    /// Whether [`Executor::wait_next`] would not have to wait.
    fn is_ready(&self) -> bool;

    /// Waits for the batch that was submitted first. None if nothing is in flight.
    fn wait_next(&mut self) -> Option<Vec<CompletedFrame>>;

    /// The state of the device's memory, if `error` says that it has none left.
    fn out_of_memory(&self, error: &ModelError) -> Option<OutOfMemory>;
}
