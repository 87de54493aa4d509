//! Folders of numbered images.

use super::{
    ImageOptions, Source, SourceError, SourceSpec, SourceWarning, image::decode_file,
    parts::Positioned,
};
use crate::frame::{Frame, SourceInfo, SourceKind};
use std::{path::PathBuf, sync::Arc};

/// Numbered images as frames. A frame's number is its position in the sequence, from 0, whatever number its file has:
/// gaps do not count. [`Frame::file`] is set; there are no times. A file that cannot be decoded gives an error and the
/// frame after it keeps its number.
pub struct SequenceSource {
    info: Arc<SourceInfo>,
    files: Vec<PathBuf>,
    next: usize,
    options: ImageOptions,
    warnings: Vec<SourceWarning>,
}

impl SequenceSource {
    /// The sequence of the files that `spec` lists.
    pub fn new(spec: &SourceSpec, ordinal: usize, options: &ImageOptions) -> Self {
        let info = SourceInfo {
            ordinal,
            path: spec.path.clone(),
            name: spec.name.clone(),
            kind: SourceKind::Sequence,
            folder: spec.folder.clone(),
            frame_count: Some(spec.files.len() as u64),
            frame_rate: None,
            attributes: Default::default(),
        };
        Self {
            info: Arc::new(info),
            files: spec.files.clone(),
            next: 0,
            options: *options,
            warnings: Vec::new(),
        }
    }
}

impl Source for SequenceSource {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        let Some(file) = self.files.get(self.next) else {
            return Ok(None);
        };
        let index = self.next as u64;
        self.next += 1;
        let picture = decode_file(file, &self.options).map_err(|error| error.at(index))?;
        self.warnings
            .extend(picture.warning(file).map(|warning| warning.at(index)));
        Ok(Some(picture.into_frame(
            &self.info,
            index,
            None,
            Some(file.clone()),
        )))
    }

    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        let there = self.next < self.files.len();
        self.next += usize::from(there);
        Ok(there)
    }
    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.warnings)
    }
}

impl Positioned for SequenceSource {
    fn go_to(&mut self, index: u64) {
        self.next = usize::try_from(index).unwrap_or(usize::MAX);
    }
}
