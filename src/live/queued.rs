//! An output on a thread of its own, behind a bounded queue.

use crate::live::{
    event::LiveEvent,
    output::{LiveOutput, LiveStream},
    result::LiveFrame,
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

/// What [`Queued`] does with a frame that comes while its queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Drops it, and counts it in [`LiveOutput::dropped`]: the loop and its other outputs go on.
    Drop,
    /// Waits for room: all other outputs wait too, and, where every frame counts, so does the input.
    Wait,
}

/// An output whose calls may take their time, on a thread of its own behind a bounded queue.
pub struct Queued {
    queue: Option<SyncSender<Item>>,
    thread: Option<JoinHandle<()>>,
    when_full: WhenFull,
    dropped: u64,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Queued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Queued({:?})", self.when_full)
    }
}

#[derive(Default)]
struct Shared {
    reads_pixels: AtomicBool,
    /// Frames that the output itself dropped.
    dropped: AtomicU64,
    events: Mutex<Vec<LiveEvent>>,
    problems: Mutex<Vec<String>>,
}

enum Item {
    Begin(LiveStream),
    Frame(Arc<LiveFrame>),
    Event(LiveEvent),
}

impl Queued {
    /// `output` on a thread, behind a queue with room for `capacity` frames and events (at least 1).
    ///
    /// # Errors
    /// [`std::io::Error`] if the thread cannot be started.
    pub fn new(
        output: impl LiveOutput + 'static,
        capacity: usize,
        when_full: WhenFull,
    ) -> std::io::Result<Self> {
        let (queue, items) = sync_channel(capacity.max(1));
        let shared = Arc::new(Shared::default());
        shared.reads_pixels.store(output.reads_pixels(), Relaxed);
        let of_thread = shared.clone();
        let thread = thread::Builder::new()
            .name("live-queued".to_owned())
            .spawn(move || work(output, &items, &of_thread))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            when_full,
            dropped: 0,
            shared,
        })
    }

    /// Whether there was room for it.
    fn put(&self, item: Item) -> bool {
        let Some(queue) = &self.queue else {
            return false;
        };
        match self.when_full {
            WhenFull::Wait => queue.send(item).is_ok(),
            WhenFull::Drop => match queue.try_send(item) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            },
        }
    }

    fn end(&mut self) {
        self.queue = None;
        let Some(thread) = self.thread.take() else {
            return;
        };
        if thread.join().is_err() {
            self.shared
                .add_problems(vec!["an output failed by a fault of its own".to_owned()]);
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.end();
    }
}

impl LiveOutput for Queued {
    fn begin(&mut self, stream: &LiveStream) {
        self.put(Item::Begin(stream.clone()));
    }

    fn frame(&mut self, frame: &Arc<LiveFrame>) {
        self.dropped += u64::from(!self.put(Item::Frame(frame.clone())));
    }

    fn event(&mut self, event: &LiveEvent) {
        self.put(Item::Event(event.clone()));
    }

    fn reads_pixels(&self) -> bool {
        self.shared.reads_pixels.load(Relaxed)
    }

    fn dropped(&self) -> u64 {
        self.dropped + self.shared.dropped.load(Relaxed)
    }

    fn take_events(&mut self) -> Vec<LiveEvent> {
        let mut waiting = self
            .shared
            .events
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting)
    }

    fn take_problems(&mut self) -> Vec<String> {
        std::mem::take(&mut *self.shared.problems())
    }

    fn finish(&mut self) {
        self.end();
    }
}

impl Shared {
    fn problems(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At most as many wait as a user can read.
    fn add_events(&self, events: Vec<LiveEvent>) {
        let mut waiting = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let room = 100usize.saturating_sub(waiting.len());
        waiting.extend(events.into_iter().take(room));
    }

    /// At most as many wait as a user can read.
    fn add_problems(&self, problems: Vec<String>) {
        let mut waiting = self.problems();
        let room = 100usize.saturating_sub(waiting.len());
        waiting.extend(problems.into_iter().take(room));
    }
}

fn work(mut output: impl LiveOutput, items: &Receiver<Item>, shared: &Shared) {
    let note = |output: &mut dyn LiveOutput| {
        shared.reads_pixels.store(output.reads_pixels(), Relaxed);
        shared.dropped.store(output.dropped(), Relaxed);
        shared.add_events(output.take_events());
        shared.add_problems(output.take_problems());
    };
    for item in items {
        match item {
            Item::Begin(stream) => output.begin(&stream),
            Item::Frame(frame) => output.frame(&frame),
            Item::Event(event) => output.event(&event),
        }
        note(&mut output);
    }
    output.finish();
    note(&mut output);
}
