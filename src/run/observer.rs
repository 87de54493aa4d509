//! What a run tells while it goes on.

use crate::{
    engine::OutOfMemory,
    frame::{Detections, Frame, SourceInfo},
    sources::{Decoding, IssueKind, SourceWarning},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How long one frame took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameTimes {
    /// Number of the frame among those that this run computed, from 0.
    pub number: u64,
    /// Reading and decoding it.
    pub decode: Duration,
    /// From the decoded frame, taken from the queue, to its result.
    pub latency: Duration,
    /// The stages in between, by name, in the order in which a frame passes them; a stage that did nothing is left out.
    pub stages: Vec<(&'static str, Duration)>,
}

/// Something happened in a run.
#[derive(Debug, Clone, Copy)]
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
    /// Where the frames of a video that follow are decoded; told before its first frame, and when it changes.
    Decoding {
        /// The video.
        source: &'a SourceInfo,
        /// Where, and why not on the GPU.
        decoding: &'a Decoding,
    },
    /// A frame is written.
    FrameDone {
        /// The frame; on a GPU its pixels may have gone back to the decoder.
        frame: &'a Frame,
        /// Its objects.
        found: &'a Detections,
        /// How long it took; none where it was taken from the record of an earlier run, not computed.
        times: Option<&'a FrameTimes>,
    },
    /// The device has no memory left for the work on a frame.
    OutOfMemory(&'a OutOfMemory),
    /// From here on the work is done elsewhere.
    Fallback {
        /// The device that it was done on.
        from: &'a str,
        /// The device that it is done on.
        to: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// All outputs of a source are complete.
    SourceEnded(&'a SourceInfo),
    /// An input was read, but perhaps not as its author meant it.
    Warning(&'a SourceWarning),
    /// An input, or a frame of it, failed; the run continues unless [`crate::run::OnError::Stop`] is set.
    Problem {
        /// The input as the user gave it.
        input: &'a str,
        /// What was wrong and what would work.
        problem: &'a str,
        /// What it is about.
        kind: IssueKind,
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

/// All of them hear, one after the other.
impl Observer for Vec<Arc<dyn Observer>> {
    fn event(&self, event: Event<'_>) {
        self.iter().for_each(|observer| observer.event(event));
    }
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
