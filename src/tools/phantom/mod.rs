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
//! | `gt/gt.txt`, `seqinfo.ini` | tracks as MOTChallenge text |
//! | `mots/gt.txt` | tracks with masks as MOTS text |
//! | `gt/labels.txt`, `mots/labels.txt` | beside these, names of the classes |
//! | `coco.json` | the ground truth; written last, so that a folder that has it is complete |
//!
//! One sequence lies in the output folder itself, several lie in folders `seed-NNNNNN` below it; the output folder's own
//! `coco.json` then holds the ground truth of all. `phantom.json` in the output folder states what was asked for, and marks the folder as one that may be overwritten.

mod folder;
mod merged;
mod paths;
mod plan;
mod run;
mod sequence;
mod summary;
mod tracks;
mod truth;

pub use plan::{PhantomFiles, PhantomPlan, PhantomRunError};
pub use summary::{PhantomEvent, PhantomObserver, PhantomSummary, SequenceSummary};
