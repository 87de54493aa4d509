//! Pascal VOC: a file of boxes a picture.

mod corners;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use corners::VocCorners;
pub use reader::{read, sniff};
pub use writer::VocWriter;
