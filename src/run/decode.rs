//! The decoding thread: opens the sources in order and sends their frames.

use crate::{
    frame::{Frame, SourceInfo},
    progress::Cancel,
    run::{
        error::RunError,
        journal::{Ordinals, Record, StoredFrame, StoredResults},
        messages::{Decoded, DecodedFrame, Item},
        plan::Plan,
        shard::Sharing,
    },
    session::{Stage, StageTimes},
    sinks::SinkError,
    sources::{self, Source, SourceError, SourceOptions, SourceSpec},
};
use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    iter::Peekable,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, mpsc::SyncSender},
};

pub(crate) struct Decoder<'a> {
    specs: Vec<SourceSpec>,
    /// Their positions among all sources.
    ordinals: Ordinals,
    shared: Option<&'a Sharing>,
    /// Sources of the caller's that have not ended, after the others.
    own: VecDeque<Box<dyn Source>>,
    first: usize,
    stored: Peekable<StoredResults>,
    options: SourceOptions,
    cancel: &'a Cancel,
    times: &'a StageTimes,
}

/// The receiver is gone, or the run was cancelled.
struct Disconnected;

impl<'a> Decoder<'a> {
    pub(crate) fn new(
        specs: Vec<SourceSpec>,
        record: &Record,
        plan: &'a Plan,
        times: &'a StageTimes,
    ) -> Result<Self, RunError> {
        let stored = record.stored()?.peekable();
        let options = SourceOptions {
            device: plan.decode_device(),
            ..plan.source_options.clone()
        };
        let (first, count) = (record.ended_sources(), specs.len());
        let names = plan
            .own_sources
            .names(specs.iter().map(|spec| spec.name.as_str()));
        let own = plan
            .own_sources
            .take(count, names)
            .into_iter()
            .skip(first.saturating_sub(count))
            .collect();
        Ok(Self {
            specs,
            ordinals: record.ordinals().clone(),
            shared: plan.shared.as_ref(),
            own,
            first,
            stored,
            options,
            cancel: &plan.cancel,
            times,
        })
    }

    pub(crate) fn run(mut self, out: &SyncSender<Decoded>) {
        let ended = (self.first..self.specs.len())
            .try_for_each(|place| self.source(place, out))
            .and_then(|()| {
                while let Some(source) = self.own.pop_front() {
                    let path = source.info().path.clone();
                    let source = sources::select(source, &self.options.selection);
                    self.frames(source, &path, out)?;
                }
                Ok(())
            });
        if ended.is_err() {
            // Nobody may be there any more to receive it.
            let _ = out.send(Decoded::Cancelled);
        }
    }

    fn source(&mut self, place: usize, out: &SyncSender<Decoded>) -> Result<(), Disconnected> {
        let send = |item| out.send(item).map_err(|_| Disconnected);
        let Some(spec) = self.specs.get(place).cloned() else {
            return Ok(());
        };
        let ordinal = self.ordinals.at(place);
        let share = self.shared.and_then(|shared| shared.frames_of(ordinal));
        let shown = self
            .options
            .alias(&spec)
            .map_or(&spec.path, |alias| &alias.path)
            .clone();
        let opened = self.times.time(Stage::Open.name(), || {
            catch_panic(&shown, || match share {
                Some(share) => sources::open_share(&spec, ordinal, &self.options, share),
                None => sources::open(&spec, ordinal, &self.options),
            })
        });
        let source = match opened {
            Ok(Ok(source)) => source,
            Ok(Err(error)) | Err(error) => {
                // It has a place among the sources all the same: it begins, fails and ends.
                let info = Arc::new(unopened(&spec, &shown, ordinal));
                send(Decoded::Item(Item::SourceBegan(info.clone())))?;
                send(Decoded::Failed(error))?;
                return send(Decoded::Item(Item::SourceEnded(info)));
            }
        };
        self.frames(source, &shown, out)
    }

    /// Sends the frames of a source; `shown` is its path as outputs may show it.
    fn frames(
        &mut self,
        mut source: Box<dyn Source>,
        shown: &Path,
        out: &SyncSender<Decoded>,
    ) -> Result<(), Disconnected> {
        let send = |item| out.send(item).map_err(|_| Disconnected);
        send(Decoded::Item(Item::SourceBegan(source.info().clone())))?;
        let mut reported = None;
        let mut warned = HashSet::new();
        loop {
            for warning in source.take_warnings() {
                // Once a source, with the first frame that it is about.
                if warned.insert(warning.problem.clone()) {
                    send(Decoded::Item(Item::Warning(warning)))?;
                }
            }
            if self.cancel.is_requested() {
                return Err(Disconnected);
            }
            match self.times.time(Stage::Decode.name(), || {
                catch_panic(shown, || source.next_frame())
            }) {
                Ok(Ok(Some(frame))) => {
                    if let Some(decoding) = source
                        .decoding()
                        .filter(|now| reported.as_ref() != Some(*now))
                    {
                        reported = Some(decoding.clone());
                        send(Decoded::Item(Item::Decoding(
                            source.info().clone(),
                            decoding.clone(),
                        )))?;
                    }
                    send(self.with_stored(frame))?;
                }
                Ok(Ok(None)) => break,
                Ok(Err(error)) => send(Decoded::Failed(error))?,
                // A decoder that panicked cannot be called again.
                Err(fault) => {
                    send(Decoded::Failed(fault))?;
                    break;
                }
            }
        }
        send(Decoded::Item(Item::SourceEnded(source.info().clone())))
    }

    /// The frame, with its result where the record has it.
    fn with_stored(&mut self, frame: Frame) -> Decoded {
        let decode = self.times.take_recent(&[Stage::Decode.name()]);
        let decode = decode.iter().map(|(_, time)| *time).sum();
        let is_next = |next: &Result<StoredFrame, SinkError>| match next {
            Ok(stored) => stored.source == frame.source.ordinal && stored.index == frame.index,
            Err(_) => true,
        };
        let stored = match self.stored.next_if(is_next) {
            Some(Ok(stored)) => Some(stored.found),
            Some(Err(error)) => return Decoded::Broken(error),
            None => None,
        };
        Decoded::Item(Item::Frame(DecodedFrame {
            frame,
            decode,
            stored,
        }))
    }
}

/// Turns a panic in a decoder into an error of its input.
fn catch_panic<T>(path: &Path, work: impl FnOnce() -> T) -> Result<T, SourceError> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| SourceError::new(path, "the decoder failed by a fault of its own"))
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
