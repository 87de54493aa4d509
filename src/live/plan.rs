//! What a live loop is made of.

use crate::{
    live::{input::LiveInput, output::LiveOutput},
    progress::Cancel,
    session::Session,
};
use std::time::Duration;

/// A loop, as [`crate::live::Live`] builds it.
pub(super) struct Plan {
    pub(super) session: Session,
    pub(super) input: Box<dyn LiveInput>,
    pub(super) outputs: Vec<Box<dyn LiveOutput>>,
    pub(super) cancel: Cancel,
    pub(super) every_frame: bool,
    /// From the arrival of the first frame.
    pub(super) duration: Option<Duration>,
    /// Frames with a result, or that failed.
    pub(super) max_frames: Option<u64>,
}
