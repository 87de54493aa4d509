//! The events of a run.

use crate::{
    engine::OutOfMemory,
    frame::{Detections, Frame, SourceInfo},
    progress::Observer,
    run::shard::Shard,
    sources::{Decoding, IssueKind, SourceWarning},
};
use std::time::Duration;

/// How long one frame took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameTimes {
    /// Number of the frame among those that this run computed, from 0.
    pub number: u64,
    /// Reading and decoding it.
    pub decode: Duration,
    /// From taking the decoded frame from the queue to its result.
    pub latency: Duration,
    /// The stages in between, by name, in the order in which a frame passes them; stages without work are left out.
    pub stages: Vec<(&'static str, Duration)>,
}

/// An event of a run.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run continues an earlier one.
    Resumed {
        /// Number of sources that the earlier run had completed.
        sources: usize,
        /// Number of frames of the next source whose results are taken from `detections.jsonl`.
        frames: u64,
    },
    /// The run is one of several that share the inputs, and has joined them. Comes before all other events but warnings.
    Dealt {
        /// Which it is.
        shard: &'a Shard,
        /// Positions of its sources among those that can be read.
        sources: &'a [usize],
        /// How many sources all have together.
        of: usize,
    },
    /// The run's shard has an owner on another machine that may be dead; it is watched.
    AwaitsOwner {
        /// The owner's process, machine and job.
        owner: &'a str,
    },
    /// A source is open; its frames follow.
    SourceBegan(&'a SourceInfo),
    /// Where the following frames of a video are decoded; sent before its first frame, and when the place changes.
    Decoding {
        /// The video.
        source: &'a SourceInfo,
        /// Where, and why not on the GPU.
        decoding: &'a Decoding,
    },
    /// A frame is written.
    FrameDone {
        /// The frame; its pixels are released where no output shows them.
        frame: &'a Frame,
        /// Its objects.
        found: &'a Detections,
        /// How long it took; `None` where the result was read from an earlier run, not computed.
        times: Option<&'a FrameTimes>,
    },
    /// The device ran out of memory while a frame was computed.
    OutOfMemory(&'a OutOfMemory),
    /// The following frames are computed on another device.
    Fallback {
        /// The device until now.
        from: &'a str,
        /// The device from now on.
        to: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// All outputs of a source are complete.
    SourceEnded(&'a SourceInfo),
    /// An input was read, possibly otherwise than its author meant it.
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

/// Receives the events of a run, on the run's writing thread, in order.
pub type RunObserver = dyn for<'a> Observer<Event<'a>>;
