//! The models that have a name, and what of them is on this machine: `ultramotion models list`.

use super::hub::{Hub, HubRepo};
use super::known::{KNOWN_MODELS, KnownModel};
use super::role::Role;
use serde::Serialize;
use std::path::PathBuf;

/// A model with a name and what the cache has of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CatalogueEntry {
    /// Its full name.
    pub name: &'static str,
    /// A shorter name, where it has one.
    pub alias: Option<&'static str>,
    /// What it does.
    pub role: Role,
    /// One line about it.
    pub description: &'static str,
    /// Repository on the hub.
    pub repo: &'static str,
    /// Commit hash, or a branch.
    pub revision: &'static str,
    /// Whether all its files are in the cache.
    pub cached: bool,
    /// Its files.
    pub files: Vec<CatalogueFile>,
}

/// A file of a model with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CatalogueFile {
    /// Its name.
    pub name: &'static str,
    /// Its address.
    pub url: String,
    /// Where it is in the cache, if it is there.
    pub path: Option<PathBuf>,
    /// Its size, if it is in the cache.
    pub bytes: Option<u64>,
}

/// All models that have a name. Looks into the cache only, never asks the hub, and does not check the files.
pub fn catalogue(hub: &Hub) -> Vec<CatalogueEntry> {
    KNOWN_MODELS
        .iter()
        .filter_map(|model| entry(hub, model))
        .collect()
}

fn entry(hub: &Hub, model: &KnownModel) -> Option<CatalogueEntry> {
    let repo = HubRepo::new(model.repo, model.revision)?;
    let file = |name: &'static str| {
        let path = hub.cached(&repo, name);
        let bytes = path
            .as_ref()
            .and_then(|path| std::fs::metadata(path).ok())
            .map(|metadata| metadata.len());
        CatalogueFile {
            name,
            url: repo.url(&hub.config().endpoint, name),
            path,
            bytes,
        }
    };
    let files: Vec<CatalogueFile> = model.files().map(file).collect();
    let KnownModel {
        name,
        alias,
        role,
        description,
        repo,
        revision,
        ..
    } = *model;
    Some(CatalogueEntry {
        name,
        alias,
        role,
        description,
        repo,
        revision,
        cached: files.iter().all(|f| f.path.is_some()),
        files,
    })
}
