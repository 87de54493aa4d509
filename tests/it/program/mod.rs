//! The program as a user runs it.

#[cfg(feature = "embedded-models")]
mod audit;
mod bad_input;
#[cfg(feature = "embedded-models")]
mod boxes_round_trip;
#[cfg(feature = "embedded-models")]
mod default_models;
mod eval;
mod eval_tracks;
#[cfg(ffmpeg_at_first_call)]
mod ffmpeg;
#[cfg(feature = "embedded-models")]
mod golden;
mod input_errors;
mod live;
mod manners;
mod models;
mod phantom;
mod phantom_tracks;
mod resume;
#[cfg(feature = "embedded-models")]
mod serve;
mod shards;
#[cfg(feature = "embedded-models")]
mod snapshots;
