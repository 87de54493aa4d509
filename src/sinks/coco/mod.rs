//! `coco.json` and `coco_results.json`, written at the end of a run by reading its record again.

mod entries;

use crate::{
    frame::{Detections, Frame, SourceInfo, SourceKind},
    sinks::{
        classes::Classes,
        error::SinkError,
        json_file::JsonFile,
        jsonl::{Lines, RecordLine},
        layout::Layout,
        sink::Sink,
    },
};
use entries::{Annotation, Category, ImageEntry, LightLine, ResultEntry, VideoEntry};
use std::{collections::BTreeMap, sync::Arc};

/// COCO instances (`coco.json`, for `COCO(…)`) and detections (`coco_results.json`, for `COCO.loadRes`).
///
/// Images are numbered from 1 in the order of the record, annotations from 1 over all images. `file_name` is the path as
/// given for images and frames of sequences, and `frames/<name>/<number>.png` for those of videos and DICOM. Where there
/// is a mask, `bbox` and `area` are the mask's, as pycocotools computes them; otherwise the box's, and `segmentation` is
/// empty. Videos, sequences and DICOM are listed in `videos`; their images carry `video_id`, `frame_id` (the frame's
/// number in its source) and `timestamp`.
///
/// Nothing is kept while the run goes on: [`Sink::finish`] reads the record four times, a line at a time.
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

    fn write_dataset(&self) -> Result<(), SinkError> {
        let mut out = JsonFile::create(&self.layout.coco())?;
        out.text("{\"info\":")?;
        out.value(&entries::info())?;
        out.text(",\"licenses\":[]")?;
        self.write_videos(&mut out)?;
        self.write_images(&mut out)?;
        let categories = self.write_annotations(&mut out)?;
        out.begin("categories")?;
        for (id, name) in categories {
            out.item(&Category {
                id,
                name,
                supercategory: "object",
            })?;
        }
        out.text("\n]}\n")?;
        out.commit()
    }

    fn lines(&self) -> Result<Lines, SinkError> {
        Lines::open(&self.layout.record(), 0)
    }

    fn write_videos(&self, out: &mut JsonFile) -> Result<(), SinkError> {
        out.begin("videos")?;
        let mut lines = self.lines()?;
        let (mut video, mut source): (Option<VideoEntry>, Option<usize>) = (None, None);
        let mut id = 0;
        while lines.advance()? {
            let line: LightLine<'_> = lines.parse()?;
            if source != Some(line.source_index) {
                source = Some(line.source_index);
                if let Some(done) = video.take() {
                    out.item(&done)?;
                }
                if line.kind != SourceKind::Image {
                    id += 1;
                    video = Some(VideoEntry::new(id, &line));
                }
            }
            if let Some(video) = &mut video {
                video.length += 1;
            }
        }
        video.map_or(Ok(()), |done| out.item(&done))?;
        out.text("\n]")
    }

    fn write_images(&self, out: &mut JsonFile) -> Result<(), SinkError> {
        out.begin("images")?;
        let mut lines = self.lines()?;
        let (mut id, mut video, mut source) = (0, 0, None);
        while lines.advance()? {
            let line: LightLine<'_> = lines.parse()?;
            id += 1;
            if source != Some(line.source_index) {
                source = Some(line.source_index);
                video += u64::from(line.kind != SourceKind::Image);
            }
            out.item(&ImageEntry::new(id, video, &line))?;
        }
        out.text("\n]")
    }

    /// Writes the annotations; gives the categories: those of the classes, and those seen beyond them.
    fn write_annotations(&self, out: &mut JsonFile) -> Result<BTreeMap<u64, String>, SinkError> {
        let named = (0u32..).zip(self.classes.names());
        let mut categories: BTreeMap<u64, String> = named
            .map(|(c, name)| (self.classes.category_id(c), name.to_string()))
            .collect();
        out.begin("annotations")?;
        let mut lines = self.lines()?;
        let (mut image, mut id) = (0, 0);
        while lines.advance()? {
            let line: RecordLine<'_> = lines.parse()?;
            image += 1;
            for object in &line.objects {
                id += 1;
                let category = self.classes.category_id(object.class);
                categories
                    .entry(category)
                    .or_insert_with(|| object.label.to_string());
                out.item(
                    &Annotation::new(id, image, category, object).map_err(|p| lines.broken(&p))?,
                )?;
            }
        }
        out.text("\n]")?;
        Ok(categories)
    }

    fn write_results(&self) -> Result<(), SinkError> {
        let mut out = JsonFile::create(&self.layout.coco_results())?;
        out.text("[")?;
        let mut lines = self.lines()?;
        let mut image = 0;
        while lines.advance()? {
            let line: RecordLine<'_> = lines.parse()?;
            image += 1;
            for object in &line.objects {
                let category = self.classes.category_id(object.class);
                out.item(&ResultEntry::new(image, category, object))?;
            }
        }
        out.text("\n]\n")?;
        out.commit()
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
        self.write_dataset()?;
        self.write_results()
    }
}
