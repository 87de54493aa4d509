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

pub mod cvat;
mod item;
mod masks;
mod names;
#[allow(dead_code)] // until the kinds that use it are here
mod outline;
mod reader;
mod spool;
mod writer;
mod xml;

pub use cvat::CvatWriter;
pub use item::{Annotation, Item, Outline, Place};
pub use masks::MaskForm;
pub use reader::{Dataset, DatasetError};
pub use writer::{DatasetWriter, WriteOptions};
