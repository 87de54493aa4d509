//! Which sources have ended: an append-only file beside the record, one line a source.

use crate::{
    run::counts::InputProblems,
    sinks::{SinkError, SinkErrorKind},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

/// A source that has ended: it is not decoded again on resume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SourceEnd {
    /// Position among the run's sources.
    pub source: usize,
    /// The source's name.
    pub name: String,
    /// Frames in the record.
    pub frames: u64,
    /// What could not be read of it.
    #[serde(default)]
    pub errors: InputProblems,
}

/// The file, open for appending.
#[derive(Debug)]
pub(crate) struct StateFile {
    file: File,
    path: PathBuf,
}

impl StateFile {
    /// Opens the file, empty if `fresh`, else cut after its last whole line.
    pub(crate) fn open(path: PathBuf, fresh: bool) -> Result<Self, SinkError> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).read(true);
        let file = options
            .open(&path)
            .map_err(|e| SinkError::io(&path, "open the run's state", &e))?;
        let length = if fresh {
            0
        } else {
            whole_lines(&file).map_err(|e| SinkError::io(&path, "read the run's state", &e))?
        };
        file.set_len(length)
            .map_err(|e| SinkError::io(&path, "cut the run's state", &e))?;
        Ok(Self { file, path })
    }

    /// Notes a source as ended, on the disk when this returns.
    pub(crate) fn append(&mut self, end: &SourceEnd) -> Result<(), SinkError> {
        let failed =
            |e: std::io::Error| SinkError::io(&self.path, "note that a source has ended", &e);
        let mut line =
            serde_json::to_vec(end).map_err(|e| SinkError::new(&self.path, e.to_string()))?;
        line.push(b'\n');
        (&self.file).write_all(&line).map_err(failed)?;
        self.file.sync_data().map_err(failed)
    }
}

/// Length of the file up to and with its last newline.
fn whole_lines(file: &File) -> std::io::Result<u64> {
    let mut reader = BufReader::new(file);
    let (mut length, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(length);
        }
        length += read as u64;
    }
}

/// The sources that have ended, read one by one.
#[derive(Debug)]
pub(crate) struct EndedSources {
    reader: Option<BufReader<File>>,
    path: PathBuf,
    line: String,
}

impl EndedSources {
    /// From the start of the file at `path`; nothing if there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, SinkError> {
        let reader = match File::open(path) {
            Ok(file) => Some(BufReader::new(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(SinkError::io(path, "read the run's state", &error)),
        };
        Ok(Self {
            reader,
            path: path.to_path_buf(),
            line: String::new(),
        })
    }

    fn read(&mut self) -> Result<Option<SourceEnd>, SinkError> {
        let Some(reader) = &mut self.reader else {
            return Ok(None);
        };
        self.line.clear();
        reader
            .read_line(&mut self.line)
            .map_err(|e| SinkError::io(&self.path, "read the run's state", &e))?;
        if !self.line.ends_with('\n') {
            return Ok(None);
        }
        let parsed = serde_json::from_str(&self.line);
        let broken = |e: serde_json::Error| {
            SinkError::new(&self.path, format!("a line is not the state of a run: {e}"))
        };
        parsed.map(Some).map_err(|e| {
            broken(e)
                .with_kind(SinkErrorKind::BrokenJournal)
                .with_remedy("overwrite the run")
        })
    }
}

impl Iterator for EndedSources {
    type Item = Result<SourceEnd, SinkError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
