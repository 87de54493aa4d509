//! What ends FFmpeg's waiting: the request to end, and the time limit of a silent stream.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Whether the end is requested.
pub(super) type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// Shared with FFmpeg's interrupt callback; clones are the same.
#[derive(Clone)]
pub(super) struct Watch(Arc<Mutex<State>>);

struct State {
    stop: Stop,
    until: Instant,
}

impl Watch {
    pub(super) fn new(stop: Stop, patience: Duration) -> Self {
        let until = Instant::now() + patience;
        Self(Arc::new(Mutex::new(State { stop, until })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on `stop` is called, and the stream may be silent for so long.
    pub(super) fn begin(&self, stop: Stop, patience: Duration) {
        *self.state() = State {
            stop,
            until: Instant::now() + patience,
        };
    }

    /// Whether the end is requested.
    pub(super) fn is_stopped(&self) -> bool {
        (self.state().stop)()
    }

    /// Whether FFmpeg is to end what it does.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        (state.stop)() || Instant::now() >= state.until
    }
}
