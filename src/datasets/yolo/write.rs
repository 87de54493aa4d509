//! The writer of YOLO data sets.

use super::fill::line;
use crate::{
    datasets::{
        item::{Annotation, Item, Outline},
        split::PARTS,
        writer::{DatasetWriter, WriteOptions},
    },
    geometry::{BoxXyxy, Size},
    sinks::{AtomicFile, Layout, SinkError, write_atomic},
};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufWriter, Write as _},
};

/// Writes YOLO labels: a line `class cx cy w h` for each object, or `class x y x y …` (its outline) where the picture's objects
/// have outlines. Coordinates are relative to the picture, in 0..1, with six decimals; there is no confidence. A picture without
/// objects gets an empty file. Left out are objects whose mask is empty, or whose box has no extent inside the picture.
///
/// Outlines go through the centres of border pixels, as the tools' own do: their fill gives the mask again. They have one
/// polygon an object, so parts and holes are joined to the largest part by lines there and back.
///
/// The labels of `images/a/b.png` are `labels/a/b.txt`. `classes.txt` holds the class names, one a line; `data.yaml` the same
/// with the pictures to train on: `images`, or of a divided data set the lists `train.txt`, `val.txt`, `test.txt`.
pub struct YoloWriter {
    layout: Layout,
    options: WriteOptions,
    lists: BTreeMap<&'static str, BufWriter<AtomicFile>>,
}

impl YoloWriter {
    /// A writer; of a divided data set it starts the lists of pictures.
    ///
    /// # Errors
    /// [`SinkError`] if a list cannot be made.
    pub fn new(options: &WriteOptions) -> Result<Self, SinkError> {
        let mut lists = BTreeMap::new();
        if options.parts.are_there() {
            for part in options.parts.names() {
                let path = options.root.join(format!("{part}.txt"));
                lists.insert(part, BufWriter::new(AtomicFile::create(&path)?));
            }
        }
        Ok(Self {
            layout: Layout::new(&options.root),
            options: options.clone(),
            lists,
        })
    }

    /// The description of the data set.
    fn data(&self) -> String {
        let names = self.options.classes.names();
        let divided = self.options.parts.are_there();
        let have = self.options.parts.names();
        let mut yaml = String::from("# Paths are relative to this file.\n");
        for part in PARTS {
            let (train_too, list) = (
                part == "val" && !have.contains(&part),
                format!("{part}.txt"),
            );
            match (divided, part) {
                (false, "test") => {}
                (false, _) => drop(writeln!(yaml, "{part}: images")),
                (true, _) if have.contains(&part) => drop(writeln!(yaml, "{part}: {list}")),
                // Trainers want pictures to validate on.
                (true, _) if train_too => drop(writeln!(yaml, "val: train.txt")),
                (true, _) => {}
            }
        }
        yaml += if names.is_empty() {
            "names: {}\n"
        } else {
            "names:\n"
        };
        for (class, name) in names.iter().enumerate() {
            // A JSON string is a YAML string.
            let _ = writeln!(yaml, "  {class}: {}", serde_json::Value::from(&**name));
        }
        yaml
    }
}

impl DatasetWriter for YoloWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        let path = self.layout.of_image("labels", &item.file_name, "txt");
        let text = labels(item).map_err(|problem| SinkError::new(&path, problem))?;
        write_atomic(&path, text.as_bytes())?;
        match self.lists.get_mut(self.options.parts.of(item)) {
            Some(list) => {
                let written = writeln!(list, "./images/{}", item.file_name);
                written.map_err(|e| list.get_ref().error(&e))
            }
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        for list in std::mem::take(&mut self.lists).into_values() {
            match list.into_inner() {
                Ok(file) => file.commit()?,
                Err(failed) => {
                    let error =
                        std::io::Error::new(failed.error().kind(), failed.error().to_string());
                    return Err(failed.into_inner().get_ref().error(&error));
                }
            }
        }
        let one_line = |name: &str| name.replace(['\r', '\n'], " ") + "\n";
        let list: String = self
            .options
            .classes
            .names()
            .iter()
            .map(|n| one_line(n))
            .collect();
        write_atomic(&self.layout.yolo_classes(), list.as_bytes())?;
        write_atomic(&self.layout.yolo_data(), self.data().as_bytes())
    }
}

/// The label file of a picture.
fn labels(item: &Item) -> Result<String, String> {
    let outlines = item
        .annotations
        .iter()
        .any(|object| object.outline.is_some());
    let mut text = String::new();
    for object in &item.annotations {
        let line = if outlines {
            outline_line(object, item.size)?
        } else {
            box_line(object, item.size)
        };
        text.extend(line);
    }
    Ok(text)
}

fn box_line(object: &Annotation, size: Size) -> Option<String> {
    let clamped = object.bbox.clamped(size);
    let b = clamped.normalised(size);
    clamped.is_valid().then(|| {
        format!(
            "{} {:.6} {:.6} {:.6} {:.6}\n",
            object.class, b.cx, b.cy, b.w, b.h
        )
    })
}

fn outline_line(object: &Annotation, size: Size) -> Result<Option<String>, String> {
    let points = match &object.outline {
        Some(Outline::Polygons(lines)) if lines.len() == 1 => lines.first().cloned(),
        Some(outline) => {
            let mask = outline
                .to_mask(size)
                .ok_or("an outline does not fit its picture")?;
            line(&mask)
        }
        // Lines of one file must be of one form: a box among outlines is its four corners.
        None => corners(object.bbox.clamped(size)),
    };
    let Some(points) = points else {
        return Ok(None);
    };
    let mut text = object.class.to_string();
    // A polygon has three corners: those of a line or a pixel are repeated.
    for at in 0..points.len().max(3) {
        let [x, y] = points[at.min(points.len() - 1)];
        let (x, y) = (x / f64::from(size.width), y / f64::from(size.height));
        let _ = write!(text, " {:.6} {:.6}", x.clamp(0.0, 1.0), y.clamp(0.0, 1.0));
    }
    Ok(Some(text + "\n"))
}

fn corners(b: BoxXyxy) -> Option<Vec<[f64; 2]>> {
    let corners = [[b.x0, b.y0], [b.x1, b.y0], [b.x1, b.y1], [b.x0, b.y1]];
    b.is_valid()
        .then(|| corners.map(|corner| corner.map(f64::from)).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{coco::Classes, datasets::writer::MaskForm, frame::Mask};

    const SIZE: Size = Size::new(10, 20);

    fn item(annotations: Vec<Annotation>) -> Item {
        Item {
            file_name: "a b/ü.png".into(),
            original: None,
            size: SIZE,
            place: None,
            annotations,
            physical: None,
            exif_orientation: None,
            changes: Vec::new(),
        }
    }

    fn object(bbox: [f32; 4], mask: Option<Mask>) -> Annotation {
        let [x0, y0, x1, y1] = bbox;
        Annotation {
            class: 2,
            label: "bone".into(),
            bbox: BoxXyxy::new(x0, y0, x1, y1),
            outline: mask.map(Outline::Mask),
            score: Some(0.9),
            mask_score: None,
            track_id: None,
            visibility: None,
            visibility_score: None,
        }
    }

    #[test]
    fn boxes_are_normalised_and_clipped() {
        assert_eq!(labels(&item(vec![])).unwrap(), "");
        let both = item(vec![
            object([1.0, 2.0, 6.0, 12.0], None),
            object([-5.0, 10.0, 5.0, 30.0], None),
            object([3.0; 4], None),
        ]);
        assert_eq!(
            labels(&both).unwrap(),
            "2 0.350000 0.350000 0.500000 0.500000\n2 0.250000 0.750000 0.500000 0.500000\n"
        );
    }

    #[test]
    fn masks_give_outlines_for_every_line() {
        let pixels: Vec<u8> = (0..200)
            .map(|i| u8::from((2..5).contains(&(i % 10)) && (4..8).contains(&(i / 10))))
            .collect();
        let mask = Mask::from_row_major(SIZE, &pixels).unwrap();
        let empty = Mask::from_row_major(SIZE, &[0; 200]).unwrap();
        let text = labels(&item(vec![
            object([2.0, 4.0, 5.0, 8.0], Some(mask)),
            object([0.0, 0.0, 5.0, 5.0], Some(empty)),
            object([0.0, 0.0, 5.0, 5.0], None),
        ]));
        assert_eq!(
            text.unwrap(),
            "2 0.250000 0.225000 0.450000 0.225000 0.450000 0.375000 0.250000 0.375000\n\
             2 0.000000 0.000000 0.500000 0.000000 0.500000 0.250000 0.000000 0.250000\n"
        );
    }

    #[test]
    fn a_data_set_describes_itself() {
        let folder = tempfile::tempdir().unwrap();
        let options = WriteOptions {
            root: folder.path().to_owned(),
            classes: Classes::new(["bone", "a: \"b\""]),
            images: None,
            masks: MaskForm::Rle,
            parts: Default::default(),
        };
        let mut writer = YoloWriter::new(&options).unwrap();
        writer
            .item(&item(vec![object([1.0, 2.0, 6.0, 12.0], None)]))
            .unwrap();
        writer.finish().unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(read("labels/a b/ü.txt").starts_with("2 0.35"));
        assert_eq!(read("classes.txt"), "bone\na: \"b\"\n");
        assert_eq!(
            read("data.yaml"),
            "# Paths are relative to this file.\ntrain: images\nval: images\nnames:\n  0: \"bone\"\n  1: \"a: \\\"b\\\"\"\n"
        );
    }
}
