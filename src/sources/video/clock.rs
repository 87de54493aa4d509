//! Presentation times.

use std::time::Duration;

/// Turns timestamps of a stream into times from its start.
#[derive(Debug)]
pub(super) struct Clock {
    /// Seconds a tick, as numerator and denominator.
    tick: (i64, i64),
    /// The timestamp that is time 0.
    origin: Option<i64>,
    /// A nominal frame.
    step: Duration,
    last: Option<Duration>,
}

impl Clock {
    /// A clock over a time base. `origin` is the stream's start, where it states one: it counts where the first frame is lost.
    pub(super) fn new(tick: (i32, i32), origin: Option<i64>, frame_rate: Option<f64>) -> Self {
        let rate = frame_rate
            .filter(|r| r.is_finite() && *r >= 1e-3)
            .unwrap_or(25.0);
        Self {
            tick: (i64::from(tick.0.max(1)), i64::from(tick.1.max(1))),
            origin,
            step: Duration::from_secs_f64(1.0 / rate),
            last: None,
        }
    }

    /// The time of the next frame, of which `is_first` says that it is the stream's first. Times never go backwards.
    pub(super) fn time(&mut self, timestamp: Option<i64>, is_first: bool) -> Duration {
        let following = self
            .last
            .map_or(Duration::ZERO, |last| last.saturating_add(self.step));
        let stated = timestamp.and_then(|ts| {
            if self.last.is_none() {
                self.origin = Some(
                    self.origin
                        .filter(|_| !is_first)
                        .map_or(ts, |origin| origin.min(ts)),
                );
            }
            self.since_origin(ts)
        });
        let time = stated
            .filter(|t| self.last.is_none_or(|last| *t >= last))
            .unwrap_or(following);
        self.last = Some(time);
        time
    }

    /// Rounded to the nearest nanosecond; none before the origin.
    fn since_origin(&self, timestamp: i64) -> Option<Duration> {
        let ticks = i128::from(timestamp) - i128::from(self.origin.unwrap_or(0));
        let denominator = i128::from(self.tick.1);
        let nanos = (ticks * i128::from(self.tick.0) * 1_000_000_000 + denominator / 2)
            .div_euclid(denominator);
        u64::try_from(nanos).ok().map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_the_start_and_round() {
        let mut clock = Clock::new((1, 30_000), Some(1001), Some(29.97));
        assert_eq!(clock.time(Some(1001), true), Duration::ZERO);
        assert_eq!(
            clock.time(Some(2002), false),
            Duration::from_nanos(33_366_667)
        );
        assert_eq!(
            clock.time(Some(1001 + 30_000), false),
            Duration::from_secs(1)
        );
    }

    #[test]
    fn missing_and_backward_times_are_filled_in() {
        let mut clock = Clock::new((1, 1000), None, Some(50.0));
        assert_eq!(clock.time(None, false), Duration::ZERO);
        assert_eq!(clock.time(None, false), Duration::from_millis(20));
        let mut clock = Clock::new((1, 1000), Some(100), None);
        assert_eq!(clock.time(Some(300), false), Duration::from_millis(200));
        let mut clock = Clock::new((1, 1000), None, None);
        assert_eq!(clock.time(Some(500), true), Duration::ZERO);
        assert_eq!(clock.time(Some(800), false), Duration::from_millis(300));
        assert_eq!(clock.time(Some(100), false), Duration::from_millis(340));
    }
}
