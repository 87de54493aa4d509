//! A frame with what was found in it, and when.

use crate::{
    frame::{Detections, Frame},
    igtl::ImageGeometry,
    live::{input::Arrival, meter::Latency},
};
use std::time::Instant;

/// A frame of a live stream with its results, as outputs get it.
#[derive(Debug, Clone)]
pub struct LiveFrame {
    /// The frame. Its pixels are in host memory where an output reads them, else where they were decoded, or released.
    pub frame: Frame,
    /// What was found, with tracks and changes of state.
    pub detections: Detections,
    /// Where the frame lies in space, where the stream states it.
    pub geometry: Option<ImageGeometry>,
    /// When what happened to it.
    pub times: LiveTimes,
    /// The loop's figures at this frame.
    pub figures: LiveFigures,
}

/// When what happened to a frame. Latency is from `arrival`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LiveTimes {
    /// Its last byte was there.
    pub arrival: Arrival,
    /// It was decoded, and in the mailbox.
    pub decoded: Instant,
    /// The models took it.
    pub started: Instant,
    /// Its result was there.
    pub done: Instant,
}

/// Figures of a live loop since it began.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct LiveFigures {
    /// Frames that arrived.
    pub arrived: u64,
    /// Frames that got a result.
    pub done: u64,
    /// Frames that a newer one replaced before the models took them.
    pub dropped: u64,
    /// Frames that could not be decoded or computed.
    pub failed: u64,
    /// Times that the stream was reconnected.
    pub reconnects: u64,
    /// Frames that outputs dropped because they could not keep up, the recorder for one.
    pub output_dropped: u64,
    /// From arrival to result, of all frames so far; brought up to date about twice a second.
    pub latency: Latency,
    /// Device memory in use, bytes; 0 on the CPU.
    pub device_memory: u64,
    /// Moves between host and device for frames since the loop began: uploads, downloads.
    pub transfers: [u64; 2],
}
