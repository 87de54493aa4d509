//! Puts results of several decoders back in order.
//!
//! Each source, or part of one, that is decoded by itself is a *lane*; lanes are numbered in the order of the inputs. Items of
//! one lane come in their order, those of different lanes as they happen to come. [`Lanes`] gives them out lane by lane, and
//! [`Ahead`] keeps the decoders of later lanes from running away from the first that has not ended.

use crate::{
    progress::Cancel,
    run::messages::{FinishedFrame, Item},
};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What results that wait for their turn may take, in bytes.
const BUDGET: u64 = 512 << 20;
/// What a frame's result is counted as, without its pixels.
pub(crate) const RESULT_BYTES: u64 = 8 << 10;
/// How often a decoder that waits sees whether the run was cancelled.
const POLL: Duration = Duration::from_millis(50);

/// Bounds what is decoded ahead of the lane whose turn it is.
#[derive(Debug)]
pub(crate) struct Ahead {
    state: Mutex<State>,
    changed: Condvar,
    budget: u64,
}

#[derive(Debug, Default)]
struct State {
    /// The first lane that has not ended.
    current: usize,
    /// What is decoded and not written, in bytes.
    held: u64,
    /// The most of it so far.
    most: u64,
    /// Whether nobody writes any more.
    closed: bool,
}

impl Default for Ahead {
    fn default() -> Self {
        Self::with_budget(BUDGET)
    }
}

impl Ahead {
    fn with_budget(budget: u64) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            budget,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts `bytes` of a frame of `lane`, once there is room for them; the lane whose turn it is always has room. False if
    /// the run ends.
    pub(crate) fn admit(&self, lane: usize, bytes: u64, cancel: &Cancel) -> bool {
        let mut state = self.state();
        while lane > state.current
            && state.held.saturating_add(bytes) > self.budget
            && !state.closed
            && !cancel.is_requested()
        {
            state = self
                .changed
                .wait_timeout(state, POLL)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.held = state.held.saturating_add(bytes);
        state.most = state.most.max(state.held);
        let is_cancelled = lane > state.current && cancel.is_requested();
        !state.closed && !is_cancelled
    }

    /// A frame was written, or is not needed.
    fn release(&self, bytes: u64) {
        let mut state = self.state();
        state.held = state.held.saturating_sub(bytes);
        drop(state);
        self.changed.notify_all();
    }

    fn advance_to(&self, lane: usize) {
        self.state().current = lane;
        self.changed.notify_all();
    }

    /// Lets all that wait go: nobody writes any more.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// The most bytes of results and pixels that were decoded and not yet written.
    pub(crate) fn most(&self) -> u64 {
        self.state().most
    }
}

/// Items of all lanes, given out lane by lane.
#[derive(Debug)]
pub(crate) struct Lanes<'a> {
    ahead: &'a Ahead,
    /// The lane whose turn it is.
    current: usize,
    held: BTreeMap<usize, VecDeque<Item<FinishedFrame>>>,
    /// Lanes whose items are not wanted, after the one whose turn it is.
    void: Vec<Range<usize>>,
}

impl<'a> Lanes<'a> {
    pub(crate) fn new(ahead: &'a Ahead) -> Self {
        Self {
            ahead,
            current: 0,
            held: BTreeMap::new(),
            void: Vec::new(),
        }
    }

    fn is_void(&self, lane: usize) -> bool {
        self.void.iter().any(|lanes| lanes.contains(&lane))
    }

    pub(crate) fn push(&mut self, lane: usize, item: Item<FinishedFrame>) {
        if lane < self.current || self.is_void(lane) {
            self.drop_item(&item);
        } else {
            self.held.entry(lane).or_default().push_back(item);
        }
    }

    /// The next item in order, if it is there. What it takes is still counted: [`Lanes::written`] releases it.
    pub(crate) fn pop(&mut self) -> Option<Item<FinishedFrame>> {
        loop {
            if self.is_void(self.current) {
                self.end_lane();
                continue;
            }
            match self.held.get_mut(&self.current)?.pop_front()? {
                Item::LaneEnded => self.end_lane(),
                Item::Voids(lanes) => self.make_void(lanes),
                item => return Some(item),
            }
        }
    }

    /// A frame of so many bytes was written.
    pub(crate) fn written(&self, bytes: u64) {
        self.ahead.release(bytes);
    }

    fn end_lane(&mut self) {
        self.held.remove(&self.current);
        self.current += 1;
        self.void.retain(|lanes| lanes.end > self.current);
        self.ahead.advance_to(self.current);
    }

    fn make_void(&mut self, lanes: Range<usize>) {
        let held: Vec<usize> = self
            .held
            .range(lanes.clone())
            .map(|(lane, _)| *lane)
            .collect();
        for lane in held {
            for item in self.held.remove(&lane).into_iter().flatten() {
                self.drop_item(&item);
            }
        }
        self.void.push(lanes);
    }

    fn drop_item(&self, item: &Item<FinishedFrame>) {
        if let Item::Frame(frame) = item {
            self.ahead.release(frame.bytes);
        }
    }
}

#[cfg(test)]
mod tests;
