//! The entries of COCO files, made of a record's lines.

use crate::{
    coco::{Annotation, Image, Lazy, Segmentation, Video},
    frame::SourceKind,
    geometry::BoxXyxy,
    sinks::{
        jsonl::{ObjectLine, SourceFacts, box_area},
        layout::Layout,
    },
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A line of the record. Times and physical facts are passed on as they are written there.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
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
    #[serde(borrow)]
    pub(super) objects: Vec<ObjectLine<'a>>,
}

/// The entry of the source that begins with `line`, of no images yet.
pub(super) fn video(id: i64, line: &Line<'_>) -> Video<'static> {
    let facts = line.source_info.clone().unwrap_or_default();
    Video {
        id,
        name: Some(Cow::Owned(line.source.to_string())),
        file_name: Some(Cow::Owned(line.path.to_string())),
        width: Some(line.width),
        height: Some(line.height),
        length: Some(0),
        frame_rate: facts.frame_rate,
        attributes: Some(facts.attributes).filter(|a| !a.is_empty()),
    }
}

/// The entry of a line's frame; its source's entry has the id `video_id`, unless it is a still image.
pub(super) fn image<'a>(id: i64, video_id: i64, line: &'a Line<'a>) -> Result<Image<'a>, String> {
    let moving = line.kind != SourceKind::Image;
    let file_name = match line.kind {
        SourceKind::Image => Cow::Borrowed(&*line.path),
        SourceKind::Sequence => Cow::Borrowed(line.file.as_deref().unwrap_or(&line.path)),
        SourceKind::Video | SourceKind::Dicom => {
            Cow::Owned(Layout::earlier_frame_name(&line.source, line.frame))
        }
    };
    let frame = i64::try_from(line.frame).map_err(|_| "its frame number exceeds 63 bits")?;
    Ok(Image {
        id,
        file_name: Some(file_name),
        width: Some(line.width),
        height: Some(line.height),
        video_id: moving.then_some(video_id),
        frame_id: moving.then_some(frame),
        timestamp: line.timestamp,
        physical: line.physical,
        exif_orientation: line.exif_orientation,
    })
}

/// The entry of an object: place and area are those of its mask where it has one, else of its box.
pub(super) fn annotation<'a>(
    id: i64,
    image_id: i64,
    category_id: i64,
    object: ObjectLine<'a>,
) -> Result<Annotation<'a, f32>, String> {
    let (bbox, area, segmentation) = match object.mask {
        Some(rle) => {
            let mask = rle
                .to_mask()
                .ok_or("a mask's counts do not fill its size")?;
            let bbox = mask.bounds().map_or([0.0; 4], |b| b.to_coco());
            (bbox, mask.area() as f64, Segmentation::Rle(rle))
        }
        None => {
            let [x0, y0, x1, y1] = object.bbox;
            let bbox = BoxXyxy::new(x0, y0, x1, y1).to_coco();
            (bbox, box_area(bbox), Segmentation::Polygons(Vec::new()))
        }
    };
    Ok(Annotation {
        id: Some(id),
        bbox: Some(bbox.to_vec()),
        area: Some(area),
        segmentation: Some(Lazy::Value(segmentation)),
        iscrowd: Some(0),
        score: Some(object.score),
        mask_score: object.mask_score,
        ..Annotation::new(image_id, category_id)
    })
}

/// The entry of a results list for an object of a data set. `COCO.loadRes` takes boxes from `bbox` where the first entry has
/// one, so entries with a mask leave it out, and it computes their boxes from the masks.
pub(super) fn result(of: Annotation<'_, f32>) -> Annotation<'_, f32> {
    let masked = matches!(&of.segmentation, Some(Lazy::Value(Segmentation::Rle(_))));
    Annotation {
        bbox: of.bbox.filter(|_| !masked),
        segmentation: of.segmentation.filter(|_| masked),
        score: of.score,
        ..Annotation::new(of.image_id, of.category_id)
    }
}
