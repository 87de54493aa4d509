//! Data sets of other kinds as COCO in memory, for readers of COCO.

use super::{
    item::{Outline, Place},
    kind::{DatasetKind, read},
    reader::{Dataset, DatasetError},
};
use crate::coco::{self, Classes};
use std::{collections::BTreeMap, path::Path};

/// The data set of another kind than COCO at `path` as the text of a COCO file; none if it is of no kind that is known, or of COCO.
///
/// # Errors
/// [`DatasetError`] if the data set cannot be read.
pub(crate) fn as_coco_text(path: &Path) -> Result<Option<Vec<u8>>, DatasetError> {
    let Some(kind) = DatasetKind::of(path).filter(|kind| *kind != DatasetKind::Coco) else {
        return Ok(None);
    };
    let dataset = read(path, Some(kind), &mut Vec::new())?;
    let text = as_coco(&dataset).map_err(|e| DatasetError::new(path, e.to_string()))?;
    Ok(Some(text))
}

/// A data set as the text of a COCO file, for readers of COCO: categories from 1, images and annotations from 1, pictures of a
/// source with their numbers in it.
fn as_coco(dataset: &Dataset) -> Result<Vec<u8>, serde_json::Error> {
    use serde_json::json;
    let classes = Classes::new(dataset.classes.iter().cloned());
    let mut videos: BTreeMap<&str, (usize, &Place)> = BTreeMap::new();
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for (at, item) in dataset.items.iter().enumerate() {
        let id = at + 1;
        let mut image = json!({"id": id, "file_name": item.file_name, "width": item.size.width, "height": item.size.height});
        if let Some(place) = &item.place {
            let next = videos.len() + 1;
            let (video, _) = videos.entry(&place.source).or_insert((next, place));
            image["video_id"] = json!(video);
            image["frame_id"] = json!(place.frame);
        }
        images.push(image);
        for object in &item.annotations {
            let mut entry = json!({
                "id": annotations.len() + 1, "image_id": id, "category_id": classes.category_id(object.class),
                "bbox": object.bbox.to_coco(), "iscrowd": 0,
            });
            match &object.outline {
                Some(Outline::Mask(mask)) => {
                    entry["segmentation"] = serde_json::to_value(coco::Rle::of(mask))?
                }
                Some(Outline::Polygons(lines)) => {
                    let flat: Vec<Vec<f64>> = lines.iter().map(|line| line.concat()).collect();
                    entry["segmentation"] = json!(flat);
                }
                None => {}
            }
            if let Some(score) = object.score {
                entry["score"] = json!(score);
            }
            annotations.push(entry);
        }
    }
    let videos: Vec<_> = videos
        .values()
        .map(|(id, place)| json!({"id": id, "name": &*place.source, "file_name": &*place.path}))
        .collect();
    let categories: Vec<_> = (0u32..)
        .zip(&dataset.classes)
        .map(|(class, name)| json!({"id": classes.category_id(class), "name": &**name}))
        .collect();
    serde_json::to_vec(
        &json!({"images": images, "annotations": annotations, "categories": categories, "videos": videos}),
    )
}
