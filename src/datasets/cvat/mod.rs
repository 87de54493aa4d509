//! CVAT's XML, version 1.1: "CVAT for images" and "CVAT for video".
//!
//! | file | what |
//! |---|---|
//! | `writer` | `cvat/images.xml` of all stills and frames of sequences, and a file a video |
//! | `video` | the tracks of a video |
//! | `elements` | shapes and the head of a file, as text |
//! | `reader` | both kinds, as CVAT exports them |
//! | `parse` | the shapes of a file |

mod elements;
mod parse;
mod reader;
#[cfg(test)]
mod tests;
mod video;
mod writer;

pub use reader::{read, sniff};
pub use writer::CvatWriter;
