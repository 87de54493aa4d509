//! Writing COCO files piece by piece, because they are larger than what should be held in memory.

use crate::coco::dataset::Info;
use serde::Serialize;
use std::io::{self, Write};

/// A list of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Videos,
    Images,
    Annotations,
    Categories,
}

impl Section {
    fn name(self) -> &'static str {
        match self {
            Self::Videos => "videos",
            Self::Images => "images",
            Self::Annotations => "annotations",
            Self::Categories => "categories",
        }
    }
}

/// Writes entries, one a line.
#[derive(Debug)]
pub(crate) struct Writer<W> {
    out: W,
    first: bool,
}

impl<W: Write> Writer<W> {
    /// A writer of entries alone: a part of a list that is put together elsewhere.
    pub(crate) fn entries(out: W) -> Self {
        Self { out, first: true }
    }

    /// Starts a data set.
    pub(crate) fn dataset(&mut self, info: &Info<'_>) -> io::Result<()> {
        self.text("{\"info\":")?;
        serde_json::to_writer(&mut self.out, info)?;
        self.text(",\"licenses\":[]")
    }

    /// Starts a list of the data set.
    pub(crate) fn begin(&mut self, section: Section) -> io::Result<()> {
        self.first = true;
        self.text(&format!(",\"{}\":[", section.name()))
    }

    /// Writes an entry of the list.
    pub(crate) fn item(&mut self, item: &impl Serialize) -> io::Result<()> {
        self.text(if self.first { "\n" } else { ",\n" })?;
        self.first = false;
        Ok(serde_json::to_writer(&mut self.out, item)?)
    }

    /// Ends the list.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.text("\n]")
    }

    /// Ends the data set, after its last list.
    pub(crate) fn end_dataset(&mut self) -> io::Result<()> {
        self.text("}\n")
    }

    /// Starts a results list.
    pub(crate) fn results(&mut self) -> io::Result<()> {
        self.first = true;
        self.text("[")
    }

    /// Ends the results list.
    pub(crate) fn end_results(&mut self) -> io::Result<()> {
        self.text("\n]\n")
    }

    /// What it writes to.
    pub(crate) fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// What it wrote to.
    pub(crate) fn into_inner(self) -> W {
        self.out
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        coco::{
            annotation::Annotation,
            dataset::{Category, Image},
            lazy::Lazy,
            reader::{CocoFile, parse, parse_dataset},
            segmentation::{Rle, Segmentation},
        },
        frame::Mask,
        geometry::Size,
    };
    use proptest::{collection, option, prelude::*};

    const SIZE: Size = Size::new(5, 7);

    fn finite() -> impl Strategy<Value = f32> {
        any::<f32>().prop_filter("JSON has finite numbers alone", |v| v.is_finite())
    }

    fn annotation() -> impl Strategy<Value = Annotation<'static, f32>> {
        let pixels = collection::vec(0u8..2, SIZE.pixels() as usize);
        let ids = (option::of(any::<i64>()), any::<i64>(), any::<i64>());
        let numbers = (
            option::of(collection::vec(finite(), 4)),
            option::of(finite()),
            option::of(finite()),
            option::of(any::<u32>()),
        );
        (ids, numbers, option::of(pixels)).prop_map(|(ids, numbers, pixels)| {
            let mask = pixels.and_then(|pixels| Mask::from_row_major(SIZE, &pixels));
            Annotation {
                id: ids.0,
                bbox: numbers.0,
                area: mask.as_ref().map(|mask| mask.area() as f64),
                segmentation: mask.map(|mask| Lazy::Value(Segmentation::Rle(Rle::of(&mask)))),
                score: numbers.1,
                mask_score: numbers.2,
                track_id: numbers.3,
                ..Annotation::new(ids.1, ids.2)
            }
        })
    }

    fn same(written: &Annotation<'_, f32>, read: &Annotation<'_, f32>) -> bool {
        let bits = |numbers: &Option<Vec<f32>>| -> Option<Vec<u32>> {
            let numbers = numbers.as_ref()?;
            Some(numbers.iter().map(|v| v.to_bits()).collect())
        };
        let outline = |of: &Annotation<'_, f32>| {
            let found = of.segmentation.as_ref().map(|s| s.get().unwrap());
            found.map(|s| serde_json::to_string(&s).unwrap())
        };
        let ids = |of: &Annotation<'_, f32>| (of.id, of.image_id, of.category_id, of.track_id);
        ids(written) == ids(read)
            && bits(&written.bbox) == bits(&read.bbox)
            && written.score.map(f32::to_bits) == read.score.map(f32::to_bits)
            && written.mask_score.map(f32::to_bits) == read.mask_score.map(f32::to_bits)
            && written.area == read.area
            && outline(written) == outline(read)
    }

    proptest! {
        #[test]
        fn data_sets_come_back(
            annotations in collection::vec(annotation(), 0..5),
            names in collection::vec(".{0,8}", 0..4),
        ) {
            let mut text = Vec::new();
            let mut writer = Writer::entries(&mut text);
            writer.dataset(&Info::new("a test")).unwrap();
            writer.begin(Section::Images).unwrap();
            for (id, name) in (0i64..).zip(&names) {
                let image = format!(r#"{{"id":{id},"file_name":{}}}"#, serde_json::json!(name));
                let image: Image<'_> = serde_json::from_str(&image).unwrap();
                writer.item(&image).unwrap();
            }
            writer.end().unwrap();
            writer.begin(Section::Annotations).unwrap();
            for annotation in &annotations {
                writer.item(annotation).unwrap();
            }
            writer.end().unwrap();
            writer.begin(Section::Categories).unwrap();
            for (id, name) in (0i64..).zip(&names) {
                writer.item(&Category::new(id, name.as_str())).unwrap();
            }
            writer.end().unwrap();
            writer.end_dataset().unwrap();

            let found = parse_dataset::<f32>(&text).unwrap();
            let files: Vec<_> = found.images.iter().map(|i| i.file_name.as_deref()).collect();
            prop_assert_eq!(files, names.iter().map(|n| Some(n.as_str())).collect::<Vec<_>>());
            let categories = found.categories.unwrap();
            prop_assert!(categories.iter().map(|c| &*c.name).eq(names.iter().map(String::as_str)));
            prop_assert_eq!(found.annotations.len(), annotations.len());
            for (written, read) in annotations.iter().zip(&found.annotations) {
                prop_assert!(same(written, read), "{:?} {:?}", written, read);
            }
        }

        #[test]
        fn results_lists_come_back(entries in collection::vec(annotation(), 0..5)) {
            let mut text = Vec::new();
            let mut writer = Writer::entries(&mut text);
            writer.results().unwrap();
            for entry in &entries {
                writer.item(entry).unwrap();
            }
            writer.end_results().unwrap();
            let Ok(CocoFile::Results(found)) = parse::<f32>(&text) else {
                return Err(TestCaseError::fail("not read as a list"));
            };
            prop_assert_eq!(found.len(), entries.len());
            for (written, read) in entries.iter().zip(&found) {
                prop_assert!(same(written, read), "{:?} {:?}", written, read);
            }
        }
    }
}
