//! Deals sources, and parts of long ones, to the decoding threads.

use crate::{
    frame::SourceKind,
    run::{
        error::RunError,
        journal::{Record, StoredResults},
        plan::Plan,
        shard::Sharing,
    },
    sources::{Divided, Division, FrameShare, Part, Source, SourceOptions, SourceSpec, divide},
};
use std::{
    collections::{HashMap, VecDeque},
    iter::Peekable,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Frames of a part, at least: a decoder that goes on elsewhere in a file first fills again.
const LEAST_OF_VIDEO: u64 = 128;
/// The same where frames stand alone.
const LEAST_OF_PICTURES: u64 = 16;
/// Size in bytes from which a file is divided although there are as many other sources as decoders: their results would wait
/// for its own.
const LONG: u64 = 256 << 20;

/// What one thread decodes next.
pub(crate) struct Unit {
    /// Its place in the order of the inputs.
    pub(super) lane: usize,
    pub(super) work: Work,
    /// Results of its first frames from an earlier run.
    pub(super) stored: Option<Stored>,
}

pub(super) type Stored = Peekable<StoredResults>;

pub(super) enum Work {
    /// A source from its beginning to its end.
    Whole {
        ordinal: usize,
        spec: SourceSpec,
        /// Which of its frames are wanted, where several runs share them.
        share: Option<FrameShare>,
        /// Why it is not divided, where one might expect it.
        undivided: Option<String>,
    },
    Parts(PartsOf),
    /// The caller's sources, one after the other.
    Own(VecDeque<Box<dyn Source>>),
}

/// Parts of a source, one after the other.
pub(super) struct PartsOf {
    pub(super) ordinal: usize,
    pub(super) spec: SourceSpec,
    pub(super) divided: Divided,
    pub(super) parts: Range<usize>,
    /// The lanes of the source's parts after these.
    pub(super) later: Range<usize>,
}

impl PartsOf {
    pub(super) fn is_first(&self) -> bool {
        self.parts.start == 0
    }

    pub(super) fn is_last(&self) -> bool {
        self.later.is_empty()
    }

    /// Number of the first frame.
    pub(super) fn first_frame(&self) -> u64 {
        let part = self.divided.parts().get(self.parts.start);
        part.map_or(0, |part| part.first)
    }
}

/// Deals out what is to be decoded, in the order of the inputs.
pub(crate) struct Dealer<'a> {
    state: Mutex<State>,
    /// Sources that one thread decodes from some lane to the end: their later lanes are void. Apart from the rest, which is held
    /// while a file is looked into.
    taken_over: Mutex<HashMap<usize, usize>>,
    shared: Option<&'a Sharing>,
    options: SourceOptions,
    /// Threads that decode, on all devices.
    decoders: usize,
    /// Frames of a part, at least, where that is not as suits its kind.
    least: Option<u64>,
}

struct State {
    sources: VecDeque<(usize, SourceSpec)>,
    /// Parts of the source that was divided last.
    parts: VecDeque<Unit>,
    own: VecDeque<Box<dyn Source>>,
    /// Results of the first source, and the number of the last of its frames that has one.
    stored: Option<(Stored, Option<u64>)>,
    next_lane: usize,
}

impl<'a> Dealer<'a> {
    /// Deals out the sources that have not ended in `record`, and then the caller's.
    ///
    /// # Errors
    /// [`RunError`] if the record cannot be read.
    pub(crate) fn new(
        specs: Vec<SourceSpec>,
        record: &Record,
        plan: &'a Plan,
        decoders: usize,
    ) -> Result<Self, RunError> {
        let (first, count) = (record.ended_sources(), specs.len());
        let names = plan
            .own_sources
            .names(specs.iter().map(|spec| spec.name.as_str()));
        let own = plan.own_sources.take(count, names).into_iter();
        let state = State {
            own: own.skip(first.saturating_sub(count)).collect(),
            sources: specs
                .into_iter()
                .enumerate()
                .skip(first)
                .map(|(place, spec)| (record.ordinals().at(place), spec))
                .collect(),
            parts: VecDeque::new(),
            stored: Some((record.stored()?.peekable(), record.last_stored())),
            next_lane: 0,
        };
        Ok(Self {
            state: Mutex::new(state),
            taken_over: Mutex::default(),
            shared: plan.shared.as_ref(),
            options: plan.source_options.clone(),
            decoders,
            least: plan.least_part,
        })
    }

    /// Whether one thread decodes all.
    pub(crate) fn is_for_one(&self) -> bool {
        self.decoders == 1
    }

    /// The next unit; none when all are dealt out.
    pub(super) fn next(&self) -> Option<Unit> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        loop {
            if let Some(unit) = state.parts.pop_front() {
                match &unit.work {
                    Work::Parts(parts) if self.is_void(parts.ordinal, unit.lane) => continue,
                    _ => return Some(unit),
                }
            }
            let Some((ordinal, spec)) = state.sources.pop_front() else {
                return state.own();
            };
            if let Some(share) = self.shared.and_then(|shared| shared.frames_of(ordinal)) {
                return Some(state.whole(ordinal, spec, Some(share), None));
            }
            match self.division(&spec, state.sources.len()) {
                Division::Whole { reason } => {
                    return Some(state.whole(ordinal, spec, None, reason));
                }
                Division::Parts(divided) => state.deal(ordinal, &spec, &divided),
            }
        }
    }

    /// How a source is divided that so many follow: if other decoders would have nothing to do, or much would wait for it.
    fn division(&self, spec: &SourceSpec, following: usize) -> Division {
        let is_long =
            || std::fs::metadata(&spec.path).is_ok_and(|meta| meta.is_file() && meta.len() >= LONG);
        let wanted = self.least.is_some()
            || match spec.kind {
                SourceKind::Image => following == 0,
                SourceKind::Sequence => following < self.decoders || spec.files.len() > 1000,
                SourceKind::Video | SourceKind::Dicom => following < self.decoders || is_long(),
            };
        if self.decoders < 2 || !wanted {
            return Division::Whole { reason: None };
        }
        let least = match spec.kind {
            SourceKind::Video => LEAST_OF_VIDEO,
            _ => LEAST_OF_PICTURES,
        };
        divide(spec, &self.options, self.least.unwrap_or(least))
    }

    fn taken_over(&self) -> MutexGuard<'_, HashMap<usize, usize>> {
        self.taken_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The caller decodes the source of `unit` from this lane on to the end: nothing of the later ones is wanted.
    pub(super) fn take_over(&self, unit: &PartsOf, lane: usize) {
        let mut taken = self.taken_over();
        let first = taken.entry(unit.ordinal).or_insert(lane);
        *first = lane.min(*first);
    }

    /// Whether another decodes the frames of this lane.
    pub(super) fn is_void(&self, ordinal: usize, lane: usize) -> bool {
        self.taken_over().get(&ordinal).is_some_and(|by| lane > *by)
    }
}

impl State {
    fn take_lane(&mut self) -> usize {
        self.next_lane += 1;
        self.next_lane - 1
    }

    fn whole(
        &mut self,
        ordinal: usize,
        spec: SourceSpec,
        share: Option<FrameShare>,
        undivided: Option<String>,
    ) -> Unit {
        Unit {
            lane: self.take_lane(),
            stored: self.stored.take().map(|(stored, _)| stored),
            work: Work::Whole {
                ordinal,
                spec,
                share,
                undivided,
            },
        }
    }

    fn own(&mut self) -> Option<Unit> {
        if self.own.is_empty() {
            return None;
        }
        Some(Unit {
            lane: self.take_lane(),
            stored: self.stored.take().map(|(stored, _)| stored),
            work: Work::Own(std::mem::take(&mut self.own)),
        })
    }

    /// A unit for each part; those whose results are known are one with the part after them.
    fn deal(&mut self, ordinal: usize, spec: &SourceSpec, divided: &Divided) {
        let (mut stored, last) = self.stored.take().unzip();
        let parts = divided.parts();
        let is_known = |part: &Part| last.flatten().is_some_and(|last| part.first <= last);
        let known = parts.iter().skip(1).filter(|part| is_known(part)).count();
        let lanes = parts.len() - known;
        let end = self.next_lane + lanes;
        for at in 0..lanes {
            let lane = self.take_lane();
            let first = if at == 0 { 0 } else { at + known };
            self.parts.push_back(Unit {
                lane,
                stored: stored.take(),
                work: Work::Parts(PartsOf {
                    ordinal,
                    spec: spec.clone(),
                    divided: divided.clone(),
                    parts: first..at + known + 1,
                    later: lane + 1..end,
                }),
            });
        }
    }
}
