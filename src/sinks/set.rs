//! All sinks of a run as one.

use crate::{
    coco::Classes,
    frame::{Detections, Frame, SourceInfo},
    sinks::{
        coco::CocoSink,
        error::SinkError,
        frames::{FramesSink, Stills},
        image_writer::ImageWriter,
        label_map::MasksSink,
        layout::Layout,
        output_kind::{OutputKind, OutputSet},
        overlay::OverlaySink,
        sink::Sink,
        yolo::YoloSink,
    },
};
use std::sync::Arc;

/// What sinks need to know.
#[derive(Debug, Clone)]
pub struct SinkOptions {
    /// The outputs to write.
    pub outputs: OutputSet,
    /// Names of the classes.
    pub classes: Classes,
    /// Whether `frames/` gets images and sequences too.
    pub stills: Stills,
    /// Threads that write images.
    pub threads: usize,
}

/// Every output but the record, in one [`Sink`]. On resume it gets all frames of the source that had not ended, from
/// its first on, while [`crate::run::Record`] gets only those that it does not hold yet.
pub struct SinkSet {
    sinks: Vec<Box<dyn Sink>>,
}

impl SinkSet {
    /// The sinks of `options.outputs`, which write to `layout`.
    ///
    /// # Errors
    /// [`SinkError`] if the threads that write cannot start.
    pub fn new(layout: &Layout, options: &SinkOptions) -> Result<Self, SinkError> {
        let writer = ImageWriter::new(layout.root(), options.threads)?;
        let sinks = options
            .outputs
            .iter()
            .filter_map(|kind| -> Option<Box<dyn Sink>> {
                let (layout, writer, classes) =
                    (layout.clone(), writer.clone(), options.classes.clone());
                Some(match kind {
                    OutputKind::Jsonl => return None,
                    OutputKind::Coco => Box::new(CocoSink::new(layout, classes)),
                    OutputKind::Masks => Box::new(MasksSink::new(layout, writer)),
                    OutputKind::Overlay => Box::new(OverlaySink::new(layout, writer)),
                    OutputKind::Yolo => Box::new(YoloSink::new(layout, classes)),
                    OutputKind::Frames => Box::new(FramesSink::new(layout, writer, options.stills)),
                })
            });
        Ok(Self {
            sinks: sinks.collect(),
        })
    }
}

impl SinkSet {
    /// Adds a sink after those that are there.
    pub fn push(&mut self, sink: Box<dyn Sink>) {
        self.sinks.push(sink);
    }
}

impl Sink for SinkSet {
    fn begin_source(&mut self, source: &Arc<SourceInfo>) -> Result<(), SinkError> {
        self.sinks
            .iter_mut()
            .try_for_each(|sink| sink.begin_source(source))
    }

    fn write(&mut self, frame: &Frame, found: &Detections) -> Result<(), SinkError> {
        self.sinks
            .iter_mut()
            .try_for_each(|sink| sink.write(frame, found))
    }

    fn end_source(&mut self, source: &Arc<SourceInfo>) -> Result<(), SinkError> {
        self.sinks
            .iter_mut()
            .try_for_each(|sink| sink.end_source(source))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.sinks.iter_mut().try_for_each(|sink| sink.finish())
    }
}

impl std::fmt::Debug for SinkSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SinkSet({} sinks)", self.sinks.len())
    }
}
