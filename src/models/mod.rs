//! The models, each defined once, readable beside its paper.

pub mod dfine;
pub mod mobile_sam;
mod prefix;

pub use prefix::PrefixError;
