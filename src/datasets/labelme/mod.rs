//! labelme's JSON: a file a picture.

mod format;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::{read, sniff};
pub use writer::LabelmeWriter;
