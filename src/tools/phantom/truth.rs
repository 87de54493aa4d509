//! `coco.json` of a sequence: COCO instances with track ids.
//!
//! Its images are those that a run over the sequence's frames, MP4 or DICOM lists in its own `coco.json`: the n-th frame
//! (from 0) is image n + 1 with `frame_id` n and a `file_name` that ends in its six-digit number and `.png`; categories
//! are class + 1. The video is named `clip`, as a run names `clip.mp4` and `clip.dcm`.

use crate::{
    coco::{Annotation, Category, Image, Info, Lazy, Rle, Section, Segmentation, Video},
    phantom::{CLASS_NAMES, GroundTruth, Motion, Phantom, PhantomFrame},
    sinks::{CocoFile, SinkError},
    tools::phantom::{paths::frame_file_name, plan::PhantomFiles},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::path::Path;

/// The file while its sequence is rendered: images and categories are known from the start, annotations come with the
/// frames.
pub(crate) struct TruthFile {
    file: CocoFile,
    annotations: i64,
    /// Whether `visibility` is stated, too.
    moving: bool,
}

impl TruthFile {
    /// Starts the file with all that is known before the first frame.
    pub(crate) fn create(
        path: &Path,
        phantom: &Phantom,
        files: PhantomFiles,
    ) -> Result<Self, SinkError> {
        let options = phantom.options();
        let description = "Ground truth of an ultramotion phantom sequence; synthetic, no patient";
        let moving = options.motion != Motion::Calm;
        let info = Info {
            motion: moving.then(|| options.motion.name()),
            seed: Some(options.seed),
            targets: Some(
                options
                    .targets
                    .classes()
                    .map(|class| class.name())
                    .collect(),
            ),
            ..Info::new(description)
        };
        let mut file = CocoFile::dataset(path, &info)?;
        file.begin(Section::Videos)?;
        file.item(&video(phantom, files))?;
        file.end()?;
        file.begin(Section::Images)?;
        for index in 0..options.frames {
            let time = raw(path, &phantom.seconds(index))?;
            let physical = raw(path, &phantom.physical(index))?;
            file.item(&Image {
                id: i64::from(index) + 1,
                file_name: Some(frame_file_name(index).into()),
                width: Some(options.size.width),
                height: Some(options.size.height),
                video_id: Some(1),
                frame_id: Some(index.into()),
                timestamp: Some(&time),
                physical: Some(&physical),
                exif_orientation: None,
                original: None,
            })?;
        }
        file.end()?;
        write_categories(&mut file)?;
        file.begin(Section::Annotations)?;
        Ok(Self {
            file,
            annotations: 0,
            moving,
        })
    }

    /// Adds the objects of the next frame.
    pub(crate) fn write(&mut self, frame: &PhantomFrame) -> Result<(), SinkError> {
        for object in &frame.objects {
            self.annotations += 1;
            let image = i64::from(frame.index) + 1;
            self.file
                .item(&annotation(self.annotations, image, object, self.moving))?;
        }
        Ok(())
    }

    /// Completes the file and gives it its name.
    pub(crate) fn finish(mut self) -> Result<(), SinkError> {
        self.file.end()?;
        self.file.commit_dataset()
    }
}

/// Writes the classes, numbered as a detector's own classes are in a run's `coco.json`.
pub(crate) fn write_categories(file: &mut CocoFile) -> Result<(), SinkError> {
    file.begin(Section::Categories)?;
    for (name, id) in CLASS_NAMES.iter().zip(1i64..) {
        file.item(&Category::new(id, *name))?;
    }
    file.end()
}

fn video(phantom: &Phantom, files: PhantomFiles) -> Video<'static> {
    let options = phantom.options();
    let clip = match files {
        PhantomFiles { mp4: true, .. } => "clip.mp4",
        PhantomFiles { dicom: true, .. } => "clip.dcm",
        _ => "frames",
    };
    Video {
        id: 1,
        name: Some("clip".into()),
        file_name: Some(clip.into()),
        width: Some(options.size.width),
        height: Some(options.size.height),
        length: Some(options.frames.into()),
        frame_rate: Some(options.frame_rate),
        attributes: None,
    }
}

fn annotation(
    id: i64,
    image_id: i64,
    object: &GroundTruth,
    moving: bool,
) -> Annotation<'static, f32> {
    let segmentation = Segmentation::Rle(Rle::of(&object.mask));
    Annotation {
        id: Some(id),
        bbox: Some(object.bbox.to_coco().to_vec()),
        area: Some(object.mask.area() as f64),
        segmentation: Some(Lazy::Value(segmentation)),
        iscrowd: Some(0),
        track_id: Some(object.track_id),
        visible_fraction: Some(object.visible_fraction),
        visibility: moving.then_some(object.visibility),
        ..Annotation::new(image_id, object.class as i64 + 1)
    }
}

fn raw(path: &Path, value: &impl Serialize) -> Result<Box<RawValue>, SinkError> {
    to_raw_value(value).map_err(|e| SinkError::io(path, "write the file", &e.into()))
}
