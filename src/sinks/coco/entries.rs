//! The entries of COCO files.

use crate::{
    coco::rle,
    frame::SourceKind,
    geometry::{BoxXyxy, Size},
    sinks::{
        jsonl::{ObjectLine, RleLine, SourceFacts, box_area, plain_number},
        layout::Layout,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use std::borrow::Cow;

/// What images and videos need of a record's line: all but its objects.
#[derive(Deserialize)]
pub(super) struct LightLine<'a> {
    #[serde(borrow)]
    pub(super) source: Cow<'a, str>,
    pub(super) source_index: usize,
    pub(super) kind: SourceKind,
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow, default)]
    file: Option<Cow<'a, str>>,
    frame: u64,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    width: u32,
    height: u32,
    #[serde(default)]
    source_info: Option<SourceFacts>,
    #[serde(borrow, default)]
    physical: Option<&'a RawValue>,
    #[serde(default)]
    exif_orientation: Option<u8>,
}

/// The data set's `info`. Nothing in it depends on the time, so that a resumed run writes the same bytes.
pub(super) fn info() -> Value {
    serde_json::json!({
        "description": "Detections and masks by ultramotion",
        "version": env!("CARGO_PKG_VERSION"),
    })
}

#[derive(Serialize)]
pub(super) struct Category {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) supercategory: &'static str,
}

#[derive(Serialize)]
pub(super) struct VideoEntry {
    id: u64,
    name: String,
    /// The path as given.
    file_name: String,
    width: u32,
    height: u32,
    /// Frames with a result.
    pub(super) length: u64,
    #[serde(flatten)]
    facts: SourceFacts,
}

impl VideoEntry {
    /// The entry of the source that begins with `line`.
    pub(super) fn new(id: u64, line: &LightLine<'_>) -> Self {
        Self {
            id,
            name: line.source.to_string(),
            file_name: line.path.to_string(),
            width: line.width,
            height: line.height,
            length: 0,
            facts: line.source_info.clone().unwrap_or_default(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct ImageEntry<'a> {
    id: u64,
    file_name: Cow<'a, str>,
    width: u32,
    height: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    video_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    physical: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exif_orientation: Option<u8>,
}

impl<'a> ImageEntry<'a> {
    pub(super) fn new(id: u64, video: u64, line: &'a LightLine<'a>) -> Self {
        let moving = line.kind != SourceKind::Image;
        let file_name = match line.kind {
            SourceKind::Image => Cow::Borrowed(&*line.path),
            SourceKind::Sequence => Cow::Borrowed(line.file.as_deref().unwrap_or(&line.path)),
            SourceKind::Video | SourceKind::Dicom => {
                Cow::Owned(Layout::frame_file_name(&line.source, line.frame))
            }
        };
        Self {
            id,
            file_name,
            width: line.width,
            height: line.height,
            video_id: moving.then_some(video),
            frame_id: moving.then_some(line.frame),
            timestamp: line.timestamp,
            physical: line.physical,
            exif_orientation: line.exif_orientation,
        }
    }
}

/// An object's place: `[x, y, width, height]`, pixels, outline.
#[derive(Serialize)]
struct Place<'a> {
    bbox: [f32; 4],
    #[serde(serialize_with = "plain_number")]
    area: f64,
    segmentation: Segmentation<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Segmentation<'a> {
    Rle(&'a RleLine<'a>),
    None([u8; 0]),
}

impl<'a> Place<'a> {
    fn new(object: &'a ObjectLine<'a>) -> Result<Self, String> {
        let [x0, y0, x1, y1] = object.bbox;
        let Some(
            rle @ RleLine {
                size: [height, width],
                counts,
            },
        ) = &object.mask
        else {
            let bbox = BoxXyxy::new(x0, y0, x1, y1).to_coco();
            return Ok(Self {
                bbox,
                area: box_area(bbox),
                segmentation: Segmentation::None([]),
            });
        };
        let mask = rle::mask_from_string(Size::new(*width, *height), counts)
            .ok_or("a mask's counts do not fill its size")?;
        let bbox = mask.bounds().map_or([0.0; 4], |b| b.to_coco());
        Ok(Self {
            bbox,
            area: mask.area() as f64,
            segmentation: Segmentation::Rle(rle),
        })
    }
}

#[derive(Serialize)]
pub(super) struct Annotation<'a> {
    id: u64,
    image_id: u64,
    category_id: u64,
    #[serde(flatten)]
    place: Place<'a>,
    iscrowd: u8,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask_score: Option<f32>,
}

impl<'a> Annotation<'a> {
    pub(super) fn new(
        id: u64,
        image_id: u64,
        category_id: u64,
        object: &'a ObjectLine<'a>,
    ) -> Result<Self, String> {
        let place = Place::new(object)?;
        Ok(Self {
            id,
            image_id,
            category_id,
            place,
            iscrowd: 0,
            score: object.score,
            mask_score: object.mask_score,
        })
    }
}

/// An entry of a results list. `COCO.loadRes` takes boxes from `bbox` where the first entry has one, so entries with a
/// mask leave it out, and it computes their boxes from the masks.
#[derive(Serialize)]
pub(super) struct ResultEntry<'a> {
    image_id: u64,
    category_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bbox: Option<[f32; 4]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segmentation: Option<&'a RleLine<'a>>,
    score: f32,
}

impl<'a> ResultEntry<'a> {
    pub(super) fn new(image_id: u64, category_id: u64, object: &'a ObjectLine<'a>) -> Self {
        let [x0, y0, x1, y1] = object.bbox;
        let bbox = object
            .mask
            .is_none()
            .then(|| BoxXyxy::new(x0, y0, x1, y1).to_coco());
        Self {
            image_id,
            category_id,
            bbox,
            segmentation: object.mask.as_ref(),
            score: object.score,
        }
    }
}
