//! The stages of the work on a frame, under the one name that timers, reports and the transfer log know each by.

use crate::{
    engine::{Download, Engine, EngineError, Params, Span},
    session::stage_times::StageTimes,
    sources::DECODE_SPAN,
};
use std::fmt;

/// A stage of the work on a frame, a model or a run.
///
/// Its name keys the times in `run.json`, metrics and benchmarks. Its span keys the transfer log and the audit, which judge by larger
/// groups: several stages may share one span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Loading a model: upload of its weights, capture of its graphs.
    Load,
    /// Opening a source.
    Open,
    /// Reading and decoding a frame, and the upload of its pixels.
    Decode,
    /// On a GPU, enqueueing all work on a frame.
    Submit,
    /// On a GPU, upload of frames and preparation of the inputs of both models.
    Preprocess,
    /// Preparation of the detector's input from a frame.
    DetectPreprocess,
    /// The detector.
    Detect,
    /// On a GPU, detector and image encoder side by side.
    Forward,
    /// Selection of objects among the detector's queries.
    Select,
    /// Preparation of the segmenter's input from a frame.
    SegmentPreprocess,
    /// The segmenter's image encoder.
    Encode,
    /// The segmenter's mask decoder, with its prompts.
    DecodeMasks,
    /// Masks at the frame's resolution.
    Masks,
    /// Packing a result and its download.
    Pack,
    /// Writing the outputs of one frame.
    Write,
    /// Completing the outputs of the whole run.
    Finish,
}

impl Stage {
    /// The stages between a decoded frame and its result, where each runs on its own.
    pub const PER_FRAME: [Self; 7] = [
        Self::DetectPreprocess,
        Self::Detect,
        Self::Select,
        Self::SegmentPreprocess,
        Self::Encode,
        Self::DecodeMasks,
        Self::Masks,
    ];

    /// Its name in `run.json`, metrics and benchmarks.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Open => "open",
            Self::Decode => "decode",
            Self::Submit => "submit",
            Self::Preprocess => "preprocess",
            Self::DetectPreprocess => "detect-preprocess",
            Self::Detect => "detect",
            Self::Forward => "forward",
            Self::Select => "select",
            Self::SegmentPreprocess => "segment-preprocess",
            Self::Encode => "segment-encode",
            Self::DecodeMasks => "segment-decode",
            Self::Masks => "masks",
            Self::Pack => "pack",
            Self::Write => "write",
            Self::Finish => "finish",
        }
    }

    /// The span that the transfer log and the audit count it under.
    pub const fn span(self) -> Span {
        match self {
            Self::Load => Params::SPAN,
            Self::Open | Self::Decode => DECODE_SPAN,
            Self::Submit | Self::Preprocess | Self::DetectPreprocess | Self::SegmentPreprocess => {
                Span::new(2, "preprocess")
            }
            Self::Detect | Self::Forward => Span::new(3, "detect"),
            Self::Select => Span::new(4, "select"),
            Self::Encode | Self::DecodeMasks => Span::new(5, "segment"),
            Self::Masks => Span::new(6, "mask"),
            Self::Pack => Span::new(7, "pack"),
            Self::Write | Self::Finish => Span::new(8, "sink"),
        }
    }

    /// Runs `work` as this stage: the transfer log and its watcher attribute what it requests from the device to the stage's span, and
    /// `times` gets its duration.
    pub(super) fn run<T>(self, engine: &Engine, times: &StageTimes, work: impl FnOnce() -> T) -> T {
        engine.within(self, || times.time(self.name(), work))
    }

    /// As [`Stage::run`] for `work` that only enqueues: its duration is measured on the device, from the mark before, and comes with the
    /// result of `download`.
    ///
    /// # Errors
    /// Those of `work`, and [`EngineError::Driver`] if the device failed.
    pub(super) fn enqueue<T, E: From<EngineError>>(
        self,
        engine: &Engine,
        download: &mut Download,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let done = engine.within(self, work)?;
        download.mark(self.name())?;
        Ok(done)
    }
}

impl From<Stage> for Span {
    fn from(stage: Stage) -> Self {
        stage.span()
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_sort_as_a_frame_passes_them() {
        let mut spans = [
            Stage::Finish,
            Stage::Pack,
            Stage::Masks,
            Stage::Encode,
            Stage::Select,
            Stage::Forward,
            Stage::Preprocess,
            Stage::Decode,
            Stage::Load,
        ]
        .map(Stage::span);
        spans.sort();
        assert_eq!(
            spans.map(Span::name),
            [
                "load",
                "decode",
                "preprocess",
                "detect",
                "select",
                "segment",
                "mask",
                "pack",
                "sink"
            ]
        );
    }
}
