//! Frames through the models stage by stage, with boxes and masks on the host in between: the CPU's way.

use super::{
    ModelError, Stage, StageTimes, Task,
    executor::{CompletedFrame, Executor, Objects, PendingFrame},
    prompts::Prompted,
};
use crate::engine::{Engine, GraphCache, OutOfMemory};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Works on a frame when it is submitted, one at a time.
pub(super) struct Staged {
    task: Task,
    /// The detector's graphs and the segmenter's, on a GPU.
    graphs: [GraphCache; 2],
    times: StageTimes,
    done: VecDeque<Vec<CompletedFrame>>,
}

impl Staged {
    pub(super) fn new(task: Task) -> Self {
        Self {
            task,
            graphs: Default::default(),
            times: StageTimes::default(),
            done: VecDeque::new(),
        }
    }

    /// Works on one frame. A panic of the models is an error of that frame.
    pub(super) fn run(&mut self, pending: PendingFrame) -> CompletedFrame {
        let found = catch_unwind(AssertUnwindSafe(|| {
            Engine::in_frame(pending.number, || self.objects(&pending))
        }));
        let objects = found.unwrap_or_else(|_| {
            Err(ModelError::Batch(
                "the models failed by a fault of ultramotion".to_owned(),
            ))
        });
        let times = self.times.take_recent(&Stage::PER_FRAME.map(Stage::name));
        CompletedFrame {
            pending,
            objects,
            times,
        }
    }

    fn objects(&mut self, pending: &PendingFrame) -> Objects {
        let frame = &pending.frame;
        let (times, [detecting, segmenting]) = (&self.times, &mut self.graphs);
        match &self.task {
            Task::Extract { .. } => Ok(Vec::new()),
            Task::Detect(detector) => detector.detect(detecting, frame, times),
            Task::Segment(segmenter, _) => segmenter.segment(
                segmenting,
                frame,
                pending.prompts.clone().unwrap_or_default(),
                times,
            ),
            Task::Pipeline(detector, segmenter) => {
                let found = detector.detect(detecting, frame, times)?;
                segmenter.segment(
                    segmenting,
                    frame,
                    found.into_iter().map(Prompted::from_object).collect(),
                    times,
                )
            }
        }
    }
}

impl Executor for Staged {
    fn batch(&self) -> usize {
        1
    }

    fn is_full(&self) -> bool {
        !self.done.is_empty()
    }

    fn submit(&mut self, frames: Vec<PendingFrame>) {
        let completed = frames
            .into_iter()
            .map(|pending| self.run(pending))
            .collect();
        self.done.push_back(completed);
    }

    fn is_ready(&self) -> bool {
        !self.done.is_empty()
    }

    fn wait_next(&mut self) -> Option<Vec<CompletedFrame>> {
        self.done.pop_front()
    }

    fn out_of_memory(&self, error: &ModelError) -> Option<OutOfMemory> {
        self.task
            .engine()
            .and_then(|engine| error.out_of_memory(engine))
    }
}
