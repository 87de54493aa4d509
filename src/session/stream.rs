//! The frames of a source with what was found in them, as an iterator.

use crate::{
    frame::{Detections, Frame, SourceInfo},
    session::{
        error::SessionError,
        executor::interface::Executor,
        finished::frame_with_detections,
        refine::Refiner,
        scheduler::{Output, Scheduler},
        session::Session,
    },
    sources::{Source, SourceError, SourceWarning},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

enum Decoded {
    Frame(Frame, Duration),
    Failed(SourceError),
    Warnings(Vec<SourceWarning>),
}

/// An iterator of frames with what was found in them, by [`Session::stream`]. Dropping it ends the decoding.
///
/// Frames that were decoded on the GPU come without their pixels, unless [`Stream::keep_pixels`].
pub struct Stream<'a> {
    session: &'a mut Session,
    /// None once the executor went back to the session.
    scheduler: Option<Scheduler<SourceError>>,
    decoded: Option<Receiver<Decoded>>,
    decoding: Option<JoinHandle<()>>,
    cancel: Arc<AtomicBool>,
    info: Arc<SourceInfo>,
    warnings: Vec<SourceWarning>,
    keep_pixels: bool,
    refiner: Refiner,
}

impl Session {
    /// Finds and outlines the objects of every frame of a source: an iterator of frames with what was found in them, in
    /// order. Decoding goes on on a thread of its own while the models work; on a GPU batches overlap, and a frame that
    /// cannot be read is an error in its place, after which the iterator goes on.
    ///
    /// # Errors
    /// As [`Session::run`]; [`SessionError::Internal`] if the decoding thread cannot be started.
    pub fn stream<S: Source + 'static>(&mut self, source: S) -> Result<Stream<'_>, SessionError> {
        let executor = self.take_batches()?;
        Stream::new(self, executor, Box::new(source))
    }
}

impl<'a> Stream<'a> {
    pub(crate) fn new(
        session: &'a mut Session,
        executor: Box<dyn Executor>,
        source: Box<dyn Source>,
    ) -> Result<Self, SessionError> {
        let (send, decoded) = sync_channel(2 * executor.batch().max(2));
        let cancel = Arc::new(AtomicBool::new(false));
        let refiner = Refiner::new(session.refining().clone());
        let (info, stop) = (source.info().clone(), cancel.clone());
        let started = thread::Builder::new()
            .name("decode".to_owned())
            .spawn(move || decode(source, &send, &stop));
        let decoding = started.map_err(|e| {
            SessionError::Internal(format!("the decoding thread could not be started: {e}"))
        })?;
        Ok(Self {
            session,
            scheduler: Some(Scheduler::new(vec![executor], false, None)),
            decoded: Some(decoded),
            decoding: Some(decoding),
            cancel,
            info,
            warnings: Vec::new(),
            keep_pixels: false,
            refiner,
        })
    }

    /// Whether frames that were decoded on the GPU come with their pixels, which costs a copy to the host for each.
    #[must_use]
    pub fn keep_pixels(mut self, keep: bool) -> Self {
        self.keep_pixels = keep;
        self
    }

    /// What is known of the source.
    pub fn info(&self) -> &SourceInfo {
        &self.info
    }

    /// Warnings about the source since the last call.
    pub fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.warnings)
    }

    /// Does what there is to do until something is next in order; none at the end.
    fn advance(&mut self) -> Option<Output<SourceError>> {
        loop {
            let scheduler = self.scheduler.as_mut()?;
            if let Some(output) = scheduler.pop() {
                return Some(output);
            }
            let decoded = self.decoded.as_ref()?;
            let item = if scheduler.is_idle() {
                decoded.recv().map_err(|_| TryRecvError::Disconnected)
            } else if scheduler.is_full() {
                scheduler.wait_next();
                continue;
            } else {
                decoded.try_recv()
            };
            match item {
                Ok(Decoded::Frame(frame, decode)) => {
                    let pending = self.session.pending_frame(frame, decode);
                    scheduler.push(pending);
                }
                Ok(Decoded::Failed(error)) => scheduler.pass(error),
                Ok(Decoded::Warnings(warnings)) => self.warnings.extend(warnings),
                Err(TryRecvError::Empty) if scheduler.has_in_flight() => scheduler.wait_next(),
                // Decoding is behind: what is there is worked on, though it is less than a batch.
                Err(TryRecvError::Empty) => scheduler.submit(),
                Err(TryRecvError::Disconnected) if scheduler.is_idle() => return self.end(),
                Err(TryRecvError::Disconnected) => scheduler.drain(),
            }
        }
    }

    /// The decoding thread has ended: by itself, or by a panic, which is reported as an error of the source.
    fn end(&mut self) -> Option<Output<SourceError>> {
        let panicked = self
            .decoding
            .take()
            .is_some_and(|decoding| decoding.join().is_err());
        self.finish();
        panicked.then(|| {
            Output::Passed(SourceError::new(
                &self.info.path,
                "the decoder failed by a fault of its own",
            ))
        })
    }

    fn finish(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
        // The thread may wait for room in the channel.
        self.decoded = None;
        if let Some(decoding) = self.decoding.take() {
            let _ = decoding.join();
        }
        if let Some(scheduler) = self.scheduler.take() {
            self.session.give_batches_back(scheduler);
        }
    }
}

impl Iterator for Stream<'_> {
    type Item = Result<(Frame, Detections), SessionError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.advance()? {
            Output::Passed(error) => Err(SessionError::Source(error)),
            Output::Frame(done) => {
                let (frame, keep) = (done.pending.frame, self.keep_pixels);
                frame_with_detections(frame, done.objects, keep, &mut self.refiner)
            }
        })
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.finish();
    }
}

fn decode(mut source: Box<dyn Source>, out: &SyncSender<Decoded>, cancel: &AtomicBool) {
    while !cancel.load(Ordering::Relaxed) {
        let start = Instant::now();
        let next = source.next_frame();
        let warnings = source.take_warnings();
        if !warnings.is_empty() && out.send(Decoded::Warnings(warnings)).is_err() {
            return;
        }
        let item = match next {
            Ok(Some(frame)) => Decoded::Frame(frame, start.elapsed()),
            Ok(None) => return,
            Err(error) => Decoded::Failed(error),
        };
        if out.send(item).is_err() {
            return;
        }
    }
}
