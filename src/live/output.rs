//! Where results of a live stream go.

use crate::{
    frame::SourceInfo,
    live::{event::LiveEvent, meter::SendMeter, result::LiveFrame},
};
use std::sync::Arc;

/// Where results of a live stream go: a server of OpenIGTLink, a page, a recorder.
///
/// The loop calls it from one thread. Each call must return at once: what takes longer belongs to a thread of the output's own,
/// with a mailbox that keeps the newest frame.
pub trait LiveOutput: Send {
    /// The loop begins; called once, before everything else.
    fn begin(&mut self, stream: &LiveStream) {
        let _ = stream;
    }

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

    /// Frames that it dropped since the loop began because it could not keep up.
    fn dropped(&self) -> u64 {
        0
    }

    /// Removes and returns what happened to it since the last call, which all outputs get to know: clients that came and left.
    fn take_events(&mut self) -> Vec<LiveEvent> {
        Vec::new()
    }

    /// Removes and returns what went wrong in it since the last call, each as a line for the user. The loop goes on without the
    /// output's part of the work.
    fn take_problems(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// The loop has ended; what is unfinished is finished here, which may take its time. Called once, after everything else but
    /// [`LiveOutput::take_events`] and [`LiveOutput::take_problems`].
    fn finish(&mut self) {}
}

/// What an output gets to know before the first frame.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LiveStream {
    /// Name and stated facts of the input.
    pub info: Arc<SourceInfo>,
    /// Class names by class number.
    pub labels: Vec<Arc<str>>,
    /// The device of the models: `cpu`, `cuda:0`.
    pub device: String,
    /// Where an output that sends from a thread of its own notes that a frame's result has left.
    pub sent: SendMeter,
}

impl<O: LiveOutput + ?Sized> LiveOutput for Box<O> {
    fn begin(&mut self, stream: &LiveStream) {
        (**self).begin(stream);
    }

    fn frame(&mut self, frame: &Arc<LiveFrame>) {
        (**self).frame(frame);
    }

    fn event(&mut self, event: &LiveEvent) {
        (**self).event(event);
    }

    fn reads_pixels(&self) -> bool {
        (**self).reads_pixels()
    }

    fn dropped(&self) -> u64 {
        (**self).dropped()
    }

    fn take_events(&mut self) -> Vec<LiveEvent> {
        (**self).take_events()
    }

    fn take_problems(&mut self) -> Vec<String> {
        (**self).take_problems()
    }

    fn finish(&mut self) {
        (**self).finish();
    }
}
