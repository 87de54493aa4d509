//! What a live loop counts, on all of its threads.

use crate::live::{meter::SendMeter, result::LiveFigures};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Counts of a live loop, and its latencies from arrival.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) arrived: AtomicU64,
    pub(super) done: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) reconnects: AtomicU64,
    /// Frames that the outputs' queue had no room for.
    pub(super) not_handed: AtomicU64,
    /// Whether an output wants pixels on the host.
    pub(super) reads_pixels: AtomicBool,
    /// To the decoded frame.
    pub(super) decode: SendMeter,
    /// From the decoded frame to the models.
    pub(super) wait: SendMeter,
    /// In the models.
    pub(super) models: SendMeter,
    /// To the result.
    pub(super) result: SendMeter,
    /// To the return of the last output.
    pub(super) handed: SendMeter,
    /// As outputs note it.
    pub(super) sent: SendMeter,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// The figures that are counted here; the others are 0.
    pub(super) fn figures(&self) -> LiveFigures {
        LiveFigures {
            arrived: self.arrived.load(Relaxed),
            done: self.done.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            failed: self.failed.load(Relaxed),
            reconnects: self.reconnects.load(Relaxed),
            output_dropped: self.not_handed.load(Relaxed),
            ..LiveFigures::default()
        }
    }
}
