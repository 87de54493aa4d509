//! How long each stage took: quantiles in bounded memory.

use crate::quantiles::{Quantiles, Times};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Times by stage, from any thread. Each stage takes a fixed amount of memory, independent of the number of its times;
/// quantiles are exact to 0.1%.
#[derive(Debug, Default)]
pub struct StageTimes {
    stages: Mutex<BTreeMap<&'static str, Times>>,
    /// Time of each stage since it was last taken.
    recent: Mutex<BTreeMap<&'static str, Duration>>,
}

/// Times of one stage, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StageSummary {
    /// Number of times.
    pub count: u64,
    /// Half of the times were no longer.
    pub median_ms: f64,
    /// 90% of the times were no longer.
    pub p90_ms: f64,
    /// 99% of the times were no longer.
    pub p99_ms: f64,
    /// The longest time.
    pub max_ms: f64,
}

impl StageTimes {
    /// Adds a time of `stage`.
    pub fn record(&self, stage: &'static str, time: Duration) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = recent.entry(stage).or_default();
        *sum = sum.saturating_add(time);
        drop(recent);
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages.entry(stage).or_default().record(time);
    }

    /// Runs `work` and adds its time to `stage`.
    pub fn time<T>(&self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.record(stage, start.elapsed());
        result
    }

    /// The time that each of `stages` took since the last call for it; stages without work are left out. Where each stage has one
    /// caller, which calls after each frame, these are the times of that frame.
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
            .map(|(name, times)| ((*name).to_owned(), times.quantiles().into()))
            .collect()
    }
}

impl From<Quantiles> for StageSummary {
    fn from(times: Quantiles) -> Self {
        Self {
            count: times.count,
            median_ms: times.median_ms,
            p90_ms: times.p90_ms,
            p99_ms: times.p99_ms,
            max_ms: times.max_ms,
        }
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
}
