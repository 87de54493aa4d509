//! Reading a record line by line, one line in memory at a time.

use crate::sinks::error::{SinkError, SinkErrorKind};
use serde::Deserialize;
use std::{
    fs::File,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// The lines of a record.
#[derive(Debug)]
pub(crate) struct Lines {
    reader: BufReader<File>,
    path: PathBuf,
    line: Vec<u8>,
    number: u64,
    offset: u64,
}

impl Lines {
    /// From the byte `offset`, which starts a line.
    pub(crate) fn open(path: &Path, offset: u64) -> Result<Self, SinkError> {
        let mut file = File::open(path).map_err(|e| SinkError::io(path, "open the record", &e))?;
        file.seek(SeekFrom::Start(offset))
            .map_err(|e| SinkError::io(path, "read the record", &e))?;
        Ok(Self {
            reader: BufReader::with_capacity(1 << 18, file),
            path: path.to_path_buf(),
            line: Vec::new(),
            number: 0,
            offset,
        })
    }

    /// Reads the next whole line; false at the end. A last line without its newline is not whole: a killed run left it.
    pub(crate) fn advance(&mut self) -> Result<bool, SinkError> {
        self.offset += self.line.len() as u64;
        self.line.clear();
        self.reader
            .read_until(b'\n', &mut self.line)
            .map_err(|e| SinkError::io(&self.path, "read the record", &e))?;
        self.number += 1;
        if self.line.last() == Some(&b'\n') {
            return Ok(true);
        }
        self.line.clear();
        Ok(false)
    }

    /// Where the line begins that [`Lines::advance`] read; the end of the whole lines once it said false.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The line as a `T`, which may borrow from it.
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, SinkError> {
        serde_json::from_slice(&self.line).map_err(|e| self.broken(&e.to_string()))
    }

    /// An error in the present line.
    pub(crate) fn broken(&self, problem: &str) -> SinkError {
        SinkError::new(
            &self.path,
            format!("line {} is not a frame's result: {problem}", self.number),
        )
        .with_kind(SinkErrorKind::BrokenLine)
        .with_remedy("overwrite the run, or remove that line and all after it and resume the run")
    }
}
