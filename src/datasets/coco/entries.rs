//! The entries of COCO files, made of items.

use crate::{
    coco::{self, Annotation, Lazy, Rle, Segmentation, TrackAttributes, Video},
    datasets::{
        item::{self, Item, Outline, Place},
        masks::polygons,
        writer::MaskForm,
    },
    frame::Mask,
    geometry::{BoxXyxy, Size},
    sinks::box_area,
};
use std::borrow::Cow;

/// The entry of the source of an item, of no images yet.
pub(super) fn video(id: i64, place: &Place, size: Size) -> Video<'static> {
    Video {
        id,
        name: Some(Cow::Owned(place.source.to_string())),
        file_name: Some(Cow::Owned(place.path.to_string())),
        width: Some(size.width),
        height: Some(size.height),
        length: Some(0),
        frame_rate: place.frame_rate,
        attributes: Some((*place.attributes).clone()).filter(|a| !a.is_empty()),
    }
}

/// What [`image`] borrows: times and physical facts as JSON.
pub(super) struct Facts {
    timestamp: Option<Box<serde_json::value::RawValue>>,
    physical: Option<Box<serde_json::value::RawValue>>,
}

impl Facts {
    pub(super) fn of(item: &Item) -> Result<Self, String> {
        let text = |e: serde_json::Error| e.to_string();
        let time = item.place.as_ref().and_then(|place| place.timestamp);
        Ok(Self {
            timestamp: time
                .map(crate::sinks::seconds_json)
                .transpose()
                .map_err(text)?,
            physical: item
                .physical
                .as_ref()
                .map(serde_json::value::to_raw_value)
                .transpose()
                .map_err(text)?,
        })
    }
}

/// The entry of an item's picture; its source's entry has the id `video_id`, where it has a place in one.
pub(super) fn image<'a>(
    id: i64,
    video_id: i64,
    item: &'a Item,
    facts: &'a Facts,
) -> coco::Image<'a> {
    let frame = |place: &Place| i64::try_from(place.frame).unwrap_or(i64::MAX);
    coco::Image {
        id,
        file_name: Some(Cow::Borrowed(&item.file_name)),
        width: Some(item.size.width),
        height: Some(item.size.height),
        video_id: item.place.as_ref().map(|_| video_id),
        frame_id: item.place.as_ref().map(frame),
        timestamp: facts.timestamp.as_deref(),
        physical: facts.physical.as_deref(),
        exif_orientation: item.exif_orientation,
        original: item.original.as_deref().map(Cow::Borrowed),
    }
}

/// The entry of an object: place and area are those of its mask where it has one, else of its box. `tracks` is added to the
/// number of its track, which then is one of all videos; `attributes` have the number in its own video.
pub(super) fn annotation(
    id: i64,
    image_id: i64,
    category_id: i64,
    object: &item::Annotation,
    size: Size,
    (form, tracks): (MaskForm, u64),
) -> Result<Annotation<'static, f32>, String> {
    let (bbox, area, segmentation) = match &object.outline {
        Some(Outline::Mask(mask)) => of_mask(mask, form),
        Some(outline @ Outline::Polygons(polygons)) => {
            let mask = outline
                .to_mask(size)
                .ok_or("its outline does not fit its picture")?;
            match form {
                MaskForm::Rle => of_mask(&mask, form),
                MaskForm::Polygon => (bounds(&mask), mask.area() as f64, flat(polygons)),
            }
        }
        None => {
            let bbox = object.bbox.to_coco();
            (bbox, box_area(bbox), Segmentation::Polygons(Vec::new()))
        }
    };
    Ok(Annotation {
        id: Some(id),
        bbox: Some(bbox.to_vec()),
        area: Some(area),
        segmentation: Some(Lazy::Value(segmentation)),
        iscrowd: Some(0),
        score: object.score,
        mask_score: object.mask_score,
        track_id: object
            .track_id
            .and_then(|id| u32::try_from(id.checked_add(tracks)?).ok()),
        attributes: object.track_id.map(|id| TrackAttributes {
            track_id: Some(id),
            visibility: object.visibility,
            visibility_score: object.visibility_score,
        }),
        ..Annotation::new(image_id, category_id)
    })
}

fn bounds(mask: &Mask) -> [f32; 4] {
    mask.bounds().map_or([0.0; 4], |b: BoxXyxy| b.to_coco())
}

fn of_mask(mask: &Mask, form: MaskForm) -> ([f32; 4], f64, Segmentation<'static>) {
    let segmentation = match form {
        MaskForm::Rle => Segmentation::Rle(Rle::of(mask)),
        MaskForm::Polygon => flat(&polygons(mask)),
    };
    (bounds(mask), mask.area() as f64, segmentation)
}

fn flat(polygons: &[Vec<[f64; 2]>]) -> Segmentation<'static> {
    let flat = |line: &Vec<[f64; 2]>| line.iter().flatten().copied().collect();
    Segmentation::Polygons(polygons.iter().map(flat).collect())
}

/// The entry of a results list for an object of a data set. `COCO.loadRes` takes boxes from `bbox` where the first entry has
/// one, so entries with a mask leave it out, and it computes their boxes from the masks.
pub(super) fn result(of: Annotation<'_, f32>) -> Annotation<'_, f32> {
    let masked = match &of.segmentation {
        Some(Lazy::Value(Segmentation::Polygons(lines))) => !lines.is_empty(),
        other => other.is_some(),
    };
    Annotation {
        bbox: of.bbox.filter(|_| !masked),
        segmentation: of.segmentation.filter(|_| masked),
        score: Some(of.score.unwrap_or(1.0)),
        ..Annotation::new(of.image_id, of.category_id)
    }
}
