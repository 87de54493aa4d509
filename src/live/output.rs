//! Where results of a live stream go.

use crate::live::{event::LiveEvent, result::LiveFrame};
use std::sync::Arc;

/// An output of a live stream: a server of OpenIGTLink, a page, a recorder.
///
/// The loop calls it from one thread. Each call must return at once: what takes longer belongs to a thread of the output's own,
/// with a mailbox that keeps the newest frame.
pub trait LiveOutput: Send {
    /// A frame has its result.
    fn frame(&mut self, frame: &Arc<LiveFrame>);

    /// Something else happened, or a message is to be passed through.
    fn event(&mut self, event: &LiveEvent) {
        let _ = event;
    }

    /// Whether it now wants pixels of frames in host memory: where no output does, frames that were decoded on a GPU are
    /// not downloaded. It may change while the loop runs (a page without viewers reads none).
    fn reads_pixels(&self) -> bool {
        false
    }
}
