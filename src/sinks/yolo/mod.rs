//! `labels/`: YOLO label files, one a frame, with `classes.txt` and `data.yaml`.

mod polygon;

use crate::{
    coco::Classes,
    frame::{Detections, Frame, Object, SourceInfo},
    geometry::{BoxXyxy, Size},
    sinks::{Sink, atomic_file::write_atomic, error::SinkError, jsonl::Lines, layout::Layout},
};
use serde::Deserialize;
use std::{borrow::Cow, collections::BTreeMap, fmt::Write, sync::Arc};

/// YOLO labels: a line `class cx cy w h` for each object, or `class x y x y …` (its outline) where the frame's objects have
/// masks. Coordinates are relative to the frame, in 0..1, with six decimals; there is no confidence. A frame without
/// objects gets an empty file. Left out are objects whose mask is empty, or whose box has no extent inside the frame.
///
/// `classes.txt` holds the class names, one a line; `data.yaml` the same for Ultralytics. These tools look for the labels
/// of `images/a/b.png` in `labels/a/b.txt`: put the pictures (`frames/` or the originals) under `images/`.
#[derive(Debug)]
pub struct YoloSink {
    layout: Layout,
    classes: Classes,
}

impl YoloSink {
    /// A sink that names classes by `classes`, and those beyond by the record.
    pub fn new(layout: Layout, classes: Classes) -> Self {
        Self { layout, classes }
    }

    /// Names of all classes up to the highest known or seen.
    fn names(&self) -> Result<Vec<String>, SinkError> {
        let mut names: BTreeMap<u32, String> = (0u32..)
            .zip(self.classes.names())
            .map(|(c, n)| (c, n.to_string()))
            .collect();
        let mut lines = Lines::open(&self.layout.record(), 0)?;
        while lines.advance()? {
            let line: NamesLine<'_> = lines.parse()?;
            for object in line.objects {
                names
                    .entry(object.class)
                    .or_insert_with(|| object.label.into_owned());
            }
        }
        // A class far beyond the rest would ask for as many lines; tools have no use for such a list.
        let highest = names
            .keys()
            .next_back()
            .copied()
            .map_or(0, |c| c.min(MOST_CLASSES) + 1);
        Ok((0..highest)
            .map(|c| names.remove(&c).unwrap_or_else(|| format!("class {c}")))
            .collect())
    }
}

/// Class numbers listed in `classes.txt` and `data.yaml`.
const MOST_CLASSES: u32 = 99_999;

#[derive(Deserialize)]
struct NamesLine<'a> {
    #[serde(borrow)]
    objects: Vec<NamesObject<'a>>,
}

#[derive(Deserialize)]
struct NamesObject<'a> {
    class: u32,
    #[serde(borrow)]
    label: Cow<'a, str>,
}

impl Sink for YoloSink {
    fn begin_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, frame: &Frame, found: &Detections) -> Result<(), SinkError> {
        let path = self
            .layout
            .labels(&frame.source, frame.index, frame.file.as_deref());
        write_atomic(&path, labels(found).as_bytes())
    }

    fn end_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let names = self.names()?;
        let one_line = |name: &String| name.replace(['\r', '\n'], " ");
        let list: String = names.iter().map(|n| one_line(n) + "\n").collect();
        write_atomic(&self.layout.yolo_classes(), list.as_bytes())?;
        let mut yaml = String::from("path: .\ntrain: images\nval: images\n");
        yaml += if names.is_empty() {
            "names: {}\n"
        } else {
            "names:\n"
        };
        for (class, name) in names.iter().enumerate() {
            // A JSON string is a YAML string.
            let _ = writeln!(
                yaml,
                "  {class}: {}",
                serde_json::Value::from(name.as_str())
            );
        }
        write_atomic(&self.layout.yolo_data(), yaml.as_bytes())
    }
}

/// The label file of a frame.
fn labels(found: &Detections) -> String {
    let outlines = found.objects.iter().any(|o| o.mask.is_some());
    let lines = found.objects.iter().filter_map(|o| {
        if outlines {
            outline_line(o, found.size)
        } else {
            box_line(o, found.size)
        }
    });
    lines.collect()
}

fn box_line(object: &Object, size: Size) -> Option<String> {
    let clamped = object.bbox.clamped(size);
    let b = clamped.normalised(size);
    clamped.is_valid().then(|| {
        format!(
            "{} {:.6} {:.6} {:.6} {:.6}\n",
            object.class, b.cx, b.cy, b.w, b.h
        )
    })
}

fn outline_line(object: &Object, size: Size) -> Option<String> {
    let points = match &object.mask {
        Some(mask) => polygon::outline(mask)?,
        // Lines of one file must be of one form: a box among outlines is its four corners.
        None => corners(object.bbox.clamped(size))?,
    };
    let mut line = object.class.to_string();
    for (x, y) in points {
        let (x, y) = (
            f64::from(x) / f64::from(size.width),
            f64::from(y) / f64::from(size.height),
        );
        let _ = write!(line, " {:.6} {:.6}", x.clamp(0.0, 1.0), y.clamp(0.0, 1.0));
    }
    Some(line + "\n")
}

fn corners(b: BoxXyxy) -> Option<Vec<(f32, f32)>> {
    b.is_valid()
        .then(|| vec![(b.x0, b.y0), (b.x1, b.y0), (b.x1, b.y1), (b.x0, b.y1)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Mask;

    fn result(objects: Vec<Object>) -> Detections {
        Detections {
            size: Size::new(10, 20),
            objects,
        }
    }

    fn object(bbox: [f32; 4], mask: Option<Mask>) -> Object {
        let [x0, y0, x1, y1] = bbox;
        Object {
            bbox: BoxXyxy::new(x0, y0, x1, y1),
            score: 0.9,
            class: 2,
            label: "bone".into(),
            mask,
            mask_score: None,
        }
    }

    #[test]
    fn boxes_are_normalised_and_clipped() {
        assert_eq!(labels(&result(vec![])), "");
        let both = result(vec![
            object([1.0, 2.0, 6.0, 12.0], None),
            object([-5.0, 10.0, 5.0, 30.0], None),
            object([3.0; 4], None),
        ]);
        assert_eq!(
            labels(&both),
            "2 0.350000 0.350000 0.500000 0.500000\n2 0.250000 0.750000 0.500000 0.500000\n"
        );
    }

    #[test]
    fn masks_give_outlines_for_every_line() {
        let size = Size::new(10, 20);
        let pixels: Vec<u8> = (0..200)
            .map(|i| u8::from((2..5).contains(&(i % 10)) && (4..8).contains(&(i / 10))))
            .collect();
        let mask = Mask::from_row_major(size, &pixels).unwrap();
        let empty = Mask::from_row_major(size, &[0; 200]).unwrap();
        let text = labels(&result(vec![
            object([2.0, 4.0, 5.0, 8.0], Some(mask)),
            object([0.0, 0.0, 5.0, 5.0], Some(empty)),
            object([0.0, 0.0, 5.0, 5.0], None),
        ]));
        assert_eq!(
            text,
            "2 0.200000 0.200000 0.500000 0.200000 0.500000 0.400000 0.200000 0.400000\n\
             2 0.000000 0.000000 0.500000 0.000000 0.500000 0.250000 0.000000 0.250000\n"
        );
    }
}
