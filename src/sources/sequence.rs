//! Folders of numbered images.

use super::{Source, SourceError, SourceSpec, image::decode_file};
use crate::frame::{Frame, SourceInfo, SourceKind};
use std::{path::PathBuf, sync::Arc};

/// Numbered images as frames. A frame's number is its position in the sequence, from 0, whatever number its file has:
/// gaps do not count. [`Frame::file`] is set; there are no times. A file that cannot be decoded gives an error and the
/// frame after it keeps its number.
pub struct SequenceSource {
    info: Arc<SourceInfo>,
    files: Vec<PathBuf>,
    next: usize,
    max_pixels: u64,
}

impl SequenceSource {
    /// The sequence of the files that `spec` lists.
    pub fn new(spec: &SourceSpec, ordinal: usize, max_pixels: u64) -> Self {
        let info = SourceInfo {
            ordinal,
            path: spec.path.clone(),
            name: spec.name.clone(),
            kind: SourceKind::Sequence,
            frame_count: Some(spec.files.len() as u64),
            frame_rate: None,
            attributes: Default::default(),
        };
        Self { info: Arc::new(info), files: spec.files.clone(), next: 0, max_pixels }
    }
}

impl Source for SequenceSource {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        let Some(file) = self.files.get(self.next) else { return Ok(None) };
        let index = self.next as u64;
        self.next += 1;
        let image = decode_file(file, self.max_pixels).map_err(|error| error.at(index))?;
        let file = Some(file.clone());
        Ok(Some(Frame { source: self.info.clone(), index, timestamp: None, file, pixels: image.into(), physical: None, stored: None }))
    }

    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        let there = self.next < self.files.len();
        self.next += usize::from(there);
        Ok(there)
    }
}
