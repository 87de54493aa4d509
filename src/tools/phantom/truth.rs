//! `coco.json` of a sequence: COCO instances with track ids.
//!
//! Its images are those that a run over the sequence's frames, MP4 or DICOM lists in its own `coco.json`: the n-th frame
//! (from 0) is image n + 1 with `frame_id` n and a `file_name` that ends in its six-digit number and `.png`; categories
//! are class + 1. The video is named `clip`, as a run names `clip.mp4` and `clip.dcm`.

use crate::{
    coco::rle::encode_counts,
    frame::Physical,
    phantom::{CLASS_NAMES, GroundTruth, Phantom, PhantomFrame},
    sinks::{JsonFile, RleLine, SinkError},
    tools::phantom::{PhantomFiles, frame_file_name},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{borrow::Cow, path::Path};

#[derive(Serialize, Deserialize)]
pub(crate) struct Video {
    id: u64,
    name: String,
    file_name: String,
    width: u32,
    height: u32,
    length: u32,
    frame_rate: f64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Image {
    id: u64,
    file_name: String,
    width: u32,
    height: u32,
    video_id: u64,
    frame_id: u32,
    timestamp: f64,
    physical: Physical,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Annotation<'a> {
    id: u64,
    image_id: u64,
    category_id: u64,
    bbox: [f32; 4],
    area: u64,
    #[serde(borrow)]
    segmentation: RleLine<'a>,
    iscrowd: u8,
    track_id: u32,
    visible_fraction: f32,
}

impl Video {
    /// The entry in a file where `videos` others are before it and its sequence lies in `folder`.
    pub(crate) fn moved(self, videos: u64, folder: &str) -> Self {
        let (name, file_name) = (
            format!("{folder}/{}", self.name),
            format!("{folder}/{}", self.file_name),
        );
        Self {
            id: self.id + videos,
            name,
            file_name,
            ..self
        }
    }
}

impl Image {
    /// The entry in a file where `images` and `videos` others are before it and its sequence lies in `folder`.
    pub(crate) fn moved(self, images: u64, videos: u64, folder: &str) -> Self {
        let file_name = format!("{folder}/{}", self.file_name);
        Self {
            id: self.id + images,
            video_id: self.video_id + videos,
            file_name,
            ..self
        }
    }
}

impl Annotation<'_> {
    /// The entry in a file where `annotations` and `images` others are before it.
    pub(crate) fn moved(self, annotations: u64, images: u64) -> Self {
        Self {
            id: self.id + annotations,
            image_id: self.image_id + images,
            ..self
        }
    }
}

/// The file while its sequence is rendered: images and categories are known from the start, annotations come with the
/// frames.
pub(crate) struct TruthFile {
    file: JsonFile,
    annotations: u64,
}

impl TruthFile {
    /// Starts the file with all that is known before the first frame.
    pub(crate) fn create(
        path: &Path,
        phantom: &Phantom,
        files: PhantomFiles,
    ) -> Result<Self, SinkError> {
        let options = phantom.options();
        let (width, height) = (options.size.width, options.size.height);
        let mut file = JsonFile::create(path)?;
        file.text("{\"info\":")?;
        file.value(&json!({
            "description": "Ground truth of an ultramotion phantom sequence; synthetic, no patient",
            "version": env!("CARGO_PKG_VERSION"),
            "seed": options.seed,
            "targets": options.targets.classes().map(|class| class.name()).collect::<Vec<_>>(),
        }))?;
        file.text(",\"licenses\":[]")?;
        file.begin("videos")?;
        let clip = match files {
            PhantomFiles { mp4: true, .. } => "clip.mp4",
            PhantomFiles { dicom: true, .. } => "clip.dcm",
            _ => "frames",
        };
        let (name, file_name) = ("clip".to_owned(), clip.to_owned());
        file.item(&Video {
            id: 1,
            name,
            file_name,
            width,
            height,
            length: options.frames,
            frame_rate: options.frame_rate,
        })?;
        file.text("\n]")?;
        file.begin("images")?;
        for index in 0..options.frames {
            file.item(&Image {
                id: u64::from(index) + 1,
                file_name: frame_file_name(index),
                width,
                height,
                video_id: 1,
                frame_id: index,
                timestamp: f64::from(index) / options.frame_rate,
                physical: phantom.physical(index),
            })?;
        }
        file.text("\n]")?;
        write_categories(&mut file)?;
        file.begin("annotations")?;
        Ok(Self {
            file,
            annotations: 0,
        })
    }

    /// Adds the objects of the next frame.
    pub(crate) fn write(&mut self, frame: &PhantomFrame) -> Result<(), SinkError> {
        for object in &frame.objects {
            self.annotations += 1;
            self.file.item(&annotation(
                self.annotations,
                u64::from(frame.index) + 1,
                object,
            ))?;
        }
        Ok(())
    }

    /// Completes the file and gives it its name.
    pub(crate) fn finish(mut self) -> Result<(), SinkError> {
        self.file.text("\n]}\n")?;
        self.file.commit()
    }
}

/// Writes the classes, numbered as a detector's own classes are in a run's `coco.json`.
pub(crate) fn write_categories(file: &mut JsonFile) -> Result<(), SinkError> {
    file.begin("categories")?;
    for (name, id) in CLASS_NAMES.iter().zip(1u64..) {
        file.item(&json!({ "id": id, "name": name, "supercategory": "object" }))?;
    }
    file.text("\n]")
}

fn annotation(id: u64, image_id: u64, object: &GroundTruth) -> Annotation<'static> {
    let size = object.mask.size();
    Annotation {
        id,
        image_id,
        category_id: object.class as u64 + 1,
        bbox: object.bbox.to_coco(),
        area: object.mask.area(),
        segmentation: RleLine {
            size: [size.height, size.width],
            counts: Cow::Owned(encode_counts(object.mask.counts())),
        },
        iscrowd: 0,
        track_id: object.track_id,
        visible_fraction: object.visible_fraction,
    }
}
