//! Sources as decoders take them: opened when their turn comes, or while the one before is decoded.

use super::dealer::{Dealer, Unit, Work};
use crate::{
    frame::{Frame, SourceInfo},
    session::{Stage, StageTimes},
    sources::{self, FrameShare, Source, SourceError, SourceOptions, SourceSpec, SourceWarning},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

/// A unit, and what opening its source gave if that was done ahead.
pub(crate) struct Ready {
    pub(super) unit: Unit,
    pub(super) opened: Option<Result<Opened, SourceError>>,
}

/// A source that was opened.
pub(super) struct Opened {
    pub(super) source: Box<dyn Source>,
    /// What was known of it when it was.
    pub(super) info: Arc<SourceInfo>,
    pub(super) first: Option<First>,
    /// Why a shared one is decoded from its start, where one might expect that it is not.
    pub(super) from_start: Option<String>,
}

/// What came of a source ahead of its turn: a hardware decoder is only made for the first frame.
pub(super) struct First {
    /// The warnings before the frame; those after it are still the source's.
    pub(super) warnings: Vec<SourceWarning>,
    pub(super) decoded: Decoded,
}

/// What a call of a decoder gave, and how long it took.
pub(super) type Decoded = (Result<Option<Frame>, Fault>, Duration);

/// What ended a call of a decoder.
pub(super) enum Fault {
    Error(SourceError),
    /// It cannot be called again.
    Panic(SourceError),
}

/// The units that a decoding thread takes.
pub(crate) enum Units<'a> {
    /// As they are dealt out, shared with other threads.
    Dealt(&'a Dealer<'a>),
    /// From the thread that opens them.
    Ahead(Receiver<Ready>),
}

impl Iterator for Units<'_> {
    type Item = Ready;

    fn next(&mut self) -> Option<Ready> {
        match self {
            Self::Dealt(dealer) => {
                let unit = dealer.next()?;
                Some(Ready { unit, opened: None })
            }
            Self::Ahead(ready) => ready.recv().ok(),
        }
    }
}

/// A queue on which one source waits, opened, until the one before it has ended: there is no place in it, so that the next but
/// one is opened only when this one is taken.
pub(crate) fn one_ahead() -> (SyncSender<Ready>, Receiver<Ready>) {
    sync_channel(0)
}

/// Opens sources and decodes, with the times that it takes.
#[derive(Clone)]
pub(crate) struct Opener<'a> {
    pub(super) options: SourceOptions,
    times: &'a StageTimes,
}

impl<'a> Opener<'a> {
    /// Sources are read by `options`.
    pub(crate) fn new(options: SourceOptions, times: &'a StageTimes) -> Self {
        Self { options, times }
    }

    /// Opens source after source, each while the one before it is decoded, until all are dealt out or nobody takes them any more.
    pub(crate) fn open_ahead(&self, dealer: &Dealer<'_>, ready: &SyncSender<Ready>) {
        // Whether the run was cancelled is for the thread that decodes to see, which tells the others.
        give_each(|| dealer.next(), |unit| self.prepare(unit), ready);
    }

    /// What `work`, which opens something, gives, with the time that it takes; after a panic an error.
    pub(super) fn open<T>(
        &self,
        shown: &Path,
        work: impl FnOnce() -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let opened = || catch_panic(shown, work).and_then(|opened| opened);
        self.times.time(Stage::Open.name(), opened)
    }

    fn prepare(&self, unit: Unit) -> Ready {
        let opened = match &unit.work {
            Work::Whole {
                ordinal,
                spec,
                share,
                ..
            } => {
                let opened = self.open_whole(spec, *ordinal, *share);
                Some(opened.map(|opened| self.with_first(opened, spec)))
            }
            // The caller's are open.
            Work::Parts(_) | Work::Own(_) => None,
        };
        Ready { unit, opened }
    }

    fn with_first(&self, mut opened: Opened, spec: &SourceSpec) -> Opened {
        let source = &mut opened.source;
        opened.first = Some(First {
            warnings: source.take_warnings(),
            decoded: self.decode(self.shown(spec), || source.next_frame()),
        });
        opened
    }

    pub(super) fn open_whole(
        &self,
        spec: &SourceSpec,
        ordinal: usize,
        share: Option<FrameShare>,
    ) -> Result<Opened, SourceError> {
        let shown = self.shown(spec);
        let (source, from_start) = self.open(shown, || match share {
            Some(share) => sources::open_share(spec, ordinal, &self.options, share),
            None => Ok((sources::open(spec, ordinal, &self.options)?, None)),
        })?;
        Ok(Opened {
            info: source.info().clone(),
            source,
            first: None,
            from_start,
        })
    }

    /// The path of a source as outputs may show it.
    pub(super) fn shown<'b>(&'b self, spec: &'b SourceSpec) -> &'b Path {
        self.options
            .alias(spec)
            .map_or(&spec.path, |alias| &alias.path)
    }

    /// What `work`, which decodes, gives, and how long it took; after a panic none and an error.
    pub(super) fn decode<T>(
        &self,
        shown: &Path,
        work: impl FnOnce() -> Result<T, SourceError>,
    ) -> (Result<T, Fault>, Duration) {
        let start = Instant::now();
        let result = catch_panic(shown, work);
        let took = start.elapsed();
        self.times.record(Stage::Decode.name(), took);
        let result = match result {
            Ok(result) => result.map_err(Fault::Error),
            Err(fault) => Err(Fault::Panic(fault)),
        };
        (result, took)
    }
}

/// Gives what `open` makes of each of the `next`, until there are no more or nobody takes them.
fn give_each<U, R>(next: impl Fn() -> Option<U>, open: impl Fn(U) -> R, ready: &SyncSender<R>) {
    while let Some(unit) = next() {
        if ready.send(open(unit)).is_err() {
            return;
        }
    }
}

/// Turns a panic in a decoder into an error of its input.
fn catch_panic<T>(path: &Path, work: impl FnOnce() -> T) -> Result<T, SourceError> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| SourceError::new(path, "the decoder failed by a fault of its own"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    /// Five sources that take a while to open, each of which is decoded until the next is open.
    #[test]
    fn the_next_is_opened_while_one_is_decoded_and_none_after_it() {
        const OPENING: Duration = Duration::from_millis(100);
        let (dealt, opened) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let next = || Some(dealt.fetch_add(1, Ordering::SeqCst)).filter(|n| *n < 5);
        let open = |n: usize| {
            thread::sleep(OPENING);
            opened.fetch_add(1, Ordering::SeqCst);
            n
        };
        let is_open = |count: usize| opened.load(Ordering::SeqCst) >= count;
        let (give, take) = sync_channel(0);
        thread::scope(|scope| {
            scope.spawn(move || give_each(next, open, &give));
            for n in 0..5 {
                assert_eq!(take.recv(), Ok(n));
                let begun = Instant::now();
                while !is_open((n + 2).min(5)) {
                    assert!(begun.elapsed() < 100 * OPENING, "nobody opens {}", n + 1);
                    thread::sleep(OPENING / 100);
                }
                if n == 1 {
                    thread::sleep(2 * OPENING);
                    assert!(
                        !is_open(n + 3),
                        "two are open beside the one that is decoded"
                    );
                }
            }
            assert!(take.recv().is_err());
        });
    }

    #[test]
    fn the_thread_that_opens_ends_when_nobody_decodes_any_more() {
        let (give, take) = sync_channel(0);
        thread::scope(|scope| {
            let opening = scope.spawn(move || give_each(|| Some(()), |()| (), &give));
            take.recv().unwrap();
            drop(take);
            opening.join().unwrap();
        });
    }
}
