//! Where results go: JSONL, COCO, YOLO, PNG, overlays.
//!
//! An output folder holds these, depending on the outputs chosen:
//!
//! | path | what | written by |
//! |---|---|---|
//! | `run.json` | the run: version, arguments, models, counts, times, errors | `run::RunReport` |
//! | `detections.jsonl` | one line a frame; the run's record, read again when a run is resumed | `run::Record` |
//! | `coco.json`, `coco_results.json` | COCO instances with videos, and the list that `COCO.loadRes` takes | [`CocoSink`] |
//! | `masks/` | label maps, PNG | [`MasksSink`] |
//! | `overlay/` | PNG beside images, MP4 beside videos | [`OverlaySink`] |
//! | `labels/`, `classes.txt`, `data.yaml` | YOLO | [`YoloSink`] |
//! | `frames/` | decoded frames, PNG | [`FramesSink`] |
//!
//! [`Layout`] names every path. Every file but the record appears under its final name only when it is complete.

mod atomic_file;
mod coco;
mod coco_file;
mod error;
mod frames;
mod image_writer;
mod jsonl;
mod label_map;
mod layout;
mod output_kind;
mod overlay;
mod png_file;
mod set;
mod sink;
mod yolo;

pub use coco::CocoSink;
pub use error::{SinkError, SinkErrorKind};
pub use frames::{FramesSink, Stills};
pub use image_writer::ImageWriter;
pub use jsonl::{ObjectLine, RecordLine, SourceFacts, read_record, write_record};
pub use label_map::{MasksSink, label_map};
pub use layout::Layout;
pub use output_kind::{OutputKind, OutputSet, UnknownOutput};
pub use overlay::{OverlaySink, draw_overlay};
pub use set::{SinkOptions, SinkSet};
pub use sink::Sink;
pub use yolo::YoloSink;

// For runs, and for the writer of phantoms.
pub(crate) use atomic_file::{AtomicFile, write_atomic};
pub(crate) use coco_file::CocoFile;
pub(crate) use jsonl::{Lines, facts_of, line_of};
pub(crate) use layout::{TEMPORARY_PREFIX, TEMPORARY_SUFFIX};
pub(crate) use overlay::{VideoFile, class_colour};
pub(crate) use png_file::write_image;
