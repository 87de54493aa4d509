//! How good tracks are: HOTA, CLEAR and Identity, equal to trackeval 1.3.0.
//!
//! [`evaluate_tracks`] reads two files, pairs their frames and classes, leaves out what the rules do not judge, and computes the figures of
//! each class and sequence. Sequences of a class, and classes, are combined as trackeval combines them.
//!
//! Where several assignments are equally good, figures depend on which one is taken; it is that of scipy's
//! `linear_sum_assignment`, as in trackeval. Two things differ on purpose: MOTS masks that overlap are no error, and a
//! class without objects and predictions does not count in the mean of classes (trackeval's `ignore_empty_classes`).

mod align;
mod clear;
mod evaluate;
mod figures;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod hota;
mod identity;
mod input;
mod options;
mod prepare;
mod set;
mod shape;
mod steps;
#[cfg(test)]
mod tests;

pub use clear::Clear;
pub use evaluate::evaluate_tracks;
pub use figures::{ClassFigures, SequenceFigures, TrackCount, TrackEvaluation, TrackFigures};
pub use hota::{Hota, HotaAt, HotaFigures};
pub use identity::Identity;
pub use options::{TrackIou, TrackOptions, TrackRules};
