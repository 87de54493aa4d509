//! How a live loop ended.

use crate::live::{meter::Latency, result::LiveFigures};
use std::time::Duration;

/// How a live loop ended, with its latencies.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LiveSummary {
    /// The figures at the end.
    pub figures: LiveFigures,
    /// From the arrival of a frame's last byte to the decoded frame.
    pub decode: Latency,
    /// From the decoded frame until the models take it.
    pub wait: Latency,
    /// In the models.
    pub models: Latency,
    /// From arrival to result.
    pub result: Latency,
    /// From arrival until every output has the result; those that send from a thread of their own may not have sent it.
    pub handed: Latency,
    /// From arrival until an output has sent it, as outputs note it: a message is with the operating system. A frame counts once for each
    /// receiver.
    pub sent: Latency,
    /// From the first frame to the end.
    pub elapsed: Duration,
    /// Whether it was cancelled; not so where the stream, the duration or the number of frames ended it.
    pub interrupted: bool,
    /// What went wrong in outputs, which is no failure of a frame.
    pub output_problems: u64,
}
