//! What a run tells while it goes on.

use crate::frame::{FrameResult, SourceInfo};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Something happened in a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// Results of an earlier run are there: so many sources had ended, so many frames of the next are stored.
    Resumed {
        /// Sources that need no work.
        sources: usize,
        /// Frames whose results are taken from the record.
        frames: u64,
    },
    /// A source is open; its frames follow.
    SourceBegan(&'a SourceInfo),
    /// A frame is written.
    FrameDone {
        /// Its source.
        source: &'a SourceInfo,
        /// What was found.
        result: &'a FrameResult,
        /// Taken from the record of an earlier run, not computed.
        stored: bool,
    },
    /// All outputs of a source are complete.
    SourceEnded(&'a SourceInfo),
    /// An input, or a frame of it, failed; the run goes on unless it was told to stop.
    Problem {
        /// The input as the user gave it.
        input: &'a str,
        /// What was wrong and what would work.
        problem: &'a str,
    },
}

/// Gets the events of a run, on the run's writing thread, in order.
pub trait Observer: Send + Sync {
    /// Called for each event; should return soon.
    fn event(&self, event: Event<'_>);
}

/// Hears nothing.
impl Observer for () {
    fn event(&self, _: Event<'_>) {}
}

/// Asks a run to end after the frame it is at. Clones share the request.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
