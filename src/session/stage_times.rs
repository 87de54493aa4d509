//! How long each stage took: quantiles in bounded memory.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Times by stage, from any thread. Each stage takes a fixed amount of memory however many times it is given; quantiles
/// are within 0.1%.
#[derive(Debug, Default)]
pub struct StageTimes {
    stages: Mutex<BTreeMap<&'static str, Histogram<u64>>>,
    /// Time of each stage since it was last taken.
    recent: Mutex<BTreeMap<&'static str, Duration>>,
}

/// Times of one stage, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StageSummary {
    /// How many times.
    pub count: u64,
    /// Half took no longer.
    pub median_ms: f64,
    /// 90% took no longer.
    pub p90_ms: f64,
    /// 99% took no longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// Longest time that is told apart; longer ones count as this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl StageTimes {
    /// Adds a time of `stage`.
    pub fn record(&self, stage: &'static str, time: Duration) {
        let nanos = time.min(LONGEST).as_nanos() as u64;
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = recent.entry(stage).or_default();
        *sum = sum.saturating_add(time);
        drop(recent);
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        if !stages.contains_key(stage) {
            let Ok(histogram) = Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 3) else {
                return;
            };
            stages.insert(stage, histogram);
        }
        if let Some(histogram) = stages.get_mut(stage) {
            histogram.saturating_record(nanos);
        }
    }

    /// Runs `work` and adds its time to `stage`.
    pub fn time<T>(&self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.record(stage, start.elapsed());
        result
    }

    /// The time that each of `stages` took since it was last asked for here; a stage that did nothing is left out. With a
    /// caller for each stage that asks after each frame, these are the times of one frame.
    pub fn take_recent(&self, stages: &[&'static str]) -> Vec<(&'static str, Duration)> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        stages
            .iter()
            .filter_map(|stage| recent.remove_entry(stage))
            .collect()
    }

    /// The summary of each stage.
    pub fn summaries(&self) -> BTreeMap<String, StageSummary> {
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages
            .iter()
            .map(|(name, histogram)| ((*name).to_owned(), summary(histogram)))
            .collect()
    }
}

fn summary(histogram: &Histogram<u64>) -> StageSummary {
    // Six decimals are nanoseconds.
    let ms = |nanos: u64| nanos as f64 / 1e6;
    StageSummary {
        count: histogram.len(),
        median_ms: ms(histogram.value_at_quantile(0.5)),
        p90_ms: ms(histogram.value_at_quantile(0.9)),
        p99_ms: ms(histogram.value_at_quantile(0.99)),
        max_ms: ms(histogram.max()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_known_times() {
        let times = StageTimes::default();
        (1..=1000).for_each(|i| times.record("detect", Duration::from_micros(i * 100)));
        times.time("write", || ());
        let all = times.summaries();
        let detect = all["detect"];
        assert_eq!(detect.count, 1000);
        for (found, expected) in [
            (detect.median_ms, 50.0),
            (detect.p90_ms, 90.0),
            (detect.p99_ms, 99.0),
            (detect.max_ms, 100.0),
        ] {
            assert!(
                (found - expected).abs() <= expected * 2e-3,
                "{found} for {expected}"
            );
        }
        assert_eq!(all["write"].count, 1);
    }

    #[test]
    fn recent_times_add_up_and_are_taken_once() {
        let times = StageTimes::default();
        for ms in [2, 3] {
            times.record("detect", Duration::from_millis(ms));
        }
        times.record("decode", Duration::from_millis(9));
        assert_eq!(
            times.take_recent(&["detect", "select"]),
            [("detect", Duration::from_millis(5))]
        );
        assert_eq!(times.take_recent(&["detect"]), []);
        assert_eq!(
            times.take_recent(&["decode"]),
            [("decode", Duration::from_millis(9))]
        );
    }

    #[test]
    fn a_time_of_zero_and_one_beyond_the_longest_are_counted() {
        let times = StageTimes::default();
        times.record("x", Duration::ZERO);
        times.record("x", Duration::MAX);
        assert_eq!(times.summaries()["x"].count, 2);
    }
}
