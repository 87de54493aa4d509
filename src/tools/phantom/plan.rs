//! Which sequences to write, and why they could not be written.

use crate::{
    phantom::{PhantomError, PhantomOptions, dicom::DicomWriteError},
    progress::Cancel,
    sinks::SinkError,
    tools::phantom::paths::folder_name,
};
use std::{num::NonZeroU64, path::PathBuf};

/// Kinds of files to write beside the ground truth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PhantomFiles {
    /// `frames/` and `labels/`.
    pub png: bool,
    /// `clip.mp4`: H.264 where FFmpeg has that encoder, else MPEG-4.
    pub mp4: bool,
    /// `clip.dcm`, not compressed; its pixels are held in memory until the sequence ends.
    pub dicom: bool,
    /// `gt/gt.txt`: tracks as MOTChallenge text, and `seqinfo.ini`.
    pub mot: bool,
    /// `mots/gt.txt`: tracks with masks as MOTS text, and `seqinfo.ini`.
    pub mots: bool,
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

    /// Folder of sequence `number`, from 0.
    pub(super) fn folder(&self, number: u64) -> PathBuf {
        if self.sequences.get() == 1 {
            self.output.clone()
        } else {
            self.output.join(folder_name(self.options.seed + number))
        }
    }
}
