//! Frames as they arrive: `push` submits one, `try_next` takes a result where there is one.

use crate::{
    frame::{Detections, Frame},
    session::{
        error::SessionError,
        executor::{
            interface::{CompletedFrame, Executor},
            on_thread::OnThread,
        },
        finished::frame_with_detections,
        live_queue::{Live, WhenBusy},
        session::Session,
    },
    sources::IntoFrame,
};

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
    /// [`SessionError::ResultsNotTaken`] while 64 results wait to be taken; under [`WhenBusy::DropOldest`] the oldest is
    /// dropped instead.
    pub fn push(&mut self, image: impl IntoFrame) -> Result<(), SessionError> {
        let pending = self.pending(image)?;
        self.live()?.push(pending)
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
        let done = live.done.pop_front();
        done.map(|done| self.finished(done)).transpose()
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
        let done = live.done.pop_front();
        done.map(|done| self.finished(done)).transpose()
    }

    /// Begins a new source: the frames that are pushed from now on have tracks of their own, with ids from 1, whose times and
    /// motion of the camera do not go back to the frames before. For images in memory that come from another place than those
    /// before; [`Frame`]s of another source begin one by themselves, as do [`Session::stream`] and runs. Frames that were
    /// pushed before keep the old tracks, also where their results are taken later. Without
    /// [`SessionBuilder::track`](crate::session::SessionBuilder::track) it does nothing.
    pub fn reset_tracks(&mut self) {
        let next = self.next_frame();
        if self.resets.back() != Some(&next) {
            self.resets.push_back(next);
        }
    }

    /// Frames that [`WhenBusy::DropOldest`] dropped.
    pub fn dropped(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| live.dropped)
    }

    fn finished(
        &mut self,
        done: Result<CompletedFrame, SessionError>,
    ) -> Result<(Frame, Detections), SessionError> {
        let done = done?;
        while self
            .resets
            .pop_front_if(|first| *first <= done.pending.number)
            .is_some()
        {
            self.refiner.reset();
        }
        frame_with_detections(done.pending.frame, done.objects, false, &mut self.refiner)
    }

    fn live(&mut self) -> Result<&mut Live, SessionError> {
        if self.live.is_none() {
            let executor = self.executor(1)?;
            let executor: Box<dyn Executor> = if self.is_cpu() {
                Box::new(OnThread::new(executor)?)
            } else {
                executor
            };
            self.live = Some(Live::new(executor));
        }
        self.live.as_mut().ok_or(SessionError::Without("live loop"))
    }
}
