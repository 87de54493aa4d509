//! DICOM Segmentation.
//!
//! | file | what |
//! |---|---|
//! | `writer` | an object for each DICOM source |
//! | `options` | how objects are written |
//! | `codes` | codes of classes |
//! | `plan` | segments and frames of an object |
//! | `object`, `groups` | its data set, its functional groups |
//! | `subject` | its patient, study and dates |
//! | `pixels` | its pixel data |
//! | `encode` | data sets as bytes of a file |
//! | `build`, `value` | elements, and what their VR allows |
//! | `uid`, `colour` | UIDs and colours |

mod build;
mod codes;
mod colour;
mod encode;
mod groups;
mod object;
mod options;
mod pixels;
mod plan;
mod subject;
#[cfg(test)]
mod tests;
mod uid;
mod value;
mod writer;

pub use codes::{ClassCode, Code, SegCodes};
pub use options::{SegAlgorithm, SegGeometry, SegOptions, SegType};
pub use writer::SegWriter;
