//! Where a model came from.

use crate::weights::{self, ModelFile, ModelFiles};

/// Where a model came from, for `run.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelOrigin {
    /// As the user named it.
    pub name: String,
    /// Hub repository, where it came from one.
    pub repository: Option<String>,
    /// Commit in that repository.
    pub revision: Option<String>,
    /// Path and SHA-256 of its files.
    pub files: Vec<(String, String)>,
}

impl From<&ModelFiles> for ModelOrigin {
    fn from(files: &ModelFiles) -> Self {
        let (repository, revision) = match &files.origin {
            weights::ModelOrigin::Path | weights::ModelOrigin::Embedded => (None, None),
            weights::ModelOrigin::Hub { repo, commit, .. } => {
                (Some(repo.clone()), Some(commit.clone()))
            }
        };
        let all = [
            Some(&files.weights),
            files.config.as_ref(),
            files.preprocessor.as_ref(),
        ];
        let described = |file: &ModelFile| (file.path.display().to_string(), file.sha256.clone());
        Self {
            name: files.name.clone(),
            repository,
            revision,
            files: all.into_iter().flatten().map(described).collect(),
        }
    }
}
