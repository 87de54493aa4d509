//! COCO files that appear under their name when complete.

use crate::{
    coco::{Info, Section, Writer},
    sinks::{atomic_file::AtomicFile, error::SinkError},
};
use serde::Serialize;
use std::{
    fs::File,
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::Path,
};

/// Bytes that are collected before they are written.
const BUFFER: usize = 1 << 18;

/// A COCO file being written: a data set ([`CocoFile::dataset`]) or a results list ([`CocoFile::results`]), an entry a line.
pub(crate) struct CocoFile {
    writer: Writer<BufWriter<AtomicFile>>,
}

impl CocoFile {
    /// Starts the data set that will be `path`.
    pub(crate) fn dataset(path: &Path, info: &Info<'_>) -> Result<Self, SinkError> {
        let mut file = Self::create(path)?;
        file.put(|writer| writer.dataset(info))?;
        Ok(file)
    }

    /// Starts the results list that will be `path`.
    pub(crate) fn results(path: &Path) -> Result<Self, SinkError> {
        let mut file = Self::create(path)?;
        file.put(Writer::results)?;
        Ok(file)
    }

    fn create(path: &Path) -> Result<Self, SinkError> {
        let out = BufWriter::with_capacity(BUFFER, AtomicFile::create(path)?);
        Ok(Self {
            writer: Writer::entries(out),
        })
    }

    fn put(
        &mut self,
        write: impl FnOnce(&mut Writer<BufWriter<AtomicFile>>) -> io::Result<()>,
    ) -> Result<(), SinkError> {
        write(&mut self.writer).map_err(|e| self.writer.get_mut().get_ref().error(&e))
    }

    /// Starts a list of the data set.
    pub(crate) fn begin(&mut self, section: Section) -> Result<(), SinkError> {
        self.put(|writer| writer.begin(section))
    }

    /// Writes an entry of the list.
    pub(crate) fn item(&mut self, item: &impl Serialize) -> Result<(), SinkError> {
        self.put(|writer| writer.item(item))
    }

    /// Ends the list.
    pub(crate) fn end(&mut self) -> Result<(), SinkError> {
        self.put(Writer::end)
    }

    /// Writes a whole list of the data set, of entries that were collected in `part`.
    pub(crate) fn section(&mut self, section: Section, part: CocoPart) -> Result<(), SinkError> {
        self.begin(section)?;
        self.put(|writer| part.copy_to(writer.get_mut()))?;
        self.end()
    }

    /// Ends the data set and gives the file its name, once it is on the disk.
    pub(crate) fn commit_dataset(mut self) -> Result<(), SinkError> {
        self.put(Writer::end_dataset)?;
        self.commit()
    }

    /// Ends the results list and gives the file its name, once it is on the disk.
    pub(crate) fn commit_results(mut self) -> Result<(), SinkError> {
        self.put(Writer::end_results)?;
        self.commit()
    }

    fn commit(self) -> Result<(), SinkError> {
        match self.writer.into_inner().into_inner() {
            Ok(file) => file.commit_synced(),
            Err(failed) => {
                let error = io::Error::new(failed.error().kind(), failed.error().to_string());
                Err(failed.into_inner().get_ref().error(&error))
            }
        }
    }
}

/// Entries of a list that stands further down in its file than another one that is written at the same time: in a file
/// without a name, which ends with the process.
pub(crate) struct CocoPart {
    writer: Writer<BufWriter<File>>,
}

impl CocoPart {
    /// For a file in the folder of `path`, which errors name.
    pub(crate) fn create(path: &Path) -> Result<Self, SinkError> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        let file = tempfile::tempfile_in(folder.unwrap_or(Path::new(".")))
            .map_err(|e| SinkError::io(path, "create a temporary file beside it", &e))?;
        Ok(Self {
            writer: Writer::entries(BufWriter::with_capacity(BUFFER, file)),
        })
    }

    /// Writes an entry of the list for the file that will be `path`.
    pub(crate) fn item(&mut self, path: &Path, item: &impl Serialize) -> Result<(), SinkError> {
        self.writer
            .item(item)
            .map_err(|e| SinkError::io(path, "write a temporary file beside it", &e))
    }

    fn copy_to(self, out: &mut BufWriter<AtomicFile>) -> io::Result<()> {
        let mut file = self.writer.into_inner().into_inner()?;
        file.seek(SeekFrom::Start(0))?;
        out.flush()?;
        out.get_mut().append(&mut file)
    }
}
