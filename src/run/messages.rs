//! What the threads of a run send each other.

use crate::{
    engine::OutOfMemory,
    frame::{Detections, Frame, SourceInfo},
    run::{
        counts::{Counts, InputProblem, InputProblems},
        error::RunError,
        event::FrameTimes,
        report::DecodingReport,
    },
    sinks::SinkError,
    sources::{Decoding, SourceWarning},
};
use std::{ops::Range, sync::Arc, time::Duration};

/// An item of a lane, in order. `F` is a frame: decoded, or with its result.
#[derive(Debug)]
pub(crate) enum Item<F> {
    SourceBegan(Arc<SourceInfo>),
    Frame(F),
    /// Where the frames that follow are decoded.
    Decoding(Arc<SourceInfo>, Decoding),
    Warning(SourceWarning),
    Problem(InputProblem),
    /// Something about a source that is worth a line in the report.
    Notice(String),
    /// The run ends here, with this error.
    Stop(Box<RunError>),
    SourceEnded(Arc<SourceInfo>),
    /// The items of these later lanes are not wanted: this lane goes on with their frames.
    Voids(Range<usize>),
    /// Nothing more comes of this lane.
    LaneEnded,
}

impl<F> Item<F> {
    /// The frame, or the same item for the next thread.
    pub(crate) fn into_frame<G>(self) -> Result<F, Item<G>> {
        Err(match self {
            Self::Frame(frame) => return Ok(frame),
            Self::SourceBegan(info) => Item::SourceBegan(info),
            Self::Decoding(info, decoding) => Item::Decoding(info, decoding),
            Self::Warning(warning) => Item::Warning(warning),
            Self::Problem(problem) => Item::Problem(problem),
            Self::Notice(text) => Item::Notice(text),
            Self::Stop(error) => Item::Stop(error),
            Self::SourceEnded(info) => Item::SourceEnded(info),
            Self::Voids(lanes) => Item::Voids(lanes),
            Self::LaneEnded => Item::LaneEnded,
        })
    }
}

/// From decoding to inference.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// An item of a lane.
    Item(usize, Item<DecodedFrame>),
    /// The record of the earlier run cannot be read.
    Broken(SinkError),
    Cancelled,
}

/// A decoded frame.
#[derive(Debug)]
pub(crate) struct DecodedFrame {
    pub(crate) frame: Frame,
    /// Time it took to decode.
    pub(crate) decode: Duration,
    /// Its result, where the record of an earlier run has it.
    pub(crate) stored: Option<Detections>,
    /// What it counts as until it is written, in bytes.
    pub(crate) bytes: u64,
}

/// From inference to writing.
#[derive(Debug)]
pub(crate) enum Finished {
    /// An item of a lane.
    Item(usize, Item<FinishedFrame>),
    OutOfMemory(OutOfMemory),
    Fallback {
        from: String,
        to: String,
        reason: String,
    },
}

/// A frame with its result.
#[derive(Debug)]
pub(crate) struct FinishedFrame {
    pub(crate) frame: Frame,
    pub(crate) found: Detections,
    /// How long it took; none where the result is from the record.
    pub(crate) times: Option<FrameTimes>,
    /// What it counts as until it is written, in bytes.
    pub(crate) bytes: u64,
}

/// The writer's summary of a run.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) counts: Counts,
    pub(crate) errors: InputProblems,
    pub(crate) decoding: DecodingReport,
    pub(crate) interrupted: bool,
    /// Whether no frame had boxes in the file of boxes.
    pub(crate) in_vain: bool,
    pub(crate) notices: Vec<String>,
    pub(crate) warnings: InputProblems,
    /// The most bytes of results and pixels that waited to be written.
    pub(crate) most_ahead: u64,
}
