//! The models, each defined once, readable beside its paper.

pub mod dfine;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod mobile_sam;
mod nn;
mod prefix;

pub use prefix::PrefixError;
