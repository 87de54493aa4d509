//! DICOM: attributes, pixel data, geometry, UIDs.
//!
//! [`DicomFile`] opens a file and reads its attributes, [`DicomImage`] decodes its frames one at a time,
//! [`encapsulated_video`] hands out a stream that a video decoder must read, [`scan`] sorts files into series and
//! [`directory_files`] lists what a DICOMDIR refers to. Values are parsed by dicom-rs; nothing is allocated from a
//! number in a file before it is checked against the bytes there are.

mod attributes;
mod bytes;
mod codec;
mod colour;
mod directory;
mod display;
mod error;
mod file;
mod finding;
mod fragments;
mod frame_attributes;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod image;
mod layout;
mod lut;
mod modality;
mod native;
mod options;
mod packing;
mod parse;
mod plane;
mod plausible;
mod privacy;
mod samples;
mod series;
mod spacing;
mod syntax;
mod timing;
mod video;
mod voi;
mod walk;
mod window;

pub use attributes::Attributes;
pub use directory::directory_files;
pub use error::{DicomError, Result};
pub use file::{DicomFile, is_dicom};
pub use finding::DicomFinding;
pub use image::{DicomImage, ShownFrame};
pub use layout::{Layout, Photometric, SampleKind};
pub use options::DicomOptions;
pub use samples::{Samples, StoredFrame};
pub use series::{Scan, Series, scan};
pub use spacing::Region;
pub use syntax::{PixelEncoding, VideoCodec};
pub use timing::Timing;
pub use video::{EncapsulatedVideo, encapsulated_video};
pub use window::Window;

// For outputs with the geometry of their source.
pub(crate) use plane::Plane;
