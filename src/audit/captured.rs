//! What a capture gives.

use super::recording::Recording;
use crate::engine::Span;
use std::collections::BTreeMap;

/// What was captured between start and stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Captured {
    /// All records.
    pub(crate) recording: Recording,
    /// The span in which each node of a graph was captured, by the node's id in records.
    pub(crate) node_spans: BTreeMap<u64, Span>,
    /// Records that CUPTI lost for want of buffers.
    pub(crate) dropped: u64,
    /// What could not be observed.
    pub(crate) gaps: Vec<String>,
    /// CUPTI's version and the file it came from.
    pub(crate) profiler: String,
}
