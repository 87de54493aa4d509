//! The queue of a live loop over an executor whose batches are done when the test says so.

use crate::{
    engine::OutOfMemory,
    session::{
        error::{ModelError, SessionError},
        executor::interface::{CompletedFrame, Executor, PendingFrame},
        live_queue::{Live, WhenBusy},
        scheduler_tests::pending,
    },
};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Two frames in flight; their results can be waited for, and are ready without waiting while `ready` is set.
#[derive(Default)]
struct Gated {
    queue: VecDeque<PendingFrame>,
    ready: Arc<AtomicBool>,
}

impl Executor for Gated {
    fn batch(&self) -> usize {
        1
    }

    fn is_full(&self) -> bool {
        self.queue.len() >= 2
    }

    fn submit(&mut self, frames: Vec<PendingFrame>) {
        assert!(!self.is_full(), "submitted to a full executor");
        self.queue.extend(frames);
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && !self.queue.is_empty()
    }

    fn wait_next(&mut self) -> Option<Vec<CompletedFrame>> {
        self.queue.pop_front().map(|pending| {
            vec![CompletedFrame {
                pending,
                objects: Ok(Vec::new()),
                times: Vec::new(),
            }]
        })
    }

    fn out_of_memory(&self, _: &ModelError) -> Option<OutOfMemory> {
        None
    }
}

fn live(when_busy: WhenBusy) -> (Live, Arc<AtomicBool>) {
    let (executor, ready) = (Gated::default(), Arc::new(AtomicBool::new(false)));
    let executor = Gated {
        ready: ready.clone(),
        ..executor
    };
    let mut live = Live::new(Box::new(executor));
    live.when_busy = when_busy;
    (live, ready)
}

/// The numbers of the frames whose results are there.
fn done(live: &Live) -> Vec<u64> {
    live.done
        .iter()
        .map(|done| done.as_ref().unwrap().pending.number)
        .collect()
}

/// Waits for everything that was pushed, and gives the numbers in the order of the results.
fn finish(live: &mut Live) -> Vec<u64> {
    while live.in_flight > 0 {
        live.wait_next();
        live.collect(false);
    }
    done(live)
}

#[test]
fn waiting_gives_every_frame_a_result_in_order() {
    let (mut live, _) = live(WhenBusy::Wait);
    (0..7).for_each(|number| live.push(pending(number)).unwrap());
    assert_eq!(live.in_flight, 2);
    assert_eq!(finish(&mut live), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(live.dropped, 0);
}

#[test]
fn dropping_keeps_the_newest_frame_that_waits() {
    let (mut live, ready) = live(WhenBusy::DropOldest);
    (0..6).for_each(|number| live.push(pending(number)).unwrap());
    assert_eq!((live.in_flight, live.dropped), (2, 3));
    ready.store(true, Ordering::Relaxed);
    assert_eq!(finish(&mut live), [0, 1, 5]);
}

/// The executor is full and a frame waits: that one is submitted first, the pushed one when there is room again.
#[test]
fn a_change_to_waiting_while_a_frame_waits_never_submits_to_a_full_executor() {
    let (mut live, _) = live(WhenBusy::DropOldest);
    (0..3).for_each(|number| live.push(pending(number)).unwrap());
    live.when_busy = WhenBusy::Wait;
    (3..5).for_each(|number| live.push(pending(number)).unwrap());
    assert_eq!(finish(&mut live), [0, 1, 2, 3, 4]);
    assert_eq!(live.dropped, 0);
}

#[test]
fn results_that_nobody_takes_are_bounded() {
    let fill = |when_busy| {
        let (mut live, ready) = live(when_busy);
        ready.store(true, Ordering::Relaxed);
        let refused = (0..100).find_map(|number| live.push(pending(number)).err());
        live.collect(false);
        (live, refused)
    };
    let (waiting, refused) = fill(WhenBusy::Wait);
    assert!(matches!(refused, Some(SessionError::ResultsNotTaken(64))));
    assert_eq!(done(&waiting), (0..64).collect::<Vec<_>>());
    let (dropping, refused) = fill(WhenBusy::DropOldest);
    assert!(refused.is_none());
    assert!(dropping.done.len() <= 65, "{}", dropping.done.len());
    assert_eq!(done(&dropping).last(), Some(&99), "the newest are kept");
    assert_eq!(dropping.dropped + dropping.done.len() as u64, 100);
}
