//! The hub with its cache, and what the cache has.

use super::config::HubConfig;
use super::repo::{self, HubRepo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use std::path::{Path, PathBuf};

/// The hub with its cache.
#[derive(Debug, Clone)]
pub struct Hub {
    pub(super) config: HubConfig,
}

impl Hub {
    /// The hub that `config` describes. No request is sent.
    pub fn new(config: HubConfig) -> Self {
        Self { config }
    }

    /// Its settings.
    pub fn config(&self) -> &HubConfig {
        &self.config
    }

    /// Path of `file` of `repo` in the cache, where it is there.
    pub fn cached(&self, repo: &HubRepo, file: &str) -> Option<PathBuf> {
        let path = self
            .snapshot_dir(repo, &self.cached_commit(repo)?)
            .join(file);
        path.is_file().then_some(path)
    }

    /// Commit that the cache has of the revision.
    pub(super) fn cached_commit(&self, repo: &HubRepo) -> Option<String> {
        if repo.is_pinned() {
            return Some(repo.revision().to_owned());
        }
        let refs = self.repo_dir(repo).join("refs").join(repo.revision());
        let commit = std::fs::read_to_string(refs).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| repo::is_hex(commit, 40))
    }

    /// hf-hub's view of the repository, which knows the layout of the cache.
    pub(super) fn cache_repo(&self, repo: &HubRepo) -> CacheRepo {
        Cache::new(self.config.cache.clone()).repo(hf_repo(repo))
    }

    pub(super) fn repo_dir(&self, repo: &HubRepo) -> PathBuf {
        self.config.cache.join(hf_repo(repo).folder_name())
    }

    pub(super) fn snapshot_dir(&self, repo: &HubRepo, commit: &str) -> PathBuf {
        self.cache_repo(repo).pointer_path(commit)
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
pub(in crate::weights) fn file_names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = files
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}
