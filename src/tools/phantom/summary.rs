//! What happens while sequences are written, and what has been written.

use crate::{phantom::CLASS_NAMES, progress::Observer, tools::phantom::plan::PhantomPlan};
use std::{collections::BTreeMap, path::PathBuf};

/// An event of the writing of sequences.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum PhantomEvent<'a> {
    /// A frame is on the disk, or in the clips that were asked for.
    FrameDone,
    /// A sequence is complete.
    SequenceDone(&'a SequenceSummary),
}

/// Receives the events of the writing of sequences, from several threads.
pub type PhantomObserver<'o> = dyn for<'a> Observer<PhantomEvent<'a>> + 'o;

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

impl PhantomSummary {
    /// Of a plan of which nothing is written yet.
    pub(super) fn of(plan: &PhantomPlan) -> Self {
        Self {
            output: plan.output.clone(),
            sequences: 0,
            frames: 0,
            empty_frames: 0,
            objects: CLASS_NAMES.iter().map(|name| (*name, 0)).collect(),
            interrupted: false,
        }
    }

    /// Counts a sequence that is complete.
    pub(super) fn add(&mut self, sequence: &SequenceSummary) {
        self.sequences += 1;
        self.frames += sequence.frames;
        self.empty_frames += sequence.empty_frames;
        for (name, count) in &sequence.objects {
            *self.objects.entry(name).or_default() += count;
        }
    }
}
