//! The lines of all shards in one order.

use super::lines::BlockLines;
use crate::sinks::SinkError;
use std::{cmp::Reverse, collections::BinaryHeap, path::PathBuf};

/// Bytes that are read ahead of all files together.
const AHEAD: usize = 64 << 20;
/// Bytes of a file that are read at a time: at least, at most.
const BLOCK: (usize, usize) = (16 << 10, 1 << 20);

/// Where a line stands among all: its source, and what orders it in that.
pub(super) type Key = (usize, u64);

/// Lines of many files, each in order, as one in order. Memory grows with the number of files, not with their length.
pub(super) struct Streams {
    files: Vec<BlockLines>,
    heap: BinaryHeap<Reverse<(Key, usize)>>,
    key_of: fn(&BlockLines) -> Result<Key, SinkError>,
    /// The file of the present line, and its key.
    present: Option<(usize, Key)>,
}

impl Streams {
    /// The lines of the files at `paths`, ordered by `key_of`.
    ///
    /// # Errors
    /// [`SinkError`] if a file cannot be read, or a line is broken.
    pub(super) fn new(
        paths: Vec<PathBuf>,
        key_of: fn(&BlockLines) -> Result<Key, SinkError>,
    ) -> Result<Self, SinkError> {
        let block = (AHEAD / paths.len().max(1)).clamp(BLOCK.0, BLOCK.1);
        let files = paths.into_iter().map(|path| BlockLines::new(path, block));
        let mut streams = Self {
            files: files.collect(),
            heap: BinaryHeap::new(),
            key_of,
            present: None,
        };
        for at in 0..streams.files.len() {
            streams.push(at, None)?;
        }
        Ok(streams)
    }

    /// Puts the next line of a file among those that wait.
    fn push(&mut self, at: usize, after: Option<Key>) -> Result<(), SinkError> {
        let file = &mut self.files[at];
        if file.advance()? {
            let key = (self.key_of)(file)?;
            if after.is_some_and(|after| key <= after) {
                return Err(file.broken("is out of order"));
            }
            self.heap.push(Reverse((key, at)));
        }
        Ok(())
    }

    /// Goes to the next line of all: its key, its file's place, and the file, which stands at it.
    ///
    /// # Errors
    /// As [`Streams::new`]; also if lines of a file are out of order.
    pub(super) fn next(&mut self) -> Result<Option<(Key, &BlockLines)>, SinkError> {
        if let Some((at, key)) = self.present.take() {
            self.push(at, Some(key))?;
        }
        let Some(Reverse((key, at))) = self.heap.pop() else {
            return Ok(None);
        };
        self.present = Some((at, key));
        Ok(Some((key, &self.files[at])))
    }
}
