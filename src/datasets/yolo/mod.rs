//! YOLO data sets: `labels/`, `classes.txt`, `data.yaml`.

mod fill;
mod read;
mod write;

pub use read::read_yolo;
pub use write::YoloWriter;
