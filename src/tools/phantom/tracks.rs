//! Tracks of a sequence as trackers and their evaluation read them: MOTChallenge for boxes, MOTS for masks.
//!
//! | file | a line an object and frame |
//! |---|---|
//! | `gt/gt.txt` | `frame,id,left,top,width,height,1,class,visibility` |
//! | `mots/gt.txt` | `frame id class height width counts` |
//!
//! Frames count from 1, classes are those of `coco.json`, boxes its boxes: pixels, the upper left corner of the image at 0, 0.
//! An id is the track's number, in MOTS 1000 × class + number. Masks of MOTS do not overlap: a pixel belongs to the
//! uppermost object, as in the label map. `seqinfo.ini` states the sequence's length and size.
//! Formats: Milan et al., "MOT16" (arXiv:1603.00831); Voigtlaender et al., "MOTS" (CVPR 2019).

use crate::{
    coco::Rle,
    frame::Mask,
    phantom::{GroundTruth, Phantom, PhantomFrame},
    sinks::{AtomicFile, SinkError, write_atomic},
    tools::phantom::{
        paths::{SequencePaths, folder_name},
        plan::PhantomFiles,
    },
};
use std::{fmt::Write as _, io::Write as _};

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
    format!(
        "[Sequence]\nname={}\nimDir=frames\nframeRate={}\nseqLength={}\nimWidth={}\nimHeight={}\nimExt=.png\n",
        folder_name(options.seed),
        options.frame_rate,
        options.frames,
        options.size.width,
        options.size.height,
    )
}

fn category(object: &GroundTruth) -> u32 {
    object.class as u32 + 1
}

fn box_lines(frame: &PhantomFrame) -> String {
    let mut text = String::new();
    for object in &frame.objects {
        let [left, top, width, height] = object.bbox.to_coco();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{},{},{left},{top},{width},{height},1,{},{}",
            u64::from(frame.index) + 1,
            object.track_id,
            category(object),
            object.visibility,
        );
    }
    text
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
        lines.push(format!(
            "{} {} {} {} {} {}\n",
            u64::from(frame.index) + 1,
            1000 * category(object) + object.track_id,
            category(object),
            size.height,
            size.width,
            Rle::of(&mask).counts,
        ));
    }
    lines.into_iter().rev().collect()
}
