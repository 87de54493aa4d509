//! One file from the hub into its cache.
//!
//! The layout is that of hf-hub and of huggingface_hub: contents in `blobs/TAG`, and `snapshots/COMMIT/FILE` linking to
//! them. Bytes arrive in `blobs/TAG.part`, from where an interrupted download is resumed; the part gets its final name
//! only after size and, where the tag is one, SHA-256 were found right.

use super::client::{Client, Described, header};
use super::repo::{is_hex, is_safe_path};
use super::{DownloadProgress, HubConfig, HubError, HubRepo, digest};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How often a download that broke off is resumed within one call.
const RESUMPTIONS: u32 = 2;
/// How long a lock that another process holds is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(600);

enum Event {
    Start(u64),
    Advance(u64),
    Waiting,
    Done(Result<PathBuf, HubError>),
}

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

/// Transfers on a thread of its own, since no read of the network can be given up otherwise when nothing arrives.
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

fn disk_error(path: &Path) -> impl Fn(io::Error) -> HubError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => HubError::DiskFull {
            path: path.to_owned(),
        },
        _ => HubError::Disk {
            path: path.to_owned(),
            source,
        },
    }
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

/// Completes `part` and checks it.
fn receive(
    client: &Client<'_>,
    described: &Described,
    part: &Path,
    events: &Sender<Event>,
) -> Result<(), HubError> {
    let disk = disk_error(part);
    let url = &described.location;
    let have = fs::metadata(part).map_or(0, |m| m.len());
    // A part as long as the whole, or longer, was left between transfer and renaming, or is of something else.
    let start = if described.size.is_some_and(|size| have < size) {
        have
    } else {
        0
    };
    let response = client.get(url, start)?;
    let status = response.status().as_u16();
    let range = header(response.headers(), "content-range");
    let resumed = status == 206
        && range
            .as_ref()
            .is_some_and(|range| range.starts_with(&format!("bytes {start}-")));
    if status == 416 || (status == 206 && !resumed) {
        fs::remove_file(part)
            .or_else(|e| {
                if e.kind() == io::ErrorKind::NotFound {
                    Ok(())
                } else {
                    Err(e)
                }
            })
            .map_err(&disk)?;
        return Err(HubError::Interrupted {
            url: url.clone(),
            reason: "the server does not resume it".to_owned(),
        });
    }
    let start = if resumed { start } else { 0 };
    let length =
        header(response.headers(), "content-length").and_then(|text| text.parse::<u64>().ok());
    let size = described
        .size
        .or_else(|| length.map(|length| length.saturating_add(start)));
    let size = size.ok_or_else(|| HubError::Protocol {
        url: url.clone(),
        reason: "the header Content-Length is missing".to_owned(),
    })?;
    let mut file = File::options()
        .create(true)
        .append(resumed)
        .write(true)
        .truncate(!resumed)
        .open(part)
        .map_err(&disk)?;
    events.send(Event::Start(size)).ok();
    events.send(Event::Advance(start)).ok();
    // One byte more than expected is enough to know that the file is not the one described.
    let mut body = response
        .into_body()
        .into_reader()
        .take((size - start.min(size)).saturating_add(1));
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => {
                return Err(HubError::Interrupted {
                    url: url.clone(),
                    reason: e.to_string(),
                });
            }
        };
        file.write_all(buffer.get(..count).unwrap_or_default())
            .map_err(&disk)?;
        events.send(Event::Advance(count as u64)).ok();
    }
    file.sync_all().map_err(&disk)?;
    drop(file);
    verify(part, &described.etag, size)
}

/// Checks size and, where the hub's tag of the file is one, SHA-256; removes the file if they are wrong.
fn verify(part: &Path, etag: &str, size: u64) -> Result<(), HubError> {
    let disk = disk_error(part);
    let (found_size, found_hash) = digest::digest(part).map_err(&disk)?;
    let (expected, found) = if found_size != size {
        (format!("{size} bytes"), format!("{found_size} bytes"))
    } else if is_hex(etag, 64) && !etag.eq_ignore_ascii_case(&found_hash) {
        (format!("SHA-256 {etag}"), format!("SHA-256 {found_hash}"))
    } else {
        return Ok(());
    };
    fs::remove_file(part).map_err(&disk)?;
    Err(HubError::Checksum {
        path: part.to_owned(),
        expected,
        found,
    })
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
