//! Data sets as other programs read and write them.
//!
//! | file | what |
//! |---|---|
//! | `item` | a picture with its annotations, as all kinds hold it |
//! | `writer` | what writes one kind of data set |
//! | `reader` | a data set in memory, and why one cannot be read |
//! | `outline` | polygons of masks |
//! | `fill` | masks of polygons |
//! | `table` | `objects.csv`: a row an object, with its sizes |

mod fill;
mod item;
#[allow(dead_code)] // until the kinds that use it are here
mod outline;
mod reader;
mod table;
mod writer;

pub use item::{Annotation, Item, Outline, Place};
pub use reader::{Dataset, DatasetError};
pub use table::TableWriter;
pub use writer::{DatasetWriter, WriteOptions};
