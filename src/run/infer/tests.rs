//! The inference thread over executors that follow a script: order, memory that ends, cancellation, a writer that is gone.

use super::*;
use crate::{
    engine::OutOfMemory,
    frame::SourceInfo,
    progress::{Cancel, Observer},
    run::event::Event,
    session::{
        Execution,
        scheduler_tests::{Log, Scripted, fallback, pending},
    },
};
use std::{
    path::Path,
    sync::{Arc, Mutex, mpsc::sync_channel},
    time::Duration,
};

fn plan(folder: &Path) -> Plan {
    let task = Task::Extract {
        stored_values: false,
    };
    Plan::new(task, Execution::default(), folder.join("out"))
}

#[derive(Default)]
struct Noted(Mutex<Vec<String>>);

impl Observer<Event<'_>> for Noted {
    fn event(&self, event: Event<'_>) {
        let noted = match event {
            Event::OutOfMemory(oom) => oom.device.clone(),
            Event::Fallback { from, to, .. } => format!("{from} to {to}"),
            _ => return,
        };
        self.0.lock().unwrap().push(noted);
    }
}

#[test]
fn models_that_a_gpu_had_no_memory_for_are_reported_as_events_and_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let noted = Arc::new(Noted::default());
    let oom = OutOfMemory {
        device: "cuda:1".to_owned(),
        needed: None,
        used: 3,
        free: 2,
    };
    let plan = Plan {
        oom_device: Some(oom),
        observer: noted.clone(),
        ..plan(folder.path())
    };
    plan.run().unwrap();
    assert_eq!(*noted.0.lock().unwrap(), ["cuda:1", "cuda:1 to cpu"]);
    let report = std::fs::read_to_string(folder.path().join("out/run.json")).unwrap();
    assert!(
        report.contains("cuda:1 was replaced by the cpu"),
        "{report}"
    );
}

/// Frames of the one source of a run.
const FRAMES: u64 = 11;

/// Requests that the run ends when it gets a frame.
struct Cancelling {
    inner: Scripted,
    at: u64,
    cancel: Cancel,
}

impl Executor for Cancelling {
    fn batch(&self) -> usize {
        self.inner.batch()
    }

    fn is_full(&self) -> bool {
        self.inner.is_full()
    }

    fn submit(&mut self, frames: Vec<PendingFrame>) {
        if frames.iter().any(|frame| frame.number == self.at) {
            self.cancel.request();
        }
        self.inner.submit(frames);
    }

    fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }

    fn wait_next(&mut self) -> Option<Vec<CompletedFrame>> {
        self.inner.wait_next()
    }

    fn out_of_memory(&self, error: &ModelError) -> Option<OutOfMemory> {
        self.inner.out_of_memory(error)
    }
}

fn decoded() -> Receiver<Decoded> {
    let (send, decoded) = sync_channel(FRAMES as usize + 2);
    let frames: Vec<Frame> = (0..FRAMES).map(|n| pending(n).frame).collect();
    let source: Arc<SourceInfo> = Arc::clone(&frames[0].source);
    let frames = frames.into_iter().map(|frame| {
        Item::Frame(DecodedFrame {
            frame,
            decode: Duration::ZERO,
            stored: None,
            bytes: 0,
        })
    });
    let items = std::iter::once(Item::SourceBegan(source.clone()))
        .chain(frames)
        .chain([Item::SourceEnded(source)]);
    items.for_each(|item| send.send(Decoded::Item(0, item)).unwrap());
    decoded
}

/// The end of the thread, and what it sent to the writer.
fn run(
    plan: &Plan,
    executors: Vec<Box<dyn Executor>>,
    fallback: Option<MakeFallback>,
) -> (Result<bool, RunError>, Vec<String>) {
    let (out, results) = sync_channel(FRAMES as usize + 8);
    let flow = Flow {
        plan,
        prompts: None,
        times: &StageTimes::default(),
        scheduler: Scheduler::new(executors, false, fallback),
        out: &out,
        numbers: &AtomicU64::new(0),
        in_flight: HashMap::new(),
    };
    let outcome = flow.run(&decoded());
    drop(out);
    let sent = results.iter().map(|sent| match sent {
        Finished::Item(0, Item::SourceBegan(_)) => "begin".to_owned(),
        Finished::Item(0, Item::Frame(done)) => done.frame.index.to_string(),
        Finished::Item(0, Item::SourceEnded(_)) => "end".to_owned(),
        Finished::Item(..) => "other".to_owned(),
        Finished::OutOfMemory(_) => "no memory".to_owned(),
        Finished::Fallback { .. } => "fallback".to_owned(),
    });
    (outcome, sent.collect())
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

fn whole() -> Vec<String> {
    [
        vec!["begin".to_owned()],
        numbers(0..FRAMES),
        vec!["end".to_owned()],
    ]
    .concat()
}

fn scripted(batch: usize, no_memory: Vec<u64>, log: &Log) -> Box<dyn Executor> {
    let mut executor = Scripted::new("gpu", batch, log);
    executor.no_memory = no_memory;
    Box::new(executor)
}

#[test]
fn results_are_sent_in_order_by_any_number_of_executors() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    for (batch, executors) in [(1, 1), (4, 1), (3, 2), (2, 3), (16, 2)] {
        let log = Log::default();
        let executors = (0..executors).map(|_| scripted(batch, Vec::new(), &log));
        let (outcome, sent) = run(&plan, executors.collect(), None);
        assert!(outcome.unwrap());
        assert_eq!(sent, whole());
    }
}

#[test]
fn cancelled_at_any_frame_all_that_was_submitted_is_sent_and_the_source_does_not_end() {
    let folder = tempfile::tempdir().unwrap();
    for batch in [1, 2, 4] {
        // Those of the last batch are submitted when all has been decoded: that run is whole.
        for at in 0..FRAMES / batch * batch {
            let plan = plan(folder.path());
            let log = Log::default();
            let executor = Cancelling {
                inner: Scripted::new("gpu", batch as usize, &log),
                at,
                cancel: plan.cancel.clone(),
            };
            let (outcome, sent) = run(&plan, vec![Box::new(executor)], None);
            assert!(!outcome.unwrap(), "cancelled at {at}");
            let submitted: Vec<u64> = log
                .lock()
                .unwrap()
                .iter()
                .flat_map(|(_, f)| f.clone())
                .collect();
            assert_eq!(submitted, (0..(at / batch + 1) * batch).collect::<Vec<_>>());
            let expected = [vec!["begin".to_owned()], numbers(0..submitted.len() as u64)].concat();
            assert_eq!(sent, expected, "cancelled at {at}, batches of {batch}");
        }
    }
}

#[test]
fn memory_that_ends_at_any_frame_ends_the_run_after_the_frames_before() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    for at in 0..FRAMES {
        let (outcome, sent) = run(&plan, vec![scripted(2, vec![at], &Log::default())], None);
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains(&format!("frame {at}")), "{error}");
        let frames: Vec<String> = sent
            .iter()
            .filter(|s| s.parse::<u64>().is_ok())
            .cloned()
            .collect();
        assert_eq!(frames, numbers(0..at));
        assert!(sent.contains(&"no memory".to_owned()) && !sent.contains(&"end".to_owned()));
    }
}

#[test]
fn memory_that_ends_at_any_frame_is_the_fallbacks_work_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    for at in 0..FRAMES {
        let log = Log::default();
        let of_fallback = log.clone();
        let make: MakeFallback = Box::new(move || Ok(fallback(&of_fallback)));
        let (outcome, sent) = run(&plan, vec![scripted(2, vec![at], &log)], Some(make));
        assert!(outcome.unwrap());
        let (notices, items): (Vec<String>, Vec<String>) = sent
            .into_iter()
            .partition(|s| s == "no memory" || s == "fallback");
        assert_eq!(notices, ["no memory", "fallback"]);
        assert_eq!(items, whole());
    }
}

#[test]
fn without_a_writer_the_thread_ends() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let (out, results) = sync_channel(1);
    drop(results);
    let flow = Flow {
        plan: &plan,
        prompts: None,
        times: &StageTimes::default(),
        scheduler: Scheduler::new(vec![scripted(2, Vec::new(), &Log::default())], false, None),
        out: &out,
        numbers: &AtomicU64::new(0),
        in_flight: HashMap::new(),
    };
    // The writer's own error is the one that the run ends with.
    assert!(!flow.run(&decoded()).unwrap());
}
