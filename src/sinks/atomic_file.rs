//! Files that appear under their final name only when complete.

use crate::sinks::{error::SinkError, layout::Layout};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A file under a temporary name in the folder of its final one. [`AtomicFile::commit`] renames it; dropped without, it
/// is removed.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    committed: bool,
}

impl AtomicFile {
    /// Opens the temporary file for what will be `path`, making its folder where it is missing.
    pub(crate) fn create(path: &Path) -> Result<Self, SinkError> {
        let temporary = Layout::temporary(path);
        let file = match File::create(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create_parent(path)?;
                File::create(&temporary)
            }
            other => other,
        };
        let file = file.map_err(|e| SinkError::io(path, "create the file", &e))?;
        Ok(Self {
            file,
            temporary,
            path: path.to_path_buf(),
            committed: false,
        })
    }

    /// Where it is written, for a library that opens files by itself.
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Writes what `from` has from its present place on; in the kernel where the system can.
    pub(crate) fn append(&mut self, from: &mut File) -> io::Result<()> {
        io::copy(from, &mut self.file).map(|_| ())
    }

    /// Gives the file its final name, replacing one that is there.
    pub(crate) fn commit(mut self) -> Result<(), SinkError> {
        fs::rename(&self.temporary, &self.path)
            .map_err(|e| SinkError::io(&self.path, "give the finished file its name", &e))?;
        self.committed = true;
        Ok(())
    }

    /// As [`AtomicFile::commit`], after the bytes have reached the disk.
    pub(crate) fn commit_synced(self) -> Result<(), SinkError> {
        self.file
            .sync_all()
            .map_err(|e| SinkError::io(&self.path, "write the file to disk", &e))?;
        self.commit()
    }

    /// An error of writing to it, named by its final path.
    pub(crate) fn error(&self, error: &io::Error) -> SinkError {
        SinkError::io(&self.path, "write the file", error)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing more can be done about a temporary file that cannot be removed: the next run overwrites it.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes `bytes` to `path`: a temporary file, then a rename.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), SinkError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(|e| file.error(&e))?;
    file.commit()
}

/// Makes the folder of `path` and those above it.
pub(crate) fn create_parent(path: &Path) -> Result<(), SinkError> {
    match path.parent() {
        Some(parent) => {
            fs::create_dir_all(parent).map_err(|e| SinkError::io(parent, "create the folder", &e))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_not_committed_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.png");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 0);
        write_atomic(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn a_file_in_the_way_of_a_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("masks"), b"").unwrap();
        let error = write_atomic(&dir.path().join("masks/a.png"), b"").unwrap_err();
        assert!(error.path.starts_with(dir.path().join("masks")), "{error}");
        assert!(error.to_string().contains("; "), "{error}");
    }
}
