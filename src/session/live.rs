//! Frames as they arrive: `push` submits one, `try_next` takes a result where there is one.

#[cfg(test)]
use crate::{
    engine::Engine,
    session::{execution::Execution, refine::Refining},
};
use crate::{
    frame::{Channels, Detections, Frame, Image},
    geometry::Size,
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

/// Size of the picture that models work on before the first frame.
const WARM_UP: Size = Size {
    width: 640,
    height: 480,
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

    /// Whether frames of the live loop that were decoded on the GPU come back with their pixels in host memory, which costs a copy for
    /// each; default false. It counts for the results that are taken from now on.
    pub fn keep_pixels(&mut self, keep: bool) {
        self.keep_pixels = keep;
    }

    /// Makes the models ready for [`Session::push`] and lets them work on a picture without content, whose result is discarded, so
    /// that the first frame does not pay for what is done once. Where they are ready, it does nothing.
    ///
    /// # Errors
    /// As [`Session::push`] and [`Session::try_next`].
    pub fn prepare_live(&mut self) -> Result<(), SessionError> {
        if self.live.is_some() {
            return Ok(());
        }
        let grey = vec![128; WARM_UP.pixels() as usize * 3];
        let grey = Image::new(WARM_UP, Channels::Rgb, grey);
        let grey =
            grey.ok_or_else(|| SessionError::Internal("no picture to begin with".to_owned()))?;
        let pending = self.pending(grey)?;
        let live = self.live()?;
        live.push(pending)?;
        live.wait_next();
        match live.done.pop_back() {
            Some(done) => done.and_then(|done| Ok(done.objects.map(|_| ())?)),
            None => Ok(()),
        }
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

    /// A session whose live loop runs on `executor` instead of models.
    #[cfg(test)]
    pub(crate) fn over(executor: Box<dyn Executor>) -> Self {
        let engine = Engine::cpu();
        let execution = Execution::of(&engine);
        let mut session = Self::new(engine, None, None, execution, Refining::default());
        session.live = Some(Live::new(executor));
        session
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
        let (frame, keep) = (done.pending.frame, self.keep_pixels);
        frame_with_detections(frame, done.objects, keep, &mut self.refiner)
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
