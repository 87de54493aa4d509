//! Gain that flickers from frame to frame.

use super::rng::Rng;

/// Changes of gain that have nothing to do with the frame before.
pub(super) struct Flicker {
    seed: u64,
    /// Decibels to each side in every frame.
    unrest: f32,
}

impl Flicker {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        Self {
            seed: rng.next_u64(),
            unrest: rng.range(0.5, 3.0),
        }
    }

    /// Decibels that frame `index` is brighter: a little in every frame, one in sixteen much.
    pub(super) fn at(&self, index: u32) -> f32 {
        let mut rng = Rng::new(self.seed, index.into());
        let unrest = rng.range(-self.unrest, self.unrest);
        let jump = if rng.chance(0.0625) {
            rng.sign() * rng.range(5.0, 11.0)
        } else {
            0.0
        };
        unrest + jump
    }
}
