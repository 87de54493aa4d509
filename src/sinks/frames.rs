//! `frames/`: decoded frames, one PNG each.

use crate::{
    frame::{Detections, Frame, SourceInfo, SourceKind},
    sinks::{
        error::SinkError,
        image_writer::ImageWriter,
        layout::Layout,
        png_file::{write_image, write_stored},
        sink::Sink,
    },
};
use std::sync::Arc;

/// What [`FramesSink`] does with sources whose frames are image files already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stills {
    /// Writes them as PNG too (`extract`).
    Write,
    /// Leaves them out: annotations refer to the originals.
    Skip,
}

/// Decoded frames, upright, 8 bits a channel: grey PNG for grey ones, RGB for colour. Frames that carry the values as
/// stored are written from those, with 16 bits.
#[derive(Debug)]
pub struct FramesSink {
    layout: Layout,
    writer: ImageWriter,
    stills: Stills,
}

impl FramesSink {
    /// A sink that writes through `writer`.
    pub fn new(layout: Layout, writer: ImageWriter, stills: Stills) -> Self {
        Self {
            layout,
            writer,
            stills,
        }
    }
}

impl Sink for FramesSink {
    fn begin_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, frame: &Frame, _: &Detections) -> Result<(), SinkError> {
        let still = matches!(frame.source.kind, SourceKind::Image | SourceKind::Sequence);
        if still && self.stills == Stills::Skip {
            return Ok(());
        }
        let path = self
            .layout
            .frame(&frame.source, frame.index, frame.file.as_deref());
        if let Some(stored) = frame.stored.clone() {
            return self.writer.submit(move || write_stored(&path, &stored));
        }
        let image = Arc::clone(
            frame
                .image()
                .map_err(|e| SinkError::new(&path, e.to_string()))?,
        );
        self.writer.submit(move || write_image(&path, &image))
    }

    fn end_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        self.writer.wait()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.writer.wait()
    }
}
