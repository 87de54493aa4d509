//! DICOM files and series as sources: grouping of files into sources, decoding of their frames.

mod frames;
mod grouping;
mod issues;
mod open;

pub use frames::{DicomSeries, DicomSource};
pub use grouping::{DicomGroup, DicomGrouping, DicomRefusal, each_file_alone, group_dicom};
pub(super) use open::open;
