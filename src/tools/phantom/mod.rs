//! Phantom sequences to files: frames, label maps, clips, and the ground truth as COCO.
//!
//! A sequence's folder holds, as far as asked for:
//!
//! | path | what |
//! |---|---|
//! | `frames/NNNNNN.png` | the frames, 8-bit grey, numbered from 000000 |
//! | `labels/NNNNNN.png` | label maps: 0 background, else class id + 1 |
//! | `clip.mp4` | the frames as a video |
//! | `clip.dcm` | the frames as multi-frame ultrasound DICOM |
//! | `coco.json` | the ground truth; written last, so that a folder that has it is complete |
//!
//! One sequence lies in the output folder itself, several lie in folders `seed-NNNNNN` below it; the output folder's own
//! `coco.json` then holds the ground truth of all. `phantom.json` in the output folder states what was asked for, and marks the folder as one that may be overwritten.

mod folder;
mod merged;
mod sequence;
mod truth;

use crate::{
    phantom::{CLASS_NAMES, PhantomError, PhantomOptions, dicom::DicomWriteError},
    run::Cancel,
    sinks::SinkError,
};
use folder::PhantomFolder;
use std::{
    collections::BTreeMap,
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Kinds of files to write beside the ground truth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PhantomFiles {
    /// `frames/` and `labels/`.
    pub png: bool,
    /// `clip.mp4`: H.264 where FFmpeg has that encoder, else MPEG-4.
    pub mp4: bool,
    /// `clip.dcm`, not compressed; its pixels are held in memory until the sequence ends.
    pub dicom: bool,
}

/// Sequences to write.
#[derive(Debug, Clone)]
pub struct PhantomPlan {
    /// The first sequence; those after it count its seed up.
    pub options: PhantomOptions,
    /// How many sequences.
    pub sequences: NonZeroU64,
    /// What to write.
    pub files: PhantomFiles,
    /// Where.
    pub output: PathBuf,
    /// Whether phantom sequences that are in the folder are removed first; else it must be empty.
    pub overwrite: bool,
    /// Ends the run between frames.
    pub cancel: Cancel,
}

/// What happens while sequences are written; told from several threads.
#[derive(Debug)]
pub enum PhantomEvent<'a> {
    /// A frame is on the disk, or in the clips that were asked for.
    FrameDone,
    /// A sequence is complete.
    SequenceDone(&'a SequenceSummary),
}

/// A complete sequence.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SequenceSummary {
    /// Its seed.
    pub seed: u64,
    /// Its folder.
    pub folder: PathBuf,
    /// Length.
    pub frames: u64,
    /// Frames without an object.
    pub empty_frames: u64,
    /// Objects over all frames, by class.
    pub objects: BTreeMap<&'static str, u64>,
}

/// What a run has written.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PhantomSummary {
    /// The output folder.
    pub output: PathBuf,
    /// Complete sequences.
    pub sequences: u64,
    /// Frames of complete sequences.
    pub frames: u64,
    /// Those without an object.
    pub empty_frames: u64,
    /// Objects over all frames, by class.
    pub objects: BTreeMap<&'static str, u64>,
    /// Whether the run was ended before all sequences were written.
    pub interrupted: bool,
}

/// Why sequences could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PhantomRunError {
    /// No sequence can be made from the options.
    #[error(transparent)]
    Options(#[from] PhantomError),
    /// The seeds of the sequences run beyond 64 bits.
    #[error("phantom seeds {first} to {first} + {sequences} exceed 64 bits; start at a lower seed")]
    Seeds {
        /// Seed of the first.
        first: u64,
        /// How many.
        sequences: u64,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The DICOM file cannot be written.
    #[error(transparent)]
    Dicom(Box<DicomWriteError>),
}

impl From<DicomWriteError> for PhantomRunError {
    fn from(error: DicomWriteError) -> Self {
        Self::Dicom(Box::new(error))
    }
}

/// How many bytes of pixels the frames that wait for their writer may hold, over all sequences at work.
const PIXELS_AHEAD: u64 = 1 << 26;

impl PhantomPlan {
    /// Whether the options can be met, before anything is made.
    ///
    /// # Errors
    /// [`PhantomRunError::Options`] or [`PhantomRunError::Seeds`].
    pub fn check(&self) -> Result<(), PhantomRunError> {
        self.options.check()?;
        let (first, sequences) = (self.options.seed, self.sequences.get());
        first
            .checked_add(sequences - 1)
            .map(|_| ())
            .ok_or(PhantomRunError::Seeds { first, sequences })
    }

    /// Writes the sequences, several at a time where there are several threads in rayon's pool, and tells `observer`.
    ///
    /// # Errors
    /// [`PhantomRunError`] as [`PhantomPlan::check`], or if the folder or a file cannot be written: sequences that were
    /// complete before stay.
    pub fn run(
        &self,
        observer: &(dyn Fn(PhantomEvent<'_>) + Sync),
    ) -> Result<PhantomSummary, PhantomRunError> {
        self.check()?;
        let _folder = PhantomFolder::prepare(self)?;
        let (done, next, stop) = (
            Mutex::new(self.nothing_yet()),
            AtomicU64::new(0),
            Cancel::default(),
        );
        let failed: Mutex<Option<PhantomRunError>> = Mutex::new(None);
        let at_work = self.at_work();
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.sequences.get()
                    || stop.is_requested()
                    || self.cancel.is_requested()
                {
                    return;
                }
                match self.write_sequence(number, at_work, &stop, observer) {
                    Ok(Some(sequence)) => {
                        done.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .add(&sequence);
                        observer(PhantomEvent::SequenceDone(&sequence));
                    }
                    Ok(None) => return,
                    Err(error) => {
                        failed
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .get_or_insert(error);
                        stop.request();
                    }
                }
            }
        };
        // These threads wait and write; rendering is done in rayon's pool.
        std::thread::scope(|scope| {
            for _ in 1..at_work {
                scope.spawn(work);
            }
            work();
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let mut summary = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        summary.interrupted = summary.sequences < self.sequences.get();
        if !summary.interrupted && self.sequences.get() > 1 {
            merged::write(self)?;
        }
        Ok(summary)
    }

    /// Folder of sequence `number`, from 0.
    fn folder(&self, number: u64) -> PathBuf {
        if self.sequences.get() == 1 {
            self.output.clone()
        } else {
            self.output.join(folder_name(self.options.seed + number))
        }
    }

    fn write_sequence(
        &self,
        number: u64,
        at_work: u64,
        stop: &Cancel,
        observer: &(dyn Fn(PhantomEvent<'_>) + Sync),
    ) -> Result<Option<SequenceSummary>, PhantomRunError> {
        let options = PhantomOptions {
            seed: self.options.seed + number,
            ..self.options.clone()
        };
        let threads = rayon::current_num_threads() as u64;
        let room = PIXELS_AHEAD / options.size.pixels().max(1) / at_work;
        let job = sequence::SequenceJob {
            options,
            folder: self.folder(number),
            files: self.files,
            ahead: (4 * threads / at_work).clamp(2, 64).min(room).max(1) as u32,
            stopped: &|| stop.is_requested() || self.cancel.is_requested(),
            frame_done: &|| observer(PhantomEvent::FrameDone),
        };
        job.run()
    }

    /// How many sequences are written at a time.
    fn at_work(&self) -> u64 {
        let room = (PIXELS_AHEAD / self.options.size.pixels().max(1)).max(1);
        self.sequences
            .get()
            .min(rayon::current_num_threads() as u64)
            .min(room)
    }

    fn nothing_yet(&self) -> PhantomSummary {
        PhantomSummary {
            output: self.output.clone(),
            sequences: 0,
            frames: 0,
            empty_frames: 0,
            objects: CLASS_NAMES.iter().map(|name| (*name, 0)).collect(),
            interrupted: false,
        }
    }
}

impl PhantomSummary {
    fn add(&mut self, sequence: &SequenceSummary) {
        self.sequences += 1;
        self.frames += sequence.frames;
        self.empty_frames += sequence.empty_frames;
        for (name, count) in &sequence.objects {
            *self.objects.entry(name).or_default() += count;
        }
    }
}

/// Name of the folder of the sequence of `seed`, where there are several.
fn folder_name(seed: u64) -> String {
    format!("seed-{seed:06}")
}

/// The paths in a sequence's folder.
struct SequencePaths<'a>(&'a Path);

impl SequencePaths<'_> {
    fn frame(&self, index: u32) -> PathBuf {
        self.0.join(frame_file_name(index))
    }

    fn labels(&self, index: u32) -> PathBuf {
        self.0.join(format!("labels/{index:06}.png"))
    }

    fn mp4(&self) -> PathBuf {
        self.0.join("clip.mp4")
    }

    fn dicom(&self) -> PathBuf {
        self.0.join("clip.dcm")
    }

    fn truth(&self) -> PathBuf {
        self.0.join("coco.json")
    }
}

/// A frame's file below its sequence's folder, as the ground truth names it.
fn frame_file_name(index: u32) -> String {
    format!("frames/{index:06}.png")
}
