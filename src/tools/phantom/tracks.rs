//! Tracks of a sequence as trackers and their evaluation read them: MOTChallenge for boxes, MOTS for masks.
//!
//! | file | a line an object and frame |
//! |---|---|
//! | `gt/gt.txt` | `frame,id,left,top,width,height,1,class,visibility` |
//! | `mots/gt.txt` | `frame id class height width counts` |
//! | `labels.txt` beside either | names of the classes, the first line is class 1 |
//!
//! Frames count from 1, classes are those of `coco.json`, boxes its boxes: pixels, the upper left corner of the image at 0, 0.
//! An id is the track's number, in MOTS 1000 × class + number. Masks of MOTS do not overlap: a pixel belongs to the
//! uppermost object, as in the label map. `seqinfo.ini` states the sequence's length and size.
//! Formats: Milan et al., "MOT16" (arXiv:1603.00831); Voigtlaender et al., "MOTS" (CVPR 2019).

use crate::{
    coco::Rle,
    datasets::mot::{INSTANCES, Info, LABELS, MotRow, MotsRow},
    frame::Mask,
    phantom::{CLASS_NAMES, GroundTruth, Phantom, PhantomFrame},
    sinks::{AtomicFile, SinkError, write_atomic},
    tools::phantom::{
        paths::{SequencePaths, folder_name},
        plan::PhantomFiles,
    },
};
use std::io::Write as _;

/// The files while their sequence is rendered.
pub(crate) struct TrackFiles {
    boxes: Option<AtomicFile>,
    masks: Option<AtomicFile>,
}

impl TrackFiles {
    /// Starts the requested files.
    pub(crate) fn create(
        paths: &SequencePaths<'_>,
        phantom: &Phantom,
        files: PhantomFiles,
    ) -> Result<Self, SinkError> {
        if files.mot || files.mots {
            write_atomic(&paths.sequence_info(), sequence_info(phantom).as_bytes())?;
        }
        let names: String = CLASS_NAMES.iter().map(|name| format!("{name}\n")).collect();
        for (requested, path) in [(files.mot, paths.mot()), (files.mots, paths.mots())] {
            if requested {
                write_atomic(&path.with_file_name(LABELS), names.as_bytes())?;
            }
        }
        let start = |requested: bool, path| requested.then(|| AtomicFile::create(path)).transpose();
        Ok(Self {
            boxes: start(files.mot, &paths.mot())?,
            masks: start(files.mots, &paths.mots())?,
        })
    }

    /// Adds the objects of the next frame.
    pub(crate) fn write(&mut self, frame: &PhantomFrame) -> Result<(), SinkError> {
        let lines = [
            (&mut self.boxes, box_lines as fn(&PhantomFrame) -> String),
            (&mut self.masks, mask_lines),
        ];
        for (file, lines) in lines {
            if let Some(file) = file {
                file.write_all(lines(frame).as_bytes())
                    .map_err(|e| file.error(&e))?;
            }
        }
        Ok(())
    }

    /// Gives the files their names.
    pub(crate) fn finish(self) -> Result<(), SinkError> {
        [self.boxes, self.masks]
            .into_iter()
            .flatten()
            .try_for_each(AtomicFile::commit)
    }
}

fn sequence_info(phantom: &Phantom) -> String {
    let options = phantom.options();
    let info = Info {
        name: Some(folder_name(options.seed)),
        frame_rate: Some(options.frame_rate),
        length: Some(u64::from(options.frames)),
        size: Some(options.size),
    };
    info.text("frames")
}

fn category(object: &GroundTruth) -> u32 {
    object.class as u32 + 1
}

fn box_lines(frame: &PhantomFrame) -> String {
    let lines = frame.objects.iter().map(|object| {
        MotRow::line(
            u64::from(frame.index) + 1,
            object.track_id.into(),
            object.bbox.to_coco(),
            (1.0, category(object).into(), object.visibility),
        )
    });
    lines.collect()
}

fn mask_lines(frame: &PhantomFrame) -> String {
    let size = frame.image.size();
    let mut taken = vec![0u8; frame.label_map.data().len()];
    let mut lines: Vec<String> = Vec::new();
    for object in frame.objects.iter().rev() {
        let mut pixels = object.mask.to_row_major();
        for (pixel, taken) in pixels.iter_mut().zip(&mut taken) {
            (*pixel, *taken) = (*pixel & (1 - *taken), *taken | *pixel);
        }
        let Some(mask) = Mask::from_row_major(size, &pixels).filter(|mask| mask.area() > 0) else {
            continue;
        };
        let class = category(object);
        let row = MotsRow {
            frame: u64::from(frame.index) + 1,
            id: INSTANCES * u64::from(class) + u64::from(object.track_id),
            class,
            size,
            counts: &Rle::of(&mask).counts,
        };
        let mut line = String::new();
        row.write(&mut line);
        lines.push(line);
    }
    lines.into_iter().rev().collect()
}
