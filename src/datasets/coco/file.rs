//! One COCO data set being written: its lists side by side, put together at the end.

use super::entries::{self, Facts};
use crate::{
    coco::{Category, Classes, Info, Section, Video},
    datasets::{item::Item, writer::MaskForm},
    sinks::{CocoFile, CocoPart, SinkError},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// A data set, and perhaps its results list.
pub(super) struct Instances {
    path: PathBuf,
    /// The data set, in its list of videos.
    dataset: CocoFile,
    images: CocoPart,
    annotations: CocoPart,
    results: Option<CocoFile>,
    classes: Classes,
    form: MaskForm,
    /// The source that the last picture was of, and its entry.
    video: Option<(Arc<str>, Video<'static>)>,
    image_id: i64,
    video_id: i64,
    annotation_id: i64,
    /// Highest track number of the sources before, and of all with the present one: numbers of tracks are those of a source,
    /// and of all videos here.
    tracks: (u64, u64),
}

impl Instances {
    /// Starts the data set that will be `path`, and the results list that will be `results`.
    pub(super) fn start(
        path: &Path,
        results: Option<&Path>,
        classes: &Classes,
        form: MaskForm,
    ) -> Result<Self, SinkError> {
        let info = Info::new("Detections and masks by ultramotion");
        let mut dataset = CocoFile::dataset(path, &info)?;
        dataset.begin(Section::Videos)?;
        Ok(Self {
            dataset,
            images: CocoPart::create(path)?,
            annotations: CocoPart::create(path)?,
            results: results.map(CocoFile::results).transpose()?,
            classes: classes.clone(),
            form,
            path: path.to_owned(),
            video: None,
            image_id: 0,
            video_id: 0,
            annotation_id: 0,
            tracks: (0, 0),
        })
    }

    /// Adds a picture and its objects.
    pub(super) fn add(&mut self, item: &Item) -> Result<(), SinkError> {
        let broken =
            |problem: String| SinkError::new(&self.path, format!("{}: {problem}", item.file_name));
        let facts = Facts::of(item).map_err(broken)?;
        self.video_of(item)?;
        self.image_id += 1;
        let image = entries::image(self.image_id, self.video_id, item, &facts);
        self.images.item(&self.path, &image)?;
        for object in &item.annotations {
            self.annotation_id += 1;
            let category = self.classes.category_id(object.class);
            let form = (self.form, self.tracks.0);
            let ids = (self.annotation_id, self.image_id, category);
            let entry = entries::annotation(ids.0, ids.1, ids.2, object, item.size, form).map_err(
                |problem| SinkError::new(&self.path, format!("{}: {problem}", item.file_name)),
            )?;
            let track = entry.track_id.map_or(0, u64::from);
            self.tracks.1 = self.tracks.1.max(track);
            self.annotations.item(&self.path, &entry)?;
            if let Some(results) = &mut self.results {
                results.item(&entries::result(entry))?;
            }
        }
        Ok(())
    }

    /// Counts the picture for its source, whose entry is written when another source begins.
    fn video_of(&mut self, item: &Item) -> Result<(), SinkError> {
        let source = item.place.as_ref().map(|place| &place.source);
        if self.video.as_ref().map(|(source, _)| source) != source {
            self.end_video()?;
            self.tracks.0 = self.tracks.1;
            if let Some(place) = &item.place {
                self.video_id += 1;
                let video = entries::video(self.video_id, place, item.size);
                self.video = Some((Arc::clone(&place.source), video));
            }
        }
        if let Some((_, video)) = &mut self.video {
            video.length = video.length.map(|length| length + 1);
        }
        Ok(())
    }

    fn end_video(&mut self) -> Result<(), SinkError> {
        match self.video.take() {
            Some((_, video)) => self.dataset.item(&video),
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
        for (class, name) in (0u32..).zip(self.classes.names()) {
            let id = self.classes.category_id(class);
            self.dataset.item(&Category::new(id, &**name))?;
        }
        self.dataset.end()?;
        self.dataset.commit_dataset()?;
        self.results.map_or(Ok(()), CocoFile::commit_results)
    }
}
