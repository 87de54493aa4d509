//! What the pipeline did, as the engine announced it: works with ids that driver records carry, announced moves, captured graphs.

use crate::engine::{GraphContents, Move, Span, Watcher, Work};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt,
    sync::{Mutex, PoisonError},
};

/// One work of the log; its id is its place from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedWork {
    /// The span that it ran under.
    pub span: Span,
    /// Frame of the run.
    pub frame: Option<u64>,
    /// The announced move, where the work is nothing but this move.
    pub moved: Option<Move>,
    /// Whether it requests a picture from a video decoder.
    pub decodes: bool,
    /// When it began, in nanoseconds of the log's clock.
    pub start: u64,
    /// When it ended; its start while it has not.
    pub end: u64,
}

/// A graph that was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CapturedGraph {
    /// The spans that its nodes were captured in; without a profiler the span that the whole graph was captured in.
    pub spans: BTreeSet<Span>,
    /// What it does.
    pub contents: GraphContents,
}

/// All that was logged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Works {
    /// Works in the order in which they began.
    pub works: Vec<LoggedWork>,
    /// Captured graphs.
    pub graphs: Vec<CapturedGraph>,
    /// When the first work began of a frame past those of the log.
    pub beyond: Option<u64>,
}

impl Works {
    /// The work of an id.
    pub fn of(&self, id: u64) -> Option<&LoggedWork> {
        self.works.get(usize::try_from(id).ok()?.checked_sub(1)?)
    }
}

/// Hears the ids of works as they begin and end, on the thread that does them, and tells the time.
pub(crate) trait Ids: Send + Sync {
    /// What this thread asks of the driver belongs to `id` from now on.
    fn push(&self, id: u64);
    /// The id pushed last on this thread no longer counts.
    fn pop(&self);
    /// Nanoseconds, on the clock of the records.
    fn now(&self) -> u64;
}

/// Collects works.
pub(crate) struct WorkLog {
    works: Mutex<Works>,
    ids: Box<dyn Ids>,
    /// Works of this frame and later ones are not kept: a soak's would fill memory.
    end: u64,
}

impl fmt::Debug for WorkLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkLog")
    }
}

thread_local! {
    /// Ids of the works that this thread is in, and their spans; the innermost last.
    static OPEN: RefCell<Vec<(u64, Span)>> = const { RefCell::new(Vec::new()) };
    /// Spans of the nodes that were captured on this thread since the last graph was complete.
    static NODES: RefCell<BTreeSet<Span>> = const { RefCell::new(BTreeSet::new()) };
}

/// Notes that a node of a graph was captured on this thread: the span that the thread is in.
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
pub(crate) fn captures_node() -> Option<Span> {
    let span = current_span()?;
    NODES.with_borrow_mut(|nodes| nodes.insert(span));
    Some(span)
}

/// The innermost span that this thread is in.
fn current_span() -> Option<Span> {
    OPEN.with_borrow(|open| open.last().map(|(_, span)| *span))
}

impl WorkLog {
    /// A log of the frames before number `end`, and of what is outside of frames.
    pub(crate) fn new(ids: Box<dyn Ids>, end: u64) -> Self {
        Self {
            works: Mutex::default(),
            ids,
            end,
        }
    }

    /// What was logged so far; the log is empty afterwards.
    pub(crate) fn take(&self) -> Works {
        std::mem::take(&mut *self.works.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Watcher for WorkLog {
    fn on_begin(&self, work: &Work) {
        if work.frame.is_some_and(|frame| frame >= self.end) {
            // Without an id of its own; the profiler's ids of works around it do not count for it.
            OPEN.with_borrow_mut(|open| open.push((0, work.span)));
            let now = self.ids.now();
            self.works
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .beyond
                .get_or_insert(now);
            return self.ids.push(0);
        }
        let start = self.ids.now();
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        works.works.push(LoggedWork {
            span: work.span,
            frame: work.frame,
            moved: work.moved,
            decodes: work.decodes,
            start,
            end: start,
        });
        let id = works.works.len() as u64;
        drop(works);
        OPEN.with_borrow_mut(|open| open.push((id, work.span)));
        self.ids.push(id);
    }

    fn on_end(&self) {
        self.ids.pop();
        let Some((id, _)) = OPEN.with_borrow_mut(Vec::pop) else {
            return;
        };
        let end = self.ids.now();
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(work) = usize::try_from(id)
            .ok()
            .and_then(|id| works.works.get_mut(id.checked_sub(1)?))
        {
            work.end = end;
        }
    }

    fn on_capture(&self, contents: &GraphContents) {
        let mut spans = NODES.take();
        if spans.is_empty() {
            spans.extend(current_span());
        }
        let graph = CapturedGraph {
            spans,
            contents: contents.clone(),
        };
        self.works
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .graphs
            .push(graph);
    }
}

/// Without a profiler: a clock alone.
pub(crate) struct ClockAlone(std::time::Instant);

impl ClockAlone {
    pub(crate) fn new() -> Self {
        Self(std::time::Instant::now())
    }
}

impl Ids for ClockAlone {
    fn push(&self, _: u64) {}
    fn pop(&self) {}
    fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
