//! A model whose files are part of the program.

use crate::weights::hub::ModelFile;
use crate::weights::model_files::{ModelFiles, ModelOrigin};
use crate::weights::role::Role;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// A model whose files are part of the program.
#[derive(Debug, PartialEq, Eq)]
pub struct EmbeddedModel {
    /// Its name, as [`ModelRef::parse`](crate::weights::ModelRef::parse) understands it.
    pub name: &'static str,
    /// What it does.
    pub role: Role,
    /// One line about it.
    pub description: &'static str,
    pub(super) weights: File,
    pub(super) config: Option<File>,
    pub(super) preprocessor: Option<File>,
}

/// Name and content of a file.
pub(super) type File = (&'static str, &'static [u8]);

impl EmbeddedModel {
    /// Its files; their paths begin with `embedded:`.
    pub(in crate::weights) fn files(&self) -> ModelFiles {
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
