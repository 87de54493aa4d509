//! The masks of a source as a stack of planes, and what the source's DICOM headers say about them: for outputs that hold a
//! source in one file.
//!
//! | file | what |
//! |---|---|
//! | `masks` | the masks of a source, by segment and frame |
//! | `header` | references and geometry of a DICOM source |
//! | `stack` | planes at one distance from each other |
//! | `overlap` | which segments share pixels |
//! | `fill` | polygons as masks |
//! | `note` | what was left out, and why |

mod header;
mod masks;
mod note;
mod overlap;
mod stack;
#[cfg(test)]
pub(super) mod testing;

pub use note::VolumeNote;

pub(super) use header::{HeaderFault, SourceHeader};
pub(super) use masks::{Collector, FrameMasks, SegmentKey, SourceMasks};
pub(super) use overlap::overlaps;
pub(super) use stack::stack;
