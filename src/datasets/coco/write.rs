//! The writer of COCO data sets.

use super::file::Instances;
use crate::{
    datasets::{
        item::Item,
        writer::{DatasetWriter, WriteOptions},
    },
    sinks::{Layout, SinkError},
};
use std::{collections::BTreeMap, fs};

/// Where the files of a COCO data set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CocoLayout {
    /// `coco.json`, and `coco_results.json` for `COCO.loadRes`; of a data set in parts, `coco_train.json` and so on.
    Plain,
    /// `annotations/instances_PART.json` beside `images/`: what Datumaro and the trainers of COCO read. Without parts, `default`.
    Annotations,
}

/// Writes COCO instances.
///
/// Images are numbered from 1 in the order of the items, annotations from 1 over all images, both in each file. `file_name` is
/// [`Item::file_name`]. Where there is a mask, `bbox` and `area` are the mask's, as pycocotools computes them; otherwise the
/// box's, and `segmentation` is empty. Sources of several pictures are listed in `videos`; their images carry `video_id`,
/// `frame_id` (the frame's number in its source) and `timestamp`. As polygons, holes are joined to their part's outer line by
/// lines there and back, and each part is a polygon.
///
/// Images and annotations, which follow the list of videos, are collected in temporary files in the output folder.
pub struct CocoWriter {
    files: BTreeMap<&'static str, Instances>,
    options: WriteOptions,
}

impl CocoWriter {
    /// Starts the files.
    ///
    /// # Errors
    /// [`SinkError`] if one cannot be made.
    pub fn new(options: &WriteOptions, kind: CocoLayout) -> Result<Self, SinkError> {
        let layout = Layout::new(&options.root);
        let divided = options.parts.are_there();
        let start = |part: &'static str| -> Result<(&'static str, Instances), SinkError> {
            let (path, results) = match (kind, divided) {
                (CocoLayout::Plain, false) => (layout.coco(), Some(layout.coco_results())),
                (CocoLayout::Plain, true) => (options.root.join(format!("coco_{part}.json")), None),
                (CocoLayout::Annotations, _) => {
                    let folder = options.root.join("annotations");
                    fs::create_dir_all(&folder)
                        .map_err(|e| SinkError::io(&folder, "create the folder", &e))?;
                    let name = if divided { part } else { "default" };
                    (folder.join(format!("instances_{name}.json")), None)
                }
            };
            let file =
                Instances::start(&path, results.as_deref(), &options.classes, options.masks)?;
            Ok((part, file))
        };
        Ok(Self {
            files: options
                .parts
                .names()
                .into_iter()
                .map(start)
                .collect::<Result<_, _>>()?,
            options: options.clone(),
        })
    }
}

impl DatasetWriter for CocoWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        let part = self.options.parts.of(item);
        self.files
            .get_mut(part)
            .map_or(Ok(()), |file| file.add(item))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        std::mem::take(&mut self.files)
            .into_values()
            .try_for_each(Instances::finish)
    }
}
