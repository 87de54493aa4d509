//! What the driver did for each frame, held against what the engine announced, and judged.
//!
//! A first pass of the real pipeline takes latency and memory with no profiler in the program; a second one, with the models loaded
//! anew, runs under CUPTI's activity records. Each record belongs to the work (stage and frame) that its call was made in;
//! copies between host and device must be announced moves of the engine.

mod attribute;
mod captured;
mod classify;
#[cfg_attr(not(feature = "cuda"), path = "cupti_disabled.rs")]
mod cupti;
mod error;
mod event;
mod html;
mod observe;
mod observe_session;
mod parse;
mod passes;
mod plan;
mod plot;
pub mod record;
mod recording;
mod repeated;
mod report;
mod rows;
mod run;
mod series;
mod table;
mod verdict;
mod work_log;

pub use classify::{Class, Kind};
pub use error::AuditError;
pub use event::{AuditEvent, AuditObserver};
pub use html::to_html;
pub use observe::{Capture, Observation, observe};
pub use observe_session::observe_session;
pub use plan::{AuditPlan, OpenStreams, Pass};
pub use recording::{Recording, RecordingError};
pub use report::{Announced, AuditReport, Graph, ModeReport, Observed, PerFrame, StageReport};
pub use rows::{Chain, Row};
pub use run::run;
pub use series::{Latency, Sample};
pub use table::to_text;
pub use verdict::{Bounds, Holds, Kpi, Measured, Verdict};
pub use work_log::{CapturedGraph, LoggedWork, Works};

#[cfg(test)]
mod tests;
