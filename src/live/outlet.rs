//! The thread of the outputs: what is found and what happens, to each output in turn.

use crate::{
    engine::{Direction, Engine},
    frame::{Detections, Frame},
    igtl::ImageGeometry,
    live::{
        counters::Counters,
        event::LiveEvent,
        meter::Latency,
        output::{LiveOutput, LiveStream},
        result::{LiveFigures, LiveFrame, LiveTimes},
    },
};
use std::{
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};

/// What may wait for the outputs.
const AHEAD: usize = 64;
/// Time between looks at what changes slowly: memory, quantiles, drops.
const TICK: Duration = Duration::from_millis(500);

/// To the outputs' thread.
pub(super) enum ToOutputs {
    Frame(Box<Found>),
    Event(LiveEvent),
    /// Nothing more comes, though an input that hangs may still hold the way here.
    End,
}

/// A frame with its result, before it has the loop's figures.
pub(super) struct Found {
    pub(super) frame: Frame,
    pub(super) detections: Detections,
    pub(super) geometry: Option<ImageGeometry>,
    pub(super) times: LiveTimes,
}

/// The way to the outputs' thread; clones are the same.
#[derive(Clone)]
pub(super) struct Outlet(SyncSender<ToOutputs>);

impl Outlet {
    /// A bounded queue to the outputs.
    pub(super) fn new() -> (Self, Receiver<ToOutputs>) {
        let (send, receive) = sync_channel(AHEAD);
        (Self(send), receive)
    }

    /// Whether there was room for it, without waiting.
    pub(super) fn offer(&self, item: ToOutputs) -> bool {
        match self.0.try_send(item) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Waits for room; false where the outputs' thread has ended.
    pub(super) fn give(&self, item: ToOutputs) -> bool {
        self.0.send(item).is_ok()
    }
}

/// All outputs, on their thread.
pub(super) struct Outputs {
    outputs: Vec<Box<dyn LiveOutput>>,
    counters: Arc<Counters>,
    engine: Engine,
    /// Moves before the loop began: those of the models.
    moves: [u64; 2],
    ticked: Instant,
    /// Drops that an event has reported.
    reported_drops: u64,
    latency: Latency,
    device_memory: u64,
    problems: u64,
}

impl Outputs {
    /// Lets the outputs begin.
    pub(super) fn new(
        mut outputs: Vec<Box<dyn LiveOutput>>,
        stream: &LiveStream,
        counters: Arc<Counters>,
        engine: Engine,
    ) -> Self {
        outputs.iter_mut().for_each(|output| output.begin(stream));
        let mut all = Self {
            outputs,
            counters,
            moves: moves(&engine),
            engine,
            ticked: Instant::now(),
            reported_drops: 0,
            latency: Latency::default(),
            device_memory: 0,
            problems: 0,
        };
        all.read_memory();
        all.look_at_outputs();
        all
    }

    /// Works until nothing more comes. Returns the figures at the end and the number of problems of outputs.
    pub(super) fn run(mut self, items: &Receiver<ToOutputs>) -> (LiveFigures, u64) {
        loop {
            match items.recv_timeout(TICK) {
                Ok(ToOutputs::Frame(found)) => self.frame(*found),
                Ok(ToOutputs::Event(event)) => self.event(&event),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(ToOutputs::End) | Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.ticked.elapsed() >= TICK {
                self.tick();
            }
            self.look_at_outputs();
        }
        self.tick();
        self.outputs.iter_mut().for_each(|output| output.finish());
        self.look_at_outputs();
        (self.figures(), self.problems)
    }

    fn frame(&mut self, found: Found) {
        let Found {
            frame,
            detections,
            geometry,
            times,
        } = found;
        let frame = Arc::new(LiveFrame {
            frame,
            detections,
            geometry,
            times,
            figures: self.figures(),
        });
        self.outputs
            .iter_mut()
            .for_each(|output| output.frame(&frame));
        self.counters.handed.sent(times.arrival.instant);
    }

    fn event(&mut self, event: &LiveEvent) {
        self.outputs
            .iter_mut()
            .for_each(|output| output.event(event));
    }

    /// Brings up to date what changes slowly.
    fn tick(&mut self) {
        self.ticked = Instant::now();
        self.latency = self.counters.result.latency();
        self.read_memory();
        let dropped = self.counters.dropped.load(Relaxed);
        if dropped > self.reported_drops {
            let frames = dropped - self.reported_drops;
            self.reported_drops = dropped;
            self.event(&LiveEvent::Dropped { frames });
        }
    }

    fn read_memory(&mut self) {
        // A device that cannot tell has its last figure; that it failed shows in its frames.
        if let Ok(Some((free, total))) = self.engine.memory() {
            self.device_memory = total.saturating_sub(free) as u64;
        }
    }

    /// Takes note of what outputs want, and of what happened and what went wrong in them.
    fn look_at_outputs(&mut self) {
        let reads_pixels = self.outputs.iter().any(|output| output.reads_pixels());
        self.counters.reads_pixels.store(reads_pixels, Relaxed);
        let outputs = self.outputs.iter_mut();
        let events: Vec<LiveEvent> = outputs.flat_map(|output| output.take_events()).collect();
        events.iter().for_each(|event| self.event(event));
        let outputs = self.outputs.iter_mut();
        let problems: Vec<String> = outputs.flat_map(|output| output.take_problems()).collect();
        for problem in problems {
            self.problems += 1;
            self.event(&LiveEvent::OutputProblem { problem });
        }
    }

    fn figures(&self) -> LiveFigures {
        let counted = self.counters.figures();
        let dropped: u64 = self.outputs.iter().map(|output| output.dropped()).sum();
        let [up, down] = moves(&self.engine);
        LiveFigures {
            output_dropped: counted.output_dropped + dropped,
            latency: self.latency,
            device_memory: self.device_memory,
            transfers: [
                up.saturating_sub(self.moves[0]),
                down.saturating_sub(self.moves[1]),
            ],
            ..counted
        }
    }
}

/// Announced moves so far: uploads, downloads.
fn moves(engine: &Engine) -> [u64; 2] {
    [Direction::HostToDevice, Direction::DeviceToHost]
        .map(|direction| engine.transfer_log().all(direction).0)
}
