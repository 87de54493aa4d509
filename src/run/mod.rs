//! Files in, files out: a [`Run`] takes a session over inputs and writes what it finds, with a journal by which it resumes.

pub(crate) mod boxes;
mod builder;
mod counts;
mod decode;
mod error;
mod event;
mod execute;
mod export_facts;
mod fingerprint;
mod folder_lock;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod infer;
mod journal;
mod lanes;
mod merge;
mod messages;
mod metrics;
mod output_dir;
mod own;
mod plan;
mod prompts;
mod recording;
mod report;
mod shard;
mod task;
mod threads;
mod unreadable;
mod write;

pub use boxes::{BoxPrompt, BoxPrompts, FrameBoxes, OtherSize, SourceFrames};
pub use builder::Run;
pub use counts::{Counts, InputProblem, InputProblems};
pub use error::{FrameError, RunError};
pub use event::{Event, FrameTimes, RunObserver};
pub use journal::{Record, SourceEnd, StoredFrame, StoredResults};
pub use merge::{MergeSummary, MissingShards, merge, missing_shards};
pub use metrics::{
    EVENTS as KPI_EVENTS, KEYS as KPI_KEYS, KpiError, KpiFile, LIVE_EVENTS as KPI_LIVE_EVENTS,
    stage_key,
};
pub use output_dir::{OutputDir, OutputMode};
pub use plan::{OnError, Summary};
pub use prompts::{MatchedFrames, PromptTextError, UserPrompts, parse_box, parse_point};
pub use recording::{Recorded, Recording};
pub use report::{
    DecodingReport, ModelFile, ModelReport, RunReport, RunStatus, ShardReport, SourceDecoding,
};
pub use shard::{Environment as ShardEnvironment, Shard, ShardBy, ShardError, fixed_shards};

// For the writer of phantoms, whose folders are prepared in the same way.
pub(crate) use folder_lock::FolderLock;
pub(crate) use output_dir::{clear_folder, clear_outputs, is_empty, remove};
