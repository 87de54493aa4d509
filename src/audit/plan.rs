//! What an audit runs and judges.

use super::{event::AuditObserver, verdict::Bounds};
use crate::{
    engine::Engine,
    progress::Cancel,
    session::Mode,
    sources::{Source, SourceError, SourceOptions, SourceSpec},
};
use std::{num::NonZeroUsize, sync::Arc, time::Duration};

/// Opens sources, which may decode on the device of the engine, and which the request ends.
pub type OpenStreams =
    dyn Fn(&Engine, &Cancel) -> Result<Vec<Box<dyn Source>>, SourceError> + Send + Sync;

/// An audit to make.
pub struct AuditPlan {
    /// Sources in order; they are read again from the start when they end too early.
    pub sources: Vec<Result<SourceSpec, SourceError>>,
    /// Opens sources of the caller's for each pass, which are read after those and not again: live streams.
    pub streams: Option<Arc<OpenStreams>>,
    /// How sources are read.
    pub source_options: SourceOptions,
    /// Sources, or parts of one, that are decoded at once ([`crate::Run::decoders`]). With more than one, frames of several wait for
    /// each other's results to be written.
    pub decoders: NonZeroUsize,
    /// Number of steady-state frames.
    pub frames: u64,
    /// Number of frames before steady state, in each pass.
    pub warm_up: u64,
    /// How long the pass without a profiler lasts, instead of `frames`.
    pub duration: Option<Duration>,
    /// The mode that is judged.
    pub mode: Mode,
    /// A mode to compare it with.
    pub compare: Option<Mode>,
    /// Bounds that must hold.
    pub bounds: Bounds,
    /// The command line, for the outputs' `run.json`.
    pub arguments: Vec<String>,
    /// Receives the events of the audit.
    pub observer: Arc<AuditObserver>,
    /// Ends the audit early.
    pub cancel: Cancel,
}

/// One run of the pipeline within an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pass {
    /// The mode.
    pub mode: Mode,
    /// Whether a profiler is attached, which also records what others request from the device.
    pub profiled: bool,
}

impl AuditPlan {
    /// One past the last frame that is judged.
    pub(super) fn last_frame(&self) -> u64 {
        self.warm_up.saturating_add(self.frames)
    }
}
