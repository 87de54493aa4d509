//! Times of frames from the stamps of messages.

use std::time::{Duration, Instant};

/// Longest step of stamps that is taken as time that passed, beyond what passed here.
const JUMP: Duration = Duration::from_secs(60);

/// Makes times from the first frame on, which never go back: of stamps, or of arrival where messages have none. Where stamps jump, as
/// after a restart of the sender or a change of its clock, the time that passed between arrivals takes the place of the step.
#[derive(Debug, Default)]
pub(super) struct FrameClock(Option<Last>);

#[derive(Debug)]
struct Last {
    stamp: Option<Duration>,
    arrival: Instant,
    time: Duration,
}

impl FrameClock {
    pub(super) fn time(&mut self, stamp: Option<Duration>, arrival: Instant) -> Duration {
        let time = self.0.as_ref().map_or(Duration::ZERO, |last| {
            let passed = arrival.saturating_duration_since(last.arrival);
            let stamps = last.stamp.zip(stamp);
            let step = stamps.and_then(|(last, now)| now.checked_sub(last));
            let step = step.filter(|step| *step <= passed + JUMP);
            last.time + step.unwrap_or(passed)
        });
        self.0 = Some(Last {
            stamp,
            arrival,
            time,
        });
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_count_from_the_first_and_jumps_do_not() {
        let (mut clock, begun) = (FrameClock::default(), Instant::now());
        let mut at = |stamp: Option<u64>, arrival: u64| {
            let stamp = stamp.map(Duration::from_millis);
            let time = clock.time(stamp, begun + Duration::from_millis(arrival));
            time.as_millis() as u64
        };
        assert_eq!(at(Some(1_000_000), 0), 0);
        assert_eq!(at(Some(1_000_040), 55), 40);
        assert_eq!(at(Some(1_000_080), 81), 80);
        assert_eq!(at(Some(500), 121), 120, "another clock");
        assert_eq!(at(Some(540), 160), 160);
        assert_eq!(at(Some(9_000_000), 200), 200, "far ahead");
        assert_eq!(at(None, 230), 230);
        assert_eq!(at(Some(9_000_050), 260), 260);
    }
}
