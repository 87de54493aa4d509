//! Why a sequence cannot be made.

use crate::geometry::Size;

/// Why a sequence cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    /// A side is too small to show anything or too large to hold.
    #[error("phantom size {0}: each side must be 16 to 4096 pixels")]
    Size(Size),
    /// A sequence of no frames.
    #[error("phantom of 0 frames: ask for at least 1")]
    NoFrames,
    /// Frame rate not finite or out of range.
    #[error("phantom frame rate {0}: it must be 1 to 1000 frames a second")]
    FrameRate(f64),
    /// Not the name of a motion.
    #[error("unknown phantom motion {0:?}: the motions are calm, probe, hard")]
    Motion(String),
    /// Not the name of a class.
    #[error("unknown phantom target {0:?}: the targets are bone, cyst, vessel, needle")]
    Class(String),
}
