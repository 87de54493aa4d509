//! A record of every move between host and device that this crate announced.

use std::{collections::BTreeMap, sync::Mutex};

/// Which way data went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Host memory to device memory.
    HostToDevice,
    /// Device memory to host memory.
    DeviceToHost,
}

/// The stage of the pipeline that asked for a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Weights, once, when a model is loaded.
    Load,
    /// A decoded frame on its way in.
    Decode,
    /// Resizing and normalising.
    Preprocess,
    /// The detector.
    Detect,
    /// Choice of objects among the detector's queries.
    Select,
    /// The segmenter, prompts included.
    Segment,
    /// Masks brought to the frame's resolution.
    Mask,
    /// The result on its way out.
    Pack,
}

/// One announced move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Who asked for it.
    pub stage: Stage,
    /// Which way.
    pub direction: Direction,
    /// How much.
    pub bytes: u64,
}

/// Counts and bytes of announced moves by stage and direction. Empty on the CPU, where nothing moves.
#[derive(Debug, Default)]
pub struct Ledger {
    totals: Mutex<BTreeMap<(Stage, Direction), (u64, u64)>>,
}

impl Ledger {
    pub(super) fn record(&self, moved: Move) {
        let mut totals = self.totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let entry = totals.entry((moved.stage, moved.direction)).or_default();
        *entry = (entry.0 + 1, entry.1 + moved.bytes);
    }

    /// Count and bytes of the moves of `stage` in `direction` so far.
    pub fn total(&self, stage: Stage, direction: Direction) -> (u64, u64) {
        let totals = self.totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        totals.get(&(stage, direction)).copied().unwrap_or_default()
    }
}
