//! Models that are part of the program (feature `embedded-models`), used where none is named.

#[cfg(not(feature = "embedded-models"))]
#[path = "absent.rs"]
mod table;
#[cfg(feature = "embedded-models")]
#[path = "present.rs"]
mod table;

use super::{ModelFile, ModelFiles, ModelOrigin, Role};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// A model whose files are part of the program.
#[derive(Debug, PartialEq, Eq)]
pub struct EmbeddedModel {
    /// Its name, for `--detector` and `--segmenter`.
    pub name: &'static str,
    /// What it does.
    pub role: Role,
    /// One line about it.
    pub description: &'static str,
    weights: File,
    config: Option<File>,
    preprocessor: Option<File>,
}

/// Name and content of a file.
type File = (&'static str, &'static [u8]);

/// All of them; none without the feature `embedded-models`.
pub static EMBEDDED_MODELS: &[EmbeddedModel] = table::MODELS;

impl EmbeddedModel {
    /// The model of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        EMBEDDED_MODELS.iter().find(|model| model.name == name)
    }

    /// The model that is used for `role` where none is named.
    pub fn default_of(role: Role) -> Option<&'static Self> {
        EMBEDDED_MODELS.iter().find(|model| model.role == role)
    }

    /// Its files; their paths begin with `embedded:`.
    pub(super) fn files(&self) -> ModelFiles {
        let described = |(name, content): File| ModelFile {
            name: name.to_owned(),
            path: PathBuf::from(format!("embedded:{}/{name}", self.name)),
            bytes: content.len() as u64,
            sha256: Sha256::digest(content)
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect(),
            content: Some(content),
        };
        ModelFiles {
            name: self.name.to_owned(),
            origin: ModelOrigin::Embedded,
            weights: described(self.weights),
            config: self.config.map(described),
            preprocessor: self.preprocessor.map(described),
        }
    }
}
