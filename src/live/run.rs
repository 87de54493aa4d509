//! The loop itself: the newest frame through the models, one at a time.

use crate::{
    frame::{Detections, Frame},
    live::{
        counters::Counters,
        error::LiveError,
        event::LiveEvent,
        input::{LiveInput, ReceivedFrame},
        intake::Intake,
        mailbox::{Mailbox, Taken},
        outlet::{Found, Outlet, Outputs, ToOutputs},
        output::LiveStream,
        plan::Plan,
        result::{LiveFigures, LiveTimes},
        summary::LiveSummary,
    },
    progress::Cancel,
    session::{Session, SessionError},
    sources::SourceError,
};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Time between looks at the request to end, where no frame comes.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long an input that is to end is waited for; one that hangs in a driver is left behind.
const INPUT_ENDS: Duration = Duration::from_secs(3);

/// The caller's thread.
struct Models {
    session: Session,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
    outlet: Outlet,
    every_frame: bool,
}

/// When the loop ends.
struct Until {
    cancel: Cancel,
    duration: Option<Duration>,
    max_frames: Option<u64>,
}

/// Runs a loop to its end.
pub(super) fn run(plan: Plan) -> Result<LiveSummary, LiveError> {
    let Plan {
        mut session,
        input,
        outputs,
        cancel,
        every_frame,
        duration,
        max_frames,
    } = plan;
    session.prepare_live()?;
    let (counters, stop) = (Arc::new(Counters::default()), Cancel::default());
    let (outlet, items) = Outlet::new();
    let stream = LiveStream {
        info: input.info().clone(),
        labels: session.labels(),
        device: session.device(),
        sent: counters.sent.clone(),
    };
    let outputs = Outputs::new(outputs, &stream, counters.clone(), session.engine().clone());
    let outputs = spawn("live-output", move || outputs.run(&items))?;
    let mailbox = Arc::new(Mailbox::new(every_frame));
    let models = Models {
        session,
        mailbox: mailbox.clone(),
        counters: counters.clone(),
        outlet: outlet.clone(),
        every_frame,
    };
    let until = Until {
        cancel,
        duration,
        max_frames,
    };
    let reading = read(input, &models, &stop)?;
    let worked = models.run(&until);
    stop.request();
    mailbox.close();
    let last_error = joined(reading);
    // Outputs that ended early have an error of their own.
    outlet.give(ToOutputs::End);
    drop(outlet);
    let (figures, output_problems) = ended(outputs)?;
    let (elapsed, interrupted) = worked?;
    match last_error {
        Some(error) if figures.arrived == 0 => Err(LiveError::Input(error)),
        _ => Ok(LiveSummary {
            figures: LiveFigures {
                latency: counters.result.latency(),
                ..figures
            },
            decode: counters.decode.latency(),
            wait: counters.wait.latency(),
            models: counters.models.latency(),
            result: counters.result.latency(),
            handed: counters.handed.latency(),
            sent: counters.sent.latency(),
            elapsed,
            interrupted,
            output_problems,
        }),
    }
}

/// Starts the thread of the input.
fn read(
    input: Box<dyn LiveInput>,
    models: &Models,
    stop: &Cancel,
) -> Result<JoinHandle<Option<SourceError>>, LiveError> {
    let intake = Intake {
        mailbox: models.mailbox.clone(),
        counters: models.counters.clone(),
        outlet: models.outlet.clone(),
        stop: stop.clone(),
    };
    spawn("live-input", move || intake.run(input))
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, LiveError> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map_err(|e| LiveError::Internal(format!("the thread {name} could not be started: {e}")))
}

/// The error with which the input ended, if it ended in time.
fn joined(reading: JoinHandle<Option<SourceError>>) -> Option<SourceError> {
    let until = Instant::now() + INPUT_ENDS;
    while !reading.is_finished() && Instant::now() < until {
        thread::sleep(Duration::from_millis(2));
    }
    if reading.is_finished() {
        reading.join().ok().flatten()
    } else {
        None
    }
}

fn ended<T>(outputs: JoinHandle<T>) -> Result<T, LiveError> {
    outputs.join().map_err(|_| {
        LiveError::Internal("the thread of the outputs failed by a fault of its own".to_owned())
    })
}

impl Models {
    /// Works until the end: how long that was from the first frame on, and whether it was cancelled. The models are dropped then, and
    /// with them the way to the outputs.
    fn run(mut self, until: &Until) -> Result<(Duration, bool), LiveError> {
        let mut first = None;
        let elapsed = |first: Option<Instant>| first.map_or(Duration::ZERO, |f| f.elapsed());
        loop {
            if until.cancel.is_requested() {
                return Ok((elapsed(first), true));
            }
            let done = self.counters.done.load(Relaxed) + self.counters.failed.load(Relaxed);
            if until.max_frames.is_some_and(|max| done >= max)
                || first.is_some() && until.duration.is_some_and(|max| elapsed(first) >= max)
            {
                return Ok((elapsed(first), false));
            }
            match self.mailbox.take(PATIENCE) {
                Taken::Frame(received) => {
                    first.get_or_insert(received.arrival.instant);
                    self.frame(*received)?;
                }
                Taken::Nothing => {}
                Taken::Ended => return Ok((elapsed(first), until.cancel.is_requested())),
            }
        }
    }

    fn frame(&mut self, received: ReceivedFrame) -> Result<(), LiveError> {
        let ReceivedFrame {
            frame,
            arrival,
            decoded,
            geometry,
        } = received;
        let (index, started) = (frame.index, Instant::now());
        let (frame, detections) = match self.found(frame) {
            Ok(found) => found,
            Err(error @ SessionError::Internal(_)) => return Err(error.into()),
            Err(error) => return self.failed(index, &error),
        };
        let times = LiveTimes {
            arrival,
            decoded,
            started,
            done: Instant::now(),
        };
        let counters = &self.counters;
        Counters::add(&counters.done);
        counters.decode.add(decoded - arrival.instant);
        counters
            .wait
            .add(started.saturating_duration_since(decoded));
        counters.models.add(times.done - started);
        counters.result.add(times.done - arrival.instant);
        self.hand(ToOutputs::Frame(Box::new(Found {
            frame,
            detections,
            geometry,
            times,
        })))
    }

    fn found(&mut self, frame: Frame) -> Result<(Frame, Detections), SessionError> {
        self.session.push(frame)?;
        self.session
            .keep_pixels(self.counters.reads_pixels.load(Relaxed));
        self.session
            .wait_next()?
            .ok_or_else(|| SessionError::Internal("a frame was lost in the models".to_owned()))
    }

    fn failed(&self, index: u64, error: &SessionError) -> Result<(), LiveError> {
        Counters::add(&self.counters.failed);
        self.hand(ToOutputs::Event(LiveEvent::FrameFailed {
            frame: Some(index),
            problem: format!("frame {index}: {error}"),
        }))
    }

    /// To the outputs: at once or, where every frame counts, when there is room.
    fn hand(&self, item: ToOutputs) -> Result<(), LiveError> {
        if self.every_frame {
            if self.outlet.give(item) {
                return Ok(());
            }
            return Err(LiveError::Internal(
                "the thread of the outputs has ended early".to_owned(),
            ));
        }
        if !self.outlet.offer(item) {
            Counters::add(&self.counters.not_handed);
        }
        Ok(())
    }
}
