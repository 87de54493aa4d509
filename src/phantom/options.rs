//! What a sequence is made from.

use super::{class::TargetSet, error::PhantomError, motion::Motion};
use crate::geometry::Size;

/// What to make.
#[derive(Debug, Clone, PartialEq)]
pub struct PhantomOptions {
    /// Decides everything that the other options leave open.
    pub seed: u64,
    /// Length of the sequence, at least 1. Targets leave and return at shares of it.
    pub frames: u32,
    /// Size of the screen, each side in 16..=4096.
    pub size: Size,
    /// Classes that may appear; a sequence draws 0 to 5 targets among them, a hard one 2 to 6.
    pub targets: TargetSet,
    /// How probe and targets move.
    pub motion: Motion,
    /// Frames a second, in 1..=1000; [`Motion::Hard`] loses one in six of them on the way.
    pub frame_rate: f64,
}

impl Default for PhantomOptions {
    /// 100 frames of 512×512 at 25 a second, every class, calm, seed 0.
    fn default() -> Self {
        Self {
            seed: 0,
            frames: 100,
            size: Size::new(512, 512),
            targets: TargetSet::ALL,
            motion: Motion::Calm,
            frame_rate: 25.0,
        }
    }
}

impl PhantomOptions {
    /// Whether a sequence can be made from them, before anything is drawn.
    ///
    /// # Errors
    /// If the size, the number of frames or the frame rate is out of the range that its field gives.
    pub fn check(&self) -> Result<(), PhantomError> {
        let sides = 16..=4096;
        if !sides.contains(&self.size.width) || !sides.contains(&self.size.height) {
            return Err(PhantomError::Size(self.size));
        }
        if self.frames == 0 {
            return Err(PhantomError::NoFrames);
        }
        if !(1.0..=1000.0).contains(&self.frame_rate) {
            return Err(PhantomError::FrameRate(self.frame_rate));
        }
        Ok(())
    }
}
