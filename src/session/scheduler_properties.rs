//! The scheduler under any order of calls, over executors that follow a script.

use super::scheduler_tests::{Log, Scripted, fallback, oom, pending, popped};
use crate::session::{
    error::ModelError,
    executor::interface::Executor,
    scheduler::{MakeFallback, Notice, Scheduler},
};
use proptest::prelude::*;

/// A call from outside.
#[derive(Debug, Clone, Copy)]
enum Call {
    Push,
    Pass,
    Submit,
    Wait,
    Pop,
}

#[derive(Debug, Clone)]
struct Setting {
    /// Frames of a batch and batches in flight of each executor.
    executors: Vec<(usize, usize)>,
    one_at_a_time: bool,
    /// Frames that find no memory, whichever executor they come to.
    no_memory: Vec<u64>,
    has_fallback: bool,
    calls: Vec<Call>,
}

fn setting() -> impl Strategy<Value = Setting> {
    let call = prop_oneof![
        6 => Just(Call::Push),
        1 => Just(Call::Pass),
        1 => Just(Call::Submit),
        1 => Just(Call::Wait),
        2 => Just(Call::Pop),
    ];
    (
        proptest::collection::vec((1..5usize, 1..4usize), 1..4),
        any::<bool>(),
        proptest::collection::vec(0..40u64, 0..3),
        any::<bool>(),
        proptest::collection::vec(call, 0..60),
    )
        .prop_map(
            |(executors, one_at_a_time, no_memory, has_fallback, calls)| Setting {
                executors,
                one_at_a_time,
                no_memory,
                has_fallback,
                calls,
            },
        )
}

fn scripted(batch: usize, in_flight: usize, no_memory: &[u64], log: &Log) -> Box<dyn Executor> {
    let mut executor = Scripted::new("gpu", batch, log);
    executor.in_flight = in_flight;
    executor.no_memory = no_memory.to_vec();
    Box::new(executor)
}

/// A scheduler, what has been pushed, and what has come out.
struct Driven {
    scheduler: Scheduler<&'static str>,
    pushed: Vec<Option<u64>>,
    out: Vec<String>,
}

impl Driven {
    fn new(setting: &Setting, log: &Log) -> Self {
        let executors = setting
            .executors
            .iter()
            .map(|&(batch, in_flight)| scripted(batch, in_flight, &setting.no_memory, log));
        let of_fallback = log.clone();
        let make: MakeFallback = Box::new(move || Ok(fallback(&of_fallback)));
        Self {
            scheduler: Scheduler::new(
                executors.collect(),
                setting.one_at_a_time,
                setting.has_fallback.then_some(make),
            ),
            pushed: Vec::new(),
            out: Vec::new(),
        }
    }

    fn call(&mut self, call: Call) {
        match call {
            Call::Push => {
                let number = self.pushed.iter().flatten().count() as u64;
                self.scheduler.push(pending(number));
                self.pushed.push(Some(number));
            }
            Call::Pass => {
                self.scheduler.pass("item");
                self.pushed.push(None);
            }
            Call::Submit => self.scheduler.submit(),
            Call::Wait => self.scheduler.wait_next(),
            Call::Pop => self.pop(),
        }
    }

    fn pop(&mut self) {
        self.out.extend(popped(&mut self.scheduler));
    }

    /// What has come out is the beginning of what was pushed, with each frame's result.
    fn check(&self, setting: &Setting) -> Result<(), TestCaseError> {
        prop_assert!(self.out.len() <= self.pushed.len());
        for (out, pushed) in self.out.iter().zip(&self.pushed) {
            let Some(number) = pushed else {
                prop_assert_eq!(out, "item");
                continue;
            };
            let without_memory = setting.no_memory.contains(number);
            let by_device = format!("{number} by gpu");
            let expected = match (without_memory, setting.has_fallback) {
                (false, false) => vec![by_device],
                // Once one frame had no memory the fallback does all later ones.
                (false, true) => vec![by_device, format!("{number} by cpu")],
                (true, false) => vec![format!("{by_device} failed")],
                (true, true) => vec![format!("{number} by cpu")],
            };
            prop_assert!(expected.contains(out), "{} is none of {:?}", out, expected);
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn everything_comes_out_once_and_in_order(setting in setting()) {
        let log = Log::default();
        let mut driven = Driven::new(&setting, &log);
        for &call in &setting.calls {
            driven.call(call);
            driven.check(&setting)?;
            if setting.one_at_a_time {
                prop_assert!(!driven.scheduler.has_in_flight());
            }
        }
        driven.scheduler.drain();
        driven.pop();
        driven.check(&setting)?;
        prop_assert_eq!(driven.out.len(), driven.pushed.len());
        prop_assert!(driven.scheduler.is_idle());
        let frames = driven.pushed.iter().flatten().count() as u64;
        let hit = setting.no_memory.iter().any(|number| *number < frames);
        let notices = driven.scheduler.take_notices();
        prop_assert_eq!(notices.contains(&Notice::OutOfMemory(oom())), hit);
        let replaced = notices.iter().filter(|notice| matches!(notice, Notice::Fallback(_))).count();
        prop_assert_eq!(replaced, usize::from(hit && setting.has_fallback));
        // No frame came to two executors, and none to an executor after the fallback began.
        let asked = log.lock().unwrap().clone();
        let of = |name: &str| -> Vec<u64> {
            let batches = asked.iter().filter(|(by, _)| *by == name);
            batches.flat_map(|(_, frames)| frames.clone()).collect()
        };
        let by_device = of("gpu");
        prop_assert!(by_device.is_sorted_by(|a, b| a < b), "{:?}", by_device);
        prop_assert!(of("cpu").is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn cancelled_at_any_point_what_was_submitted_comes_out_and_no_more(setting in setting(), at in 0..60usize) {
        let log = Log::default();
        let mut driven = Driven::new(&setting, &log);
        setting.calls.iter().take(at).for_each(|&call| driven.call(call));
        let begun = log.lock().unwrap().len();
        driven.scheduler.cancel();
        driven.pop();
        driven.check(&setting)?;
        prop_assert!(driven.scheduler.is_idle());
        // Nothing new was given to a device; a frame whose memory ran out may still have gone to the fallback.
        let asked = log.lock().unwrap().clone();
        prop_assert!(asked[begun..].iter().all(|(by, _)| *by == "cpu"));
        let worked_on: std::collections::BTreeSet<u64> =
            asked.into_iter().flat_map(|(_, frames)| frames).collect();
        let frames = driven.out.iter().filter(|out| *out != "item").count();
        prop_assert_eq!(frames, worked_on.len());
    }
}

#[test]
fn batches_fill_before_they_are_submitted() {
    for batch in 1..6usize {
        let log = Log::default();
        let mut scheduler: Scheduler<&'static str> = Scheduler::new(
            vec![Box::new(Scripted::new("gpu", batch, &log))],
            false,
            None,
        );
        for number in 0..17 {
            scheduler.push(pending(number));
            let submitted: usize = log
                .lock()
                .unwrap()
                .iter()
                .map(|(_, frames)| frames.len())
                .sum();
            assert_eq!(submitted, (number as usize + 1) / batch * batch, "{batch}");
        }
        scheduler.drain();
        let sizes: Vec<usize> = log
            .lock()
            .unwrap()
            .iter()
            .map(|(_, frames)| frames.len())
            .collect();
        assert!(
            sizes.iter().rev().skip(1).all(|&size| size == batch),
            "{sizes:?}"
        );
    }
}

#[test]
fn memory_that_ends_in_two_executors_at_once_is_one_change_to_the_fallback() {
    let log = Log::default();
    let executors = (0..2).map(|_| scripted(2, 2, &[2, 3, 4], &log));
    let of_fallback = log.clone();
    let make: MakeFallback = Box::new(move || Ok(fallback(&of_fallback)));
    let mut scheduler: Scheduler<&'static str> =
        Scheduler::new(executors.collect(), false, Some(make));
    (0..6).for_each(|number| scheduler.push(pending(number)));
    scheduler.drain();
    assert_eq!(
        popped(&mut scheduler),
        [
            "0 by gpu", "1 by gpu", "2 by cpu", "3 by cpu", "4 by cpu", "5 by gpu"
        ]
    );
    let notices = scheduler.take_notices();
    assert_eq!(
        notices
            .iter()
            .filter(|n| **n == Notice::Fallback(oom()))
            .count(),
        1
    );
}

#[test]
fn without_an_executor_a_fallback_that_cannot_be_made_is_an_error_at_once() {
    let refuse: MakeFallback = Box::new(|| Err(ModelError::Batch("no such file".to_owned())));
    let mut scheduler: Scheduler<&'static str> = Scheduler::new(Vec::new(), false, Some(refuse));
    assert!(scheduler.enter_fallback(oom()).is_err());
    assert_eq!(scheduler.take_notices(), [Notice::OutOfMemory(oom())]);
}
