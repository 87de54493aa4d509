//! Frames through the models stage by stage, with boxes and masks on the host in between: the CPU's way.

use crate::{
    engine::{Engine, GraphCache, OutOfMemory},
    session::models::Models,
    session::{
        error::ModelError,
        executor::interface::{CompletedFrame, Executor, Objects, PendingFrame},
        prompted::Prompted,
        stage::Stage,
        stage_times::StageTimes,
    },
};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Works on a frame when it is submitted, one at a time.
pub(crate) struct Staged {
    models: Models,
    /// The detector's graphs and the segmenter's, on a GPU.
    graphs: [GraphCache; 2],
    times: StageTimes,
    done: VecDeque<Vec<CompletedFrame>>,
}

impl Staged {
    pub(crate) fn new(models: Models) -> Self {
        Self {
            models,
            graphs: Default::default(),
            times: StageTimes::default(),
            done: VecDeque::new(),
        }
    }

    /// Works on one frame. A panic of the models is an error of that frame.
    pub(crate) fn run(&mut self, pending: PendingFrame) -> CompletedFrame {
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
        let found = match &self.models.detector {
            Some(detector) => detector.detect(detecting, frame, times)?,
            None => Vec::new(),
        };
        let Some(segmenter) = &self.models.segmenter else {
            return Ok(found);
        };
        let prompted = match &self.models.detector {
            Some(_) => found.into_iter().map(Prompted::from_object).collect(),
            None => pending.prompts.clone().unwrap_or_default(),
        };
        segmenter.segment(segmenting, frame, prompted, times)
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
        self.models
            .engine()
            .and_then(|engine| error.out_of_memory(engine))
    }
}
