//! One file from the hub into its cache.
//!
//! The layout is that of hf-hub and of huggingface_hub: contents in `blobs/TAG`, and `snapshots/COMMIT/FILE` linking to
//! them. Bytes arrive in `blobs/TAG.part`, from where an interrupted download is resumed; the part gets its final name
//! only after size and, where the tag is one, SHA-256 were found right.

use super::client::{Client, Described};
use super::config::HubConfig;
use super::error::HubError;
use super::progress::DownloadProgress;
use super::receive::{Event, disk_error, receive};
use super::repo::{HubRepo, is_safe_path};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How often a download that broke off is resumed within one call.
const RESUMPTIONS: u32 = 2;
/// How long a lock that another process holds is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(600);

/// Downloads `file` of `repo`, which is at a commit, into the folder `dir` of the repository in the cache.
pub(super) fn download(
    config: &HubConfig,
    repo: &HubRepo,
    dir: &Path,
    file: &str,
    progress: &mut dyn DownloadProgress,
) -> Result<PathBuf, HubError> {
    let (mut resumptions, mut repeated) = (0, false);
    loop {
        match attempt(config, repo, dir, file, progress) {
            Err(HubError::Interrupted { .. }) if resumptions < RESUMPTIONS => {
                resumptions += 1;
                std::thread::sleep(Duration::from_millis(250 << resumptions));
            }
            // The part may have been of other contents: once more from the start.
            Err(HubError::Checksum { .. }) if !repeated => repeated = true,
            result => return result,
        }
    }
}

/// Transfers on a thread of its own: a blocking read of the network cannot be cancelled when nothing arrives.
fn attempt(
    config: &HubConfig,
    repo: &HubRepo,
    dir: &Path,
    file: &str,
    progress: &mut dyn DownloadProgress,
) -> Result<PathBuf, HubError> {
    let (sender, receiver) = channel();
    let job = (
        config.clone(),
        repo.clone(),
        dir.to_owned(),
        file.to_owned(),
    );
    let body = move || {
        let (config, repo, dir, file) = &job;
        let result = transfer(config, repo, dir, file, &sender);
        sender.send(Event::Done(result)).ok();
    };
    let spawned = std::thread::Builder::new()
        .name("download".to_owned())
        .spawn(body);
    spawned.map_err(|source| HubError::Disk {
        path: dir.to_owned(),
        source,
    })?;
    let url = || repo.url(&config.endpoint, file);
    loop {
        match receiver.recv_timeout(config.stall_timeout) {
            Ok(Event::Start(size)) => progress.start(file, size),
            Ok(Event::Advance(bytes)) => progress.advance(bytes),
            Ok(Event::Waiting) => {}
            Ok(Event::Done(result)) => {
                progress.finish();
                return result;
            }
            Err(RecvTimeoutError::Timeout) => {
                return Err(HubError::Stalled {
                    url: url(),
                    waited: config.stall_timeout,
                });
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(HubError::Protocol {
                    url: url(),
                    reason: "the answer could not be understood".to_owned(),
                });
            }
        }
    }
}

fn transfer(
    config: &HubConfig,
    repo: &HubRepo,
    dir: &Path,
    file: &str,
    events: &Sender<Event>,
) -> Result<PathBuf, HubError> {
    let client = Client::new(config);
    let described = client.describe(repo, file)?;
    let Described { etag, commit, .. } = &described;
    let odd = |reason| HubError::Protocol {
        url: repo.url(&config.endpoint, file),
        reason,
    };
    if !is_safe_path(etag) || etag.contains('/') || !is_safe_path(commit) || commit.contains('/') {
        return Err(odd(format!(
            "the server named the file {etag:?} of commit {commit:?}"
        )));
    }
    if !commit.eq_ignore_ascii_case(repo.revision()) {
        return Err(odd(format!("the server answered with commit {commit}")));
    }
    let blob = dir.join("blobs").join(etag);
    let pointer = dir.join("snapshots").join(repo.revision()).join(file);
    let disk = disk_error(&blob);
    for parent in [blob.parent(), pointer.parent()].into_iter().flatten() {
        fs::create_dir_all(parent).map_err(&disk)?;
    }
    let _lock = lock(&blob.with_extension("lock"), events)?;
    // Another process, or an earlier commit, may have brought it; contents in place were checked before they got there.
    if !blob.is_file() {
        let part = blob.with_extension("part");
        receive(&client, &described, &part, events)?;
        fs::rename(&part, &blob).map_err(&disk)?;
    }
    link(&blob, &pointer, file).map_err(disk_error(&pointer))?;
    Ok(pointer)
}

/// Holds the lock that hf-hub takes too; it is let go when the file is dropped.
fn lock(path: &Path, events: &Sender<Event>) -> Result<File, HubError> {
    let file = File::create(path).map_err(disk_error(path))?;
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begin.elapsed() < LOCK_PATIENCE => {
                events.send(Event::Waiting).ok();
                std::thread::sleep(Duration::from_millis(200));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(HubError::Busy {
                    path: path.to_owned(),
                });
            }
            // Some network file systems have no locks; the renaming at the end is atomic with or without.
            Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}

/// Makes `pointer`, which is `file` in a snapshot, refer to `blob`: by a relative link, else by a hard link or a copy.
fn link(blob: &Path, pointer: &Path, file: &str) -> io::Result<()> {
    let up = "../".repeat(2 + file.matches('/').count());
    let target = PathBuf::from(up)
        .join("blobs")
        .join(blob.file_name().unwrap_or_default());
    if fs::symlink_metadata(pointer).is_ok() {
        fs::remove_file(pointer)?;
    }
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(target, pointer);
    #[cfg(windows)]
    let linked = std::os::windows::fs::symlink_file(target, pointer);
    linked
        .or_else(|_| fs::hard_link(blob, pointer))
        .or_else(|_| {
            let copy = pointer.with_extension("part");
            fs::copy(blob, &copy)?;
            fs::rename(&copy, pointer)
        })
}
