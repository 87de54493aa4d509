//! Quantiles of measured values: exact ones of a list, and those of any number of times in bounded memory.

use hdrhistogram::Histogram;
use std::time::Duration;

/// Longest time that is distinguished; longer ones count as this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Any number of times in a fixed amount of memory. Quantiles are exact to 0.1%.
#[derive(Debug, Clone)]
pub(crate) struct Times(Option<Histogram<u64>>);

/// Quantiles of times in milliseconds; all are 0 without a time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Quantiles {
    /// Number of times.
    pub(crate) count: u64,
    /// Half of the times were no longer.
    pub(crate) median_ms: f64,
    /// 90% of the times were no longer.
    pub(crate) p90_ms: f64,
    /// 99% of the times were no longer.
    pub(crate) p99_ms: f64,
    /// The longest time.
    pub(crate) max_ms: f64,
}

impl Default for Times {
    fn default() -> Self {
        // Fails for bounds and digits out of range alone, which these constants are not.
        Self(Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 3).ok())
    }
}

impl Times {
    /// Adds a time.
    pub(crate) fn record(&mut self, time: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(time.min(LONGEST).as_nanos() as u64);
        }
    }

    /// The quantiles of the times so far.
    pub(crate) fn quantiles(&self) -> Quantiles {
        let Some(histogram) = self.0.as_ref().filter(|histogram| !histogram.is_empty()) else {
            return Quantiles::default();
        };
        // Six decimals are nanoseconds.
        let ms = |nanos: u64| nanos as f64 / 1e6;
        Quantiles {
            count: histogram.len(),
            median_ms: ms(histogram.value_at_quantile(0.5)),
            p90_ms: ms(histogram.value_at_quantile(0.9)),
            p99_ms: ms(histogram.value_at_quantile(0.99)),
            max_ms: ms(histogram.max()),
        }
    }
}

/// The value of `values` that is nearest to quantile `q`, from 0 (the smallest) to 1 (the largest): one of them, not an
/// interpolation. Sorts `values`; `None` where there are none.
pub(crate) fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let place = (values.len().saturating_sub(1) as f64 * q).round() as usize;
    values.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_value_is_taken() {
        let mut values = [4.0, 1.0, 3.0, 2.0];
        for (q, expected) in [(0.0, 1.0), (0.5, 3.0), (0.9, 4.0), (1.0, 4.0)] {
            assert_eq!(quantile(&mut values, q), Some(expected), "{q}");
        }
        assert_eq!(quantile(&mut [], 0.5), None);
    }

    #[test]
    fn times_of_zero_and_beyond_the_longest_are_counted() {
        let mut times = Times::default();
        assert_eq!(times.quantiles(), Quantiles::default());
        times.record(Duration::ZERO);
        times.record(Duration::MAX);
        let found = times.quantiles();
        assert_eq!(found.count, 2);
        assert!((found.max_ms / 8.64e7 - 1.0).abs() < 1e-3, "{found:?}");
    }
}
