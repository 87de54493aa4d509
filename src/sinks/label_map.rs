//! `masks/`: label maps, one PNG a frame.

use crate::{
    frame::{Detections, Frame, Object, SourceInfo},
    sinks::{
        error::{SinkError, SinkErrorKind},
        image_writer::ImageWriter,
        layout::Layout,
        png_file::{Samples, write_png},
        sink::Sink,
    },
};
use std::sync::Arc;

/// Label maps at the frame's resolution: grey PNG, 0 for background, n for the n-th object of the frame's line in
/// `detections.jsonl` (from 1). 8 bits a pixel, 16 where a frame has more than 255 objects. Where masks overlap, the
/// higher score wins; of equal scores, the object that is first.
#[derive(Debug)]
pub struct MasksSink {
    layout: Layout,
    writer: ImageWriter,
}

impl MasksSink {
    /// A sink that writes through `writer`.
    pub fn new(layout: Layout, writer: ImageWriter) -> Self {
        Self { layout, writer }
    }
}

/// The label map of a found, row-major: object n of the found is n + 1, overlaps go to the higher score.
pub fn label_map(found: &Detections) -> Vec<u16> {
    let width = found.size.width as usize;
    let mut labels = vec![0u16; width * found.size.height as usize];
    for (i, object) in by_rising_score(&found.objects) {
        let Some(mask) = object.mask.as_ref().filter(|m| m.size() == found.size) else {
            continue;
        };
        let id = u16::try_from(i + 1).unwrap_or(u16::MAX);
        mask.for_each_run(|x, y0, y1| {
            for y in y0..y1 {
                labels[y as usize * width + x as usize] = id;
            }
        });
    }
    labels
}

/// Objects with their positions, such that what is drawn later may cover what was drawn before.
pub(super) fn by_rising_score(objects: &[Object]) -> Vec<(usize, &Object)> {
    let mut order: Vec<(usize, &Object)> = objects.iter().enumerate().rev().collect();
    order.sort_by(|a, b| a.1.score.total_cmp(&b.1.score));
    order
}

impl Sink for MasksSink {
    fn begin_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, frame: &Frame, found: &Detections) -> Result<(), SinkError> {
        let path = self
            .layout
            .mask(&frame.source, frame.index, frame.file.as_deref());
        let mismatched = found
            .objects
            .iter()
            .filter_map(|o| o.mask.as_ref())
            .find(|m| m.size() != found.size);
        if let Some(mask) = mismatched {
            return Err(SinkError::new(
                path,
                format!(
                    "a mask is {} where the frame is {}",
                    mask.size(),
                    found.size
                ),
            ));
        }
        if found.objects.len() > usize::from(u16::MAX) {
            let problem = format!(
                "{} objects in one frame are more than a 16-bit label map can tell apart",
                found.objects.len()
            );
            return Err(SinkError::new(path, problem)
                .with_kind(SinkErrorKind::TooManyObjects)
                .with_remedy("lower the number of objects a frame, or raise the minimum score"));
        }
        let found = found.clone();
        self.writer.submit(move || {
            let labels = label_map(&found);
            if found.objects.len() > usize::from(u8::MAX) {
                return write_png(&path, found.size, Samples::Gray16(&labels));
            }
            let narrow: Vec<u8> = labels.iter().map(|&id| id as u8).collect();
            write_png(&path, found.size, Samples::Gray(&narrow))
        })
    }

    fn end_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        self.writer.wait()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.writer.wait()
    }
}
