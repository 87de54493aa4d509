//! All sinks of a run as one.

use crate::{
    coco::Classes,
    frame::{Detections, Frame, SourceInfo},
    sinks::{
        error::SinkError,
        frames::{FramesSink, Stills},
        image_writer::ImageWriter,
        images::ImagesSink,
        images_mode::ImagesMode,
        label_map::{Labelling, MasksSink},
        layout::Layout,
        output_kind::{OutputKind, OutputSet},
        overlay::OverlaySink,
        sink::Sink,
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
    /// What is put under `images/`.
    pub images: ImagesMode,
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
                    OutputKind::Masks => {
                        Box::new(MasksSink::new(layout, writer, Labelling::Classes, classes))
                    }
                    OutputKind::Instances => {
                        Box::new(MasksSink::new(layout, writer, Labelling::Objects, classes))
                    }
                    OutputKind::Overlay => Box::new(OverlaySink::new(layout, writer)),
                    OutputKind::Frames => Box::new(FramesSink::new(layout, writer, options.stills)),
                    // The record is the run's; the others are made of it when the run ends.
                    _ => return None,
                })
            });
        let mut sinks: Vec<Box<dyn Sink>> = sinks.collect();
        if options.images != ImagesMode::None {
            sinks.push(Box::new(ImagesSink::new(
                layout.clone(),
                writer.clone(),
                options.images,
            )));
        }
        Ok(Self { sinks })
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
