//! The record of a run as a data set.

use super::item::{Annotation, Item, Outline, Place};
use crate::{
    coco::Classes,
    frame::{Physical, SourceKind},
    geometry::{BoxXyxy, Size},
    sinks::{ChangeLine, Lines, ObjectLine, RecordLine, SinkError, SourceFacts},
};
use serde::Deserialize;
use std::{borrow::Cow, collections::BTreeMap, path::Path, sync::Arc};

/// Highest number of a class that gets a name of its own: lists of names are written up to the highest.
const MAX_CLASS: u32 = 99_999;

/// The items of a record, in its order, one at a time.
#[derive(Debug)]
pub(crate) struct RecordItems {
    lines: Lines,
    /// Of the source that the last line was of: its number, name, path and facts.
    source: Option<(usize, Arc<str>, Arc<str>, Facts)>,
    labels: BTreeMap<u32, Arc<str>>,
}

#[derive(Debug, Default)]
struct Facts {
    frame_rate: Option<f64>,
    attributes: Arc<BTreeMap<String, String>>,
}

impl RecordItems {
    /// The items of the record at `path`.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, SinkError> {
        Ok(Self {
            lines: Lines::open(path, 0)?,
            source: None,
            labels: BTreeMap::new(),
        })
    }

    /// The next item; none at the end.
    ///
    /// # Errors
    /// [`SinkError`] if a line cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<Item>, SinkError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let line: RecordLine<'_> = self.lines.parse()?;
        let known = matches!(&self.source, Some((number, ..)) if *number == line.source_index);
        if !known {
            let facts: SourceFacts = line.source_info.clone().unwrap_or_default();
            self.source = Some((
                line.source_index,
                Arc::from(&*line.source),
                Arc::from(&*line.path),
                Facts {
                    frame_rate: facts.frame_rate,
                    attributes: Arc::new(facts.attributes),
                },
            ));
        }
        let place = self.source.as_ref().and_then(|(_, source, path, facts)| {
            (line.kind != SourceKind::Image).then(|| Place {
                source: Arc::clone(source),
                kind: line.kind,
                path: Arc::clone(path),
                file: line.file.as_deref().map(str::to_owned),
                frame: line.frame,
                timestamp: line.timestamp,
                frame_rate: facts.frame_rate,
                attributes: Arc::clone(&facts.attributes),
            })
        });
        let labels = &mut self.labels;
        let annotations = line
            .objects
            .iter()
            .map(|object| annotation(object, labels))
            .collect::<Result<_, _>>()
            .map_err(|problem| self.lines.broken(&problem))?;
        Ok(Some(Item {
            file_name: line.image_name().into_owned(),
            original: original(&line),
            size: Size::new(line.width, line.height),
            place,
            annotations,
            physical: line.physical.as_deref().cloned().map(|p: Physical| p),
            exif_orientation: line.exif_orientation,
            changes: (line.visibility_changes.iter())
                .map(ChangeLine::to_change)
                .collect(),
        }))
    }
}

/// The file as it was given that holds the picture and nothing else, if there is one.
fn original(line: &RecordLine<'_>) -> Option<String> {
    match line.kind {
        SourceKind::Image => Some(line.path.to_string()),
        SourceKind::Sequence => line.file.as_deref().map(str::to_owned),
        SourceKind::Video | SourceKind::Dicom => None,
    }
}

fn annotation(
    object: &ObjectLine<'_>,
    labels: &mut BTreeMap<u32, Arc<str>>,
) -> Result<Annotation, String> {
    let label = labels
        .entry(object.class)
        .or_insert_with(|| Arc::from(&*object.label));
    if **label != *object.label {
        *label = Arc::from(&*object.label);
    }
    let mask = match &object.mask {
        Some(rle) => Some(
            rle.to_mask()
                .ok_or("a mask's counts do not fill its size")?,
        ),
        None => None,
    };
    let [x0, y0, x1, y1] = object.bbox;
    let own = BoxXyxy::new(x0, y0, x1, y1);
    Ok(Annotation {
        class: object.class,
        label: Arc::clone(label),
        bbox: mask.as_ref().map_or(own, |mask| {
            mask.bounds().unwrap_or(BoxXyxy::new(0., 0., 0., 0.))
        }),
        outline: mask.map(Outline::Mask),
        score: Some(object.score),
        mask_score: object.mask_score,
        track_id: object.track_id,
        visibility: object.visibility,
        visibility_score: object.visibility_score,
    })
}

/// All class names of the record at `path`: those of `known`, and of classes beyond them as the record names them. With the number
/// of its lines.
///
/// # Errors
/// [`SinkError`] if the record cannot be read.
pub(crate) fn class_names(path: &Path, known: &Classes) -> Result<(Vec<Arc<str>>, u64), SinkError> {
    let mut count = 0;
    let mut names: BTreeMap<u32, Arc<str>> = (0u32..).zip(known.names().iter().cloned()).collect();
    let mut lines = Lines::open(path, 0)?;
    while lines.advance()? {
        let line: NamesLine<'_> = lines.parse()?;
        count += 1;
        for object in line.objects {
            names
                .entry(object.class)
                .or_insert_with(|| Arc::from(&*object.label));
        }
    }
    // A class far beyond the rest would take as many names.
    let highest = names
        .keys()
        .next_back()
        .map_or(0, |c| (*c).min(MAX_CLASS) + 1);
    let name = |c| {
        let known = names.remove(&c);
        known.unwrap_or_else(|| format!("class {c}").into())
    };
    Ok(((0..highest).map(name).collect(), count))
}

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
