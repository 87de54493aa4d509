//! Finds and outlines things in moving images, ultrasound first: D-FINE detects, MobileSAM segments, on Candle.
//!
//! The layers, lowest first; a module uses only those above it in this list (`tests/layering.rs` holds that):
//! [`text`], `run_files`, [`geometry`], [`frame`], [`engine`], [`ops`], [`weights`], [`models`], [`dicom`], [`sources`], [`sinks`], [`matching`], [`phantom`], [`eval`],
//! [`pipeline`], [`audit`].

pub mod audit;
pub mod dicom;
pub mod engine;
pub mod eval;
pub mod frame;
pub mod geometry;
pub mod matching;
pub mod models;
pub mod ops;
pub mod phantom;
pub mod pipeline;
mod run_files;
pub mod sinks;
pub mod sources;
pub mod text;
pub mod weights;
