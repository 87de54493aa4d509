//! Latencies: from a frame's arrival to what was done with it.

use crate::quantiles::Times;
use serde::Serialize;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Quantiles of latencies in milliseconds; all are 0 where `count` is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// Number of latencies.
    pub count: u64,
    /// Half of them were no longer.
    pub p50_ms: f64,
    /// 90% of them were no longer.
    pub p90_ms: f64,
    /// 99% of them were no longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// Takes note of when results left, from outputs on any thread. Clones share the notes; memory does not grow with their number.
#[derive(Debug, Clone, Default)]
pub struct SendMeter(Arc<Mutex<Times>>);

impl SendMeter {
    /// The result of a frame that arrived at `arrival` has left just now: its message is with the operating system.
    pub fn sent(&self, arrival: Instant) {
        self.add(arrival.elapsed());
    }

    /// Adds a latency.
    pub fn add(&self, latency: Duration) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.record(latency);
    }

    /// The quantiles so far, exact to 0.1%.
    pub fn latency(&self) -> Latency {
        let times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = times.quantiles();
        Latency {
            count: found.count,
            p50_ms: found.median_ms,
            p90_ms: found.p90_ms,
            p99_ms: found.p99_ms,
            max_ms: found.max_ms,
        }
    }
}
