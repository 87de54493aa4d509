//! When a frame was taken.

use std::time::Duration;

/// Frames a second that are assumed where neither times nor a rate are known.
pub const NOMINAL_FRAME_RATE: f64 = 30.0;

/// Place of a frame in its source and in time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FrameTime {
    /// Number of the frame in its source, counting those that were left out.
    pub index: u64,
    /// Time from the start of the source, where it is known.
    pub timestamp: Option<Duration>,
    /// Nominal frames a second, where the source states them.
    pub frame_rate: Option<f64>,
}

impl FrameTime {
    /// Seconds from `earlier` to this frame, always above 0: the difference of the timestamps if both are known and
    /// rise, otherwise that of the indices (at least 1) over the frame rate, or over [`NOMINAL_FRAME_RATE`] where the
    /// source states no usable one.
    pub(super) fn seconds_since(&self, earlier: &Self) -> f64 {
        let times = self.timestamp.zip(earlier.timestamp);
        let elapsed = times.and_then(|(now, then)| now.checked_sub(then));
        if let Some(elapsed) = elapsed.filter(|elapsed| !elapsed.is_zero()) {
            return elapsed.as_secs_f64();
        }
        let rate = self.frame_rate.filter(|r| r.is_finite() && *r > 0.0);
        let frames = self.index.saturating_sub(earlier.index).max(1);
        frames as f64 / rate.unwrap_or(NOMINAL_FRAME_RATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_first_then_the_rate_then_the_nominal_one() {
        let at = |index, millis: Option<u64>, frame_rate| FrameTime {
            index,
            timestamp: millis.map(Duration::from_millis),
            frame_rate,
        };
        let first = at(3, Some(100), Some(50.0));
        assert_eq!(at(5, Some(350), Some(50.0)).seconds_since(&first), 0.25);
        assert_eq!(at(5, None, Some(50.0)).seconds_since(&first), 0.04);
        assert_eq!(at(6, None, None).seconds_since(&first), 0.1);
        assert_eq!(at(6, None, Some(f64::NAN)).seconds_since(&first), 0.1);
        // Times and indices that stand still or go back.
        assert_eq!(at(4, Some(100), Some(50.0)).seconds_since(&first), 0.02);
        assert_eq!(at(1, Some(40), Some(50.0)).seconds_since(&first), 0.02);
    }
}
