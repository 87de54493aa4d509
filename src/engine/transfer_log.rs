//! A record of every transfer between host and device that this crate announces, and of the work it belongs to.

use super::Span;
use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    panic::Location,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// The direction of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Host memory to device memory.
    HostToDevice,
    /// Device memory to host memory.
    DeviceToHost,
}

/// One announced transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The span that it is counted under.
    pub span: Span,
    /// The number of the frame it is for, as set by [`super::Engine::in_frame`]; `None` outside of a frame.
    pub frame: Option<u64>,
    /// Its direction.
    pub direction: Direction,
    /// Its size in bytes.
    pub bytes: u64,
    /// The source line that requested it.
    pub place: &'static Location<'static>,
}

/// A piece of work of one span on one thread. Everything that the thread requests from the device between its begin and its end
/// belongs to it, unless a nested piece of work is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// The span.
    pub span: Span,
    /// The number of the frame it is for; `None` outside of a frame.
    pub frame: Option<u64>,
    /// The announced transfer, where the work is this transfer and nothing else.
    pub moved: Option<Move>,
    /// Whether it requests a picture from a video decoder. The decoder's own library blocks the host once, until the picture exists.
    pub decodes: bool,
}

impl Work {
    fn new(span: Span) -> Self {
        Self {
            span,
            frame: FRAME.get(),
            moved: None,
            decodes: false,
        }
    }
}

/// What a captured graph does at each launch, as the driver describes its nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GraphContents {
    /// All nodes.
    pub nodes: usize,
    /// Kernels.
    pub kernels: usize,
    /// Fills of memory.
    pub memsets: usize,
    /// Functions that run on the host.
    pub host_functions: usize,
    /// Copies: the direction (`None` from device to device) and the size in bytes.
    pub copies: Vec<(Option<Direction>, u64)>,
}

/// Receives begin and end of work, and captured graphs, synchronously on the thread that does the work. Work nests.
///
/// Not an observer of events: it runs between the calls to the driver, several times a frame on every thread, and must keep begin
/// and end in pairs. Where no watcher is set the cost is one atomic load.
pub trait Watcher: Send + Sync + fmt::Debug {
    /// Work begins on this thread.
    fn on_begin(&self, work: &Work);
    /// The innermost open work of this thread ends.
    fn on_end(&self);
    /// A graph was captured within the innermost open work of this thread.
    fn on_capture(&self, contents: &GraphContents);
}

/// Counts and bytes of the announced transfers by span and direction. It stays empty on the CPU, where nothing is transferred; a
/// watcher receives the announcements there too.
#[derive(Debug, Default)]
pub struct TransferLog {
    totals: Mutex<BTreeMap<(Span, Direction), (u64, u64)>>,
    watcher: OnceLock<Arc<dyn Watcher>>,
}

thread_local! {
    /// The number of the frame that this thread works on.
    static FRAME: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Restores the previous frame number when dropped, also on a panic.
struct RestoreFrame(Option<u64>);

impl Drop for RestoreFrame {
    fn drop(&mut self) {
        FRAME.set(self.0);
    }
}

/// Reports the end of work when dropped, also on a panic.
struct End<'a>(&'a dyn Watcher);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.on_end();
    }
}

/// Runs `work` as part of frame number `frame` on this thread.
pub(super) fn in_frame<T>(frame: u64, work: impl FnOnce() -> T) -> T {
    let _restore = RestoreFrame(FRAME.replace(Some(frame)));
    work()
}

impl TransferLog {
    /// Runs `work` under `span`.
    pub(super) fn within<T>(&self, span: Span, work: impl FnOnce() -> T) -> T {
        self.watched(Work::new(span), work)
    }

    /// Runs `work`, which requests a picture from a video decoder, under `span`.
    #[cfg(feature = "cuda")]
    pub(super) fn decoding<T>(&self, span: Span, work: impl FnOnce() -> T) -> T {
        let decoding = Work {
            decodes: true,
            ..Work::new(span)
        };
        self.watched(decoding, work)
    }

    /// Runs `work`, which transfers `bytes`, as requested from `place`; it counts if it `crosses` to or from a device.
    pub(super) fn moving<T>(
        &self,
        crosses: bool,
        (span, direction, bytes): (Span, Direction, u64),
        place: &'static Location<'static>,
        work: impl FnOnce() -> T,
    ) -> T {
        if crosses {
            let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = totals.entry((span, direction)).or_default();
            *entry = (entry.0 + 1, entry.1.saturating_add(bytes));
        }
        let moved = Move {
            span,
            frame: FRAME.get(),
            direction,
            bytes,
            place,
        };
        let transfer = Work {
            moved: Some(moved),
            ..Work::new(span)
        };
        self.watched(transfer, work)
    }

    /// Runs `work` between [`Watcher::on_begin`] and [`Watcher::on_end`].
    fn watched<T>(&self, described: Work, work: impl FnOnce() -> T) -> T {
        let Some(watcher) = self.watcher.get() else {
            return work();
        };
        watcher.on_begin(&described);
        let _end = End(&**watcher);
        work()
    }

    /// Sets the watcher. Only one can be set: returns false if there was one before.
    pub(super) fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        self.watcher.set(watcher).is_ok()
    }

    /// Reports a captured graph to the watcher, if there is one.
    #[cfg(feature = "cuda")]
    pub(super) fn captured(&self, contents: impl FnOnce() -> GraphContents) {
        if let Some(watcher) = self.watcher.get() {
            watcher.on_capture(&contents());
        }
    }

    /// Count and bytes of all transfers in `direction` so far.
    pub fn all(&self, direction: Direction) -> (u64, u64) {
        let totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let of_direction = totals.iter().filter(|((_, found), _)| *found == direction);
        of_direction.fold((0, 0), |(count, bytes), (_, (more, more_bytes))| {
            (count + more, bytes.saturating_add(*more_bytes))
        })
    }

    /// Count and bytes of the transfers under `span` in `direction` so far.
    pub fn total(&self, span: impl Into<Span>, direction: Direction) -> (u64, u64) {
        let totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals
            .get(&(span.into(), direction))
            .copied()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DETECT: Span = Span::new(3, "detect");
    const DECODE: Span = Span::new(1, "decode");
    const PACK: Span = Span::new(7, "pack");

    #[derive(Debug, Default)]
    struct Seen(Mutex<Vec<String>>);

    impl Watcher for Seen {
        fn on_begin(&self, work: &Work) {
            let moved = work.moved.map_or(String::new(), |m| {
                format!(" {} bytes from line {}", m.bytes, m.place.line())
            });
            self.0
                .lock()
                .unwrap()
                .push(format!("{} of {:?}{moved}", work.span, work.frame));
        }
        fn on_end(&self) {
            self.0.lock().unwrap().push("end".to_owned());
        }
        fn on_capture(&self, _: &GraphContents) {}
    }

    #[test]
    fn a_watcher_receives_work_transfers_and_frames_in_order_also_after_a_panic() {
        let (log, seen) = (TransferLog::default(), Arc::new(Seen::default()));
        assert!(log.watch(seen.clone()));
        assert!(!log.watch(seen.clone()), "a second watcher");
        let here = Location::caller();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            in_frame(7, || {
                log.within(DETECT, || {
                    log.moving(true, (DECODE, Direction::HostToDevice, 12), here, || {
                        panic!("in the middle")
                    })
                })
            })
        }));
        assert!(panicked.is_err());
        log.moving(false, (PACK, Direction::DeviceToHost, 5), here, || ());
        let expected = [
            "detect of Some(7)".to_owned(),
            format!("decode of Some(7) 12 bytes from line {}", here.line()),
            "end".to_owned(),
            "end".to_owned(),
            format!("pack of None 5 bytes from line {}", here.line()),
            "end".to_owned(),
        ];
        assert_eq!(*seen.0.lock().unwrap(), expected);
        assert_eq!(log.total(DECODE, Direction::HostToDevice), (1, 12));
        assert_eq!(
            log.total(PACK, Direction::DeviceToHost),
            (0, 0),
            "nothing crossed"
        );
    }
}
