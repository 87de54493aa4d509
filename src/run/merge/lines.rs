//! Lines of a file that is open only while a block of it is read, so that any number of files can be read side by side.

use crate::sinks::SinkError;
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
};

/// The lines of a file, one at a time.
#[derive(Debug)]
pub(super) struct BlockLines {
    path: PathBuf,
    block: usize,
    /// Where in the file the next block begins.
    offset: u64,
    buffer: Vec<u8>,
    /// The present line in `buffer`, without its end.
    line: std::ops::Range<usize>,
    number: u64,
}

impl BlockLines {
    /// The lines of the file at `path`, of which `block` bytes are read at a time.
    pub(super) fn new(path: PathBuf, block: usize) -> Self {
        Self {
            path,
            block,
            offset: 0,
            buffer: Vec::new(),
            line: 0..0,
            number: 0,
        }
    }

    /// The present line, without its line break.
    pub(super) fn line(&self) -> &[u8] {
        &self.buffer[self.line.clone()]
    }

    /// An error in the present line.
    pub(super) fn broken(&self, problem: &str) -> SinkError {
        SinkError::new(&self.path, format!("line {}: {problem}", self.number))
            .with_remedy("run that shard again, with its results overwritten")
    }

    /// Goes to the next line; false at the end.
    ///
    /// # Errors
    /// [`SinkError`] if the file cannot be read, or its last line has no end.
    pub(super) fn advance(&mut self) -> Result<bool, SinkError> {
        // What is before the next line is not needed any more; it is moved away where a block is read, not for each line.
        let mut start = match self.number {
            0 => 0,
            _ => (self.line.end + 1).min(self.buffer.len()),
        };
        self.number += 1;
        let mut searched = start;
        loop {
            if let Some(length) = self.buffer[searched..].iter().position(|&b| b == b'\n') {
                self.line = start..searched + length;
                return Ok(true);
            }
            self.buffer.drain(..start);
            (start, searched) = (0, self.buffer.len());
            if !self.fill()? {
                self.line = 0..self.buffer.len();
                return match self.buffer.is_empty() {
                    true => Ok(false),
                    false => Err(self.broken("the last line is not whole")),
                };
            }
        }
    }

    /// Reads a block behind what is there; false at the end of the file.
    fn fill(&mut self) -> Result<bool, SinkError> {
        let failed = |e: io::Error| SinkError::io(&self.path, "read the results of a shard", &e);
        let mut file = File::open(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(self.offset)).map_err(failed)?;
        let read = file
            .take(self.block as u64)
            .read_to_end(&mut self.buffer)
            .map_err(failed)?;
        self.offset += read as u64;
        Ok(read > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_file_whatever_the_block() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        for text in ["", "a\n", "\n\nlonger than a block\nb\n", "x\n\n"] {
            std::fs::write(&path, text).unwrap();
            for block in [1, 2, 3, 7, 100] {
                let mut lines = BlockLines::new(path.clone(), block);
                let mut found = String::new();
                while lines.advance().unwrap() {
                    found += std::str::from_utf8(lines.line()).unwrap();
                    found.push('\n');
                }
                assert_eq!(found, text, "{block}");
                assert!(!lines.advance().unwrap());
            }
        }
        std::fs::write(&path, "a\nb").unwrap();
        let mut lines = BlockLines::new(path, 2);
        assert!(lines.advance().unwrap());
        let error = lines.advance().unwrap_err().to_string();
        assert!(
            error.contains("line 2: the last line is not whole"),
            "{error}"
        );
    }
}
