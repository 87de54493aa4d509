//! Label Studio's JSON: a list of tasks, and the labelling configuration for them.

mod brush;
mod convert;
mod options;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use options::{ImageUrl, LabelStudioOptions, ResultsAs};
pub use reader::{read, sniff};
pub use writer::LabelStudioWriter;
