//! DICOM Segmentation objects, one for each DICOM source that has masks.

use super::{
    encode::{DicomOutput, encoded},
    groups::frame,
    object::{Uids, class_uid, object},
    options::SegOptions,
    pixels,
    plan::{Geometry, Plan},
};
use crate::{
    datasets::{
        DatasetWriter, Item, Note, VolumeNote, WriteOptions,
        volume::{Collector, HeaderFault, SourceHeader, SourceMasks},
    },
    frame::SourceKind,
    sinks::SinkError,
    text::counted,
};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Writes `seg/NAME.dcm` for each DICOM source that has masks: a DICOM Segmentation that refers to the frames of the source.
///
/// The headers of the source's files are read again, at the paths that the items have. Objects of a class are one segment;
/// tracked objects are segments of their own. A segment has frames for those of the source that have a mask of it; where frames
/// have a geometry, the first segment has empty frames too, for those of the source without any mask. The masks
/// of one source are in memory at a time.
#[derive(Debug)]
pub struct SegWriter {
    folder: PathBuf,
    options: SegOptions,
    sources: Collector,
    notes: Vec<VolumeNote>,
    /// Labels without codes that a note names.
    uncoded: BTreeSet<String>,
}

impl SegWriter {
    /// A writer of `seg/` below [`WriteOptions::root`].
    pub fn new(write: &WriteOptions, options: SegOptions) -> Self {
        Self {
            folder: write.root.join("seg"),
            options,
            sources: Collector::default(),
            notes: Vec::new(),
            uncoded: BTreeSet::new(),
        }
    }

    /// What was left out until now, and why: sources that have no object, pixels that a label map gives to one of two objects,
    /// classes without codes.
    pub fn take_volume_notes(&mut self) -> Vec<VolumeNote> {
        std::mem::take(&mut self.notes)
    }

    fn source(&mut self, masks: Option<SourceMasks>) -> Result<(), SinkError> {
        let Some(masks) = masks else {
            return Ok(());
        };
        let written = self.write(&masks)?;
        if !written.iter().any(|note| note.skipped) {
            let labels = masks.labels.values().map(AsRef::as_ref);
            let uncoded = self.options.codes.missing(labels, &mut self.uncoded);
            let note = uncoded.map(|problem| VolumeNote::partly(&masks.name, problem));
            self.notes.extend(note);
        }
        self.notes.extend(written);
        Ok(())
    }

    fn write(&self, masks: &SourceMasks) -> Result<Vec<VolumeNote>, SinkError> {
        let skipped = |problem: String| Ok(vec![VolumeNote::skipped(&masks.name, problem)]);
        if masks.kind != SourceKind::Dicom {
            return skipped(
                "is not DICOM: there is nothing a segmentation could refer to".to_owned(),
            );
        }
        if let Some(problem) = masks.unusable() {
            return skipped(problem);
        }
        let header = match SourceHeader::read(masks) {
            Ok(header) => header,
            Err(HeaderFault::Unreadable(error)) => return Err(error),
            Err(HeaderFault::Unsuitable(problem)) => return skipped(problem),
        };
        let Some(plan) = Plan::new(masks, &header, &self.options) else {
            let segments = counted(masks.labels.len(), "segment");
            return skipped(format!("has {segments}, one object numbers 65535"));
        };
        let length = pixels::length(&plan, masks.size);
        let Some(length) = u32::try_from(length).ok().filter(|l| *l < u32::MAX) else {
            return skipped(format!(
                "the masks of its {} are {length} bytes, one object holds 4 GiB; fewer frames or segments fit",
                counted(plan.frames.len(), "frame")
            ));
        };
        let path = self.folder.join(format!("{}.dcm", masks.name));
        self.object(&path, masks, &header, &plan, length)?;
        let mut notes = Vec::new();
        if plan.lost {
            notes.push(
                "objects overlap: in the label map the one with the better score has the pixels",
            );
        }
        if matches!(
            plan.geometry,
            Geometry::Source {
                no_thickness: true,
                ..
            }
        ) {
            notes.push("its headers state no Slice Thickness: 1 mm is stated");
        }
        let note = |problem| VolumeNote::partly(&masks.name, problem);
        Ok(notes.into_iter().map(note).collect())
    }

    fn object(
        &self,
        path: &Path,
        masks: &SourceMasks,
        header: &SourceHeader,
        plan: &Plan,
        length: u32,
    ) -> Result<(), SinkError> {
        let encode = |build: super::build::Build| {
            encoded(&build.done())
                .map_err(|e| SinkError::new(path, format!("cannot be encoded as DICOM: {e}")))
        };
        let made = |uids: &Uids| encode(object(masks, header, plan, &self.options, uids));
        let uids = Uids::of(&digest(&made(&Uids::default())?, masks, header));
        let fault = |e: std::io::Error| SinkError::io(path, "write the file", &e);
        let mut file =
            DicomOutput::create(path, class_uid(plan), &uids.instance, self.options.deflate)?;
        std::io::Write::write_all(&mut file, &made(&uids)?).map_err(fault)?;
        file.begin_frames().map_err(fault)?;
        for of in &plan.frames {
            let item = frame(plan, header, &masks.frames, *of)
                .ok_or_else(|| SinkError::new(path, "a frame has no header"))?;
            file.item(&encode(item)?).map_err(fault)?;
        }
        file.end_frames().map_err(fault)?;
        file.begin_pixels(length, plan.bits).map_err(fault)?;
        pixels::write(&mut file, plan, masks).map_err(fault)?;
        file.finish(path)
    }
}

/// A digest of all that an object holds: the data set with its own UIDs left empty, the frames referred to, the masks.
fn digest(data_set: &[u8], masks: &SourceMasks, header: &SourceHeader) -> Vec<u8> {
    let mut hasher = Sha256::new();
    hasher.update(data_set);
    for (frame, source) in masks.frames.iter().zip(&header.frames) {
        let numbers = [
            source.instance as u64,
            source.number.unwrap_or(0),
            frame.masks.len() as u64,
        ];
        hasher.update(numbers.map(u64::to_le_bytes).concat());
        for (key, mask) in &frame.masks {
            let track = key.track.map_or(0, |track| track.wrapping_add(1));
            let numbers = [u64::from(key.class), track, mask.counts().len() as u64];
            hasher.update(numbers.map(u64::to_le_bytes).concat());
            for count in mask.counts() {
                hasher.update(count.to_le_bytes());
            }
        }
    }
    hasher.finalize().to_vec()
}

impl DatasetWriter for SegWriter {
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
