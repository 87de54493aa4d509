//! The COCO formats.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod rle;
