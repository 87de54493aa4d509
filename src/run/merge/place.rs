//! Files that shards wrote, in the output folder of all.

use crate::{
    progress::Cancel,
    sinks::{Layout, SinkError},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Folders that sinks write to while a run goes on.
const FOLDERS: [&str; 5] = ["masks", "instances", "overlay", "frames", "images"];

/// What was put in place.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    /// Files, of which there is one copy on the disk.
    pub(super) linked: u64,
    /// Files that were copied since the file system has no hard links.
    pub(super) copied: u64,
}

/// Puts all files that the run in the folder `shard` wrote under the same names below `output`: hard links, which need no room and outlive the
/// shard's folder; copies where the file system has none; links to pictures as they are. False if it was cancelled.
///
/// # Errors
/// [`SinkError`] if a folder cannot be read or a file cannot be made.
pub(super) fn place(
    shard: &Path,
    output: &Path,
    cancel: &Cancel,
    placed: &mut Placed,
) -> Result<bool, SinkError> {
    for name in FOLDERS {
        let mut open = vec![PathBuf::from(name)];
        while let Some(below) = open.pop() {
            if cancel.is_requested() {
                return Ok(false);
            }
            let folder = shard.join(&below);
            let failed = |e: io::Error| SinkError::io(&folder, "list the folder", &e);
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(e) if e.kind() == io::ErrorKind::NotFound && below == Path::new(name) => {
                    continue;
                }
                Err(e) => return Err(failed(e)),
            };
            let target = output.join(&below);
            fs::create_dir_all(&target)
                .map_err(|e| SinkError::io(&target, "create the folder", &e))?;
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let kind = entry.file_type().map_err(failed)?;
                if kind.is_dir() {
                    open.push(below.join(entry.file_name()));
                } else {
                    let to = target.join(entry.file_name());
                    let made = file(&entry.path(), &to, kind.is_symlink());
                    let copied =
                        made.map_err(|e| SinkError::io(&to, "put the shard's file there", &e))?;
                    placed.copied += u64::from(copied);
                    placed.linked += u64::from(!copied);
                }
            }
        }
    }
    Ok(true)
}

/// Whether the file was copied.
fn file(from: &Path, to: &Path, is_link: bool) -> io::Result<bool> {
    if is_link {
        let target = fs::read_link(from)?;
        if fs::read_link(to).is_ok_and(|there| there == target) {
            return Ok(false);
        }
        return replace(to, |path| symlink(&target, path)).map(|()| false);
    }
    match fs::hard_link(from, to) {
        Ok(()) => return Ok(false),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            if is_same(from, to) {
                return Ok(false);
            }
        }
        Err(_) => {}
    }
    // Of an earlier merge, or the file system has no links: then it is copied.
    if replace(to, |path| fs::hard_link(from, path)).is_ok() {
        return Ok(false);
    }
    replace(to, |path| fs::copy(from, path).map(|_| ())).map(|()| true)
}

/// Makes a file under a temporary name and renames it.
fn replace(to: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let temporary = Layout::temporary(to);
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    make(&temporary)?;
    fs::rename(&temporary, to)
}

#[cfg(unix)]
fn is_same(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| fs::symlink_metadata(path).map(|m| (m.dev(), m.ino())).ok();
    id(a).is_some() && id(a) == id(b)
}

#[cfg(not(unix))]
fn is_same(_: &Path, _: &Path) -> bool {
    false
}

#[cfg(unix)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_shards_come_together_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let (shard, output) = (dir.path().join("shard"), dir.path().join("out"));
        fs::create_dir_all(shard.join("masks/a/b")).unwrap();
        fs::create_dir_all(shard.join("images")).unwrap();
        fs::create_dir_all(shard.join("other")).unwrap();
        fs::write(shard.join("masks/a/b/1.png"), "mask").unwrap();
        fs::write(shard.join("masks/labels.json"), "labels").unwrap();
        fs::write(shard.join("other/2.png"), "x").unwrap();
        #[cfg(unix)]
        symlink(Path::new("/nowhere/p.png"), &shard.join("images/p.png")).unwrap();
        fs::create_dir_all(output.join("masks")).unwrap();
        fs::write(output.join("masks/labels.json"), "of an earlier merge").unwrap();
        for _ in 0..2 {
            let mut placed = Placed::default();
            assert!(place(&shard, &output, &Cancel::default(), &mut placed).unwrap());
            assert_eq!(placed.copied, 0);
            assert_eq!(placed.linked, if cfg!(unix) { 3 } else { 2 });
            let read = |name: &str| fs::read_to_string(output.join(name)).unwrap();
            assert_eq!(read("masks/a/b/1.png"), "mask");
            assert_eq!(read("masks/labels.json"), "labels");
            assert!(!output.join("other").exists());
            #[cfg(unix)]
            assert_eq!(
                fs::read_link(output.join("images/p.png")).unwrap(),
                Path::new("/nowhere/p.png")
            );
        }
        let cancel = Cancel::default();
        cancel.request();
        assert!(!place(&shard, &output, &cancel, &mut Placed::default()).unwrap());
    }
}
