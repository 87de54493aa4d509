//! When frames are taken: evenly, or with frames lost on the way.

use super::rng::Rng;

/// Frames kept of a block, and frames that are lost in it: the same number in every block, at other places.
const KEPT: u32 = 25;
const LOST: u32 = 5;

/// Numbers the ticks of the machine, of which each frame takes one.
pub(super) struct Clock {
    /// Where losses are drawn from; none where no frame is lost.
    losses: Option<u64>,
}

impl Clock {
    pub(super) fn steady() -> Self {
        Self { losses: None }
    }

    pub(super) fn with_losses(rng: &mut Rng) -> Self {
        Self {
            losses: Some(rng.next_u64()),
        }
    }

    /// Whether frames are lost.
    pub(super) fn is_steady(&self) -> bool {
        self.losses.is_none()
    }

    /// The tick of frame `index`, from 0.
    pub(super) fn tick(&self, index: u32) -> u64 {
        let Some(seed) = self.losses else {
            return index.into();
        };
        let (block, place) = (index / KEPT, index % KEPT);
        let mut rng = Rng::new(seed, block.into());
        // One long gap, a long and a short one, or single frames.
        let gaps: &[u32] = match rng.below(3) {
            0 => &[LOST],
            1 => &[LOST - 1, 1],
            _ => &[1, 2, 1, 1],
        };
        let lost: u32 = gaps
            .iter()
            .map(|&gap| (1 + rng.below(KEPT as usize - 1) as u32, gap))
            .filter(|(at, _)| place >= *at)
            .map(|(_, gap)| gap)
            .sum();
        u64::from(block) * u64::from(KEPT + LOST) + u64::from(place + lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sixth_of_the_ticks_is_lost_and_time_goes_on() {
        let clock = Clock::with_losses(&mut Rng::new(4, 11));
        let ticks: Vec<u64> = (0..=10 * KEPT).map(|i| clock.tick(i)).collect();
        assert_eq!((ticks[0], ticks[10 * KEPT as usize]), (0, 300));
        let steps: Vec<u64> = ticks.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            steps.iter().all(|&step| (1..=6).contains(&step)),
            "{steps:?}"
        );
        assert!(
            steps.iter().filter(|&&step| step > 1).count() >= 10,
            "{steps:?}"
        );
        assert!(steps.iter().any(|&step| step >= 5), "{steps:?}");
        assert_eq!(Clock::steady().tick(7), 7);
        // The last number of a frame has a tick, too.
        assert!(clock.tick(u32::MAX) > u64::from(u32::MAX));
    }
}
