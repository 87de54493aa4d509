//! `cvat/images.xml` of all stills and frames of sequences, and a file a video.

use super::{
    elements::{Geometry, TAIL, Task},
    video::Video,
};
use crate::{
    datasets::{
        item::{Item, Place},
        masks::Shape,
        names::{TreeNames, UsedLabels},
        spool::Spool,
        writer::MaskForm,
        writer::{DatasetWriter, WriteOptions},
        xml::escaped,
    },
    frame::SourceKind,
    sinks::SinkError,
};
use std::{fmt::Write as _, path::PathBuf};

/// Name of the file of pictures, without extension.
const IMAGES: &str = "images";

/// Writes CVAT's XML 1.1: `cvat/images.xml` ("CVAT for images") with all pictures that are files of their own, and
/// `cvat/NAME.xml` ("CVAT for video") for each video and DICOM source.
///
/// An object's polygons have a `group_id` in common where it has several parts. Scores and track numbers are attributes
/// (`score`, `mask_score`, `track_id`) of every label, and so is `visibility` where an object states it.
pub struct CvatWriter {
    options: WriteOptions,
    masks: MaskForm,
    names: TreeNames,
    images: Option<Images>,
    video: Option<Video>,
    any: bool,
}

struct Images {
    spool: Spool,
    count: u64,
    groups: u64,
    labels: UsedLabels,
    states: bool,
}

impl CvatWriter {
    /// A writer below [`WriteOptions::root`].
    pub fn new(options: WriteOptions, masks: MaskForm) -> Self {
        let mut names = TreeNames::default();
        let _ = names.of(IMAGES);
        Self {
            options,
            masks,
            names,
            images: None,
            video: None,
            any: false,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        let name = format!("{name}.xml");
        self.options.root.join("cvat").join(name)
    }

    fn images(&mut self) -> Result<&mut Images, SinkError> {
        let images = match self.images.take() {
            Some(images) => images,
            None => Images {
                spool: Spool::new(self.path(IMAGES))?,
                count: 0,
                groups: 0,
                labels: UsedLabels::default(),
                states: false,
            },
        };
        Ok(self.images.insert(images))
    }

    fn frame(&mut self, item: &Item, place: &Place) -> Result<(), SinkError> {
        if self.video.as_ref().is_none_or(|v| !v.is_of(&place.source)) {
            self.end_video()?;
            // The name of a source has no extension: what follows a dot is part of it.
            let name = self.names.of(&format!("{}.xml", place.source));
            let path = self.path(name.strip_suffix(".xml").unwrap_or(&name));
            self.video = Some(Video::new(path, item, place, self.masks)?);
        }
        match &mut self.video {
            Some(video) => video.add(item, place.frame),
            None => Ok(()),
        }
    }

    fn end_video(&mut self) -> Result<(), SinkError> {
        match self.video.take() {
            Some(video) => video.finish(self.options.classes.names()),
            None => Ok(()),
        }
    }
}

impl DatasetWriter for CvatWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        self.any = true;
        match &item.place {
            Some(place) if matches!(place.kind, SourceKind::Video | SourceKind::Dicom) => {
                self.frame(item, place)
            }
            _ => {
                let (masks, path) = (self.masks, self.path(IMAGES));
                self.images()?.add(item, masks).map_err(|problem| {
                    SinkError::new(&path, format!("{}: {problem}", item.file_name))
                })
            }
        }
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.end_video()?;
        if !self.any {
            self.images()?;
        }
        match self.images.take() {
            Some(images) => images.finish(&self.options),
            None => Ok(()),
        }
    }
}

impl Images {
    fn add(&mut self, item: &Item, masks: MaskForm) -> Result<(), String> {
        self.labels.add(item);
        self.states |= item.annotations.iter().any(|a| a.visibility.is_some());
        let mut text = format!(
            "  <image id=\"{}\" name=\"{}\" width=\"{}\" height=\"{}\">\n",
            self.count,
            escaped(&item.file_name),
            item.size.width,
            item.size.height
        );
        self.count += 1;
        for (annotation, shape) in item.annotations.iter().zip(Shape::all(item, masks)?) {
            let shapes = Geometry::of(annotation, shape);
            let label = escaped(&annotation.label);
            let mut attributes = format!(" label=\"{label}\" source=\"auto\"");
            if shapes.len() > 1 {
                self.groups += 1;
                let _ = write!(attributes, " group_id=\"{}\"", self.groups);
            }
            for shape in shapes {
                shape.write(&mut text, &attributes, annotation);
            }
        }
        text.push_str("  </image>\n");
        self.spool.add(&text).map_err(|e| e.problem)?;
        Ok(())
    }

    fn finish(self, options: &WriteOptions) -> Result<(), SinkError> {
        let task = Task {
            name: IMAGES,
            frames: self.count,
            mode: "annotation",
            range: (0, self.count.saturating_sub(1), 1),
            video: None,
            labels: &self.labels.names(options.classes.names()),
            states: self.states,
        };
        self.spool.finish(&task.head(), TAIL)
    }
}
