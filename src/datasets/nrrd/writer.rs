//! NRRD files for 3D Slicer, for each source that has masks.

use super::{
    axes::layout,
    layers::{count, flattened, segments},
    text::{segmentation, sequence},
    voxels::{self, Files},
};
use crate::{
    datasets::{
        DatasetWriter, Item, Note, VolumeNote, WriteOptions,
        seg::SegCodes,
        volume::{Collector, HeaderFault, SourceHeader, SourceMasks},
    },
    frame::SourceKind,
    sinks::SinkError,
    text::counted,
};
use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
};

/// Writes `nrrd/NAME.seg.nrrd` for each source that has masks, and `nrrd/NAME.seq.nrrd` where its frames follow one another in
/// time.
///
/// A `.seg.nrrd` file is a 3D Slicer segmentation of all frames of the source, one behind the other. Slices of a DICOM series
/// are where their headers say, which are read again; frames of others lie 1 mm apart, at the spacing of the pixels, or 1 mm
/// where that is not known. Objects of a class are one segment, tracked objects segments of their own; segments that share
/// pixels are in layers of their own. A `.seq.nrrd` file is a sequence of label maps, in which the object with the best score
/// has the pixels that objects share. The masks of one source are in memory at a time.
#[derive(Debug)]
pub struct NrrdWriter {
    folder: PathBuf,
    codes: SegCodes,
    sources: Collector,
    names: HashSet<String>,
    notes: Vec<VolumeNote>,
    /// Labels without codes that a note names.
    uncoded: BTreeSet<String>,
}

impl NrrdWriter {
    /// A writer of `nrrd/` below [`WriteOptions::root`].
    pub fn new(write: &WriteOptions, codes: SegCodes) -> Self {
        Self {
            folder: write.root.join("nrrd"),
            codes,
            sources: Collector::default(),
            names: HashSet::new(),
            notes: Vec::new(),
            uncoded: BTreeSet::new(),
        }
    }

    /// What was left out until now, and why: sources that have no file, geometry of no use, pixels that a sequence gives to one of
    /// two objects, classes without codes.
    pub fn take_volume_notes(&mut self) -> Vec<VolumeNote> {
        std::mem::take(&mut self.notes)
    }

    fn source(&mut self, masks: Option<SourceMasks>) -> Result<(), SinkError> {
        let Some(masks) = masks else {
            return Ok(());
        };
        if let Some(problem) = masks.unusable() {
            self.notes.push(VolumeNote::skipped(&masks.name, problem));
            return Ok(());
        }
        let mut name = masks.name.to_string();
        if !self.names.insert(name.clone()) {
            // Two pictures that differ in their extensions alone.
            name.clone_from(&masks.first_name);
            self.names.insert(name.clone());
        }
        let mut problems = self.write(&name, &masks)?;
        let labels = masks.labels.values().map(AsRef::as_ref);
        problems.extend(self.codes.missing(labels, &mut self.uncoded));
        let notes = problems
            .into_iter()
            .map(|problem| VolumeNote::partly(&masks.name, problem));
        self.notes.extend(notes);
        Ok(())
    }

    fn write(&self, name: &str, masks: &SourceMasks) -> Result<Vec<String>, SinkError> {
        let (header, fault) =
            match (masks.kind == SourceKind::Dicom).then(|| SourceHeader::read(masks)) {
                None => (None, None),
                Some(Ok(header)) => (Some(header), None),
                Some(Err(HeaderFault::Unreadable(error))) => return Err(error),
                Some(Err(HeaderFault::Unsuitable(problem))) => {
                    (None, Some(format!("its headers are not used: {problem}")))
                }
            };
        let layout = layout(masks, header.as_ref());
        let mut problems: Vec<String> = fault.into_iter().chain(layout.problem).collect();
        let path = |kind: &str| self.folder.join(format!("{name}.{kind}.nrrd"));
        let Some(found) = segments(masks) else {
            return Err(too_many(&path("seg"), masks));
        };
        let header = segmentation(masks, &found, &layout.volume, &self.codes);
        let mut files = vec![(path("seg"), header)];
        match layout.cine {
            None => voxels::write(Files::create(files)?, masks, &found)?,
            // The same voxels, of which one file says that they lie behind one another and the other that they follow in time.
            Some(axes) if count(&found) == 1 => {
                files.push((path("seq"), sequence(masks, &found, &axes)));
                voxels::write(Files::create(files)?, masks, &found)?;
            }
            Some(axes) => {
                voxels::write(Files::create(files)?, masks, &found)?;
                let flat = flattened(&found).ok_or_else(|| too_many(&path("seq"), masks))?;
                let file = (path("seq"), sequence(masks, &flat, &axes));
                voxels::write(Files::create(vec![file])?, masks, &flat)?;
                problems.push(
                    "objects overlap: in .seq.nrrd the one with the better score has the pixels; .seg.nrrd has all"
                        .to_owned(),
                );
            }
        }
        Ok(problems)
    }
}

fn too_many(path: &Path, masks: &SourceMasks) -> SinkError {
    let segments = counted(masks.labels.len(), "segment");
    SinkError::new(
        path,
        format!("would hold {segments}, a label map has 65535 values"),
    )
}

impl DatasetWriter for NrrdWriter {
    fn item(&mut self, item: &Item) -> Result<(), SinkError> {
        let before = self.sources.add(item);
        self.source(before)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let last = self.sources.take();
        self.source(last)
    }

    fn take_notes(&mut self) -> Vec<Note> {
        let notes = self.take_volume_notes();
        notes.into_iter().map(Note::from).collect()
    }
}
