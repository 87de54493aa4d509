//! Models from the Hugging Face hub, through the cache that its other tools share.

mod client;
mod config;
pub(super) mod digest;
mod download;
mod error;
mod repo;

pub use config::HubConfig;
pub use error::HubError;
pub use repo::HubRepo;

use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Hears how a download goes on. All methods do nothing unless written.
pub trait DownloadProgress {
    /// A transfer of `file` of `bytes` in all begins, or begins again from its start after an interruption. Bytes that
    /// were there before are then counted by the first [`DownloadProgress::advance`].
    fn start(&mut self, file: &str, bytes: u64) {
        let _ = (file, bytes);
    }

    /// So many more bytes are there.
    fn advance(&mut self, bytes: u64) {
        let _ = bytes;
    }

    /// The transfer ended, well or not.
    fn finish(&mut self) {}
}

impl DownloadProgress for () {}

/// A file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelFile {
    /// Its name within the model, for instance `model.safetensors`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    pub sha256: String,
    /// Its bytes, where it is part of the program.
    #[serde(skip)]
    pub(in super::super) content: Option<&'static [u8]>,
}

impl ModelFile {
    /// Measures the file at `path`.
    pub(super) fn measure(name: String, path: PathBuf) -> std::io::Result<Self> {
        let (bytes, sha256) = digest::digest(&path)?;
        Ok(Self {
            name,
            path,
            bytes,
            sha256,
            content: None,
        })
    }

    /// Its text, as UTF-8.
    ///
    /// # Errors
    /// If it cannot be read or is not UTF-8.
    pub fn text(&self) -> std::io::Result<String> {
        match self.content {
            Some(content) => String::from_utf8(content.to_vec()).map_err(std::io::Error::other),
            None => std::fs::read_to_string(&self.path),
        }
    }
}

/// Files chosen among others, or why none could be.
pub(super) type Choice = Result<Vec<String>, String>;

/// Which files of a repository are wanted.
pub(super) enum Wanted<'a> {
    /// These, with the SHA-256 that is known of them.
    Exactly(&'a [(&'a str, Option<&'a str>)]),
    /// Those that are chosen among all.
    Chosen(fn(&[String]) -> Choice),
}

/// Files of a repository at one commit.
pub(super) struct Snapshot {
    pub(super) commit: String,
    pub(super) files: Vec<ModelFile>,
}

/// The hub with its cache.
#[derive(Debug, Clone)]
pub struct Hub {
    config: HubConfig,
}

impl Hub {
    /// The hub that `config` describes. Nothing is asked of it yet.
    pub fn new(config: HubConfig) -> Self {
        Self { config }
    }

    /// Its settings.
    pub fn config(&self) -> &HubConfig {
        &self.config
    }

    /// Whether the hub answers `within` a time; the reason where it does not. Nothing is asked of it but that, and no token is sent.
    ///
    /// # Errors
    /// What failed, in words.
    pub fn answers(&self, within: std::time::Duration) -> Result<(), String> {
        client::Client::answers(&self.config, within)
    }

    /// Path of `file` of `repo` in the cache, where it is there.
    pub fn cached(&self, repo: &HubRepo, file: &str) -> Option<PathBuf> {
        let path = self
            .snapshot_dir(repo, &self.cached_commit(repo)?)
            .join(file);
        path.is_file().then_some(path)
    }

    /// Files of `repo`, from the cache where it has them all; else, or with `refresh` where the revision is a branch or
    /// tag, from the hub. Every file is read once for its SHA-256, which must be the one that is known of it.
    pub(super) fn snapshot(
        &self,
        repo: &HubRepo,
        wanted: &Wanted<'_>,
        refresh: bool,
        progress: &mut dyn DownloadProgress,
    ) -> Result<Snapshot, HubError> {
        if (self.config.offline || repo.is_pinned() || !refresh)
            && let Some(snapshot) = self.take_cached(repo, wanted)?
        {
            return Ok(snapshot);
        }
        if self.config.offline {
            let files = self.missing(repo, wanted);
            return Err(HubError::Offline {
                repo: repo.to_string(),
                by_hand: self.by_hand(repo, &files),
                files,
            });
        }
        let result = self.fetch(repo, wanted, progress);
        result.map_err(|error| match error {
            HubError::Unreachable {
                endpoint, reason, ..
            } => HubError::Unreachable {
                endpoint,
                reason,
                by_hand: self.by_hand(repo, &self.missing(repo, wanted)),
            },
            other => other,
        })
    }

    fn take_cached(
        &self,
        repo: &HubRepo,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Snapshot>, HubError> {
        let Some(commit) = self.cached_commit(repo) else {
            return Ok(None);
        };
        let dir = self.snapshot_dir(repo, &commit);
        let names = match wanted {
            Wanted::Exactly(files) => files.iter().map(|(name, _)| (*name).to_owned()).collect(),
            Wanted::Chosen(choose) => match choose(&file_names(&dir)) {
                Ok(names) => names,
                Err(_) => return Ok(None),
            },
        };
        if !names.iter().all(|name| dir.join(name).is_file()) {
            return Ok(None);
        }
        let files = names
            .into_iter()
            .map(|name| self.checked(repo, dir.join(&name), name, wanted))
            .collect::<Result<_, _>>()?;
        Ok(Some(Snapshot { commit, files }))
    }

    fn fetch(
        &self,
        repo: &HubRepo,
        wanted: &Wanted<'_>,
        progress: &mut dyn DownloadProgress,
    ) -> Result<Snapshot, HubError> {
        // All files come from one commit, even if the branch moves meanwhile.
        let (commit, names) = match wanted {
            Wanted::Exactly(files) => {
                let commit = if repo.is_pinned() {
                    repo.revision().to_owned()
                } else {
                    self.describe(repo)?.0
                };
                (
                    commit,
                    files.iter().map(|(name, _)| (*name).to_owned()).collect(),
                )
            }
            Wanted::Chosen(choose) => {
                let (commit, all) = self.describe(repo)?;
                let names = choose(&all).map_err(|reason| HubError::NoWeights {
                    repo: repo.to_string(),
                    reason,
                })?;
                (commit, names)
            }
        };
        let url = repo.url(&self.config.endpoint, "");
        let odd = |reason: &str| HubError::Protocol {
            url: url.clone(),
            reason: reason.to_owned(),
        };
        if repo.is_pinned() && !commit.eq_ignore_ascii_case(repo.revision()) {
            return Err(odd(&format!("the server answered with commit {commit}")));
        }
        let fixed = repo
            .at(&commit)
            .filter(HubRepo::is_pinned)
            .ok_or_else(|| odd("the server named no commit"))?;
        let mut files = Vec::new();
        for name in names {
            if !repo::is_safe_path(&name) {
                return Err(odd(&format!(
                    "the repository has a file with the unusable name {name:?}"
                )));
            }
            let path = match self.cached(&fixed, &name) {
                Some(path) => path,
                None => {
                    download::download(&self.config, &fixed, &self.repo_dir(repo), &name, progress)?
                }
            };
            files.push(self.checked(repo, path, name, wanted)?);
        }
        if !repo.is_pinned() {
            let written = self.cache_repo(repo).create_ref(&commit);
            written.map_err(|source| HubError::Disk {
                path: self.repo_dir(repo),
                source,
            })?;
        }
        Ok(Snapshot { commit, files })
    }

    /// Commit that the revision stands for, and names of all files, from the hub.
    fn describe(&self, repo: &HubRepo) -> Result<(String, Vec<String>), HubError> {
        let (config, thread_repo) = (self.config.clone(), repo.clone());
        let (sender, receiver) = std::sync::mpsc::channel();
        let body = move || {
            sender
                .send(client::Client::new(&config).list(&thread_repo))
                .ok()
        };
        let spawned = std::thread::Builder::new()
            .name("hub".to_owned())
            .spawn(body);
        spawned.map_err(|source| HubError::Disk {
            path: self.config.cache.clone(),
            source,
        })?;
        let stalled = || HubError::Stalled {
            url: repo.url(&self.config.endpoint, ""),
            waited: self.config.stall_timeout,
        };
        let listing = receiver
            .recv_timeout(self.config.stall_timeout)
            .unwrap_or_else(|_| Err(stalled()))?;
        Ok((
            listing.sha,
            listing
                .siblings
                .into_iter()
                .map(|sibling| sibling.name)
                .collect(),
        ))
    }

    /// Measures a file of the cache and compares it with the SHA-256 that its blob is named by and that is known of it.
    fn checked(
        &self,
        repo: &HubRepo,
        path: PathBuf,
        name: String,
        wanted: &Wanted<'_>,
    ) -> Result<ModelFile, HubError> {
        let disk = |source| HubError::Disk {
            path: path.clone(),
            source,
        };
        let file = ModelFile::measure(name, path.clone()).map_err(disk)?;
        let blob = std::fs::canonicalize(&path).map_err(disk)?;
        let differs = |expected: &&str| !expected.eq_ignore_ascii_case(&file.sha256);
        let tag = blob
            .file_name()
            .and_then(|name| name.to_str())
            .filter(|name| repo::is_hex(name, 64));
        if let Some(tag) = tag.filter(differs) {
            let (expected, found) = (format!("SHA-256 {tag}"), format!("SHA-256 {}", file.sha256));
            return Err(HubError::Checksum {
                path: blob.clone(),
                expected,
                found,
            });
        }
        let known = match wanted {
            Wanted::Exactly(files) => files
                .iter()
                .find(|(name, _)| *name == file.name)
                .and_then(|(_, sha256)| *sha256),
            Wanted::Chosen(_) => None,
        };
        if let Some(known) = known.filter(differs) {
            return Err(HubError::NotPublished {
                path,
                repo: repo.to_string(),
                expected: known.to_owned(),
                found: file.sha256,
            });
        }
        Ok(file)
    }

    /// Commit that the cache has of the revision.
    fn cached_commit(&self, repo: &HubRepo) -> Option<String> {
        if repo.is_pinned() {
            return Some(repo.revision().to_owned());
        }
        let refs = self.repo_dir(repo).join("refs").join(repo.revision());
        let commit = std::fs::read_to_string(refs).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| repo::is_hex(commit, 40))
    }

    /// hf-hub's view of the repository, which knows the layout of the cache.
    fn cache_repo(&self, repo: &HubRepo) -> CacheRepo {
        Cache::new(self.config.cache.clone()).repo(hf_repo(repo))
    }

    fn repo_dir(&self, repo: &HubRepo) -> PathBuf {
        self.config.cache.join(hf_repo(repo).folder_name())
    }

    fn snapshot_dir(&self, repo: &HubRepo, commit: &str) -> PathBuf {
        self.cache_repo(repo).pointer_path(commit)
    }

    fn missing(&self, repo: &HubRepo, wanted: &Wanted<'_>) -> Vec<String> {
        match wanted {
            Wanted::Exactly(files) => {
                let absent = files
                    .iter()
                    .filter(|(name, _)| self.cached(repo, name).is_none());
                absent.map(|(name, _)| (*name).to_owned()).collect()
            }
            Wanted::Chosen(_) => vec!["config.json".to_owned(), "model.safetensors".to_owned()],
        }
    }

    /// How to bring files here by other means.
    fn by_hand(&self, repo: &HubRepo, files: &[String]) -> String {
        let urls: String = files
            .iter()
            .map(|file| format!("\n    {}", repo.url(&self.config.endpoint, file)))
            .collect();
        let place = match self.cached_commit(repo) {
            Some(commit) => format!(
                "put them into\n    {}\n  or ",
                self.snapshot_dir(repo, &commit).display()
            ),
            None => String::new(),
        };
        format!(
            "\n  fetch on another machine{urls}\n  and {place}put all files of the model into a folder and give its path instead of the name"
        )
    }
}

fn hf_repo(repo: &HubRepo) -> Repo {
    Repo::with_revision(
        repo.id().to_owned(),
        RepoType::Model,
        repo.revision().to_owned(),
    )
}

/// Names of the files directly in `dir`.
pub(super) fn file_names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = files
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}
