//! Presentation times of the pictures of an overlay video.

use std::{collections::VecDeque, time::Duration};

/// Ticks a second of presentation times in the file.
pub(super) const TICKS: i64 = 1_000_000;

/// Start times of the pictures that have not been written yet, in ticks from the first picture.
pub(super) struct Clock {
    first: Option<Duration>,
    waiting: VecDeque<i64>,
    last: i64,
    interval: i64,
}

impl Clock {
    /// A clock for pictures that are shown `rate` a second where nothing else states how long.
    pub(super) fn new(rate: f64) -> Self {
        Self {
            first: None,
            waiting: VecDeque::new(),
            last: -1,
            interval: ((TICKS as f64 / rate).round() as i64).max(1),
        }
    }

    /// Adds the time of the next picture. If it is not later than the one before, it becomes one tick later: players drop pictures
    /// otherwise.
    pub(super) fn push(&mut self, time: Duration) {
        let first = *self.first.get_or_insert(time);
        let nanos = time.saturating_sub(first).as_nanos();
        let per_tick = 1_000_000_000 / TICKS as u128;
        // Half a million years of ticks: beyond it times no longer differ, but still rise.
        let ticks = i64::try_from((nanos + per_tick / 2) / per_tick)
            .unwrap_or(i64::MAX / 2)
            .min(i64::MAX / 2)
            .max(self.last + 1);
        if self.last >= 0 {
            self.interval = ticks - self.last;
        }
        self.last = ticks;
        self.waiting.push_back(ticks);
    }

    /// Ends the last picture: it is shown as long as the one before it.
    pub(super) fn end(&mut self) {
        self.waiting
            .push_back(self.last.saturating_add(self.interval));
    }

    /// Start and duration in ticks of the next picture to write; `None` until the time of the picture after it is known.
    pub(super) fn next(&mut self) -> Option<(i64, i64)> {
        let (start, end) = (*self.waiting.front()?, *self.waiting.get(1)?);
        self.waiting.pop_front();
        Some((start, end - start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_and_always_rise() {
        let mut clock = Clock::new(25.0);
        let given = [
            80_000_000u64,
            120_000_000,
            120_000_000,
            100_000_000,
            1_000_080_000_499,
            1_000_080_001_500,
        ];
        given
            .iter()
            .for_each(|t| clock.push(Duration::from_nanos(*t)));
        clock.end();
        let shown: Vec<(i64, i64)> = std::iter::from_fn(|| clock.next()).collect();
        let starts: Vec<i64> = shown.iter().map(|s| s.0).collect();
        assert_eq!(
            starts,
            [0, 40_000, 40_001, 40_002, 1_000_000_000, 1_000_000_002]
        );
        assert_eq!(shown.last(), Some(&(1_000_000_002, 2)));
    }

    #[test]
    fn one_picture_lasts_as_long_as_its_rate_says() {
        let mut clock = Clock::new(25.0);
        clock.push(Duration::from_secs(3));
        clock.end();
        assert_eq!(clock.next(), Some((0, 40_000)));
    }
}
