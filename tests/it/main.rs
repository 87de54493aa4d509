//! All tests that need no GPU, in one binary: it is linked once, and `cargo test --test it dicom::` runs a part of it.
//!
//! They run in one process side by side: a test changes nothing that others see (environment, working directory, signals);
//! what depends on those is a run of the program (`common::program`, with the feature `cli`).

mod bf16;
mod checkpoints;
mod common;
mod dicom;
mod hub;
mod kernel_targets;
mod kernels;
mod parity;
mod phantom;
mod phantom_motion;
#[cfg(feature = "cli")]
mod program;
mod run_ends;
mod session;
mod sources;
mod tracks;
