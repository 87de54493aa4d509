//! JSON written piece by piece, for files that are larger than what should be held in memory.

use crate::sinks::{atomic_file::AtomicFile, error::SinkError};
use serde::Serialize;
use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

/// A JSON file written piece by piece: arrays with one item a line.
pub(crate) struct JsonFile {
    out: BufWriter<AtomicFile>,
    first: bool,
}

impl JsonFile {
    /// Starts the file that will be `path`.
    pub(crate) fn create(path: &Path) -> Result<Self, SinkError> {
        Ok(Self {
            out: BufWriter::with_capacity(1 << 18, AtomicFile::create(path)?),
            first: true,
        })
    }

    /// Writes `text` as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), SinkError> {
        self.out
            .write_all(text.as_bytes())
            .map_err(|e| self.out.get_ref().error(&e))
    }

    /// Writes a value.
    pub(crate) fn value(&mut self, value: &impl Serialize) -> Result<(), SinkError> {
        serde_json::to_writer(&mut self.out, value).map_err(|e| self.out.get_ref().error(&e.into()))
    }

    /// Starts an array as the next member of the object.
    pub(crate) fn begin(&mut self, name: &str) -> Result<(), SinkError> {
        self.first = true;
        self.text(&format!(",\"{name}\":["))
    }

    /// Writes an item of the array.
    pub(crate) fn item(&mut self, item: &impl Serialize) -> Result<(), SinkError> {
        self.text(if self.first { "\n" } else { ",\n" })?;
        self.first = false;
        self.value(item)
    }

    /// Gives the file its name, once it is on the disk.
    pub(crate) fn commit(self) -> Result<(), SinkError> {
        match self.out.into_inner() {
            Ok(file) => file.commit_synced(),
            Err(failed) => {
                let error = io::Error::new(failed.error().kind(), failed.error().to_string());
                Err(failed.into_inner().get_ref().error(&error))
            }
        }
    }
}
