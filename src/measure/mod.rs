//! Sizes of objects, in pixels and millimetres: area, length, width, perimeter, centroid.
//!
//! | file | what |
//! |---|---|
//! | `measurements` | the figures of an object |
//! | `scale` | millimetres a pixel at the place of an object: pixel spacing or ultrasound region |
//! | `moments` | centroid and principal axes of a mask, its extent along them |
//! | `perimeter` | length of a mask's outline |

mod measurements;
mod moments;
mod perimeter;
mod scale;

pub use measurements::{Measurements, Millimetres, measure, rounded};
pub use scale::Note;
