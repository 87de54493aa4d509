//! The scheduler over executors that follow a script instead of running models.

use crate::{
    engine::OutOfMemory,
    frame::{Channels, Frame, Image, SourceInfo, SourceKind},
    geometry::Size,
    session::{
        error::ModelError,
        executor::interface::{CompletedFrame, Executor, PendingFrame},
        scheduler::{FallbackWork, Notice, Output, Scheduler},
    },
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// What an executor was asked to do: the numbers of the frames of each batch.
pub(crate) type Log = Arc<Mutex<Vec<(&'static str, Vec<u64>)>>>;

pub(crate) struct Scripted {
    name: &'static str,
    batch: usize,
    pub(crate) in_flight: usize,
    queue: VecDeque<Vec<PendingFrame>>,
    /// Frames of these numbers find no memory.
    pub(crate) no_memory: Vec<u64>,
    log: Log,
}

impl Scripted {
    pub(crate) fn new(name: &'static str, batch: usize, log: &Log) -> Self {
        Self {
            name,
            batch,
            in_flight: 2,
            queue: VecDeque::new(),
            no_memory: Vec::new(),
            log: log.clone(),
        }
    }
}

pub(crate) fn oom() -> OutOfMemory {
    OutOfMemory {
        device: "cuda:7".to_owned(),
        needed: Some(1),
        used: 2,
        free: 0,
    }
}

impl Executor for Scripted {
    fn batch(&self) -> usize {
        self.batch
    }

    fn is_full(&self) -> bool {
        self.queue.len() >= self.in_flight
    }

    fn submit(&mut self, frames: Vec<PendingFrame>) {
        assert!(!self.is_full(), "submitted to a full executor");
        assert!((1..=self.batch).contains(&frames.len()));
        self.log
            .lock()
            .unwrap()
            .push((self.name, frames.iter().map(|frame| frame.number).collect()));
        self.queue.push_back(frames);
    }

    fn is_ready(&self) -> bool {
        !self.queue.is_empty()
    }

    fn wait_next(&mut self) -> Option<Vec<CompletedFrame>> {
        let completed = |pending: PendingFrame| {
            let objects = match self.no_memory.contains(&pending.number) {
                true => Err(ModelError::OutOfMemory(Box::new(oom()))),
                false => Ok(Vec::new()),
            };
            CompletedFrame {
                pending,
                objects,
                times: vec![(self.name, Duration::ZERO)],
            }
        };
        Some(self.queue.pop_front()?.into_iter().map(completed).collect())
    }

    fn out_of_memory(&self, error: &ModelError) -> Option<OutOfMemory> {
        match error {
            ModelError::OutOfMemory(oom) => Some((**oom).clone()),
            _ => None,
        }
    }
}

pub(crate) fn pending(number: u64) -> PendingFrame {
    let source = Arc::new(SourceInfo {
        ordinal: 0,
        path: "clip.mp4".into(),
        name: "clip".to_owned(),
        kind: SourceKind::Video,
        folder: None,
        frame_count: None,
        frame_rate: None,
        attributes: Default::default(),
    });
    let image = Image::new(Size::new(1, 1), Channels::Gray, vec![0]).unwrap();
    let frame = Frame {
        source,
        index: number,
        timestamp: None,
        file: None,
        pixels: image.into(),
        physical: None,
        exif_orientation: None,
        stored: None,
    };
    PendingFrame {
        frame,
        prompts: None,
        number,
        decode: Duration::ZERO,
        queued_at: Instant::now(),
    }
}

/// What has come out: items as they are, frames as their number and who worked on them.
pub(crate) fn popped(scheduler: &mut Scheduler<&'static str>) -> Vec<String> {
    std::iter::from_fn(|| scheduler.pop())
        .map(|output| match output {
            Output::Passed(item) => item.to_owned(),
            Output::Frame(done) => {
                let by = done.times.first().map_or("nobody", |(name, _)| name);
                format!(
                    "{} by {by}{}",
                    done.pending.number,
                    if done.objects.is_err() { " failed" } else { "" }
                )
            }
        })
        .collect()
}

pub(crate) fn fallback(log: &Log) -> FallbackWork {
    let log = log.clone();
    Box::new(move |pending| {
        log.lock().unwrap().push(("cpu", vec![pending.number]));
        CompletedFrame {
            pending,
            objects: Ok(Vec::new()),
            times: vec![("cpu", Duration::ZERO)],
        }
    })
}

#[test]
fn results_and_items_come_in_the_order_of_their_frames_whichever_executor_is_first() {
    let log = Log::default();
    let executors: Vec<Box<dyn Executor>> = vec![
        Box::new(Scripted::new("a", 2, &log)),
        Box::new(Scripted::new("b", 2, &log)),
    ];
    let mut scheduler = Scheduler::new(executors, false, None);
    scheduler.pass("begin");
    for number in 0..5 {
        scheduler.push(pending(number));
        if number == 2 {
            scheduler.pass("between");
        }
    }
    scheduler.pass("end");
    assert_eq!(
        popped(&mut scheduler),
        ["begin"],
        "what follows a pending frame waits"
    );
    scheduler.wait_next();
    assert_eq!(popped(&mut scheduler), ["0 by a", "1 by a"]);
    scheduler.drain();
    assert_eq!(
        popped(&mut scheduler),
        ["2 by b", "between", "3 by b", "4 by a", "end"]
    );
    assert!(scheduler.is_idle());
    let batches = log.lock().unwrap().clone();
    assert_eq!(
        batches,
        [("a", vec![0, 1]), ("b", vec![2, 3]), ("a", vec![4])],
        "batches are dealt out in turn"
    );
}

#[test]
fn no_executor_ever_has_more_than_it_takes() {
    let log = Log::default();
    for (batch, executors) in [(1, 1), (3, 1), (4, 3)] {
        let made = (0..executors)
            .map(|_| Box::new(Scripted::new("e", batch, &log)) as Box<dyn Executor>)
            .collect();
        let mut scheduler = Scheduler::new(made, false, None);
        // `Scripted::submit` asserts the bound.
        (0..100).for_each(|number| scheduler.push(pending(number)));
        scheduler.drain();
        let out = popped(&mut scheduler);
        assert_eq!(
            out,
            (0..100)
                .map(|number| format!("{number} by e"))
                .collect::<Vec<_>>()
        );
    }
}

#[test]
fn one_at_a_time_leaves_nothing_in_flight() {
    let log = Log::default();
    let mut scheduler = Scheduler::new(vec![Box::new(Scripted::new("a", 1, &log))], true, None);
    for number in 0..3 {
        scheduler.push(pending(number));
        assert!(!scheduler.has_in_flight());
        assert_eq!(popped(&mut scheduler), [format!("{number} by a")]);
    }
}

#[test]
fn after_a_cancellation_what_was_submitted_comes_out_and_no_more() {
    for pushed in 0..9 {
        let log = Log::default();
        let mut scheduler =
            Scheduler::new(vec![Box::new(Scripted::new("a", 4, &log))], false, None);
        scheduler.pass("begin");
        (0..pushed).for_each(|number| scheduler.push(pending(number)));
        scheduler.pass("end");
        scheduler.cancel();
        let submitted = pushed / 4 * 4;
        let mut expected = vec!["begin".to_owned()];
        expected.extend((0..submitted).map(|number| format!("{number} by a")));
        if submitted == pushed {
            expected.push("end".to_owned());
        }
        assert_eq!(popped(&mut scheduler), expected, "{pushed} frames");
        assert!(scheduler.is_idle());
    }
}

#[test]
fn a_device_without_memory_hands_its_frame_and_all_later_ones_to_the_fallback() {
    let log = Log::default();
    let executor = Scripted {
        no_memory: vec![3],
        ..Scripted::new("gpu", 2, &log)
    };
    let of_fallback = log.clone();
    let make = Box::new(move || Ok(fallback(&of_fallback)));
    let mut scheduler: Scheduler<&'static str> =
        Scheduler::new(vec![Box::new(executor)], false, Some(make));
    (0..4).for_each(|number| scheduler.push(pending(number)));
    scheduler.drain();
    (4..6).for_each(|number| scheduler.push(pending(number)));
    assert_eq!(
        popped(&mut scheduler),
        [
            "0 by gpu", "1 by gpu", "2 by gpu", "3 by cpu", "4 by cpu", "5 by cpu"
        ]
    );
    assert_eq!(
        scheduler.take_notices(),
        [Notice::OutOfMemory(oom()), Notice::Fallback(oom())]
    );
    assert!(scheduler.take_notices().is_empty());
}

#[test]
fn without_a_fallback_the_frame_fails_and_the_others_come_out() {
    let log = Log::default();
    let executor = Scripted {
        no_memory: vec![1],
        ..Scripted::new("gpu", 2, &log)
    };
    let mut scheduler: Scheduler<&'static str> =
        Scheduler::new(vec![Box::new(executor)], false, None);
    (0..4).for_each(|number| scheduler.push(pending(number)));
    scheduler.drain();
    assert_eq!(
        popped(&mut scheduler),
        ["0 by gpu", "1 by gpu failed", "2 by gpu", "3 by gpu"]
    );
    assert_eq!(scheduler.take_notices(), [Notice::OutOfMemory(oom())]);
}

#[test]
fn a_fallback_that_cannot_be_made_is_the_error_of_the_frame() {
    let log = Log::default();
    let executor = Scripted {
        no_memory: vec![0],
        ..Scripted::new("gpu", 1, &log)
    };
    let make = Box::new(|| Err(ModelError::Batch("no such file".to_owned())));
    let mut scheduler: Scheduler<&'static str> =
        Scheduler::new(vec![Box::new(executor)], false, Some(make));
    scheduler.push(pending(0));
    scheduler.drain();
    let Some(Output::Frame(done)) = scheduler.pop() else {
        panic!("a frame")
    };
    assert_eq!(done.objects.unwrap_err().to_string(), "no such file");
}
