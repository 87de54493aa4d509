//! Reading COCO data sets.

use crate::{
    coco::{self, Segmentation},
    datasets::{
        item::{Annotation, Item, Outline, Place},
        names::below,
        reader::{Dataset, DatasetError},
    },
    frame::{Mask, SourceKind},
    geometry::{BoxXyxy, Size},
};
use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

/// Reads a COCO data set: its images with their annotations, in the order of the file, classes in the order of the categories'
/// ids. Regions of crowds are left out.
///
/// # Errors
/// [`DatasetError`] if the file cannot be read, is no COCO data set, or an annotation refers to an image or category that it
/// does not have, or has no place.
pub fn read_coco(path: &Path) -> Result<Dataset, DatasetError> {
    let text = coco::read(path).map_err(|e| DatasetError::io(path, "read the file", &e))?;
    parse(path, &text)
}

fn parse(path: &Path, text: &[u8]) -> Result<Dataset, DatasetError> {
    let wrong = |problem: String| DatasetError::new(path, problem);
    let file: coco::Dataset<'_, f64> = coco::parse_dataset(text)
        .map_err(|e| wrong(format!("is no COCO data set: {}", coco::describe(text, &e))))?;
    let mut categories: Vec<_> = file.categories.unwrap_or_default();
    categories.sort_by_key(|category| category.id);
    let classes: Vec<Arc<str>> = categories.iter().map(|c| Arc::from(&*c.name)).collect();
    let class_of: HashMap<i64, u32> = categories.iter().map(|c| c.id).zip(0u32..).collect();
    let videos: HashMap<i64, &coco::Video<'_>> = file.videos.iter().map(|v| (v.id, v)).collect();
    let mut places = HashMap::new();
    let mut items = Vec::with_capacity(file.images.len());
    for image in &file.images {
        places.insert(image.id, items.len());
        items.push(item_of(image, &videos).map_err(|p| wrong(format!("image {}: {p}", image.id)))?);
    }
    for annotation in file.annotations.iter().filter(|a| !a.is_crowd()) {
        let id = annotation
            .id
            .map_or_else(String::new, |id| format!(" {id}"));
        let wrong = |problem: &str| wrong(format!("annotation{id}: {problem}"));
        let place = places.get(&annotation.image_id).copied();
        let item: &mut Item = place
            .and_then(|at| items.get_mut(at))
            .ok_or_else(|| wrong("its image is not in the list of images"))?;
        let class = class_of.get(&annotation.category_id).copied();
        let class = class.ok_or_else(|| wrong("its category is not in the list of categories"))?;
        let label = classes.get(class as usize).cloned().unwrap_or_default();
        let object = object(annotation, class, label, item.size).map_err(|p| wrong(&p))?;
        item.annotations.push(object);
    }
    Ok(Dataset { classes, items })
}

fn item_of(
    image: &coco::Image<'_>,
    videos: &HashMap<i64, &coco::Video<'_>>,
) -> Result<Item, String> {
    let size = image.size().ok_or("its width or height is missing")?;
    let file_name = image
        .file_name
        .as_deref()
        .ok_or("its file_name is missing")?;
    let seconds = |text: &str| {
        text.parse()
            .ok()
            .and_then(|s| Duration::try_from_secs_f64(s).ok())
    };
    let place = image
        .video_id
        .and_then(|id| videos.get(&id))
        .map(|video| Place {
            source: video
                .name
                .as_deref()
                .or(video.file_name.as_deref())
                .unwrap_or_default()
                .into(),
            kind: SourceKind::Video,
            path: video.file_name.as_deref().unwrap_or_default().into(),
            file: None,
            frame: image
                .frame_id
                .and_then(|frame| u64::try_from(frame).ok())
                .unwrap_or(0),
            timestamp: image.timestamp.and_then(|time| seconds(time.get())),
            frame_rate: video.frame_rate,
            attributes: Arc::new(video.attributes.clone().unwrap_or_default()),
        });
    Ok(Item {
        file_name: below(file_name),
        original: image.original.as_deref().map(str::to_owned),
        size,
        place,
        annotations: Vec::new(),
        physical: image
            .physical
            .and_then(|raw| serde_json::from_str(raw.get()).ok()),
        exif_orientation: image.exif_orientation,
        changes: Vec::new(),
    })
}

fn object(
    annotation: &coco::Annotation<'_, f64>,
    class: u32,
    label: Arc<str>,
    size: Size,
) -> Result<Annotation, String> {
    let outline = match &annotation.segmentation {
        Some(segmentation) => outline_of(
            &segmentation
                .get()
                .map_err(|e| format!("its segmentation: {e}"))?,
            size,
        )?,
        None => None,
    };
    let stated = annotation.box_numbers().and_then(|b| match *b {
        [x, y, w, h] => Some(BoxXyxy::new(
            x as f32,
            y as f32,
            (x + w) as f32,
            (y + h) as f32,
        )),
        _ => None,
    });
    let of_outline = || {
        outline
            .as_ref()
            .and_then(|outline| outline.to_mask(size)?.bounds())
    };
    if stated.is_some_and(|b| !is_plain(b)) {
        return Err("its bbox has numbers that are not finite, or a negative size".to_owned());
    }
    let of_mask = outline.as_ref().and_then(|outline| match outline {
        Outline::Mask(mask) => mask.bounds(),
        Outline::Polygons(_) => None,
    });
    let bbox = match of_mask.or(stated) {
        Some(bbox) => bbox,
        None => of_outline().ok_or("it has neither a box of four numbers nor an outline")?,
    };
    let attributes = annotation.attributes.clone().unwrap_or_default();
    Ok(Annotation {
        class,
        label,
        bbox,
        outline,
        score: annotation.score.map(|score| score as f32),
        mask_score: annotation.mask_score,
        track_id: attributes.track_id.or(annotation.track_id.map(u64::from)),
        visibility: attributes.visibility,
        visibility_score: attributes.visibility_score,
    })
}

fn is_plain(b: BoxXyxy) -> bool {
    [b.x0, b.y0, b.x1, b.y1].iter().all(|v| v.is_finite()) && b.x0 <= b.x1 && b.y0 <= b.y1
}

fn outline_of(segmentation: &Segmentation<'_>, size: Size) -> Result<Option<Outline>, String> {
    let sized = |mask: Option<Mask>| {
        let mask = mask.ok_or("its run lengths do not fill their size")?;
        if mask.size() == size {
            // An empty mask outlines nothing.
            Ok((mask.area() > 0).then_some(Outline::Mask(mask)))
        } else {
            Err(format!(
                "its mask is of {}, its image of {size}",
                mask.size()
            ))
        }
    };
    match segmentation {
        Segmentation::Rle(rle) => sized(rle.to_mask()),
        Segmentation::Runs {
            size: [height, width],
            counts,
        } => sized(Mask::from_counts(
            Size::new(*width, *height),
            counts.clone(),
        )),
        Segmentation::Polygons(lines) => {
            // Lines of one or two points, which some tools leave, outline nothing.
            let lines: Vec<Vec<[f64; 2]>> = lines
                .iter()
                .map(|flat| flat.chunks_exact(2).map(|p| [p[0], p[1]]).collect())
                .filter(|line: &Vec<[f64; 2]>| line.len() > 2)
                .collect();
            Ok((!lines.is_empty()).then_some(Outline::Polygons(lines)))
        }
    }
}
