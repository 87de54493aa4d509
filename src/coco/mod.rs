//! The COCO formats, once: data sets, results lists, run lengths, category ids; read leniently, written piece by piece.

mod annotation;
mod classes;
mod dataset;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod lazy;
mod number;
mod reader;
pub mod rle;
mod segmentation;
mod writer;

pub use classes::{COCO_NAMES, Classes};
pub use segmentation::Rle;

pub(crate) use annotation::{Annotation, TrackAttributes};
pub(crate) use dataset::{Category, Dataset, Image, Info, Video};
pub(crate) use lazy::Lazy;
pub(crate) use number::plain_number;
pub(crate) use reader::{
    CocoFile, MAX_BYTES, describe, parse, parse_dataset, read, read_rest, without_bom,
};
pub(crate) use segmentation::Segmentation;
pub(crate) use writer::{Section, Writer};
