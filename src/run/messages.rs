//! What the threads of a run send each other.

use crate::{
    engine::OutOfMemory,
    frame::{Detections, Frame, SourceInfo},
    run::{
        counts::{Counts, InputProblem, InputProblems},
        event::FrameTimes,
        report::DecodingReport,
    },
    sinks::SinkError,
    sources::{Decoding, SourceError, SourceWarning},
};
use std::{sync::Arc, time::Duration};

/// An item in the order of the inputs. `F` is a frame: decoded, or with its result.
pub(crate) enum Item<F> {
    SourceBegan(Arc<SourceInfo>),
    Frame(F),
    /// Where the frames that follow are decoded.
    Decoding(Arc<SourceInfo>, Decoding),
    Warning(SourceWarning),
    Problem(InputProblem),
    SourceEnded(Arc<SourceInfo>),
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
            Self::SourceEnded(info) => Item::SourceEnded(info),
        })
    }
}

/// From decoding to inference.
pub(crate) enum Decoded {
    Item(Item<DecodedFrame>),
    /// An input failed; under [`crate::run::OnError::Stop`] the run ends with it.
    Failed(SourceError),
    /// The record of the earlier run cannot be read.
    Broken(SinkError),
    Cancelled,
}

/// A decoded frame.
pub(crate) struct DecodedFrame {
    pub(crate) frame: Frame,
    /// Time it took to decode.
    pub(crate) decode: Duration,
    /// Its result, where the record of an earlier run has it.
    pub(crate) stored: Option<Detections>,
}

/// From inference to writing.
pub(crate) enum Finished {
    Item(Item<FinishedFrame>),
    OutOfMemory(OutOfMemory),
    Fallback {
        from: String,
        to: String,
        reason: String,
    },
}

/// A frame with its result.
pub(crate) struct FinishedFrame {
    pub(crate) frame: Frame,
    pub(crate) found: Detections,
    /// How long it took; none where the result is from the record.
    pub(crate) times: Option<FrameTimes>,
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
}
