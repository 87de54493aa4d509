//! Data sets as other programs read and write them.
//!
//! | file | what |
//! |---|---|
//! | `item` | a picture with its annotations, as all kinds hold it |
//! | `writer` | what writes one kind of data set |
//! | `reader` | a data set in memory, and why one cannot be read |
//! | `outline` | polygons of masks |
//! | `masks` | masks in the forms that data sets have |
//! | `names` | names of classes, files and pictures |
//! | `spool` | what is written before what comes before it is known |
//! | `xml` | XML of others, and what ours needs |
//! | `cvat/` | CVAT's XML |
//! | `label_studio/` | Label Studio's JSON |
//! | `labelme/` | labelme's JSON |
//! | `voc/` | Pascal VOC |

pub mod cvat;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod item;
pub mod label_studio;
pub mod labelme;
mod masks;
mod names;
#[allow(dead_code)] // until the kinds that use it are here
mod outline;
mod reader;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod samples_tests;
mod spool;
pub mod voc;
mod writer;
mod xml;

pub use cvat::CvatWriter;
pub use item::{Annotation, Item, Outline, Place};
pub use label_studio::{ImageUrl, LabelStudioOptions, LabelStudioWriter, ResultsAs};
pub use labelme::LabelmeWriter;
pub use masks::MaskForm;
pub use reader::{Dataset, DatasetError};
pub use voc::{VocCorners, VocWriter};
pub use writer::{DatasetWriter, WriteOptions};
