//! `mots/`: masks of tracked objects.

use super::{
    row::{INSTANCES, MotsRow},
    sequence::{Sequence, Sequences},
};
use crate::{
    coco::rle::encode_counts,
    datasets::{
        item::{Annotation, Item},
        writer::{DatasetWriter, Note, WriteOptions},
    },
    frame::Mask,
    geometry::Size,
    sinks::{LabelMap, SinkError, write_atomic},
    text::counted,
};
use rayon::prelude::*;
use std::{borrow::Cow, collections::BTreeMap, path::PathBuf};

/// Highest class whose objects have numbers of 16 bits.
const MAX_CLASS: u64 = 64;

/// Pixels and pictures that wait for others to be written with them.
const WAITING: usize = 1 << 24;
const MOST_WAITING: usize = 32;

/// Writes MOTS for each video, DICOM source and numbered sequence, objects that have a track and a mask alone:
///
/// | path | what |
/// |---|---|
/// | `mots/sequences/NAME/gt/gt.txt`, `mots/data/NAME.txt` | `frame id class height width counts`, COCO's run lengths |
/// | `mots/sequences/NAME/gt/labels.txt` | names of the classes, the first line is class 1 |
/// | `mots/sequences/NAME/seqinfo.ini` | name, frames a second, number of frames, size |
/// | `mots/sequences/NAME/instances/000001.png` | the frame's objects as numbers of 16 bits, 0 is background |
/// | `mots/sequences/NAME/instances/labels.txt` | names of the classes |
///
/// Frames and classes are numbered from 1. An object's number is class × 1000 + track, so tracks above 999 and classes above
/// 64 are left out, with a note. Masks do not overlap in MOTS: where they do, the higher score has the pixel.
pub struct MotsWriter {
    sequences: Sequences,
    /// By source: objects without a mask, objects whose number does not fit.
    left_out: BTreeMap<String, [usize; 2]>,
    /// The list of names in the folder of pictures of the last sequence.
    labelled: Option<PathBuf>,
    /// Pictures that wait to be written side by side.
    pictures: Vec<(PathBuf, LabelMap)>,
}

/// An object with its number and mask.
struct Numbered<'a> {
    value: u16,
    object: &'a Annotation,
    mask: Cow<'a, Mask>,
}

impl MotsWriter {
    /// A writer below [`WriteOptions::root`].
    pub fn new(options: &WriteOptions) -> Self {
        let root = options.root.join("mots");
        Self {
            sequences: Sequences::new(root, "MOTS", options.classes.names()),
            left_out: BTreeMap::new(),
            labelled: None,
            pictures: Vec::new(),
        }
    }

    fn write_pictures(&mut self) -> Result<(), SinkError> {
        let pictures = std::mem::take(&mut self.pictures);
        pictures
            .par_iter()
            .try_for_each(|(path, map)| map.write_numbers(path))
    }
}

impl DatasetWriter for MotsWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        let labels = self.sequences.labels().to_owned();
        let Some((sequence, frame)) = self.sequences.of(item)? else {
            return Ok(());
        };
        let names = sequence.folder().join("instances/labels.txt");
        if self.labelled.as_ref() != Some(&names) {
            write_atomic(&names, labels.as_bytes())?;
            self.labelled = Some(names);
        }
        let mut left_out = [0; 2];
        let objects = numbered(sequence, item, &mut left_out);
        if left_out != [0; 2] {
            let total = self.left_out.entry(item.source().to_owned()).or_default();
            total.iter_mut().zip(left_out).for_each(|(t, n)| *t += n);
        }
        let path = sequence.folder().join(format!("instances/{frame:06}.png"));
        let misfit = || {
            let problem = format!(
                "a mask of {} does not fit its picture of {}",
                item.file_name, item.size
            );
            SinkError::new(&path, problem)
        };
        let (map, rows) = painted(&objects, item.size, frame).ok_or_else(misfit)?;
        sequence.add(&rows, &rows)?;
        self.pictures.push((path, map));
        let pixels = item.size.pixels().max(1) as usize;
        if self.pictures.len() >= (WAITING / pixels).clamp(1, MOST_WAITING) {
            self.write_pictures()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.write_pictures()?;
        self.sequences.finish()?;
        for (source, [unmasked, unnumbered]) in std::mem::take(&mut self.left_out) {
            if unmasked > 0 {
                let problem = format!(
                    "{} without a mask left out of MOTS",
                    counted(unmasked, "object")
                );
                self.sequences.note(source.clone(), problem);
            }
            if unnumbered > 0 {
                let problem = format!(
                    "{} left out of MOTS, which has no numbers for tracks above 999 and classes above {MAX_CLASS}",
                    counted(unnumbered, "object")
                );
                self.sequences.note(source, problem);
            }
        }
        Ok(())
    }

    fn take_notes(&mut self) -> Vec<Note> {
        self.sequences.take_notes()
    }
}

/// The picture of the objects and their rows; none if a mask is of another size.
fn painted(objects: &[Numbered<'_>], size: Size, frame: u64) -> Option<(LabelMap, String)> {
    let masks: Vec<_> = objects
        .iter()
        .map(|o| (o.object.score.unwrap_or(1.0), o.value, &*o.mask))
        .collect();
    let map = LabelMap::paint(size, &masks)?;
    let areas = map.areas();
    let mut rows = String::new();
    for one in objects {
        let left = areas.get(&one.value).copied().unwrap_or(0);
        if left == 0 {
            continue;
        }
        // A mask that nothing lies on is as it was.
        let mask = match left == one.mask.area() {
            true => Cow::Borrowed(&*one.mask),
            false => Cow::Owned(map.mask(one.value)?),
        };
        let row = MotsRow {
            frame,
            id: u64::from(one.value),
            class: u32::from(one.value) / INSTANCES as u32,
            size,
            counts: &encode_counts(mask.counts()),
        };
        row.write(&mut rows);
    }
    Some((map, rows))
}

/// The objects of `item` that MOTS can hold; counts those without a mask and those without a number.
fn numbered<'a>(
    sequence: &mut Sequence,
    item: &'a Item,
    left_out: &mut [usize; 2],
) -> Vec<Numbered<'a>> {
    let mut objects = Vec::new();
    for (id, object) in sequence.tracked(item) {
        let class = u64::from(object.class) + 1;
        let outline = object.outline.as_ref();
        let mask = outline.and_then(|outline| outline.to_mask(item.size));
        let fits = id < INSTANCES && class <= MAX_CLASS;
        match mask.filter(|mask| mask.area() > 0) {
            None => left_out[0] += 1,
            Some(_) if !fits => left_out[1] += 1,
            Some(mask) => objects.push(Numbered {
                value: (class * INSTANCES + id) as u16,
                object,
                mask,
            }),
        }
    }
    objects
}
