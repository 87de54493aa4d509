//! The COCO formats.

pub mod rle;
