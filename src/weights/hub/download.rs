//! One file from the hub into its cache.
//!
//! hf-hub does the transfer and the cache layout. What it does not do is done around it: the transfer runs on a thread
//! of its own so that a silent server or an answer that hf-hub cannot take ends in an error here; names that the server
//! chose are checked before they become paths; the result is checked against size and SHA-256.

use super::repo::{is_hex, is_safe_path};
use super::{DownloadProgress, HubConfig, HubError, HubRepo, digest};
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How often a download that broke off is resumed within one call.
const RESUMPTIONS: u32 = 2;
/// How often a lock that another process holds is tried again; each try takes about six seconds.
const LOCK_TRIES: u32 = 50;

enum Event {
    Start(u64),
    Advance(u64),
    Done(Result<Fetched, Failure>),
}

struct Fetched {
    pointer: PathBuf,
    etag: String,
    size: u64,
}

enum Failure {
    Api(ApiError),
    Odd(String),
}

/// hf-hub's progress as events.
struct Reporter(Sender<Event>);

impl hf_hub::api::Progress for Reporter {
    fn init(&mut self, size: usize, _filename: &str) {
        self.0.send(Event::Start(size as u64)).ok();
    }

    fn update(&mut self, size: usize) {
        self.0.send(Event::Advance(size as u64)).ok();
    }

    fn finish(&mut self) {}
}

/// Downloads `file` of `repo`, which is at a commit, and gives its path in the cache.
pub(super) fn download(config: &HubConfig, repo: &HubRepo, file: &str, progress: &mut dyn DownloadProgress) -> Result<PathBuf, HubError> {
    let (mut resumptions, mut locks, mut repeated) = (0, 0, false);
    loop {
        match attempt(config, repo, file, progress).and_then(verify) {
            Err(HubError::Interrupted { .. }) if resumptions < RESUMPTIONS => {
                resumptions += 1;
                std::thread::sleep(Duration::from_millis(250 << resumptions));
            }
            Err(HubError::Busy { .. }) if locks < LOCK_TRIES => locks += 1,
            // A resumed download may have been spoilt by a server without ranges: once more from the start.
            Err(HubError::Checksum { .. }) if !repeated => repeated = true,
            result => return result,
        }
    }
}

fn attempt(config: &HubConfig, repo: &HubRepo, file: &str, progress: &mut dyn DownloadProgress) -> Result<Fetched, HubError> {
    let url = repo.url(&config.endpoint, file);
    let (sender, receiver) = channel();
    let (thread_config, thread_repo, thread_file) = (config.clone(), repo.clone(), file.to_owned());
    let body = move || {
        let result = transfer(&thread_config, &thread_repo, &thread_file, Reporter(sender.clone()));
        sender.send(Event::Done(result)).ok();
    };
    let spawned = std::thread::Builder::new().name("download".to_owned()).spawn(body);
    spawned.map_err(|source| HubError::Disk { path: config.cache.clone(), source })?;
    let result = follow(&receiver, config.stall_timeout, file, progress);
    match result {
        Ok(Ok(fetched)) => Ok(fetched),
        Ok(Err(Failure::Api(error))) => Err(explain(config, &url, error)),
        Ok(Err(Failure::Odd(reason))) => Err(HubError::Protocol { url, reason }),
        Err(RecvTimeoutError::Timeout) => Err(HubError::Stalled { url, waited: config.stall_timeout }),
        Err(RecvTimeoutError::Disconnected) => Err(HubError::Protocol { url, reason: "the answer could not be understood".to_owned() }),
    }
}

fn follow(
    receiver: &Receiver<Event>,
    patience: Duration,
    file: &str,
    progress: &mut dyn DownloadProgress,
) -> Result<Result<Fetched, Failure>, RecvTimeoutError> {
    loop {
        match receiver.recv_timeout(patience)? {
            Event::Start(size) => progress.start(file, size),
            Event::Advance(bytes) => progress.advance(bytes),
            Event::Done(result) => {
                progress.finish();
                return Ok(result);
            }
        }
    }
}

pub(super) fn api(config: &HubConfig) -> Result<Api, ApiError> {
    ApiBuilder::from_cache(Cache::new(config.cache.clone()))
        .with_endpoint(config.endpoint.clone())
        .with_token(config.token.clone())
        .with_progress(false)
        .with_user_agent(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
        .build()
}

pub(super) fn hf_repo(repo: &HubRepo) -> Repo {
    Repo::with_revision(repo.id().to_owned(), RepoType::Model, repo.revision().to_owned())
}

fn transfer(config: &HubConfig, repo: &HubRepo, file: &str, reporter: Reporter) -> Result<Fetched, Failure> {
    let api = api(config).map_err(Failure::Api)?;
    let metadata = api.metadata(&repo.url(&config.endpoint, file)).map_err(Failure::Api)?;
    let (etag, commit) = (metadata.etag(), metadata.commit_hash());
    if !is_safe_path(etag) || !is_safe_path(commit) || commit.contains('/') {
        return Err(Failure::Odd(format!("the server named the file {etag:?} of commit {commit:?}")));
    }
    if repo.is_pinned() && !commit.eq_ignore_ascii_case(repo.revision()) {
        return Err(Failure::Odd(format!("the server answered with commit {commit}")));
    }
    // A part as long as the whole cannot be resumed: it was left between transfer and renaming, or is another file's.
    let part = Cache::new(config.cache.clone()).repo(hf_repo(repo)).blob_path(etag).with_extension("part");
    if std::fs::metadata(&part).is_ok_and(|m| m.is_file() && m.len() >= metadata.size() as u64) {
        std::fs::remove_file(&part).map_err(|e| Failure::Api(ApiError::IoError(e)))?;
    }
    let pointer = api.repo(hf_repo(repo)).download_with_progress(file, reporter).map_err(Failure::Api)?;
    Ok(Fetched { pointer, etag: etag.to_owned(), size: metadata.size() as u64 })
}

/// Checks size and, where the hub's tag of the file is one, SHA-256; removes the file if they are wrong.
fn verify(fetched: Fetched) -> Result<PathBuf, HubError> {
    let Fetched { pointer, etag, size } = fetched;
    let disk = |source| HubError::Disk { path: pointer.clone(), source };
    let (found_size, found_hash) = digest::digest(&pointer).map_err(disk)?;
    let wrong = if found_size != size {
        Some((format!("{size} bytes"), format!("{found_size} bytes")))
    } else if is_hex(&etag, 64) && !etag.eq_ignore_ascii_case(&found_hash) {
        Some((format!("SHA-256 {etag}"), format!("SHA-256 {found_hash}")))
    } else {
        None
    };
    let Some((expected, found)) = wrong else { return Ok(pointer) };
    discard(&pointer).map_err(disk)?;
    Err(HubError::Checksum { path: pointer, expected, found })
}

/// Removes a file of the cache: the name in the snapshot and the blob behind it.
fn discard(pointer: &Path) -> std::io::Result<()> {
    let blob = std::fs::canonicalize(pointer)?;
    std::fs::remove_file(pointer)?;
    if blob.exists() {
        std::fs::remove_file(blob)?;
    }
    Ok(())
}

/// What an error of hf-hub means to the user.
pub(super) fn explain(config: &HubConfig, url: &str, error: ApiError) -> HubError {
    let url = url.to_owned();
    match error {
        ApiError::RequestError(error) => request(config, url, *error),
        ApiError::IoError(error) => io(config, url, error),
        ApiError::TooManyRetries(error) => explain(config, &url, *error),
        ApiError::LockAcquisition(path) => HubError::Busy { path },
        ApiError::InvalidResume => HubError::Interrupted { url, reason: "the part on disk does not fit".to_owned() },
        other => HubError::Protocol { url, reason: other.to_string() },
    }
}

fn request(config: &HubConfig, url: String, error: ureq::Error) -> HubError {
    let unreachable = |reason: String| HubError::Unreachable { endpoint: config.endpoint.clone(), reason, by_hand: String::new() };
    match error {
        ureq::Error::StatusCode(404) => HubError::NotFound { url },
        ureq::Error::StatusCode(status @ (401 | 403)) => HubError::Refused { url, status, with_token: config.token.is_some() },
        ureq::Error::StatusCode(status) => HubError::Server { url, status },
        ureq::Error::Io(error) if is_broken(&error) => HubError::Interrupted { url, reason: error.to_string() },
        ureq::Error::Io(error) => unreachable(error.to_string()),
        ureq::Error::HostNotFound => unreachable("its name is not known".to_owned()),
        ureq::Error::ConnectionFailed | ureq::Error::Timeout(_) => unreachable(error.to_string()),
        ureq::Error::ConnectProxyFailed(reason) => unreachable(format!("proxy: {reason}")),
        ureq::Error::InvalidProxyUrl => unreachable("the proxy's address is malformed".to_owned()),
        ureq::Error::BodyStalled => HubError::Interrupted { url, reason: error.to_string() },
        other => HubError::Protocol { url, reason: other.to_string() },
    }
}

fn is_broken(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(error.kind(), Kind::UnexpectedEof | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::TimedOut)
}

fn io(config: &HubConfig, url: String, error: std::io::Error) -> HubError {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded => HubError::DiskFull { path: config.cache.clone() },
        _ if is_broken(&error) => HubError::Interrupted { url, reason: error.to_string() },
        // Errors of the connection arrive wrapped in those of the copy.
        _ => match error.downcast::<ureq::Error>() {
            Ok(inner) => match request(config, url.clone(), inner) {
                HubError::Protocol { reason, .. } => HubError::Interrupted { url, reason },
                other => other,
            },
            Err(source) => HubError::Disk { path: config.cache.clone(), source },
        },
    }
}
