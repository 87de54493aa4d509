//! The sink, which makes its files of the record when the run ends.

use crate::{
    coco::Classes,
    frame::{Detections, Frame, SourceInfo},
    sinks::{coco::pass::Pass, error::SinkError, jsonl::Lines, layout::Layout, sink::Sink},
};
use std::sync::Arc;

/// COCO instances (`coco.json`, for `COCO(…)`) and detections (`coco_results.json`, for `COCO.loadRes`).
///
/// Images are numbered from 1 in the order of the record, annotations from 1 over all images. `file_name` is the path as
/// given for images and frames of sequences, and `frames/<name>/<number>.png` for those of videos and DICOM. Where there
/// is a mask, `bbox` and `area` are the mask's, as pycocotools computes them; otherwise the box's, and `segmentation` is
/// empty. Videos, sequences and DICOM are listed in `videos`; their images carry `video_id`, `frame_id` (the frame's
/// number in its source) and `timestamp`.
///
/// Nothing is kept while the run goes on: [`Sink::finish`] reads the record once, a line at a time. Images and annotations,
/// which follow the list of videos in `coco.json`, are collected in temporary files in the output folder.
#[derive(Debug)]
pub struct CocoSink {
    layout: Layout,
    classes: Classes,
}

impl CocoSink {
    /// A sink for the record of `layout`, with the names of `classes`; classes beyond them are named as in the record.
    pub fn new(layout: Layout, classes: Classes) -> Self {
        Self { layout, classes }
    }
}

impl Sink for CocoSink {
    fn begin_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, _: &Frame, _: &Detections) -> Result<(), SinkError> {
        Ok(())
    }

    fn end_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let mut lines = Lines::open(&self.layout.record(), 0)?;
        let mut pass = Pass::start(&self.layout, &self.classes)?;
        while lines.advance()? {
            let line = lines.parse()?;
            pass.add(line, |problem| lines.broken(problem))?;
        }
        pass.finish()
    }
}
