//! Sources and sinks of the library's user.

use crate::{
    frame::{Frame, SourceInfo},
    sinks::Sink,
    sources::{Decoding, Source, SourceError, SourceWarning},
};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

/// Sources of the caller's, which are read after those of the inputs.
#[derive(Default)]
pub(crate) struct OwnSources {
    sources: Mutex<Vec<Box<dyn Source>>>,
    infos: Vec<SourceInfo>,
}

impl From<Vec<Box<dyn Source>>> for OwnSources {
    fn from(sources: Vec<Box<dyn Source>>) -> Self {
        let infos = sources
            .iter()
            .map(|source| (**source.info()).clone())
            .collect();
        Self {
            sources: Mutex::new(sources),
            infos,
        }
    }
}

impl OwnSources {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.infos.is_empty()
    }

    /// Their names in a run that has sources of the names `taken` before them: those that are taken get a number.
    pub(crate) fn names<'a>(&self, taken: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut taken: HashSet<String> = taken.map(str::to_owned).collect();
        let mut unique = |name: &str| {
            let mut candidates =
                std::iter::once(name.to_owned()).chain((2u64..).map(|n| format!("{name}-{n}")));
            let free = candidates
                .find(|candidate| !taken.contains(candidate))
                .unwrap_or_default();
            taken.insert(free.clone());
            free
        };
        self.infos.iter().map(|info| unique(&info.name)).collect()
    }

    /// The sources themselves, once, numbered from `first` on, under `names`.
    pub(crate) fn take(&self, first: usize, names: Vec<String>) -> Vec<Box<dyn Source>> {
        let sources =
            std::mem::take(&mut *self.sources.lock().unwrap_or_else(PoisonError::into_inner));
        let numbered = |(at, (inner, name)): (usize, (Box<dyn Source>, String))| {
            let info = Arc::new(SourceInfo {
                ordinal: first + at,
                name,
                ..(**inner.info()).clone()
            });
            Box::new(Numbered { inner, info }) as Box<dyn Source>
        };
        sources
            .into_iter()
            .zip(names)
            .enumerate()
            .map(numbered)
            .collect()
    }
}

/// A source under the number and name that it has in a run.
struct Numbered {
    inner: Box<dyn Source>,
    info: Arc<SourceInfo>,
}

impl Source for Numbered {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        Ok(self.inner.next_frame()?.map(|frame| Frame {
            source: self.info.clone(),
            ..frame
        }))
    }

    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        self.inner.skip_frame()
    }

    fn decoding(&self) -> Option<&Decoding> {
        self.inner.decoding()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        self.inner.take_warnings()
    }
}

/// Sinks of the caller's, which get every frame after the outputs of the run.
#[derive(Default)]
pub(crate) struct OwnSinks {
    sinks: Mutex<Vec<Box<dyn Sink>>>,
    read_pixels: bool,
}

impl From<Vec<Box<dyn Sink>>> for OwnSinks {
    fn from(sinks: Vec<Box<dyn Sink>>) -> Self {
        let read_pixels = sinks.iter().any(|sink| sink.reads_pixels());
        Self {
            sinks: Mutex::new(sinks),
            read_pixels,
        }
    }
}

impl OwnSinks {
    /// Whether one of them reads the pixels of frames.
    pub(crate) fn read_pixels(&self) -> bool {
        self.read_pixels
    }

    /// The sinks themselves, once.
    pub(crate) fn take(&self) -> Vec<Box<dyn Sink>> {
        std::mem::take(&mut *self.sinks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
