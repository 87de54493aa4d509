//! Files that exactly one of many processes makes, also on network file systems.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// A word that no other process, on any machine, uses: for names of temporary files and for owners.
pub(in crate::run::shard) fn token() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let host = host().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    format!("{host}-{}-{:x}-{count}", std::process::id(), now.as_nanos())
}

/// The machine's name.
pub(in crate::run::shard) fn host() -> String {
    let read = |path: &str| fs::read_to_string(path).ok();
    let name = read("/proc/sys/kernel/hostname").or_else(|| std::env::var("HOSTNAME").ok());
    name.map_or_else(|| "unknown".to_owned(), |name| name.trim().to_owned())
}

/// Makes the file `path` with `bytes`, whole, unless it is there; whether this call made it.
///
/// A file of another name is linked to `path`: unlike locks, this is one operation of the server on every version of NFS. Where the
/// answer to it was lost and the repeated request finds the link of the first, the number of links tells. File systems without links
/// get the file by exclusive creation, in one write.
///
/// # Errors
/// Those of the file system.
pub(in crate::run::shard) fn publish(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    if path.symlink_metadata().is_ok() {
        return Ok(false);
    }
    let temporary = temporary(path);
    fs::write(&temporary, bytes)?;
    let linked = fs::hard_link(&temporary, path);
    let made = match linked {
        Ok(()) => Ok(true),
        Err(_) if links(&temporary) == Some(2) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(_) => create_new(path, bytes),
    };
    let _ = fs::remove_file(&temporary);
    made
}

fn temporary(path: &Path) -> PathBuf {
    path.with_file_name(format!(".ultramotion-{}.tmp", token()))
}

fn create_new(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(bytes).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn links(path: &Path) -> Option<u64> {
    fs::metadata(path)
        .ok()
        .map(|meta| std::os::unix::fs::MetadataExt::nlink(&meta))
}

#[cfg(not(unix))]
fn links(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_many_makes_the_file() {
        let dir = tempfile::tempdir().unwrap();
        for make in [publish, create_new] {
            let path = dir.path().join(token());
            let made: Vec<(usize, bool)> = std::thread::scope(|scope| {
                let start = |n: usize| {
                    let path = &path;
                    scope.spawn(move || (n, make(path, format!("{n}").as_bytes()).unwrap()))
                };
                let threads: Vec<_> = (0..16).map(start).collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            let winners: Vec<usize> = made.iter().filter(|(_, m)| *m).map(|(n, _)| *n).collect();
            assert_eq!(winners.len(), 1);
            assert_eq!(fs::read_to_string(&path).unwrap(), winners[0].to_string());
        }
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 2, "no temporary files are left");
    }
}
