//! COCO files with tracks.

use super::kept::{Frames, Side, corners, mask};
use crate::{
    coco::{self, Image},
    eval::{
        error::EvalError,
        file::{self, Annotation, Dataset, size_of, stated_box},
        tracks::set::{Class, Format, Frame, Object, Role, TrackSet},
    },
};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

/// Where writers put an annotation's track: beside its other fields, or among its attributes.
#[derive(Deserialize)]
struct Tracks {
    annotations: Vec<Track>,
}

#[derive(Deserialize)]
struct Track {
    #[serde(default)]
    track_id: Value,
    #[serde(default)]
    attributes: Value,
}

impl Track {
    fn id(&self) -> Option<i64> {
        whole(&self.track_id).or_else(|| whole(self.attributes.get("track_id")?))
    }
}

/// A whole number, also as a float or as text.
fn whole(value: &Value) -> Option<i64> {
    let of_float = |v: f64| (v.fract() == 0.0 && v.abs() < 9e15).then_some(v as i64);
    match value {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().and_then(of_float)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Reads a COCO file.
pub(super) fn read(path: &Path, side: Side) -> Result<TrackSet, EvalError> {
    let text =
        coco::read(path).map_err(|e| EvalError::new(path, format!("cannot be read: {e}")))?;
    let dataset = file::images(path, &text)?;
    file::check_unique(path, &dataset)?;
    let tracks: Tracks = serde_json::from_slice(coco::without_bom(&text))
        .map_err(|e| EvalError::new(path, coco::describe(&text, &e)))?;
    let ids: Vec<Option<i64>> = tracks.annotations.iter().map(Track::id).collect();
    drop(tracks);
    let mut set = TrackSet {
        path: path.to_path_buf(),
        format: Format::Listed,
        classes: dataset
            .categories
            .iter()
            .map(|category| Class {
                id: category.id,
                name: category.name.to_string(),
            })
            .collect(),
        ..TrackSet::default()
    };
    let mut objects = objects(&dataset, &ids, side, &mut set)?;
    set.sequences =
        sequences(&dataset, &mut objects).map_err(|problem| EvalError::new(path, problem))?;
    Ok(set)
}

/// The objects by image, each image's in the order of the file.
fn objects(
    dataset: &Dataset<'_>,
    ids: &[Option<i64>],
    side: Side,
    set: &mut TrackSet,
) -> Result<HashMap<i64, Vec<Object>>, EvalError> {
    let images: HashMap<i64, &Image<'_>> = dataset.images.iter().map(|i| (i.id, i)).collect();
    let mut found: HashMap<i64, Vec<Object>> = HashMap::new();
    for (place, (annotation, id)) in dataset.annotations.iter().zip(ids).enumerate() {
        let wrong = |problem: String| {
            let name = annotation
                .id
                .map_or_else(|| format!("number {place}"), |id| id.to_string());
            EvalError::new(
                &set.path,
                format!(
                    "annotation {name} (image {}): {problem}",
                    annotation.image_id
                ),
            )
        };
        let Some(image) = images.get(&annotation.image_id) else {
            return Err(wrong("its image is not in the file".to_owned()));
        };
        let is_crowd = side == Side::Truth && annotation.is_crowd();
        let track = match id {
            Some(id) => *id,
            None if is_crowd => -1,
            None if side == Side::Truth => {
                return Err(wrong("it has no track_id".to_owned())
                    .with_remedy("give ground truth with track_id at each annotation"));
            }
            None => {
                set.untracked += 1;
                continue;
            }
        };
        let object = object(annotation, track, is_crowd, size_of(image)).map_err(wrong)?;
        found.entry(annotation.image_id).or_default().push(object);
    }
    Ok(found)
}

fn object(
    annotation: &Annotation<'_>,
    track: i64,
    is_crowd: bool,
    size: Option<[u32; 2]>,
) -> Result<Object, String> {
    let runs = match &annotation.segmentation {
        Some(segmentation) => {
            let segmentation = segmentation
                .get()
                .map_err(|e| format!("its segmentation cannot be read: {e}"))?;
            mask(&segmentation, size)?
        }
        None => None,
    };
    let stated = stated_box(annotation)?.map(corners);
    Ok(Object {
        track,
        class: annotation.category_id,
        corners: stated
            .or_else(|| runs.as_ref().map(|runs| runs.bounds()))
            .ok_or("it has neither a box nor a mask")?,
        mask: runs,
        score: annotation.score,
        role: if is_crowd { Role::Crowd } else { Role::Object },
    })
}

/// The images by video, in the order of the videos' ids; those of no video are one sequence. In a video they are ordered by
/// `frame_id` where all have one, else by id.
fn sequences(
    dataset: &Dataset<'_>,
    objects: &mut HashMap<i64, Vec<Object>>,
) -> Result<Vec<crate::eval::tracks::set::Sequence>, String> {
    let mut videos: BTreeMap<Option<i64>, Vec<&Image<'_>>> = BTreeMap::new();
    for image in &dataset.images {
        videos.entry(image.video_id).or_default().push(image);
    }
    let names: HashMap<i64, String> = dataset
        .videos
        .iter()
        .filter_map(|video| {
            let name = video.name.as_deref().or(video.file_name.as_deref())?;
            Some((video.id, name.to_owned()))
        })
        .collect();
    let mut found = Vec::with_capacity(videos.len());
    for (id, mut images) in videos {
        let name = match id {
            Some(id) => names
                .get(&id)
                .cloned()
                .unwrap_or_else(|| format!("video {id}")),
            None => "images".to_owned(),
        };
        let numbers: Option<Vec<u64>> = images
            .iter()
            .map(|image| image.frame_id.and_then(|n| u64::try_from(n).ok()))
            .collect();
        images.sort_by_key(|image| (numbers.as_ref().and(image.frame_id), image.id));
        let mut frames = Frames::default();
        for (place, image) in (0u64..).zip(images) {
            let number = match (&numbers, image.frame_id) {
                (Some(_), Some(number)) => u64::try_from(number).unwrap_or(place),
                _ => place,
            };
            frames
                .add(Frame {
                    number,
                    image: image.path().map(str::to_owned),
                    size: size_of(image),
                    objects: objects.remove(&image.id).unwrap_or_default(),
                })
                .map_err(|e| format!("sequence {name}: {e}"))?;
        }
        found.push(frames.into_sequence(name, None));
    }
    Ok(found)
}
