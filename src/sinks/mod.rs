//! Where results go: JSONL, COCO, YOLO, PNG, overlays.
//!
//! An output folder holds, as far as asked for:
//!
//! | path | what | written by |
//! |---|---|---|
//! | `run.json` | the run: version, arguments, models, counts, times, errors | [`RunReport`] |
//! | `detections.jsonl` | one line a frame; the run's record, read again on `--resume` | [`Record`] |
//! | `coco.json`, `coco_results.json` | COCO instances with videos, and the list that `COCO.loadRes` takes | [`CocoSink`] |
//! | `masks/` | label maps, PNG | [`MasksSink`] |
//! | `overlay/` | PNG beside images, MP4 beside videos | [`OverlaySink`] |
//! | `labels/`, `classes.txt`, `data.yaml` | YOLO | [`YoloSink`] |
//! | `frames/` | decoded frames, PNG | [`FramesSink`] |
//!
//! [`Layout`] names every path. Every file but the record appears under its final name only when it is complete.

mod atomic_file;
mod classes;
mod coco;
mod error;
mod frames;
mod image_writer;
mod json_file;
mod jsonl;
mod label_map;
mod layout;
mod output_kind;
mod overlay;
mod png_file;
mod set;
mod yolo;

pub use classes::{COCO_NAMES, Classes};
pub use coco::CocoSink;
pub use error::SinkError;
pub use frames::{FramesSink, Stills};
pub use image_writer::ImageWriter;
pub use jsonl::{ObjectLine, RecordLine, RleLine, SourceFacts, read_record, write_record};
pub use label_map::{MasksSink, label_map};
pub use layout::Layout;
pub use output_kind::{OutputKind, OutputSet, UnknownOutput};
pub use overlay::{OverlaySink, draw_overlay};
pub use set::{SinkOptions, SinkSet};
pub use yolo::YoloSink;

// For runs, and for the writer of phantoms.
pub(crate) use atomic_file::{AtomicFile, write_atomic};
pub(crate) use json_file::JsonFile;
pub(crate) use jsonl::{Lines, facts_of, line_of};
pub(crate) use layout::{TEMPORARY_PREFIX, TEMPORARY_SUFFIX};
pub(crate) use overlay::VideoFile;
pub(crate) use png_file::write_image;

use crate::frame::{Detections, Frame, SourceInfo};
use std::sync::Arc;

/// A writer of results. The pipeline calls, for each source in order, `begin_source`, `write` for each frame in order,
/// `end_source`; and at the end `finish`. A resumed run calls them again for sources that had not ended, with the same
/// frames and results from the first on: a sink then ends with the same bytes as in an unbroken run.
pub trait Sink: Send {
    /// A source begins.
    ///
    /// # Errors
    /// [`SinkError`] if its outputs cannot be made.
    fn begin_source(&mut self, source: &Arc<SourceInfo>) -> Result<(), SinkError>;

    /// One frame and what was found in it. When this returns, what a reader may see of it is complete.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be written.
    fn write(&mut self, frame: &Frame, found: &Detections) -> Result<(), SinkError>;

    /// The source has ended: its outputs get their final names.
    ///
    /// # Errors
    /// [`SinkError`] if they cannot be completed.
    fn end_source(&mut self, source: &Arc<SourceInfo>) -> Result<(), SinkError>;

    /// Whether it reads the pixels of frames: where no sink does, frames that were decoded on a GPU are not brought to the host.
    fn reads_pixels(&self) -> bool {
        true
    }

    /// All sources have ended.
    ///
    /// # Errors
    /// [`SinkError`] if the outputs of the whole run cannot be completed.
    fn finish(&mut self) -> Result<(), SinkError>;
}
