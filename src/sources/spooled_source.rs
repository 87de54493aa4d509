//! Sources that are read from another path than the one in outputs and messages.

use super::{Decoding, Source, SourceError, SourceWarning};
use crate::frame::{Frame, SourceInfo};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// A source whose file has another path in frames, errors and warnings.
pub(super) struct SpooledSource {
    inner: Box<dyn Source>,
    info: Arc<SourceInfo>,
    read: PathBuf,
}

impl SpooledSource {
    /// The source that `open` gives, under the path `name`.
    pub(super) fn open(
        name: &Path,
        open: impl FnOnce() -> Result<Box<dyn Source>, SourceError>,
    ) -> Result<Self, SourceError> {
        let inner = open().map_err(|error| error.with_path(name))?;
        let info = Arc::new(SourceInfo {
            path: name.to_owned(),
            ..(**inner.info()).clone()
        });
        let read = inner.info().path.clone();
        Ok(Self { inner, info, read })
    }

    fn named(&self, error: SourceError) -> SourceError {
        if error.path == self.read {
            error.with_path(&self.info.path)
        } else {
            error
        }
    }
}

impl Source for SpooledSource {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        let frame = self.inner.next_frame().map_err(|error| self.named(error))?;
        Ok(frame.map(|frame| Frame {
            source: self.info.clone(),
            file: frame.file.filter(|file| *file != self.read),
            ..frame
        }))
    }

    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        self.inner.skip_frame().map_err(|error| self.named(error))
    }

    fn decoding(&self) -> Option<&Decoding> {
        self.inner.decoding()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        let path = &self.info.path;
        self.inner
            .take_warnings()
            .into_iter()
            .map(|warning| warning.with_path(path))
            .collect()
    }
}
