//! What is written before what comes before it is known.

use crate::sinks::{AtomicFile, SinkError};
use std::{
    fs::{self, File},
    io::{BufWriter, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
};

/// The later part of a file whose head is known at the end: kept in a file without a name in the same folder.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
}

impl Spool {
    /// A part of what will be `path`, whose folder is made where it is missing.
    ///
    /// # Errors
    /// [`SinkError`] if the folder or the file cannot be made.
    pub(crate) fn new(path: PathBuf) -> Result<Self, SinkError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|e| SinkError::io(folder, "create the folder", &e))?;
        let file = tempfile::tempfile_in(folder)
            .map_err(|e| SinkError::io(&path, "create a temporary file", &e))?;
        Ok(Self {
            path,
            file: BufWriter::new(file),
            bytes: 0,
        })
    }

    /// Adds text; returns where it is.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be written.
    pub(crate) fn add(&mut self, text: &str) -> Result<Range<u64>, SinkError> {
        self.file
            .write_all(text.as_bytes())
            .map_err(|e| SinkError::io(&self.path, "write the file", &e))?;
        let start = self.bytes;
        self.bytes += text.len() as u64;
        Ok(start..self.bytes)
    }

    /// What was added at `place`. Nothing can be added after it.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be read.
    pub(crate) fn read(&mut self, place: Range<u64>) -> Result<String, SinkError> {
        let failed = |e| SinkError::io(&self.path, "read the temporary file", &e);
        // Seeking writes what is not written yet.
        self.file
            .seek(SeekFrom::Start(place.start))
            .map_err(failed)?;
        let mut text = String::new();
        let mut part = self.file.get_ref().take(place.end - place.start);
        part.read_to_string(&mut text).map_err(failed)?;
        Ok(text)
    }

    /// Writes the file: `head`, what was added, `tail`.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be written.
    pub(crate) fn finish(self, head: &str, tail: &str) -> Result<(), SinkError> {
        let path = self.path;
        let failed = |e| SinkError::io(&path, "write the file", &e);
        let mut body = self.file.into_inner().map_err(|e| failed(e.into_error()))?;
        body.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut file = AtomicFile::create(&path)?;
        file.write_all(head.as_bytes()).map_err(failed)?;
        file.append(&mut body).map_err(failed)?;
        file.write_all(tail.as_bytes()).map_err(failed)?;
        file.commit()
    }
}
