//! Sizes, boxes and the transforms between an image and a model's input.
//!
//! Pixel coordinates are continuous: x to the right, y down, (0, 0) the outer corner of the first pixel,
//! (width, height) the outer corner of the last.

mod boxes;
mod size;
mod transform;

pub use boxes::{BoxCxCyWh, BoxXyxy};
pub use size::Size;
pub use transform::LongestSide;
