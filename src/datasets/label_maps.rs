//! Label maps: by class, by object, and under nnU-Net's names.

use super::{
    item::{Annotation, Item},
    names::stem,
    writer::{DatasetWriter, WriteOptions},
};
use crate::{
    coco::Classes,
    frame::Mask,
    sinks::{LabelMap, Labelling, Layout, SinkError, write_atomic, write_labels},
};
use image::{DynamicImage, ImageDecoder as _, ImageReader};
use serde_json::json;
use std::{borrow::Cow, collections::HashSet, path::Path};

/// Writes label maps as a run does: `masks/` with `labels.json` by class, or `instances/` by object.
pub struct LabelMapWriter {
    layout: Layout,
    classes: Classes,
    labelling: Labelling,
}

impl LabelMapWriter {
    /// A writer.
    pub fn new(options: &WriteOptions, labelling: Labelling) -> Self {
        Self {
            layout: Layout::new(&options.root),
            classes: options.classes.clone(),
            labelling,
        }
    }
}

/// An object with its place in its picture, and its mask.
type Numbered<'a> = (usize, &'a Annotation, Cow<'a, Mask>);

/// The masks of an item with their scores, in its order; objects without an outline are left out.
fn masks<'a>(item: &'a Item, path: &Path) -> Result<Vec<Numbered<'a>>, SinkError> {
    let misfit = || {
        SinkError::new(
            path,
            format!("an outline does not fit its picture of {}", item.size),
        )
    };
    let with_outline = item.annotations.iter().enumerate();
    with_outline
        .filter_map(|(at, object)| Some((at, object, object.outline.as_ref()?)))
        .map(|(at, object, outline)| {
            Ok((at, object, outline.to_mask(item.size).ok_or_else(misfit)?))
        })
        .collect()
}

fn painted(
    item: &Item,
    path: &Path,
    value: impl Fn(usize, &Annotation) -> usize,
) -> Result<LabelMap, SinkError> {
    let masks = masks(item, path)?;
    let mut valued = Vec::with_capacity(masks.len());
    for (at, object, mask) in &masks {
        let value = u16::try_from(value(*at, object)).map_err(|_| {
            SinkError::new(
                path,
                "there are more classes or objects than a label map of 16 bits can tell apart",
            )
        })?;
        valued.push((object.score.unwrap_or(1.0), value, &**mask));
    }
    LabelMap::paint(item.size, &valued)
        .ok_or_else(|| SinkError::new(path, "a mask does not fit its picture"))
}

impl DatasetWriter for LabelMapWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        let classes = self.classes.names().len();
        let (folder, highest) = match self.labelling {
            Labelling::Classes => ("masks", classes),
            Labelling::Objects => ("instances", item.annotations.len()),
        };
        let path = self.layout.of_image(folder, &item.file_name, "png");
        let map = painted(item, &path, |at, object| match self.labelling {
            Labelling::Classes => object.class as usize + 1,
            Labelling::Objects => at + 1,
        })?;
        map.write(&path, highest)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        match self.labelling {
            Labelling::Classes => write_labels(&self.layout, &self.classes),
            Labelling::Objects => Ok(()),
        }
    }
}

/// Writes what nnU-Net v2 trains on: `nnunet/imagesTr/CASE_0000.png`, `labelsTr/CASE.png` (grey, classes from 1), those of the
/// part `test` in `imagesTs` and `labelsTs`, and `dataset.json`. A case is a picture, named as its file with `__` for `/` and
/// `_` for blanks; where an earlier case has that name (in any letter case), `_` is added.
pub struct NnunetWriter {
    options: WriteOptions,
    cases: HashSet<String>,
    training: u64,
    colour: bool,
}

impl NnunetWriter {
    /// A writer.
    ///
    /// # Errors
    /// [`SinkError`] if the data set has no folder of pictures: they are written too.
    pub fn new(options: &WriteOptions) -> Result<Self, SinkError> {
        if options.images.is_none() {
            let error = SinkError::new(
                options.root.join("nnunet"),
                "needs the pictures, and there is no folder of them",
            );
            return Err(error.with_remedy("have the pictures copied or linked too"));
        }
        Ok(Self {
            options: options.clone(),
            cases: HashSet::new(),
            training: 0,
            colour: false,
        })
    }

    /// The name of a picture's case, which no other has.
    fn case(&mut self, file_name: &str) -> String {
        let mut case: String = stem(file_name)
            .replace(['/', '\\'], "__")
            .replace(char::is_whitespace, "_");
        while !self.cases.insert(case.to_lowercase()) {
            case.push('_');
        }
        case
    }

    fn picture(&mut self, item: &Item, path: &Path) -> Result<(), SinkError> {
        let images = self.options.images.as_deref().unwrap_or(Path::new(""));
        let original = self.options.root.join(images).join(&item.file_name);
        let failed = |e: image::ImageError| {
            SinkError::new(&original, format!("cannot be read as a picture: {e}"))
        };
        let picture = upright(&original, item).map_err(failed)?;
        self.colour |= picture.color().has_color();
        let mut bytes = Vec::new();
        let picture = if picture.color().has_color() {
            DynamicImage::from(picture.into_rgb8())
        } else {
            DynamicImage::from(picture.into_luma8())
        };
        let written = picture.write_to(
            &mut std::io::Cursor::new(&mut bytes),
            image::ImageFormat::Png,
        );
        written.map_err(|e| SinkError::new(path, format!("cannot be encoded: {e}")))?;
        write_atomic(path, &bytes)
    }
}

/// The picture in the file as the item's annotations have it: turned by EXIF, if the item says so and the file is not upright
/// already. Files are known by their content.
fn upright(file: &Path, item: &Item) -> image::ImageResult<DynamicImage> {
    let reader = ImageReader::open(file)?.with_guessed_format()?;
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    if item.exif_orientation.is_some() {
        picture.apply_orientation(orientation);
    }
    Ok(picture)
}

impl DatasetWriter for NnunetWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        let root = self.options.root.join("nnunet");
        let test = self.options.parts.are_there() && self.options.parts.of(item) == "test";
        let end = if test { "Ts" } else { "Tr" };
        let case = self.case(&item.file_name);
        self.picture(item, &root.join(format!("images{end}/{case}_0000.png")))?;
        self.training += u64::from(!test);
        let path = root.join(format!("labels{end}/{case}.png"));
        painted(item, &path, |_, object| object.class as usize + 1)?.write_grey(&path)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let mut labels = serde_json::Map::new();
        labels.insert("background".to_owned(), json!(0));
        for (value, name) in (1u32..).zip(self.options.classes.names()) {
            labels.insert(name.to_string(), json!(value));
        }
        let channels = if self.colour {
            json!({"0": "R", "1": "G", "2": "B"})
        } else {
            json!({"0": "grey"})
        };
        let path = self.options.root.join("nnunet/dataset.json");
        let about = json!({"channel_names": channels, "labels": labels, "numTraining": self.training, "file_ending": ".png"});
        let text = serde_json::to_string_pretty(&about)
            .map_err(|e| SinkError::new(&path, e.to_string()))?;
        write_atomic(&path, (text + "\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_whose_pictures_differ_in_blanks_folders_or_extension_stay_apart() {
        let options = WriteOptions {
            root: "out".into(),
            classes: Classes::default(),
            images: Some("images".into()),
            masks: Default::default(),
            parts: Default::default(),
        };
        let mut writer = NnunetWriter::new(&options).unwrap();
        let names = ["a b.png", "a_b.png", "A b.jpg", "c/d.png", "c__d.png"];
        assert_eq!(
            names.map(|name| writer.case(name)),
            ["a_b", "a_b_", "A_b__", "c__d", "c__d_"]
        );
    }
}
