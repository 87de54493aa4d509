//! Frames as they arrive: `push` hands one over, `try_next` takes a result where there is one.

use crate::{
    engine::OutOfMemory,
    frame::Frame,
    session::{
        executor::interface::{CompletedFrame, Executor, PendingFrame},
        session::{Detections, Session, SessionError},
        stream::frame_with_detections,
    },
    sources::IntoFrame,
};
use std::{
    collections::VecDeque,
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    thread::{self, JoinHandle},
};

/// What [`Session::push`] does with a frame that comes while the models are busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenBusy {
    /// Wait until the oldest frame in flight is done: every frame gets a result.
    #[default]
    Wait,
    /// Keep the newest frame that waits and drop the one that waited before: results are of current frames.
    DropOldest,
}

/// The live loop of a session.
pub(crate) struct Live {
    executor: Box<dyn Executor>,
    /// Frames in flight and the one that waits are bounded by the executor and this.
    waiting: Option<PendingFrame>,
    in_flight: usize,
    done: VecDeque<Result<CompletedFrame, SessionError>>,
    when_busy: WhenBusy,
    dropped: u64,
}

impl Live {
    fn push(&mut self, pending: PendingFrame) {
        self.collect(false);
        if !self.executor.is_full() {
            return self.submit(pending);
        }
        match self.when_busy {
            WhenBusy::Wait => {
                self.collect(true);
                self.submit(pending);
            }
            WhenBusy::DropOldest => {
                self.dropped += u64::from(self.waiting.replace(pending).is_some())
            }
        }
    }

    fn submit(&mut self, pending: PendingFrame) {
        self.executor.submit(vec![pending]);
        self.in_flight += 1;
    }

    /// Takes the results that are there, or waits for the oldest; then the frame that waits may go.
    fn collect(&mut self, wait: bool) {
        while self.in_flight > 0 && (self.executor.is_ready() || (wait && self.executor.is_full()))
        {
            self.wait_next();
        }
        if !self.executor.is_full()
            && let Some(pending) = self.waiting.take()
        {
            self.submit(pending);
        }
    }

    fn wait_next(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match self.executor.wait_next() {
            Some(done) => self.done.extend(done.into_iter().map(Ok)),
            None => self.done.push_back(Err(SessionError::Internal(
                "the inference thread ended by a fault of ultramotion".to_owned(),
            ))),
        }
    }
}

impl Session {
    /// Sets what [`Session::push`] does while the models are busy; default [`WhenBusy::Wait`].
    ///
    /// # Errors
    /// As [`Session::push`].
    pub fn when_busy(&mut self, when_busy: WhenBusy) -> Result<(), SessionError> {
        self.live()?.when_busy = when_busy;
        Ok(())
    }

    /// Hands a frame to the models and returns; results come from [`Session::try_next`] in the order of the frames. At
    /// most three frames are in flight or waiting at a time. On the CPU the models work on a thread of their own.
    ///
    /// # Errors
    /// [`SessionError::Without`] without a detector, [`SessionError::Image`] for an image that makes no frame,
    /// [`SessionError::Model`] if the models cannot be prepared. What goes wrong with a frame comes from `try_next`.
    pub fn push(&mut self, image: impl IntoFrame) -> Result<(), SessionError> {
        let pending = self.pending(image)?;
        self.live()?.push(pending);
        Ok(())
    }

    /// The next frame that is done, with what was found in it; none if no result is there yet.
    ///
    /// # Errors
    /// [`SessionError::Model`] if a model failed on that frame; the loop goes on with the next.
    pub fn try_next(&mut self) -> Result<Option<(Frame, Detections)>, SessionError> {
        let Some(live) = &mut self.live else {
            return Ok(None);
        };
        live.collect(false);
        live.done.pop_front().map(finished).transpose()
    }

    /// Waits for the next frame that was pushed; none if all are done.
    ///
    /// # Errors
    /// As [`Session::try_next`].
    pub fn wait_next(&mut self) -> Result<Option<(Frame, Detections)>, SessionError> {
        let Some(live) = &mut self.live else {
            return Ok(None);
        };
        live.collect(false);
        if live.done.is_empty() && live.in_flight > 0 {
            live.wait_next();
            live.collect(false);
        }
        live.done.pop_front().map(finished).transpose()
    }

    /// Frames that [`WhenBusy::DropOldest`] dropped.
    pub fn dropped(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| live.dropped)
    }

    fn live(&mut self) -> Result<&mut Live, SessionError> {
        if self.live.is_none() {
            let executor = self.executor(1)?;
            let executor: Box<dyn Executor> = if self.is_cpu() {
                Box::new(OnThread::new(executor)?)
            } else {
                executor
            };
            self.live = Some(Live {
                executor,
                waiting: None,
                in_flight: 0,
                done: VecDeque::new(),
                when_busy: WhenBusy::default(),
                dropped: 0,
            });
        }
        self.live.as_mut().ok_or(SessionError::Without("live loop"))
    }
}

fn finished(
    done: Result<CompletedFrame, SessionError>,
) -> Result<(Frame, Detections), SessionError> {
    let done = done?;
    frame_with_detections(done.pending.frame, done.objects, false)
}

/// An executor that works on a thread of its own, so that submitting does not wait.
struct OnThread {
    to_do: Option<Sender<Vec<PendingFrame>>>,
    results: Receiver<Vec<CompletedFrame>>,
    /// A result that was looked for and found.
    ready: std::cell::RefCell<VecDeque<Vec<CompletedFrame>>>,
    submitted: usize,
    thread: Option<JoinHandle<()>>,
}

impl OnThread {
    fn new(mut executor: Box<dyn Executor>) -> Result<Self, SessionError> {
        let (to_do, submitted) = channel::<Vec<PendingFrame>>();
        let (done, results) = channel();
        let work = move || {
            for frames in submitted {
                executor.submit(frames);
                if done.send(executor.wait_next().unwrap_or_default()).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("infer".to_owned()).spawn(work);
        let thread = thread.map_err(|e| {
            SessionError::Internal(format!("the inference thread could not be started: {e}"))
        })?;
        Ok(Self {
            to_do: Some(to_do),
            results,
            ready: Default::default(),
            submitted: 0,
            thread: Some(thread),
        })
    }
}

impl Executor for OnThread {
    fn batch(&self) -> usize {
        1
    }

    fn is_full(&self) -> bool {
        self.submitted >= 2
    }

    fn submit(&mut self, frames: Vec<PendingFrame>) {
        self.submitted += 1;
        if let Some(to_do) = &self.to_do {
            // A thread that ended is noticed when its results are waited for.
            let _ = to_do.send(frames);
        }
    }

    fn is_ready(&self) -> bool {
        let mut ready = self.ready.borrow_mut();
        match self.results.try_recv() {
            Ok(done) => ready.push_back(done),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return true,
        }
        !ready.is_empty()
    }

    fn wait_next(&mut self) -> Option<Vec<CompletedFrame>> {
        if self.submitted == 0 {
            return None;
        }
        self.submitted -= 1;
        self.ready
            .get_mut()
            .pop_front()
            .or_else(|| self.results.recv().ok())
    }

    fn out_of_memory(&self, _: &crate::session::error::ModelError) -> Option<OutOfMemory> {
        None
    }
}

impl Drop for OnThread {
    fn drop(&mut self) {
        self.to_do = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
