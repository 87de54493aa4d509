//! Where results go: JSONL, COCO, YOLO, PNG, overlays.
//!
//! An output folder holds these, depending on the outputs chosen:
//!
//! | path | what | written by |
//! |---|---|---|
//! | `run.json` | the run: version, arguments, models, counts, times, errors | `run::RunReport` |
//! | `detections.jsonl` | one line a frame; the run's record, read again when a run is resumed | `run::Record` |
//! | `coco.json`, `labels/` … | data sets of other programs | `datasets`, at the end of the run |
//! | `masks/`, `instances/` | label maps of classes and of objects, PNG | [`MasksSink`] |
//! | `images/` | the pictures that annotations refer to | [`ImagesSink`] |
//! | `overlay/` | PNG beside images, MP4 beside videos | [`OverlaySink`] |
//! | `frames/` | decoded frames, PNG | [`FramesSink`] |
//!
//! [`Layout`] names every path. Every file but the record appears under its final name only when it is complete.

mod atomic_file;
mod coco_file;
mod error;
mod frames;
mod image_writer;
mod images;
mod images_mode;
mod jsonl;
mod label_map;
mod layout;
mod output_kind;
mod overlay;
mod palette;
mod png_file;
mod set;
mod sink;

pub use error::{SinkError, SinkErrorKind};
pub use frames::{FramesSink, Stills};
pub use image_writer::ImageWriter;
pub use images::ImagesSink;
pub use images_mode::{ImagesMode, UnknownImagesMode};
pub use jsonl::{
    ChangeLine, Measured, ObjectLine, RecordLine, SourceFacts, read_record, write_record,
};
pub use label_map::{Labelling, MasksSink};
pub use layout::Layout;
pub use output_kind::{OutputKind, OutputSet, UnknownOutput};
pub use overlay::{OverlaySink, draw_overlay};
pub use set::{SinkOptions, SinkSet};
pub use sink::Sink;

// For runs, for data sets, and for the writer of phantoms.
pub(crate) use atomic_file::{AtomicFile, write_atomic};
pub(crate) use coco_file::{CocoFile, CocoPart};
pub(crate) use images::place_original;
pub(crate) use jsonl::{Lines, box_area, facts_of, line_of, seconds_json};
pub(crate) use label_map::{LabelMap, write_labels};
pub(crate) use layout::{IMAGES, TEMPORARY_PREFIX, TEMPORARY_SUFFIX};
pub(crate) use overlay::VideoFile;
pub(crate) use palette::{colour as class_colour, track_colour};
pub(crate) use png_file::write_image;
