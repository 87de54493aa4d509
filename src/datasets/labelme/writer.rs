//! `labelme/TREE.json` for each picture.

use super::format::{File, Flags, Shape as Entry};
use crate::{
    datasets::{
        item::{Annotation, Item},
        masks::{Crop, Shape, crop},
        names::{TreeNames, UsedLabels, base_name},
        writer::MaskForm,
        writer::{DatasetWriter, WriteOptions},
    },
    sinks::{SinkError, write_atomic},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};
use std::path::Path;

/// The version whose files these are like.
const VERSION: &str = "5.5.0";

/// Writes labelme's JSON: `labelme/TREE.json` for each picture, with its path relative to the file. Masks are polygons (an
/// object's parts have a `group_id` in common) or, as [`MaskForm::Rle`], shapes of type `mask` with every pixel.
/// `labelme/labels.txt` has the names of the classes, for labelme's `--labels`; a name with a line end is not in it.
pub struct LabelmeWriter {
    options: WriteOptions,
    masks: MaskForm,
    names: TreeNames,
    labels: UsedLabels,
}

impl LabelmeWriter {
    /// A writer below [`WriteOptions::root`].
    pub fn new(options: WriteOptions, masks: MaskForm) -> Self {
        Self {
            options,
            masks,
            names: TreeNames::default(),
            labels: UsedLabels::default(),
        }
    }

    /// The picture's path from the file `name`.
    fn image_path(&self, name: &str, file_name: &str) -> String {
        let Some(images) = &self.options.images else {
            return base_name(file_name).to_owned();
        };
        let images = slashes(images);
        let images = images.trim_end_matches('/');
        if self
            .options
            .images
            .as_deref()
            .is_some_and(Path::is_absolute)
        {
            return format!("{images}/{file_name}");
        }
        let up = "../".repeat(1 + name.matches('/').count());
        match images {
            "" | "." => format!("{up}{file_name}"),
            images => format!("{up}{images}/{file_name}"),
        }
    }
}

impl DatasetWriter for LabelmeWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        self.labels.add(item);
        let name = self.names.of(&item.file_name);
        let path = self
            .options
            .root
            .join("labelme")
            .join(format!("{name}.json"));
        let mut shapes = Vec::new();
        // Groups of parts are numbered beside those of tracks.
        let highest = item.annotations.iter().filter_map(|a| a.track_id).max();
        let mut groups = highest.map_or(0, |highest| highest.saturating_add(1));
        let failed = |problem| SinkError::new(&path, problem);
        let all = Shape::all(item, self.masks).map_err(failed)?;
        for (annotation, shape) in item.annotations.iter().zip(all) {
            entries(annotation, shape, &mut groups, &mut shapes).map_err(failed)?;
        }
        let file = File {
            version: VERSION,
            flags: Flags {},
            shapes,
            image_path: &self.image_path(&name, &item.file_name),
            image_data: None,
            image_height: item.size.height,
            image_width: item.size.width,
        };
        let mut text = serde_json::to_vec(&file)
            .map_err(|e| SinkError::new(&path, format!("cannot write the JSON: {e}")))?;
        text.push(b'\n');
        write_atomic(&path, &text)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let names = self.labels.names(self.options.classes.names());
        let lines = names.iter().filter(|name| !name.contains(['\n', '\r']));
        let text: String = lines.map(|name| format!("{name}\n")).collect();
        write_atomic(
            &self.options.root.join("labelme/labels.txt"),
            text.as_bytes(),
        )
    }
}

fn entries<'a>(
    annotation: &'a Annotation,
    shape: Shape<'_>,
    groups: &mut u64,
    out: &mut Vec<Entry<'a>>,
) -> Result<(), String> {
    let b = annotation.bbox;
    let corners = || {
        [[b.x0, b.y0], [b.x1, b.y1]]
            .map(|corner| corner.map(decimal))
            .to_vec()
    };
    let (kind, lines, mask) = match shape {
        Shape::Box => ("rectangle", vec![corners()], None),
        Shape::Polygons(lines) => ("polygon", lines.into_owned(), None),
        Shape::Mask(mask) => match crop(&mask) {
            Some(crop) => ("mask", vec![pixels_of(&crop)], Some(png(&crop)?)),
            None => ("rectangle", vec![corners()], None),
        },
    };
    let parts = lines.len() > 1 && annotation.track_id.is_none();
    let group_id = annotation.track_id.or(parts.then_some(*groups));
    *groups = groups.saturating_add(parts.into());
    for points in lines {
        out.push(Entry {
            label: &annotation.label,
            points,
            group_id,
            description: annotation
                .score
                .map_or_else(String::new, |score| format!("score {score}")),
            shape_type: kind,
            flags: Flags {},
            mask: mask.clone(),
            score: annotation.score,
            mask_score: annotation.mask_score,
            track_id: annotation.track_id,
        });
    }
    Ok(())
}

/// The first and the last pixel of a crop, as labelme has the points of a mask.
fn pixels_of(crop: &Crop) -> Vec<[f64; 2]> {
    let (left, top) = (f64::from(crop.left), f64::from(crop.top));
    let last = [
        left + f64::from(crop.size.width) - 1.0,
        top + f64::from(crop.size.height) - 1.0,
    ];
    vec![[left, top], last]
}

/// A crop as a PNG in base64, 255 inside.
fn png(crop: &Crop) -> Result<String, String> {
    let mut pixels = Vec::with_capacity(crop.size.pixels() as usize);
    for (i, count) in crop.counts.iter().enumerate() {
        pixels.resize(pixels.len() + *count as usize, (i % 2 * 255) as u8);
    }
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(
            &pixels,
            crop.size.width,
            crop.size.height,
            ExtendedColorType::L8,
        )
        .map_err(|e| format!("cannot write a mask as PNG: {e}"))?;
    Ok(STANDARD.encode(&file))
}

/// The `f64` of the shortest decimal form of `value`, so that the file has no more digits than the value.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

fn slashes(path: &Path) -> String {
    path.to_string_lossy()
        .replace(std::path::MAIN_SEPARATOR, "/")
}
