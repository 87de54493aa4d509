//! A live loop: a stream in, results out while they are current.

use crate::{
    live::{
        error::LiveError, input::LiveInput, output::LiveOutput, plan::Plan, run::run,
        summary::LiveSummary,
    },
    progress::Cancel,
    session::Session,
};
use std::time::Duration;

/// A live loop of a [`Session`] over a stream.
///
/// ```no_run
/// use std::time::Duration;
/// use ultramotion::{Session, live::{FileInput, Live}, progress::Cancel};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = Session::builder().build()?;
/// let input = FileInput::open("clip.mp4", &session)?;
/// let summary = Live::new(session, input).duration(Duration::from_secs(10)).start()?;
/// println!("{} frames, half of them within {:.1} ms", summary.figures.done, summary.result.p50_ms);
/// # Ok(())
/// # }
/// ```
///
/// One thread reads the input, the caller's works the models, one calls the outputs. Between input and models waits one frame: where
/// the models are behind, the newest takes its place and the older is dropped and counted. Nothing is invented where a frame is late. A
/// frame that fails is counted, and the loop goes on. Each frame has its time stamps with it.
#[must_use]
pub struct Live(Plan);

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Live({})", self.0.input.info().path.display())
    }
}

impl Live {
    /// A loop of `session`, which has a detector, over `input`.
    pub fn new(session: Session, input: impl LiveInput + 'static) -> Self {
        Self(Plan {
            session,
            input: Box::new(input),
            outputs: Vec::new(),
            cancel: Cancel::default(),
            every_frame: false,
            duration: None,
            max_frames: None,
        })
    }

    /// Adds an output. Outputs are called in the order in which they were added.
    pub fn output(mut self, output: impl LiveOutput + 'static) -> Self {
        self.0.outputs.push(Box::new(output));
        self
    }

    /// Whether no frame is dropped: the input waits for the models then, and results of a stream that is faster than these are late. For
    /// recordings. Default false.
    pub fn every_frame(mut self, every_frame: bool) -> Self {
        self.0.every_frame = every_frame;
        self
    }

    /// Ends the loop so long after the arrival of the first frame.
    pub fn duration(mut self, duration: Duration) -> Self {
        self.0.duration = Some(duration);
        self
    }

    /// Ends the loop after results of so many frames.
    pub fn max_frames(mut self, frames: u64) -> Self {
        self.0.max_frames = Some(frames);
        self
    }

    /// Ends the loop when it is requested: the frame that the models have is finished and goes to the outputs.
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.0.cancel = cancel;
        self
    }

    /// Runs until the stream ends, the time or number of frames is over, or it is cancelled.
    ///
    /// # Errors
    /// [`LiveError::Input`] if the stream ended with an error and without a frame, [`LiveError::Session`] if the models cannot be
    /// prepared, [`LiveError::Internal`] if a thread cannot be started or fails.
    pub fn start(self) -> Result<LiveSummary, LiveError> {
        run(self.0)
    }
}
