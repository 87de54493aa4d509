//! A decoding thread.

use super::{
    dealer::{Dealer, PartsOf, Stored, Work},
    opening::{Fault, First, Opened, Opener, Ready, Units},
};
use crate::{
    frame::{Frame, SourceInfo},
    progress::Cancel,
    run::{
        counts::InputProblem,
        error::RunError,
        lanes::{Ahead, RESULT_BYTES},
        messages::{Decoded, DecodedFrame, Item},
        plan::{OnError, Plan},
    },
    sources::{
        self, Decoding, PartSource, PartStep, Source, SourceError, SourceSpec, SourceWarning,
        open_part,
    },
};
use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    path::Path,
    sync::{Arc, mpsc::SyncSender},
    time::Duration,
};

/// Frames from which the report says why a source is not decoded in parts.
const LONG: u64 = 1000;

/// Sends the frames of one unit after the other to the inference of one device.
pub(crate) struct Decoder<'a> {
    dealer: &'a Dealer<'a>,
    ahead: &'a Ahead,
    opener: Opener<'a>,
    cancel: &'a Cancel,
    on_error: OnError,
    /// Whether frames keep their pixels until they are written.
    keeps_pixels: bool,
}

/// Why a thread decodes no more.
enum Ended {
    /// The receiver is gone, or the run was cancelled.
    Cancelled,
    /// The run ends with an error, once those before it in order are written.
    Stopped,
}

/// The source of the parts before, and its number.
type Open = Option<(usize, Box<dyn PartSource>)>;

impl<'a> Decoder<'a> {
    /// A decoder of `plan` for the device whose sources `opener` opens.
    pub(crate) fn new(
        plan: &'a Plan,
        (dealer, ahead): (&'a Dealer<'a>, &'a Ahead),
        opener: Opener<'a>,
    ) -> Self {
        Self {
            dealer,
            ahead,
            opener,
            cancel: &plan.cancel,
            on_error: plan.on_error,
            keeps_pixels: plan.shows_pixels(),
        }
    }

    /// Decodes until all units were given, or the run ends.
    pub(crate) fn run(self, units: Units<'_>, out: &SyncSender<Decoded>) {
        let mut open = None;
        for Ready { unit, opened } in units {
            let mut lane = Lane {
                decoder: &self,
                out,
                number: unit.lane,
                stored: unit.stored,
                warned: HashSet::new(),
                reported: None,
                divided: None,
            };
            match lane.work(unit.work, opened, &mut open) {
                Ok(()) => {}
                Err(Ended::Cancelled) => {
                    // Nobody may be there any more to receive it.
                    let _ = out.send(Decoded::Cancelled);
                    return;
                }
                Err(Ended::Stopped) => return,
            }
        }
    }
}

/// One unit being decoded.
struct Lane<'a, 'b> {
    decoder: &'b Decoder<'a>,
    out: &'b SyncSender<Decoded>,
    number: usize,
    stored: Option<Stored>,
    /// Warnings that were sent: sources may repeat them for every frame.
    warned: HashSet<String>,
    reported: Option<Decoding>,
    /// Number of the source that it decodes a part of.
    divided: Option<usize>,
}

impl Lane<'_, '_> {
    fn send(&self, item: Item<DecodedFrame>) -> Result<(), Ended> {
        let item = Decoded::Item(self.number, item);
        self.out.send(item).map_err(|_| Ended::Cancelled)
    }

    /// Works on a unit, whose source was `opened` if that was done ahead.
    fn work(
        &mut self,
        work: Work,
        opened: Option<Result<Opened, SourceError>>,
        open: &mut Open,
    ) -> Result<(), Ended> {
        if !matches!(&work, Work::Parts(parts) if is_of(open, parts)) {
            *open = None;
        }
        match work {
            Work::Whole {
                ordinal,
                spec,
                share,
                undivided,
            } => {
                let opener = &self.decoder.opener;
                let opened = opened.unwrap_or_else(|| opener.open_whole(&spec, ordinal, share));
                self.whole(&spec, ordinal, opened, undivided)?;
            }
            Work::Parts(parts) => self.parts(&parts, open)?,
            Work::Own(sources) => self.own(sources)?,
        }
        self.send(Item::LaneEnded)
    }

    fn own(&mut self, sources: VecDeque<Box<dyn Source>>) -> Result<(), Ended> {
        for source in sources {
            let path = source.info().path.clone();
            let mut source = sources::select(source, &self.decoder.opener.options.selection);
            self.warned.clear();
            self.reported = None;
            self.send(Item::SourceBegan(source.info().clone()))?;
            self.frames(&mut *source, None, &path, 0)?;
            self.send(Item::SourceEnded(source.info().clone()))?;
        }
        Ok(())
    }

    /// Sends a source from its beginning to its end; `undivided` is why it is not decoded in parts.
    fn whole(
        &mut self,
        spec: &SourceSpec,
        ordinal: usize,
        opened: Result<Opened, SourceError>,
        undivided: Option<String>,
    ) -> Result<(), Ended> {
        let shown = self.decoder.opener.shown(spec);
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // It has a place among the sources all the same: it begins, fails and ends.
                let info = Arc::new(unopened(spec, shown, ordinal));
                self.send(Item::SourceBegan(info.clone()))?;
                self.failed(error)?;
                return self.send(Item::SourceEnded(info));
            }
        };
        let Opened {
            mut source,
            info,
            first,
            from_start,
        } = opened;
        let is_long = info.frame_count.is_some_and(|n| n >= LONG);
        self.send(Item::SourceBegan(info))?;
        let by_one = undivided.map(|reason| format!("was decoded by one decoder: {reason}"));
        let from_start = from_start.map(|reason| format!("was decoded from its start: {reason}"));
        if let Some(notice) = by_one.or(from_start).filter(|_| is_long) {
            self.send(Item::Notice(format!("{} {notice}", shown.display())))?;
        }
        self.frames(&mut *source, first, shown, 0)?;
        self.send(Item::SourceEnded(source.info().clone()))
    }

    /// Whether another lane goes on with the frames of this one.
    fn is_void(&self) -> bool {
        let dealer = self.decoder.dealer;
        self.divided
            .is_some_and(|ordinal| dealer.is_void(ordinal, self.number))
    }

    /// Sends the frames of a source from number `from` on, of which the `first` may be decoded.
    fn frames(
        &mut self,
        source: &mut dyn Source,
        first: Option<First>,
        shown: &Path,
        from: u64,
    ) -> Result<(), Ended> {
        let (earlier, mut first) = first.map(|first| (first.warnings, first.decoded)).unzip();
        self.warnings(earlier.unwrap_or_else(|| source.take_warnings()), from)?;
        loop {
            if self.decoder.cancel.is_requested() {
                return Err(Ended::Cancelled);
            }
            if self.is_void() {
                return Ok(());
            }
            let opener = &self.decoder.opener;
            let decoded = first
                .take()
                .unwrap_or_else(|| opener.decode(shown, || source.next_frame()));
            match decoded {
                (Ok(Some(frame)), took) if frame.index >= from => {
                    self.note_decoding(source.info(), source.decoding())?;
                    self.frame(frame, took)?;
                }
                (Ok(Some(_)), _) => {}
                (Ok(None), _) => break,
                (Err(Fault::Error(error)), _) if error.frame.is_some_and(|at| at < from) => {}
                (Err(Fault::Error(error)), _) => self.failed(error)?,
                (Err(Fault::Panic(fault)), _) => {
                    self.failed(fault)?;
                    break;
                }
            }
            self.warnings(source.take_warnings(), from)?;
        }
        self.warnings(source.take_warnings(), from)
    }

    fn parts(&mut self, unit: &PartsOf, open: &mut Open) -> Result<(), Ended> {
        self.divided = Some(unit.ordinal);
        let shown = self.decoder.opener.shown(&unit.spec).to_owned();
        let mut next = unit.first_frame();
        let mut began = false;
        for part in unit.parts.clone() {
            if !self.open_part(unit, part, open) {
                return self.take_over(unit, began, next);
            }
            let Some((_, source)) = open else {
                return Ok(());
            };
            if unit.is_first() && !began {
                self.send(Item::SourceBegan(source.info().clone()))?;
                began = true;
            }
            if !unit.is_first() && self.reported.is_none() {
                // The first part reports where the source is decoded; what changes is irregular.
                self.reported = source.decoding().cloned();
            }
            if !self.part(&mut **source, &shown, &mut next)? {
                *open = None;
                return self.take_over(unit, began, next);
            }
        }
        match open {
            Some((_, source)) if unit.is_last() => {
                self.send(Item::SourceEnded(source.info().clone()))
            }
            _ => Ok(()),
        }
    }

    /// Makes `open` stand at the beginning of a part; false where that fails.
    fn open_part(&self, unit: &PartsOf, part: usize, open: &mut Open) -> bool {
        let opener = &self.decoder.opener;
        let opened = opener.open(opener.shown(&unit.spec), || match open {
            Some((_, source)) => source.restart(part).map(|()| None),
            None => {
                let (spec, options) = (&unit.spec, &opener.options);
                open_part(spec, unit.ordinal, options, &unit.divided, part).map(Some)
            }
        });
        match opened {
            Ok(None) => true,
            Ok(Some(source)) => {
                *open = Some((unit.ordinal, source));
                true
            }
            Err(_) => {
                *open = None;
                false
            }
        }
    }

    /// Sends the frames of a part; false where it does not give them as the whole source would. `next` is the number after
    /// the last that was sent.
    fn part(
        &mut self,
        source: &mut dyn PartSource,
        shown: &Path,
        next: &mut u64,
    ) -> Result<bool, Ended> {
        loop {
            self.warnings(source.take_warnings(), 0)?;
            if self.decoder.cancel.is_requested() {
                return Err(Ended::Cancelled);
            }
            if self.is_void() {
                return Ok(true);
            }
            match self.decoder.opener.decode(shown, || source.next_frame()) {
                (Ok(PartStep::Frame(frame)), took) => {
                    self.note_decoding(source.info(), source.decoding())?;
                    *next = frame.index + 1;
                    self.frame(frame, took)?;
                }
                (Ok(PartStep::End), _) => break,
                (Err(Fault::Error(error)), _) => {
                    *next = error.frame.map_or(*next, |at| at + 1);
                    self.failed(error)?;
                }
                (Ok(PartStep::Irregular) | Err(Fault::Panic(_)), _) => return Ok(false),
            }
        }
        self.warnings(source.take_warnings(), 0)?;
        Ok(true)
    }

    /// Decodes the source from its beginning, as one decoder of it does, and sends what comes from frame `next` on, to the end.
    fn take_over(&mut self, unit: &PartsOf, began: bool, next: u64) -> Result<(), Ended> {
        if self.is_void() {
            return Ok(());
        }
        self.decoder.dealer.take_over(unit, self.number);
        self.send(Item::Voids(unit.later.clone()))?;
        if unit.is_first() && !began {
            let opened = self
                .decoder
                .opener
                .open_whole(&unit.spec, unit.ordinal, None);
            return self.whole(&unit.spec, unit.ordinal, opened, None);
        }
        let shown = self.decoder.opener.shown(&unit.spec);
        match self
            .decoder
            .opener
            .open_whole(&unit.spec, unit.ordinal, None)
        {
            Ok(Opened { mut source, .. }) => {
                self.frames(&mut *source, None, shown, next)?;
                self.send(Item::SourceEnded(source.info().clone()))
            }
            Err(error) => {
                self.failed(error)?;
                let info = Arc::new(unopened(&unit.spec, shown, unit.ordinal));
                self.send(Item::SourceEnded(info))
            }
        }
    }

    fn warnings(&mut self, warnings: Vec<SourceWarning>, from: u64) -> Result<(), Ended> {
        for warning in warnings {
            let is_earlier = warning.frame.is_some_and(|at| at < from);
            if !is_earlier && self.warned.insert(warning.problem.clone()) {
                self.send(Item::Warning(warning))?;
            }
        }
        Ok(())
    }

    fn note_decoding(
        &mut self,
        info: &Arc<SourceInfo>,
        decoding: Option<&Decoding>,
    ) -> Result<(), Ended> {
        match decoding.filter(|now| self.reported.as_ref() != Some(*now)) {
            Some(decoding) => {
                self.reported = Some(decoding.clone());
                self.send(Item::Decoding(info.clone(), decoding.clone()))
            }
            None => Ok(()),
        }
    }

    fn failed(&self, error: SourceError) -> Result<(), Ended> {
        match self.decoder.on_error {
            OnError::Skip => self.send(Item::Problem(InputProblem::from(&error))),
            OnError::Stop => {
                self.send(Item::Stop(Box::new(RunError::Source(error))))?;
                Err(Ended::Stopped)
            }
        }
    }

    /// Sends a frame, with its result where the record has it, once there is room for it.
    fn frame(&mut self, frame: Frame, decode: Duration) -> Result<(), Ended> {
        let stored = match self.stored.as_mut().and_then(|stored| {
            stored.next_if(|next| {
                next.as_ref().map_or(true, |stored| {
                    stored.source == frame.source.ordinal && stored.index == frame.index
                })
            })
        }) {
            Some(Ok(stored)) => Some(stored.found),
            Some(Err(error)) => {
                let broken = self.out.send(Decoded::Broken(error));
                return broken.map_err(|_| Ended::Cancelled);
            }
            None => None,
        };
        let pixels = if self.decoder.keeps_pixels {
            3 * frame.size().pixels()
        } else {
            0
        };
        let (bytes, decoder) = (RESULT_BYTES + pixels, self.decoder);
        if !decoder.ahead.admit(self.number, bytes, decoder.cancel) {
            return Err(Ended::Cancelled);
        }
        self.send(Item::Frame(DecodedFrame {
            frame,
            decode,
            stored,
            bytes,
        }))
    }
}

fn is_of(open: &Open, parts: &PartsOf) -> bool {
    open.as_ref()
        .is_some_and(|(ordinal, _)| *ordinal == parts.ordinal)
}

fn unopened(spec: &SourceSpec, path: &Path, ordinal: usize) -> SourceInfo {
    SourceInfo {
        ordinal,
        path: path.to_owned(),
        name: spec.name.clone(),
        kind: spec.kind,
        folder: spec.folder.clone(),
        frame_count: Some(0),
        frame_rate: None,
        attributes: BTreeMap::new(),
    }
}
