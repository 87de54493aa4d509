//! The lock that keeps two runs out of the same output folder.

use crate::sinks::{Layout, SinkError};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

/// The lock file of an output folder. It is unlocked and removed when this is dropped; the operating system unlocks it when the
/// process ends.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
    path: PathBuf,
}

impl FolderLock {
    /// Locks the folder of `layout`, which must exist.
    ///
    /// # Errors
    /// [`SinkError`] if another run has the lock, or the lock file cannot be made or locked.
    pub(crate) fn take(layout: &Layout) -> Result<Self, SinkError> {
        let path = layout.lock();
        loop {
            let opened = OpenOptions::new().create(true).append(true).open(&path);
            let file = opened
                .map_err(|e| SinkError::io(layout.root(), "write to the output folder", &e))?;
            match file.try_lock() {
                // The owner before may have removed the file between our opening and locking it: then look again.
                Ok(()) if is_at(&file, &path) => return Ok(Self { _file: file, path }),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let error =
                        SinkError::new(layout.root(), "another run is writing to this folder");
                    return Err(
                        error.with_remedy("wait until it has ended, or choose another folder")
                    );
                }
                Err(TryLockError::Error(error)) => {
                    return Err(SinkError::io(&path, "lock the output folder", &error));
                }
            }
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Removed while still locked. If that fails the file stays, unlocked, and harms nobody.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |m: fs::Metadata| (m.dev(), m.ino());
    file.metadata().map(id).ok() == fs::metadata(path).map(id).ok()
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}
