//! Latency and memory over a run, in bounded memory of its own.

use crate::{
    audit::event::{AuditEvent, AuditObserver},
    engine::Engine,
    progress::{Cancel, Observer},
    quantiles::{Quantiles, Times, quantile},
    run::Event,
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// One moment of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Sample {
    /// Seconds since the first steady-state frame.
    pub seconds: f64,
    /// Number of the frame among those of the run.
    pub frame: u64,
    /// Resident memory of the program, in MiB; none where the system does not say.
    pub host_mb: Option<f64>,
    /// Memory in use on the device, by all programs, in MiB; none on the CPU.
    pub device_mb: Option<f64>,
    /// Mean time from decoded frame to result since the sample before, in milliseconds.
    pub latency_ms: f64,
}

/// Quantiles of the time from decoded frame to result, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Latency {
    /// Number of frames.
    pub frames: u64,
    /// Half took no longer.
    pub median_ms: f64,
    /// 90% took no longer.
    pub p90_ms: f64,
    /// 99% took no longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl From<Quantiles> for Latency {
    fn from(times: Quantiles) -> Self {
        Self {
            frames: times.count,
            median_ms: times.median_ms,
            p90_ms: times.p90_ms,
            p99_ms: times.p99_ms,
            max_ms: times.max_ms,
        }
    }
}

/// Most samples that are kept; when there are as many, every second one goes.
const MOST: usize = 1024;

/// When a pass ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// After so many steady-state frames.
    Frames(u64),
    /// After so long in steady state.
    After(Duration),
}

/// Collects samples and quantiles of a run, and ends it.
pub(super) struct Sampler {
    warm_up: u64,
    end: End,
    cancel: Cancel,
    engine: Option<Engine>,
    state: Mutex<State>,
    observer: Arc<AuditObserver>,
}

#[derive(Debug)]
struct State {
    began: Option<Instant>,
    samples: Vec<Sample>,
    interval: Duration,
    last: Duration,
    sum_ms: f64,
    count: u64,
    latencies: Times,
    steady: u64,
    problems: u64,
    first_problem: Option<String>,
}

/// What a sampler collected.
#[derive(Debug, Clone, Default)]
pub(super) struct Sampled {
    pub(super) samples: Vec<Sample>,
    pub(super) latency: Latency,
    pub(super) seconds: f64,
    pub(super) problems: u64,
    pub(super) first_problem: Option<String>,
}

impl Sampler {
    /// The memory of `engine` is sampled; a pass under a profiler has no `engine`.
    pub(super) fn new(
        warm_up: u64,
        end: End,
        cancel: Cancel,
        engine: Option<Engine>,
        observer: Arc<AuditObserver>,
    ) -> Self {
        let state = State {
            began: None,
            samples: Vec::with_capacity(MOST),
            interval: Duration::from_millis(if matches!(end, End::Frames(_)) {
                20
            } else {
                100
            }),
            last: Duration::ZERO,
            sum_ms: 0.0,
            count: 0,
            latencies: Times::default(),
            steady: 0,
            problems: 0,
            first_problem: None,
        };
        Self {
            warm_up,
            end,
            cancel,
            engine,
            state: Mutex::new(state),
            observer,
        }
    }

    pub(super) fn finish(&self) -> Sampled {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Sampled {
            samples: state.samples.clone(),
            latency: state.latencies.quantiles().into(),
            seconds: state
                .began
                .map_or(0.0, |began| began.elapsed().as_secs_f64()),
            problems: state.problems,
            first_problem: state.first_problem.clone(),
        }
    }

    fn frame(&self, number: u64, latency: Duration) {
        self.observer.event(AuditEvent::FrameDone);
        if number < self.warm_up {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |state: &State, now: Duration| match self.end {
            End::Frames(frames) => state.steady >= frames,
            End::After(duration) => now >= duration,
        };
        let now = state.began.get_or_insert_with(Instant::now).elapsed();
        if over(&state, now) && state.steady > 0 {
            self.cancel.request();
            return;
        }
        state.steady += 1;
        state.latencies.record(latency);
        state.sum_ms += latency.as_secs_f64() * 1e3;
        state.count += 1;
        if state.samples.is_empty() || now.saturating_sub(state.last) >= state.interval {
            let device_mb = self.engine.as_ref().and_then(device_mb);
            let latency_ms = state.sum_ms / state.count as f64;
            state.samples.push(Sample {
                seconds: now.as_secs_f64(),
                frame: number,
                host_mb: host_mb(),
                device_mb,
                latency_ms,
            });
            (state.last, state.sum_ms, state.count) = (now, 0.0, 0);
            if state.samples.len() >= MOST {
                let mut at = 0;
                state.samples.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                state.interval *= 2;
            }
        }
        if over(&state, now) {
            self.cancel.request();
        }
    }
}

impl Observer<Event<'_>> for Sampler {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::FrameDone {
                times: Some(times), ..
            } => self.frame(times.number, times.latency),
            Event::Problem { problem, .. } => {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.problems += 1;
                state
                    .first_problem
                    .get_or_insert_with(|| problem.to_owned());
            }
            _ => {}
        }
    }
}

const MIB: f64 = (1 << 20) as f64;

pub(super) fn device_mb(engine: &Engine) -> Option<f64> {
    let (free, total) = engine.memory().ok()??;
    Some(total.saturating_sub(free) as f64 / MIB)
}

/// Resident memory of this program in MiB.
fn host_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// Growth from the median of the first tenth (at least one sample) to that of the last; none with fewer than two samples.
pub(super) fn drift(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.collect::<Option<Vec<_>>>()?;
    if values.len() < 2 {
        return None;
    }
    let tenth = values.len().div_ceil(10);
    let median = |part: &[f64]| quantile(&mut part.to_vec(), 0.5);
    Some(median(values.get(values.len() - tenth..)?)? - median(values.get(..tenth)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_that_of_the_medians_of_both_ends() {
        let rising = (0..100).map(|i| Some(f64::from(i)));
        assert_eq!(drift(rising), Some(90.0));
        let mut spiked: Vec<_> = vec![Some(5.0); 40];
        spiked[38] = Some(999.0);
        assert_eq!(
            drift(spiked.into_iter()),
            Some(0.0),
            "one outlier is no drift"
        );
        assert_eq!(drift([Some(1.0)].into_iter()), None);
        assert_eq!(drift([Some(1.0), None].into_iter()), None);
    }

    #[test]
    fn warm_up_does_not_count_and_the_run_is_ended() {
        let cancel = Cancel::default();
        let sampler = Sampler::new(2, End::Frames(3), cancel.clone(), None, Arc::new(()));
        for number in 0..4 {
            sampler.frame(
                number,
                Duration::from_millis(if number < 2 { 900 } else { 10 }),
            );
        }
        assert!(!cancel.is_requested());
        sampler.frame(4, Duration::from_millis(10));
        assert!(cancel.is_requested());
        sampler.frame(5, Duration::from_millis(500));
        let latency = sampler.finish().latency;
        assert_eq!(latency.frames, 3);
        assert!((latency.max_ms - 10.0).abs() < 0.02, "{latency:?}");
    }

    #[test]
    fn a_long_run_keeps_few_samples() {
        let sampler = Sampler::new(
            0,
            End::After(Duration::from_secs(3600)),
            Cancel::default(),
            None,
            Arc::new(()),
        );
        sampler.state.lock().unwrap().interval = Duration::ZERO;
        (0..5000).for_each(|number| sampler.frame(number, Duration::from_millis(1)));
        let sampled = sampler.finish();
        assert!(
            sampled.samples.len() <= MOST && sampled.samples.len() > 100,
            "{}",
            sampled.samples.len()
        );
        assert!(
            sampled
                .samples
                .windows(2)
                .all(|two| two[0].frame < two[1].frame)
        );
        assert_eq!(sampled.latency.frames, 5000);
    }
}
