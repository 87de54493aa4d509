//! `coco.json` and `coco_results.json`.

mod entries;
mod pass;
mod sink;

pub use sink::CocoSink;
