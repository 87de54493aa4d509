//! From the hub, or its cache, to the files of a model.

use super::cache::{Hub, file_names};
use super::client::Client;
use super::download;
use super::error::HubError;
use super::model_file::ModelFile;
use super::progress::DownloadProgress;
use super::repo::{self, HubRepo};
use super::selection::{Snapshot, Wanted};
use std::path::PathBuf;

impl Hub {
    /// Sends one HEAD request without a token; `Ok` if any response arrives `within` that time.
    ///
    /// # Errors
    /// What failed, in words.
    pub fn answers(&self, within: std::time::Duration) -> Result<(), String> {
        Client::answers(&self.config, within)
    }

    /// Files of `repo`, from the cache where it has them all; else, or with `refresh` where the revision is a branch or
    /// tag, from the hub. Every file is read once for its SHA-256, which must be the one that is known of it.
    pub(in crate::weights) fn snapshot(
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

    /// The commit that `repo` stands for, and the files of it that are wanted. All files come from this one commit,
    /// even if the branch moves meanwhile.
    fn select(
        &self,
        repo: &HubRepo,
        wanted: &Wanted<'_>,
    ) -> Result<(String, Vec<String>), HubError> {
        match wanted {
            Wanted::Exactly(files) => {
                let commit = if repo.is_pinned() {
                    repo.revision().to_owned()
                } else {
                    self.describe(repo)?.0
                };
                let names = files.iter().map(|(name, _)| (*name).to_owned());
                Ok((commit, names.collect()))
            }
            Wanted::Chosen(choose) => {
                let (commit, all) = self.describe(repo)?;
                let names = choose(&all).map_err(|reason| HubError::NoWeights {
                    repo: repo.to_string(),
                    reason,
                })?;
                Ok((commit, names))
            }
        }
    }

    fn fetch(
        &self,
        repo: &HubRepo,
        wanted: &Wanted<'_>,
        progress: &mut dyn DownloadProgress,
    ) -> Result<Snapshot, HubError> {
        let (commit, names) = self.select(repo, wanted)?;
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
        let body = move || sender.send(Client::new(&config).list(&thread_repo)).ok();
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
