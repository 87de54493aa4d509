//! Sources, models and sinks composed into a plan, and the plan run.
//!
//! ```no_run
//! use std::sync::Arc;
//! use ultramotion::{
//!     engine::{DeviceSpec, Engine},
//!     frame::Confidence,
//!     pipeline::{Cancel, Execution, OnError, OwnSinks, OwnSources, Plan, Task, load_detector, load_segmenter},
//!     sinks::OutputMode,
//!     sources::{ExpandOptions, SourceOptions, expand},
//!     weights::{Hub, HubConfig},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::open(DeviceSpec::Auto)?;
//! let hub = Hub::new(HubConfig::from_env()?);
//! let detector = load_detector(&engine, Some("dfine-s"), None, &hub, &mut ())?.with_selection(Confidence::DEFAULT, 100, &[])?;
//! let segmenter = load_segmenter(&engine, Some("mobile-sam"), &hub, &mut ())?;
//! let task = Task::Pipeline(Arc::new(detector), Arc::new(segmenter));
//! let inputs = expand(&["clip.mp4".into()], ExpandOptions::default(), &mut std::io::empty());
//! let summary = Plan {
//!     outputs: task.default_outputs(),
//!     task,
//!     sources: inputs.sources,
//!     warnings: inputs.warnings,
//!     own_sources: OwnSources::default(),
//!     own_sinks: OwnSinks::default(),
//!     source_options: SourceOptions::default(),
//!     on_error: OnError::Skip,
//!     output: "out".into(),
//!     output_mode: OutputMode::Fresh,
//!     stills: false,
//!     arguments: Vec::new(),
//!     execution: Execution::of(&engine),
//!     replicas: Vec::new(),
//!     oom_device: None,
//!     fallback: None,
//!     device: engine.name(),
//!     observer: Arc::new(()),
//!     cancel: Cancel::default(),
//! }
//! .run()?;
//! println!("{} objects in {} frames", summary.counts.objects, summary.counts.frames);
//! # Ok(())
//! # }
//! ```

mod bench;
mod decode;
mod describe;
mod detector;
mod doctor;
mod error;
mod execution;
mod executor;
mod fingerprint;
mod flow;
mod init;
mod kpi;
mod live;
mod load;
mod observer;
mod own;
mod phantom;
mod picture;
mod plan;
mod prompt;
mod prompts;
mod resident;
mod resident_graphs;
mod resident_layout;
mod run;
mod run_builder;
mod scheduler;
#[cfg(test)]
mod scheduler_tests;
mod segmenter;
mod session;
mod session_builder;
mod stage;
mod staged;
mod stream;
mod verify;
mod verify_file;
mod write;

pub use crate::sinks::{StageSummary, StageTimes};
pub use bench::{Bench, StageTiming, test_frame};
pub use describe::{ModelDescription, ModelFamily, ModelInput, describe, model_family};
pub use detector::Detector;
pub use doctor::{Finding, examine};
pub use error::{ModelError, PipelineError};
pub use execution::{Execution, Mode};
pub use init::{NewDetector, init_detector, init_segmenter};
pub use kpi::{EVENTS as KPI_EVENTS, KEYS as KPI_KEYS, KpiError, KpiFile, stage_key};
pub use live::WhenBusy;
pub use load::{
    DetectorOptions, ModelOrigin, load_detector, load_detector_unnamed, load_detector_with,
    load_segmenter,
};
pub use observer::{Cancel, Event, FrameTimes, Observer};
pub use own::{OwnSinks, OwnSources};
pub use phantom::{
    PhantomEvent, PhantomFiles, PhantomPlan, PhantomRunError, PhantomSummary, SequenceSummary,
};
pub use plan::{Fallback, OnError, Plan, Summary, Task};
pub use prompt::{Prompt, PromptError};
pub use prompts::{MatchedFrames, PromptTextError, UserPrompts, parse_box, parse_point};
pub use run_builder::Run;
pub use segmenter::Segmenter;
pub use session::{Detections, Session, SessionError};
pub use session_builder::{DEFAULT_BATCH, MAX_BATCH, SessionBuilder};
pub use stage::Stage;
pub use stream::Stream;
pub use verify::{
    Reference, SegmenterOutput, TensorComparison, VerifyError, verify_detector, verify_segmenter,
};
pub use verify_file::VerifyFileError;

/// A class name as lists of names show it: in quotes where it has what could end it.
fn quoted(name: &str) -> String {
    let plain =
        !name.contains([',', ';', '"', '(', ')']) && name.trim() == name && !name.is_empty();
    if plain {
        name.to_owned()
    } else {
        format!("\"{name}\"")
    }
}
