//! Data sets as other programs read and write them.
//!
//! | file | what |
//! |---|---|
//! | `item` | a picture with its annotations, as all kinds hold it |
//! | `writer` | what writes one kind of data set |
//! | `reader` | a data set in memory, and why one cannot be read |
//! | `outline` | polygons of masks |
//! | `volume` | the masks of a source as a stack of planes |
//! | `seg` | DICOM Segmentation |
//! | `nrrd` | segmentations and sequences of 3D Slicer |

mod item;
mod nrrd;
#[allow(dead_code)] // until the kinds that use it are here
mod outline;
mod reader;
mod seg;
mod volume;
mod writer;

pub use item::{Annotation, Item, Outline, Place};
pub use nrrd::NrrdWriter;
pub use reader::{Dataset, DatasetError};
pub use seg::{
    ClassCode, Code, SegAlgorithm, SegCodes, SegGeometry, SegOptions, SegType, SegWriter,
};
pub use volume::VolumeNote;
pub use writer::{DatasetWriter, WriteOptions};
