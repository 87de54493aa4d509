//! A record of every move between host and device that this crate announced, and of the work it belongs to.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    panic::Location,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// Which way data went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Host memory to device memory.
    HostToDevice,
    /// Device memory to host memory.
    DeviceToHost,
}

/// A stage of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Weights, once, when a model is loaded.
    Load,
    /// A decoded frame on its way in.
    Decode,
    /// Resizing and normalising.
    Preprocess,
    /// The detector.
    Detect,
    /// Choice of objects among the detector's queries.
    Select,
    /// The segmenter, prompts included.
    Segment,
    /// Masks brought to the frame's resolution.
    Mask,
    /// The result on its way out.
    Pack,
    /// Files.
    Sink,
}

impl Stage {
    /// All stages, in the order in which a frame passes them.
    pub const ALL: [Self; 9] = [
        Self::Load,
        Self::Decode,
        Self::Preprocess,
        Self::Detect,
        Self::Select,
        Self::Segment,
        Self::Mask,
        Self::Pack,
        Self::Sink,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Decode => "decode",
            Self::Preprocess => "preprocess",
            Self::Detect => "detect",
            Self::Select => "select",
            Self::Segment => "segment",
            Self::Mask => "mask",
            Self::Pack => "pack",
            Self::Sink => "sink",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One announced move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Who asked for it.
    pub stage: Stage,
    /// For which frame, as [`super::Engine::in_frame`] numbers them; none outside of a frame.
    pub frame: Option<u64>,
    /// Which way.
    pub direction: Direction,
    /// How much.
    pub bytes: u64,
    /// Where in the code it was asked for.
    pub place: &'static Location<'static>,
}

/// A piece of work of one stage, on one thread: all that the thread asks of the device between its beginning and its end
/// belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// The stage.
    pub stage: Stage,
    /// The frame it is for; none outside of a frame.
    pub frame: Option<u64>,
    /// The announced move, where the work is nothing but this move.
    pub moved: Option<Move>,
    /// Whether it asks a video decoder for a picture. The decoder's own library lets the host wait, once, until the picture is there.
    pub decodes: bool,
}

/// What a captured graph does each time it is launched, as the driver describes its nodes.
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
    /// Copies: the direction, none from device to device, and bytes.
    pub copies: Vec<(Option<Direction>, u64)>,
}

/// Hears of work and captured graphs as they happen, on the thread that does them; works nest.
pub trait Watcher: Send + Sync + fmt::Debug {
    /// Work begins on this thread.
    fn began(&self, work: &Work);
    /// The work that began last on this thread, of those that have not ended, ends.
    fn ended(&self);
    /// A graph was captured in the work this thread is at.
    fn captured(&self, contents: &GraphContents);
}

/// Counts and bytes of announced moves by stage and direction. Empty on the CPU, where nothing moves; a watcher hears of the
/// announcements there too.
#[derive(Debug, Default)]
pub struct Ledger {
    totals: Mutex<BTreeMap<(Stage, Direction), (u64, u64)>>,
    watcher: OnceLock<Arc<dyn Watcher>>,
}

thread_local! {
    /// The frame this thread is at.
    static FRAME: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Puts back what was there before, also after a panic.
struct Restore(Option<u64>);

impl Drop for Restore {
    fn drop(&mut self) {
        FRAME.set(self.0);
    }
}

/// Tells the watcher of the end of work, also after a panic.
struct End<'a>(&'a dyn Watcher);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// Does `work` as that of frame number `frame`, on this thread.
pub(super) fn in_frame<T>(frame: u64, work: impl FnOnce() -> T) -> T {
    let _restore = Restore(FRAME.replace(Some(frame)));
    work()
}

impl Ledger {
    /// Does `work` as that of `stage`.
    pub(super) fn within<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        self.tell((stage, None, false), work)
    }

    /// Does `work`, which asks a video decoder for a picture.
    #[cfg(feature = "cuda")]
    pub(super) fn decoding<T>(&self, work: impl FnOnce() -> T) -> T {
        self.tell((Stage::Decode, None, true), work)
    }

    /// Does the `work` of moving `bytes`, announced from `place`; it counts if it `crosses` to or from a device.
    pub(super) fn moving<T>(
        &self,
        crosses: bool,
        (stage, direction, bytes): (Stage, Direction, u64),
        place: &'static Location<'static>,
        work: impl FnOnce() -> T,
    ) -> T {
        if crosses {
            let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = totals.entry((stage, direction)).or_default();
            *entry = (entry.0 + 1, entry.1.saturating_add(bytes));
        }
        self.tell(
            (
                stage,
                Some(Move {
                    stage,
                    frame: FRAME.get(),
                    direction,
                    bytes,
                    place,
                }),
                false,
            ),
            work,
        )
    }

    fn tell<T>(
        &self,
        (stage, moved, decodes): (Stage, Option<Move>, bool),
        work: impl FnOnce() -> T,
    ) -> T {
        let Some(watcher) = self.watcher.get() else {
            return work();
        };
        watcher.began(&Work {
            stage,
            frame: FRAME.get(),
            moved,
            decodes,
        });
        let _end = End(&**watcher);
        work()
    }

    /// Lets `watcher` hear of everything from now on; only one can: false if there was one before.
    pub(super) fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        self.watcher.set(watcher).is_ok()
    }

    /// Tells the watcher, if there is one, of a graph that was captured.
    #[cfg(feature = "cuda")]
    pub(super) fn captured(&self, contents: impl FnOnce() -> GraphContents) {
        if let Some(watcher) = self.watcher.get() {
            watcher.captured(&contents());
        }
    }

    /// Count and bytes of the moves of `stage` in `direction` so far.
    pub fn total(&self, stage: Stage, direction: Direction) -> (u64, u64) {
        let totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.get(&(stage, direction)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Watcher for Heard {
        fn began(&self, work: &Work) {
            let moved = work.moved.map_or(String::new(), |m| {
                format!(" {} bytes from line {}", m.bytes, m.place.line())
            });
            self.0
                .lock()
                .unwrap()
                .push(format!("{} of {:?}{moved}", work.stage, work.frame));
        }
        fn ended(&self) {
            self.0.lock().unwrap().push("end".to_owned());
        }
        fn captured(&self, _: &GraphContents) {}
    }

    #[test]
    fn a_watcher_hears_of_work_moves_and_frames_in_order_also_after_a_panic() {
        let (ledger, heard) = (Ledger::default(), Arc::new(Heard::default()));
        assert!(ledger.watch(heard.clone()));
        assert!(!ledger.watch(heard.clone()), "a second watcher");
        let here = Location::caller();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            in_frame(7, || {
                ledger.within(Stage::Detect, || {
                    ledger.moving(
                        true,
                        (Stage::Decode, Direction::HostToDevice, 12),
                        here,
                        || panic!("in the middle"),
                    )
                })
            })
        }));
        assert!(panicked.is_err());
        ledger.moving(
            false,
            (Stage::Pack, Direction::DeviceToHost, 5),
            here,
            || (),
        );
        let expected = [
            "detect of Some(7)".to_owned(),
            format!("decode of Some(7) 12 bytes from line {}", here.line()),
            "end".to_owned(),
            "end".to_owned(),
            format!("pack of None 5 bytes from line {}", here.line()),
            "end".to_owned(),
        ];
        assert_eq!(*heard.0.lock().unwrap(), expected);
        assert_eq!(
            ledger.total(Stage::Decode, Direction::HostToDevice),
            (1, 12)
        );
        assert_eq!(
            ledger.total(Stage::Pack, Direction::DeviceToHost),
            (0, 0),
            "nothing crossed"
        );
    }
}
