//! `masks/` and `instances/`: label maps, one PNG a frame.

use crate::{
    coco::Classes,
    frame::{Detections, Frame, Mask, Object, SourceInfo},
    geometry::Size,
    sinks::{
        atomic_file::write_atomic,
        error::{SinkError, SinkErrorKind},
        image_writer::ImageWriter,
        layout::Layout,
        palette::colour,
        png_file::{Samples, write_indexed, write_png},
        sink::Sink,
    },
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

/// What the values of a label map are numbers of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Labelling {
    /// Classes, from 1: the same value is the same class in all frames.
    Classes,
    /// Objects of the frame's line in `detections.jsonl`, from 1, best score first.
    Objects,
}

/// A label map: rows top to bottom, 0 for background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelMap {
    size: Size,
    values: Vec<u16>,
}

impl LabelMap {
    /// Paints masks with their values over each other, the higher score last; of equal scores, the first of them. None if a
    /// mask is of another size.
    pub(crate) fn paint(size: Size, masks: &[(f32, u16, &Mask)]) -> Option<Self> {
        let width = size.width as usize;
        let mut order: Vec<&(f32, u16, &Mask)> = masks.iter().rev().collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut values = vec![0u16; width * size.height as usize];
        for &&(_, value, mask) in &order {
            if mask.size() != size {
                return None;
            }
            mask.for_each_run(|x, y0, y1| {
                for y in y0..y1 {
                    values[y as usize * width + x as usize] = value;
                }
            });
        }
        Some(Self { size, values })
    }

    /// Writes it to `path`: with a palette of the colours that overlays give the classes, or, where values up to `highest` do
    /// not fit in 8 bits, as grey of 16.
    pub(crate) fn write(&self, path: &std::path::Path, highest: usize) -> Result<(), SinkError> {
        if highest > usize::from(u8::MAX) {
            return write_png(path, self.size, Samples::Gray16(&self.values));
        }
        let palette = (0..=highest as u32).map(|v| v.checked_sub(1).map_or([0; 3], colour));
        write_indexed(
            path,
            self.size,
            &self.narrow(),
            &palette.collect::<Vec<_>>(),
        )
    }

    /// Writes it to `path` as grey of 8 bits, which is what trainers of segmentation read.
    pub(crate) fn write_grey(&self, path: &std::path::Path) -> Result<(), SinkError> {
        write_png(path, self.size, Samples::Gray(&self.narrow()))
    }

    /// Writes it to `path` as grey of 16 bits, whatever its values are.
    pub(crate) fn write_numbers(&self, path: &std::path::Path) -> Result<(), SinkError> {
        write_png(path, self.size, Samples::Gray16(&self.values))
    }

    /// Pixels of each value but background.
    pub(crate) fn areas(&self) -> BTreeMap<u16, u64> {
        let mut areas = BTreeMap::new();
        for run in self.values.chunk_by(|a, b| a == b) {
            if run[0] != 0 {
                *areas.entry(run[0]).or_insert(0) += run.len() as u64;
            }
        }
        areas
    }

    /// The pixels of `value`.
    pub(crate) fn mask(&self, value: u16) -> Option<Mask> {
        let inside: Vec<u8> = self.values.iter().map(|v| (*v == value).into()).collect();
        Mask::from_row_major(self.size, &inside)
    }

    fn narrow(&self) -> Vec<u8> {
        self.values.iter().map(|&value| value as u8).collect()
    }
}

/// `masks/labels.json`: what the values of label maps of classes mean.
pub(crate) fn write_labels(layout: &Layout, classes: &Classes) -> Result<(), SinkError> {
    let named = (1u32..).zip(classes.names());
    let labels: Vec<_> = named
        .map(|(value, name)| json!({"value": value, "class": value - 1, "name": &**name, "color": colour(value - 1)}))
        .collect();
    let path = layout.labels_of_masks();
    let text = serde_json::to_string_pretty(&json!({"background": 0, "labels": labels}))
        .map_err(|e| SinkError::new(&path, e.to_string()))?;
    write_atomic(&path, (text + "\n").as_bytes())
}

/// Label maps at the frame's resolution: PNG with a palette, 0 for background. 16 bits a pixel where there are more than 255
/// classes, or a frame has more than 255 objects. Where masks overlap, the higher score wins; of equal scores, the object that
/// is first. Maps of classes come with `labels.json`.
#[derive(Debug)]
pub struct MasksSink {
    layout: Layout,
    writer: ImageWriter,
    labelling: Labelling,
    classes: Classes,
}

impl MasksSink {
    /// A sink that writes through `writer`, and names the values of classes by `classes`.
    pub fn new(
        layout: Layout,
        writer: ImageWriter,
        labelling: Labelling,
        classes: Classes,
    ) -> Self {
        Self {
            layout,
            writer,
            labelling,
            classes,
        }
    }

    fn mismatch(&self, path: &std::path::Path, found: &Detections) -> Result<(), SinkError> {
        let mut masks = found.objects.iter().filter_map(|o| o.mask.as_ref());
        if let Some(mask) = masks.find(|m| m.size() != found.size) {
            let problem = format!(
                "a mask is {} where the frame is {}",
                mask.size(),
                found.size
            );
            return Err(SinkError::new(path, problem));
        }
        let highest = found
            .objects
            .iter()
            .map(|o| o.class as usize + 1)
            .max()
            .unwrap_or(0);
        let (count, what) = match self.labelling {
            Labelling::Classes => (highest, "a class of the number"),
            Labelling::Objects => (found.objects.len(), "objects in one frame:"),
        };
        if count > usize::from(u16::MAX) {
            let problem = format!("{what} {count} is more than a 16-bit label map can tell apart");
            return Err(SinkError::new(path, problem)
                .with_kind(SinkErrorKind::TooManyObjects)
                .with_remedy("lower the number of objects a frame, or raise the minimum score"));
        }
        Ok(())
    }
}

/// Objects with their positions, such that what is drawn later may cover what was drawn before.
pub(super) fn by_rising_score(objects: &[Object]) -> Vec<(usize, &Object)> {
    let mut order: Vec<(usize, &Object)> = objects.iter().enumerate().rev().collect();
    order.sort_by(|a, b| a.1.score.total_cmp(&b.1.score));
    order
}

impl Sink for MasksSink {
    fn begin_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, frame: &Frame, found: &Detections) -> Result<(), SinkError> {
        let (source, file) = (&frame.source, frame.file.as_deref());
        let path = match self.labelling {
            Labelling::Classes => self.layout.mask(source, frame.index, file),
            Labelling::Objects => self.layout.instances(source, frame.index, file),
        };
        self.mismatch(&path, found)?;
        let (found, labelling) = (found.clone(), self.labelling);
        let known = self.classes.names().len();
        self.writer.submit(move || {
            let value = |at: usize, object: &Object| match labelling {
                Labelling::Classes => object.class as usize + 1,
                Labelling::Objects => at + 1,
            };
            let objects = || found.objects.iter().enumerate();
            let highest = objects()
                .map(|(at, object)| value(at, object))
                .max()
                .unwrap_or(0);
            let masks: Vec<_> = objects()
                .filter_map(|(at, o)| Some((o.score, value(at, o) as u16, o.mask.as_ref()?)))
                .collect();
            let highest = match labelling {
                Labelling::Classes => highest.max(known),
                Labelling::Objects => highest,
            };
            match LabelMap::paint(found.size, &masks) {
                Some(map) => map.write(&path, highest),
                None => Ok(()),
            }
        })
    }

    fn end_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        self.writer.wait()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.writer.wait()?;
        match self.labelling {
            Labelling::Classes => write_labels(&self.layout, &self.classes),
            Labelling::Objects => Ok(()),
        }
    }
}
