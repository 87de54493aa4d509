//! One pass over the record, which fills all lists of both files.

use super::entries::{self, Line};
use crate::{
    coco::{Category, Classes, Info, Section, Video},
    frame::SourceKind,
    sinks::{
        coco_file::{CocoFile, CocoPart},
        error::SinkError,
        layout::Layout,
    },
};
use std::{collections::BTreeMap, path::PathBuf};

/// The files while the record is read.
pub(super) struct Pass<'a> {
    classes: &'a Classes,
    path: PathBuf,
    /// `coco.json`, in its list of videos.
    dataset: CocoFile,
    images: CocoPart,
    annotations: CocoPart,
    /// `coco_results.json`.
    results: CocoFile,
    /// By id.
    categories: BTreeMap<i64, String>,
    /// Place of the source that the last line was of.
    source: Option<usize>,
    /// Its entry, unless it is a still image.
    video: Option<Video<'static>>,
    image_id: i64,
    video_id: i64,
    annotation_id: i64,
}

impl<'a> Pass<'a> {
    /// Starts the files.
    pub(super) fn start(layout: &Layout, classes: &'a Classes) -> Result<Self, SinkError> {
        let path = layout.coco();
        let info = Info::new("Detections and masks by ultramotion");
        let mut dataset = CocoFile::dataset(&path, &info)?;
        dataset.begin(Section::Videos)?;
        let named = (0u32..).zip(classes.names());
        Ok(Self {
            dataset,
            images: CocoPart::create(&path)?,
            annotations: CocoPart::create(&path)?,
            results: CocoFile::results(&layout.coco_results())?,
            categories: named
                .map(|(class, name)| (classes.category_id(class), name.to_string()))
                .collect(),
            classes,
            path,
            source: None,
            video: None,
            image_id: 0,
            video_id: 0,
            annotation_id: 0,
        })
    }

    /// Adds a line's frame and objects; `broken` makes an error of what is wrong with the line.
    pub(super) fn add(
        &mut self,
        mut line: Line<'_>,
        broken: impl Fn(&str) -> SinkError,
    ) -> Result<(), SinkError> {
        if self.source != Some(line.source_index) {
            self.source = Some(line.source_index);
            self.end_video()?;
            if line.kind != SourceKind::Image {
                self.video_id += 1;
                self.video = Some(entries::video(self.video_id, &line));
            }
        }
        if let Some(video) = &mut self.video {
            video.length = video.length.map(|length| length + 1);
        }
        self.image_id += 1;
        let objects = std::mem::take(&mut line.objects);
        let image = entries::image(self.image_id, self.video_id, &line).map_err(|p| broken(&p))?;
        self.images.item(&self.path, &image)?;
        for object in objects {
            self.annotation_id += 1;
            let category = self.classes.category_id(object.class);
            self.categories
                .entry(category)
                .or_insert_with(|| object.label.to_string());
            let annotation =
                entries::annotation(self.annotation_id, self.image_id, category, object)
                    .map_err(|p| broken(&p))?;
            self.annotations.item(&self.path, &annotation)?;
            self.results.item(&entries::result(annotation))?;
        }
        Ok(())
    }

    fn end_video(&mut self) -> Result<(), SinkError> {
        match self.video.take() {
            Some(video) => self.dataset.item(&video),
            None => Ok(()),
        }
    }

    /// Completes the files and gives them their names.
    pub(super) fn finish(mut self) -> Result<(), SinkError> {
        self.end_video()?;
        self.dataset.end()?;
        self.dataset.section(Section::Images, self.images)?;
        self.dataset
            .section(Section::Annotations, self.annotations)?;
        self.dataset.begin(Section::Categories)?;
        for (id, name) in self.categories {
            self.dataset.item(&Category::new(id, name))?;
        }
        self.dataset.end()?;
        self.dataset.commit_dataset()?;
        self.results.commit_results()
    }
}
