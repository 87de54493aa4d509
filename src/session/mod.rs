//! Models on their device, from pixels in memory to what is found in them.
//!
//! A [`Session`] owns the models and what runs them: stage by stage on the CPU, as captured graphs on a GPU. It takes
//! single images, batches, a whole source ([`Session::stream`]) or frames one by one ([`Session::push`]), and knows no
//! files of results; [`crate::run`] adds those.

mod builder;
mod detector;
mod device_detections;
mod device_frame;
mod error;
mod execution;
mod executor;
mod finished;
mod live;
mod live_queue;
#[cfg(test)]
mod live_tests;
mod load;
mod model_origin;
mod models;
mod picture;
mod prompt;
mod prompted;
mod refine;
mod run_on_device;
mod scheduler;
#[cfg(test)]
mod scheduler_properties;
#[cfg(test)]
pub(crate) mod scheduler_tests;
mod segmenter;
#[allow(clippy::module_inception)]
mod session;
mod stage;
mod stage_times;
mod stream;

pub use builder::{DEFAULT_BATCH, MAX_BATCH, SessionBuilder};
pub use detector::Detector;
pub use device_detections::DeviceDetections;
pub use device_frame::{DeviceFrame, DeviceFrameError};
pub use error::{ModelError, SessionError};
pub use execution::{Execution, Mode};
pub use live_queue::WhenBusy;
pub use load::{
    DetectorOptions, load_detector, load_detector_unnamed, load_detector_with, load_segmenter,
};
pub use model_origin::ModelOrigin;
pub use prompt::{Prompt, PromptError};
pub use segmenter::Segmenter;
pub use session::Session;
pub use stage::Stage;
pub use stage_times::{StageSummary, StageTimes};
pub use stream::Stream;

// For runs, which refine what executors found as streams do.
pub(crate) use refine::{Refiner, Refining, Tracking};

// For runs and tools, which drive the executors themselves.
pub(crate) use executor::{
    interface::{CompletedFrame, Executor, PendingFrame},
    resident::GpuExecutor,
    staged::Staged,
};
pub(crate) use load::{Names, build_detector, build_segmenter, segmenter_params};
pub(crate) use models::Models;
pub(crate) use picture::settle;
pub(crate) use prompted::Prompted;
pub(crate) use scheduler::{FallbackWork, MakeFallback, Notice, Output, Scheduler};
