//! COCO data sets: `coco.json` with its results list, `annotations/instances_PART.json` in Datumaro's layout, and reading both.

mod entries;
mod file;
mod read;
mod write;

pub use read::read_coco;
pub use write::{CocoLayout, CocoWriter};
